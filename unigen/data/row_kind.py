"""What building a dataset must know of the kind of structure: the rest is the same for crystals and molecules."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unigen.cards import DatasetCard, Kind
from unigen.data.readers.record import Record

_REJECTED = b"rejected"


@dataclass(frozen=True)
class Rejected:
    """A row that did not get in."""

    id: str
    where: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What is done to every row by itself.

    Attributes:
        symprec: tolerance of the primitive cell, Angstrom (crystals).
        max_atoms: largest primitive cell, or largest molecule, that gets in.
        excluded: formulas that do not get in: reduced ones of crystals, whole ones of molecules.
        largest_fragment: of several molecules in one entry, keep the largest instead of rejecting it.
    """

    symprec: float = 0.01
    max_atoms: int | None = None
    excluded: frozenset[str] = frozenset()
    largest_fragment: bool = False


@dataclass(frozen=True)
class Task:
    """A record and the card of the recipe it comes through, if any."""

    record: Record
    card: DatasetCard | None


@runtime_checkable
class TreatShard(Protocol):
    """The rows of a shard as a table of columns, properties and facts, the rejected ones in its metadata."""

    def __call__(self, tasks: tuple[Task, ...], treatment: Treatment) -> pa.Table:
        """See `part_table`."""
        ...


@dataclass(frozen=True, kw_only=True)
class RowKind:
    """How rows of one kind are made, kept and compared.

    Attributes:
        name: the kind.
        columns: columns of the store that are no properties.
        facts: columns of a part that the store lacks, with ``where`` and ``together`` among them: rows of equal
            ``together`` fall on one side of a split.
        schema: of a store with these properties.
        treat: makes the part of a shard.
        duplicates: of the kept rows of all parts, the index of each that repeats an earlier one, and of that.
        side_key: the text by whose hash a value of ``together`` gets its side.
        formulas: the formulas of a dataset, by name, as `Treatment.excluded` wants them.
    """

    name: Kind
    columns: tuple[str, ...]
    facts: tuple[str, ...]
    schema: Callable[[Iterable[str]], pa.Schema]
    treat: TreatShard
    duplicates: Callable[[list[Path], np.ndarray, int], dict[int, int]]
    side_key: Callable[[str], str]
    formulas: Callable[[str], Iterable[str]]

    @property
    def store(self) -> str:
        """Name of the file of a dataset."""
        return f"{self.name}.parquet"


def part_table(table: pa.Table, facts: dict[str, list[str]], rejected: list[Any]) -> pa.Table:
    """The table of a part: the rows that passed with their facts, and the rejected ones in its metadata.

    Args:
        table: the columns of the store.
        facts: text by row, a list a column.
        rejected: rows with ``id``, ``where`` and ``reason``.
    """
    for name, values in facts.items():
        table = table.append_column(name, pa.array(values, pa.string()))
    said = [(row.id, row.where, row.reason) for row in rejected]
    return table.replace_schema_metadata({_REJECTED: json.dumps(said).encode()})


def rejected_of(part: Path) -> list[Rejected]:
    """The rows a part rejected."""
    return [Rejected(*entry) for entry in json.loads(pq.read_schema(part).metadata[_REJECTED])]
