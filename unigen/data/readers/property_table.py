"""A CSV of properties beside structures that lack them, joined by the names of the structures."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from unigen.data.readers.record import Record
from unigen.data.readers.text import LONGEST_FIELD, csv_rows, number, stem, suffix
from unigen.errors import UserError
from unigen.parsing import open_text

ID_COLUMNS = ("id", "material_id", "mp_id", "jid", "name", "file", "filename", "file_name", "structure")
"""Headings of the column that names the structures, in any case; the first of these counts."""

_STRUCTURE_COLUMNS = ("cif", "smiles")
"""A CSV with one of these holds structures itself."""

_ENDINGS = (".gz", ".cif", ".vasp", ".poscar", ".xyz", ".extxyz", ".sdf", ".mol", ".json")
"""Endings of files, which a table may write behind the names of structures."""


@dataclass(eq=False)
class PropertyTable:
    """Rows by the name of their structure, and how many found theirs.

    Attributes:
        path: of the CSV.
        rows: number or text by column, by name.
        joined: names of structures that had a row, as they were read.
        without_row: structures that had none.
    """

    path: Path
    rows: dict[str, dict[str, object]]
    joined: set[str] = field(default_factory=set)
    without_row: int = 0

    @classmethod
    def read(cls, path: Path) -> PropertyTable:
        """A CSV with a column that names structures and at least one of numbers.

        Raises:
            UserError: not readable, no such column (the columns are listed), or two rows of one name.
        """
        columns = headings(path)
        named = next((name for name in ID_COLUMNS if name in [column.lower() for column in columns]), None)
        if named is None:
            raise UserError(
                "no column names the structures",
                where=str(path),
                got=f"columns {', '.join(columns)[:120]}",
                wanted=f"one of {', '.join(ID_COLUMNS)}",
                next_step="rename the column that says which structure a row is of",
            )
        rows: dict[str, dict[str, object]] = {}
        for where, row in csv_rows(path, named):
            name = _name(row.pop(named) or "")
            if name in rows:
                raise UserError("a second row of the same structure", where=where, got=name)
            values = {key: value for key, value in row.items() if isinstance(value, str) and value.strip()}
            rows[name] = {key: number(value) for key, value in values.items() if len(value) <= LONGEST_FIELD}
        if not any(isinstance(value, float) for row in rows.values() for value in row.values()):
            raise UserError("no column of numbers", where=str(path), got=f"columns {', '.join(columns)[:120]}")
        return cls(path, rows)

    def join(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records with the columns of their rows as further fields; what an entry says itself stays.

        Raises:
            UserError: in the end, when no structure had a row.
        """
        name = ""
        for record in records:
            name = _name(record.id)
            row = self.rows.get(name)
            if row is None:
                self.without_row += record.form != "bad"
                yield record
            else:
                self.joined.add(name)
                yield replace(record, info=row | record.info)
        if self.without_row and not self.joined:
            raise UserError(
                "no row is of any of the structures",
                where=str(self.path),
                got=f"rows of {next(iter(self.rows))} and others, structures called {name} and others",
                next_step="write the names of the structures (of their files, without endings) into the table",
            )

    @property
    def counts(self) -> dict[str, int]:
        """What became of it, in words; what is zero is left out."""
        found = {
            "structures with a row": len(self.joined),
            "structures without a row": self.without_row,
            "rows without a structure": len(self.rows) - len(self.joined),
        }
        return {words: count for words, count in found.items() if count}


def is_property_table(path: Path) -> bool:
    """Whether a file of a folder is a CSV that names structures and holds none."""
    if suffix(path) != ".csv":
        return False
    try:
        columns = [column.lower() for column in headings(path)]
    except UserError:
        return False
    return len(columns) > 1 and not {*columns} & {*_STRUCTURE_COLUMNS} and bool({*columns} & {*ID_COLUMNS})


def headings(path: Path) -> list[str]:
    """The headings of a CSV, parted by commas, semicolons or tabs; raises UserError where it is no text."""
    with open_text(path) as file:
        line = file.readline()
    try:
        parted = (next(csv.reader([line], delimiter=mark), []) for mark in ",;\t")
        return [name.strip() for name in max(parted, key=len)]
    except csv.Error as error:
        raise UserError("not a readable CSV", where=str(path), got=str(error)) from error


def _name(text: str) -> str:
    """``cifs/mp-1.cif`` is "mp-1"."""
    path = Path(text.strip())
    while path.suffix.lower() in _ENDINGS:
        path = path.with_name(stem(path) if path.suffix.lower() != ".gz" else path.name[: -len(".gz")])
    return path.name
