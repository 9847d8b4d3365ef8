"""A user's own structures as known ones: to be followed before those of the table."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.symmetry_finder import find_symmetric
from unigen.data.left_out import LeftOut
from unigen.errors import UserError
from unigen.journal import digest
from unigen.retrieval.table import SiteGeometry, TemplateTable, read_table, write_table

IN_PYTHON = "given in Python"
"""In place of the file of a parent that is handed over as an object."""


class ParentName(NamedTuple):
    """Which structure a parent is.

    Attributes:
        id: the name of the entry.
        file: and its file, in the folder that was given if it was one.
        sha256: of numbers, coordinates and lattice, its first half.
    """

    id: str
    file: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Parents:
    """Structures of the user.

    Attributes:
        names: one a parent.
        table: of them in the same order, symmetry found.
        left_out: entries that could not be read.
    """

    names: tuple[ParentName, ...]
    table: TemplateTable
    left_out: tuple[LeftOut, ...]

    @property
    def version(self) -> str:
        """Checksum of all of them, in their order."""
        return digest(np.array([name.sha256 for name in self.names]))


def read_parents(given: Crystal | str | Path | Sequence[Crystal | str | Path]) -> Parents:
    """Read parents: crystals, and files and folders of every format that crystals are read from; one or many.

    Raises:
        UserError: no such file, or not one structure that can be read.
    """
    # late: readers of every format, which only who has parents needs
    from unigen.data.readers.crystals import read_crystal_rows

    names: list[ParentName] = []
    crystals: list[Crystal] = []
    left_out: list[LeftOut] = []
    several = [given] if isinstance(given, Crystal | str | Path) else given
    for number, each in enumerate(several, start=1):
        if isinstance(each, Crystal):
            names.append(ParentName(f"parent-{number}", IN_PYTHON, _checksum(each)))
            crystals.append(each)
            continue
        for row in read_crystal_rows(each):
            file = row.where.removeprefix(f"{Path(each).parent}/")
            if row.structure is None:
                left_out.append(LeftOut(row.id, file, row.reason.removeprefix(f"{row.where}: ")))
            else:
                names.append(ParentName(row.id, file, _checksum(row.structure)))
                crystals.append(row.structure)
    if not crystals:
        first = left_out[0].reason if left_out else None
        raise UserError("parents: no structure that can be read", where=", ".join(map(str, several)), got=first)
    return Parents(tuple(names), _table(crystals, [name.id for name in names]), tuple(left_out))


def unfit_remarks(parents: Parents, fitted: Counter[int], requests: int) -> list[str]:
    """A line a parent that was not read, or that fits none of so many requests.

    Args:
        parents: all of them.
        fitted: how many requests each one fits, by its place.
        requests: how many there are.
    """
    unread = [f"parent left out: {each.where}: {each.reason}" for each in parents.left_out]
    wanted = "the request" if requests == 1 else f"any of {requests} requests"
    unfit = [name for place, name in enumerate(parents.names) if not fitted[place]]
    return unread + [f"parent that does not fit {wanted}: {name.id} ({name.file})" for name in unfit]


def _checksum(crystal: Crystal) -> str:
    return digest(crystal.numbers, crystal.frac_coords, crystal.lattice)


def _table(crystals: Sequence[Crystal], ids: list[str]) -> TemplateTable:
    """As all tables are made, written and read: so a parent is rounded, and checked, as what is in them."""
    symmetric = [find_symmetric(crystal) for crystal in crystals]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "parents.parquet"
        split, unknown = ["train"] * len(ids), np.full(len(ids), np.nan)
        write_table(path, symmetric, [SiteGeometry.of(each) for each in symmetric], ids, split, unknown)
        return read_table(path)
