"""A shard: the unit of work of a build. Parsed, checked and brought to one form in a worker, written as one part file.

A part is a Parquet file of the rows that passed, with columns of facts beside the store's own, and the rejected rows in
its metadata. It appears under its name only when complete, so a killed build goes on after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Generic

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unigen.cards import DatasetCard
from unigen.data.left_out import LeftOut
from unigen.data.readers.record import Record, Row
from unigen.data.store import Dataset, Structure
from unigen.disk import durable, encodable
from unigen.elements import ATOMIC_NUMBER
from unigen.molecules.relaxation.estimated import Relaxer
from unigen.parallel import Workers

SHARD_ROWS = 512
"""Some seconds of work for a process: what a kill loses. It is part of the stamp by which parts are found again."""

SLOW_SHARD_ROWS = 32
"""The same of molecules that GFN2-xTB relaxes, half a second each."""


def shard_rows(slow: bool) -> int:
    """Rows of a part, of which each takes milliseconds or, relaxed by GFN2-xTB, a second."""
    return SLOW_SHARD_ROWS if slow else SHARD_ROWS


_REJECTED = b"rejected"


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What is done to every row by itself.

    Attributes:
        symprec: tolerance of the primitive cell, Angstrom (crystals).
        max_atoms: largest primitive cell, or largest molecule, that gets in.
        excluded: formulas that do not get in: reduced ones of crystals, whole ones of molecules.
        largest_fragment: of several molecules in one entry, keep the largest instead of rejecting it.
        relax: what relaxes positions that were estimated from a SMILES; None for nothing.
        compute: properties that are computed of every molecule.
        elements: atomic numbers that a molecule may have; none: all.
    """

    symprec: float = 0.01
    max_atoms: int | None = None
    excluded: frozenset[str] = frozenset()
    largest_fragment: bool = False
    relax: Relaxer | None = None
    compute: tuple[str, ...] = ()
    elements: frozenset[int] = frozenset()

    def of(self, card: DatasetCard | None) -> Treatment:
        """With what the card of a recipe says where this says nothing."""
        if card is None:
            return self
        return replace(
            self,
            max_atoms=self.max_atoms or card.max_atoms,
            largest_fragment=self.largest_fragment or card.largest_fragment,
            relax=self.relax or card.relax,
            compute=self.compute or card.compute,
            elements=self.elements or frozenset(ATOMIC_NUMBER[symbol] for symbol in card.elements),
        )


@dataclass(frozen=True)
class Task:
    """A record and the card of the recipe it comes through, if any."""

    record: Record
    card: DatasetCard | None


@dataclass(frozen=True, kw_only=True)
class RowKind(Generic[Structure]):
    """How rows of one kind of structure are made, kept and compared; its functions are sent to other processes.

    Attributes:
        dataset: what a store of them is opened as.
        read_rows: of a file or folder, as they are.
        treat: makes the row that gets in, or the reason why it does not.
        group: structures of one group fall on one side of a split.
        keeps_origin: whether it is worth saying where the positions come from, and what of an entry is not kept.
        duplicates: of the kept rows of all parts, the index of each that repeats an earlier one, and of that.
        side_key: the text by whose hash a group gets its side.
        formulas: the formulas of a dataset, by name, as `Treatment.excluded` wants them.
    """

    dataset: type[Dataset[Structure]]
    read_rows: Callable[[str | Path], Iterator[Row[Structure]]]
    treat: Callable[[Task, Treatment], Row[Structure]]
    group: Callable[[Structure], str]
    keeps_origin: bool
    duplicates: Callable[[list[Path], np.ndarray, int], dict[int, int]]
    side_key: Callable[[str], str]
    formulas: Callable[[str], Iterable[str]]

    @property
    def store(self) -> str:
        """Name of the file of a dataset."""
        return f"{self.dataset.kind}.parquet"

    @property
    def facts(self) -> tuple[str, ...]:
        """Columns of a part that the store lacks."""
        return ("where", "together", "origin", "not_kept") if self.keeps_origin else ("where", "together")


def build_parts(
    kind: RowKind,
    tasks: Iterable[Task],
    treatment: Treatment,
    folder: Path,
    slow: bool,
    workers: int,
    report: Callable[[int, int], None],
) -> list[Path]:
    """Make the part files that are not there yet; all parts, in the order of the source.

    Args:
        kind: of structure.
        tasks: what to read, in a fixed order; for parts that exist it is read again but not parsed.
        treatment: of every row.
        folder: where the parts are.
        slow: whether rows are relaxed by GFN2-xTB.
        workers: processes; with 1 everything happens in this one, but for GFN2-xTB, which wants one of one thread.
        report: called with the numbers of rows passed and rejected after every part.
    """
    parts: list[Path] = []

    def missing() -> Iterator[tuple[Path, tuple[Task, ...]]]:
        stream = iter(tasks)
        for index, shard in enumerate(iter(lambda: tuple(islice(stream, shard_rows(slow))), ())):
            parts.append(folder / f"part-{index:05d}.parquet")
            if parts[-1].exists():
                report(pq.read_metadata(parts[-1]).num_rows, len(rejected_of(parts[-1])))
            else:
                yield parts[-1], shard

    with Workers(workers) as pool:
        for path, table in pool.in_order(partial(part_table, kind, treatment), missing(), "building", here=not slow):
            with durable(path) as temporary:
                pq.write_table(table, temporary, compression="zstd")
            report(len(table), len(rejected_of(path)))
    return parts


def part_table(kind: RowKind, treatment: Treatment, tasks: tuple[Task, ...]) -> pa.Table:
    """The table of a part: the rows that passed with their facts, and the rejected ones in its metadata."""
    rows = [kind.treat(task, treatment.of(task.card)) for task in tasks]
    passed = [(row, row.structure) for row in rows if row.structure is not None]
    structures = [structure for _, structure in passed]
    table = kind.dataset.to_table(structures, [row.id for row, _ in passed], [row.split for row, _ in passed])
    facts: dict[str, list[str]] = {
        "where": [encodable(row.where) for row, _ in passed],
        "together": [kind.group(structure) for structure in structures],
        "origin": [row.origin for row, _ in passed],
        "not_kept": ["\n".join(row.not_kept) for row, _ in passed],
    }
    for name in kind.facts:
        table = table.append_column(name, pa.array(facts[name], pa.string()))
    rejected = [(row.id, row.where, row.reason) for row in rows if row.structure is None]
    return table.replace_schema_metadata({_REJECTED: json.dumps(rejected).encode()})


def rejected_of(part: Path) -> list[LeftOut]:
    """The rows a part rejected."""
    return [LeftOut(*entry) for entry in json.loads(pq.read_schema(part).metadata[_REJECTED])]
