"""One structure to be scored, or to be scored against, and how both are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import CrystalDataset, open_dataset
from unigen.data.readers.crystals import read_crystal_rows
from unigen.data.readers.record import Row
from unigen.errors import UserError
from unigen.eval.crystals.statement import Statement, read_statement

_NUMBERED = re.compile(r"(?:__|_)(\d+)$")


@dataclass(frozen=True, eq=False)
class Entry:
    """A sample or a reference.

    Attributes:
        id: its name; of a sample, the name of the reference it was made for, where one is known.
        crystal: None for what could not be read or was never made: it counts as a failure.
        index: which sample of its reference it is, where it says so.
        reason: why there is no crystal.
        where: file and entry, for messages.
        seed: the seed it was made with, where it says so.
        score: of its generator, larger is better among the samples of one reference, where it says so.
        statement: what it was asked to be and says it is, where it says so.
    """

    id: str
    crystal: Crystal | None
    index: int | None = None
    reason: str = ""
    where: str = ""
    seed: int | None = None
    score: float | None = None
    statement: Statement | None = None


@dataclass(frozen=True, eq=False)
class EntrySet:
    """Entries with the name of where they come from, for the report."""

    name: str
    entries: tuple[Entry, ...] = field(default=())

    @property
    def crystals(self) -> list[Crystal]:
        """What could be read."""
        return [entry.crystal for entry in self.entries if entry.crystal is not None]


def entry_from_row(row: Row) -> Entry:
    """The entry of a row as read; ``info`` may hold what UniGen's own output does.

    That is ``id``, ``index``, ``seed``, ``score``; ``request``, ``space_group``, ``template`` as in `read_statement`.
    """
    return Entry(
        id=row.name,
        crystal=row.structure,
        index=_integer(row.info.get("index")),
        reason=row.reason,
        where=row.where,
        seed=_integer(row.info.get("seed")),
        score=_number(row.info.get("score")),
        statement=read_statement(row.info),
    )


def _integer(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def split_name(name: str) -> tuple[str, int] | None:
    """Name of the reference and index of a numbered sample: ``"mp-5__3"`` and ``"mp-5_3"`` give ``("mp-5", 3)``."""
    found = _NUMBERED.search(name)
    return (name[: found.start()], int(found.group(1))) if found else None


def entries_of_dataset(dataset: CrystalDataset) -> list[Entry]:
    """Every crystal of a built dataset."""
    return [Entry(str(dataset.ids[index]), dataset[index]) for index in range(len(dataset))]


def read_samples(path: str | Path) -> EntrySet:
    """The structures to be scored.

    Raises:
        UserError: nothing at the path, or not one readable structure there.
    """
    entries = tuple(entry_from_row(row) for row in read_crystal_rows(path))
    _some_readable(entries, str(path))
    return EntrySet(str(path), entries)


def read_reference(name_or_path: str | Path) -> EntrySet:
    """The reference: a built dataset (``"mp-20:test"``, or its Parquet file) or structure files of any kind.

    Raises:
        UserError: neither a dataset nor files, or nothing readable there.
    """
    path = Path(name_or_path)
    if path.exists() and path.suffix != ".parquet":
        entries = tuple(entry_from_row(row) for row in read_crystal_rows(path))
        _some_readable(entries, str(path))
        return EntrySet(str(path), entries)
    return EntrySet(str(name_or_path), tuple(entries_of_dataset(open_dataset(name_or_path))))


def as_entries(structures: Iterable[Crystal | Row | Entry], name: str) -> EntrySet:
    """Structures already in memory, crystals in the order given.

    Raises:
        UserError: not one crystal among them.
    """
    entries = []
    for position, structure in enumerate(structures):
        if isinstance(structure, Entry):
            entries.append(structure)
        elif isinstance(structure, Crystal):
            entries.append(Entry(f"{name}-{position}", structure))
        else:
            entries.append(entry_from_row(structure))
    _some_readable(tuple(entries), name)
    return EntrySet(name, tuple(entries))


def _some_readable(entries: tuple[Entry, ...], where: str) -> None:
    if not any(entry.crystal is not None for entry in entries):
        first = f"{len(entries)} unreadable entries, the first: {entries[0].reason}" if entries else "no entries"
        raise UserError("no readable structure", where=where, got=first)
