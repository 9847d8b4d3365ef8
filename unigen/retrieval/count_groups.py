"""Known cells by how many atoms of each kind their cells hold, whatever the kinds are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.retrieval.compositions import Compositions
from unigen.shapes import Int, UInt8


@dataclass(frozen=True, eq=False)
class CountGroup:
    """All crystals whose cells hold the same multiset of atom counts, such as 1, 1, 3 for every ABX3.

    Attributes:
        counts: atoms of each element, ascending.
        elements: atomic numbers in the order of ``counts``, and ascending where counts are equal.
        index: which cell each row is.
    """

    counts: tuple[int, ...]
    elements: UInt8[np.ndarray, "candidates elements"]
    index: Int[np.ndarray, "candidates"]

    @property
    def blocks(self) -> list[slice]:
        """The runs of equal counts: only within them may elements exchange roles."""
        starts = [0, *(i for i in range(1, len(self.counts)) if self.counts[i] != self.counts[i - 1])]
        return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(self.counts)], strict=True)]


def group_by_counts(cells: Compositions) -> dict[tuple[int, ...], CountGroup]:
    """Cells by their multiset of atom counts (whole columns at once, no loop over cells)."""
    order = np.lexsort((cells.number, cells.count, cells.owner))
    owner, number, count = cells.owner[order], cells.number[order], cells.count[order]
    width = np.bincount(owner, minlength=len(cells))
    start = np.cumsum(width) - width
    groups: dict[tuple[int, ...], CountGroup] = {}
    for elements in np.unique(width):
        index = np.flatnonzero(width == elements)
        rows = start[index, None] + np.arange(elements)
        multisets, which = np.unique(count[rows], axis=0, return_inverse=True)
        for row, multiset in enumerate(multisets):
            members = np.flatnonzero(which.ravel() == row)
            key = tuple(int(value) for value in multiset)
            groups[key] = CountGroup(key, number[rows[members]].astype(np.uint8), index[members])
    return groups
