"""What is indexed of a set of known cells: atoms of each element, volume, stability. No coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from unigen.data.crystal_store import CrystalDataset
from unigen.elements import reduce_counts
from unigen.shapes import Float, Int

STABILITY = ("e_above_hull", "stability")
"""Columns (eV per atom above the hull; the second in databases such as OQMD) that say which of several equally near
structures comes first: the lowest."""


Formula = tuple[tuple[int, int], ...]
"""(atomic number, count) of a formula unit, by number."""


@dataclass(frozen=True, eq=False)
class Compositions:
    """The compositions of many primitive cells, one row for every element of every cell.

    Attributes:
        owner: which cell a row belongs to, ascending.
        number: its atomic number, ascending within a cell.
        count: atoms of it in the cell.
        volume: of each cell, cubic Angstrom.
        stability: energy above the hull of each cell, eV per atom; NaN where unknown.
    """

    owner: Int[np.ndarray, "rows"]
    number: Int[np.ndarray, "rows"]
    count: Int[np.ndarray, "rows"]
    volume: Float[np.ndarray, "cells"]
    stability: Float[np.ndarray, "cells"]

    def __len__(self) -> int:
        return len(self.volume)

    def counts(self, cell: int) -> dict[int, int]:
        """Atoms of a cell by atomic number."""
        first, last = np.searchsorted(self.owner, [cell, cell + 1])
        return dict(zip(self.number[first:last].tolist(), self.count[first:last].tolist(), strict=True))

    def knows_formula(self, counts: dict[int, int]) -> bool:
        """Whether a cell of any size has the same reduced formula."""
        return reduced_formula(counts) in self.formulas

    @cached_property
    def formulas(self) -> frozenset[Formula]:
        """The reduced formulas of all cells."""
        starts = np.flatnonzero(np.diff(self.owner, prepend=-1))
        width = np.diff(starts, append=len(self.owner))
        unit = self.count // np.repeat(np.gcd.reduceat(self.count, starts), width) if len(starts) else self.count
        found: set[Formula] = set()
        for elements in np.unique(width).tolist():
            rows = starts[width == elements, None] + np.arange(elements)
            # each formula once before it becomes an object: of a million cells most are one that came before
            distinct = np.unique(np.stack([self.number[rows], unit[rows]], axis=-1).reshape(len(rows), -1), axis=0)
            found.update(tuple(map(tuple, formula)) for formula in distinct.reshape(-1, elements, 2).tolist())
        return frozenset(found)

    @classmethod
    def of_dataset(cls, dataset: CrystalDataset) -> Compositions:
        """Of all crystals of a dataset."""
        owner = np.repeat(np.arange(len(dataset)), dataset.num_atoms)
        # one key a (cell, element) pair: atomic numbers are below 256
        keys, count = np.unique(owner * 256 + dataset.numbers, return_counts=True)
        return cls(
            owner=keys // 256,
            number=keys % 256,
            count=count,
            volume=np.abs(np.linalg.det(dataset.lattice)),
            stability=stability_of(dataset),
        )


def reduced_formula(counts: dict[int, int]) -> Formula:
    """The same for all cells of one formula."""
    return tuple(sorted(reduce_counts(counts)[0].items()))


def stability_of(dataset: CrystalDataset) -> Float[np.ndarray, "crystals"]:
    """The first column of STABILITY that knows a crystal; NaN where none does."""
    energy = np.full(len(dataset), np.nan)
    for name in STABILITY:
        if name in dataset.properties:
            energy = np.where(np.isnan(energy), dataset.properties[name], energy)
    return energy
