"""The chemically nearest known structures of a composition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from unigen.element_similarity import element_distances
from unigen.elements import format_formula, reduce_counts
from unigen.errors import UserError
from unigen.retrieval.assignment import cheapest, choose
from unigen.retrieval.compositions import Compositions
from unigen.shapes import Bool, Float, Int, UInt8

MOST_COPIES = 3
"""Cells of a known structure in a wanted cell, at most: halves and thirds. A supercell is not the primitive cell that
was asked for; of two or three cells it may still be a start, of seventeen it is another crystal."""


def whole_parts(counts: Mapping[int, int]) -> list[int]:
    """Into how many equal parts a cell can be divided, up to `MOST_COPIES`, the whole cell first."""
    units = reduce_counts(dict(counts))[1]
    return [copies for copies in range(1, MOST_COPIES + 1) if units % copies == 0]


@dataclass(frozen=True)
class Neighbour:
    """A known structure whose elements can be exchanged for the wanted ones.

    Attributes:
        source: which crystal of the dataset.
        distance: chemical distance between the two compositions, 0 for the same composition.
        roles: the source's element (value) that each wanted element (key) takes the place of.
        copies: source cells in one wanted cell.
    """

    source: int
    distance: float
    roles: dict[int, int]
    copies: int = 1


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

    @cached_property
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
        multisets, multiset_of = np.unique(count[rows], axis=0, return_inverse=True)
        for position, multiset in enumerate(multisets):
            members = np.flatnonzero(multiset_of.ravel() == position)
            key = tuple(int(value) for value in multiset)
            groups[key] = CountGroup(key, number[rows[members]].astype(np.uint8), index[members])
    return groups


@dataclass(frozen=True)
class _Search:
    """One wanted cell against one group; distances are infinite for sources that are not to be used."""

    group: CountGroup
    wanted: Int[np.ndarray, "elements"]
    copies: int
    distance: Float[np.ndarray, "candidates"]


@dataclass(frozen=True, eq=False)
class NeighbourIndex:
    """Finds neighbours of a composition among all crystals of a dataset.

    A crystal is a candidate for a cell with counts n_e when its own cell has the same multiset of counts. Its distance

        ``min over assignments s of  sum_e (n_e / n) d(e, s(e))``

    is over all ways to give its elements, count for count, to the wanted ones (``assignment.py``); d is the distance
    of two elements (``unigen.element_similarity``). Equally near candidates come with the most stable first, where that
    is known.

    Attributes:
        groups: candidates by multiset of counts.
        elements: the distance d by atomic numbers.
        rank: rank of every crystal of the dataset by stability.
    """

    groups: dict[tuple[int, ...], CountGroup]
    elements: Float[np.ndarray, "elements elements"]
    rank: Int[np.ndarray, "crystals"]

    @classmethod
    def fit(cls, cells: Compositions) -> NeighbourIndex:
        """Index known cells: tenths of a second for twenty thousand."""
        rank = np.empty(len(cells), dtype=np.int64)
        rank[np.argsort(cells.stability, kind="stable")] = np.arange(len(cells))
        return cls(groups=group_by_counts(cells), elements=element_distances(), rank=rank)

    def knows_counts(self, counts: Mapping[int, int]) -> bool:
        """Whether some known cell has the same multiset of counts."""
        return tuple(sorted(counts.values())) in self.groups

    def of_cell(
        self,
        counts: dict[int, int],
        *,
        exclude_formula: bool = False,
        among: Bool[np.ndarray, "crystals"] | None = None,
    ) -> Iterator[Neighbour]:
        """All neighbours of a cell with these atoms, nearest first.

        Where no known cell has this multiset of counts, known cells of a half or a third of it, with ``copies`` set.

        Args:
            counts: atoms by atomic number.
            exclude_formula: leave out all crystals of the cell's own reduced formula.
            among: which crystals of the dataset may be neighbours; None: all.

        Raises:
            UserError: no known cell fits, not even divided.
        """
        for copies in whole_parts(counts):
            search = self._search(counts, copies, exclude_formula, among)
            if search is not None:
                return self._nearest_first([search])
        raise self._no_template(counts)

    def nearest_distance(self, counts: dict[int, int], *, exclude_formula: bool = False) -> float:
        """Chemical distance from a cell to the nearest known one of as many atoms; NaN where there is none."""
        try:
            nearest = next(self.of_cell(counts, exclude_formula=exclude_formula))
        except UserError:  # no cell has such counts, not even divided
            return float("nan")
        return nearest.distance if nearest.copies == 1 else float("nan")

    def of_formula(self, counts: dict[int, int], *, exclude_formula: bool = False) -> Iterator[Neighbour]:
        """All neighbours of a composition in cells of every size known, nearest first.

        Raises:
            UserError: no known cell of any size fits.
        """
        unit = reduce_counts(counts)[0]
        cells = [{number: count * z for number, count in unit.items()} for z in self._units(unit)]
        searches = [search for cell in cells if (search := self._search(cell, 1, exclude_formula)) is not None]
        if not searches:
            raise self._no_template(unit)
        return self._nearest_first(searches)

    def same_formula(self, counts: Mapping[int, int]) -> Int[np.ndarray, "crystals"]:
        """All crystals of a formula, in cells of any size, ascending."""
        unit = reduce_counts(dict(counts))[0]
        wanted = _canonical(unit)
        multiset = np.array([unit[number] for number in wanted.tolist()])
        groups = [self.groups.get(tuple((multiset * z).tolist())) for z in self._units(unit)]
        found = [group.index[(group.elements == wanted).all(axis=1)] for group in groups if group is not None]
        return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)

    def _units(self, unit: Mapping[int, int]) -> range:
        """Numbers of formula units in a cell that may be known."""
        return range(1, self._largest // sum(unit.values()) + 1)

    @cached_property
    def _largest(self) -> int:
        """Atoms of the largest known cell."""
        return max((sum(key) for key in self.groups), default=0)

    def _search(
        self,
        counts: dict[int, int],
        copies: int,
        exclude_formula: bool,
        among: Bool[np.ndarray, "crystals"] | None = None,
    ) -> _Search | None:
        wanted = _canonical(counts)
        group = self.groups.get(tuple(sorted(count // copies for count in counts.values())))
        if group is None:
            return None
        distance = np.zeros(len(group.index))
        for block in group.blocks:
            share = group.counts[block.start] / sum(group.counts)
            distance += cheapest(share * self.elements[wanted[block, None], group.elements[:, None, block]])
        if exclude_formula:  # both are in canonical order, so the same formula is the same row
            distance = np.where((group.elements == wanted).all(axis=1), np.inf, distance)
        if among is not None:
            distance = np.where(among[group.index], distance, np.inf)
        return _Search(group, wanted, copies, distance) if np.isfinite(distance).any() else None

    def _nearest_first(self, searches: list[_Search]) -> Iterator[Neighbour]:
        distance = np.concatenate([search.distance for search in searches])
        source = np.concatenate([search.group.index for search in searches])
        search_of = np.repeat(np.arange(len(searches)), [len(search.distance) for search in searches])
        first = np.cumsum([0] + [len(search.distance) for search in searches])
        # Rounded, so that the order of a sum decides no tie: distances are sums of a few numbers of order one.
        for position in np.lexsort((self.rank[source], distance.round(9))):
            if not np.isfinite(distance[position]):
                return
            search = searches[search_of[position]]
            row = int(position - first[search_of[position]])
            yield Neighbour(int(source[position]), float(distance[position]), self._roles(search, row), search.copies)

    def _roles(self, search: _Search, row: int) -> dict[int, int]:
        roles: dict[int, int] = {}
        for block in search.group.blocks:
            wanted, elements = search.wanted[block], search.group.elements[row, block]
            if len(wanted) > 1:
                elements = elements[choose(self.elements[wanted[:, None], elements])]
            roles.update(zip(wanted.tolist(), elements.tolist(), strict=True))
        return roles

    def _no_template(self, counts: dict[int, int]) -> UserError:
        multiset = ", ".join(str(count) for count in sorted(counts.values()))
        return UserError(
            f"no known structure of another composition can hold {format_formula(counts)}",
            got=f"atom counts {multiset}",
            wanted=f"one of the {len(self.groups)} multisets of atom counts in the dataset, twice or three times",
            next_step="retrieve from a larger dataset, or leave the cell size open",
        )


def _canonical(counts: Mapping[int, int]) -> Int[np.ndarray, "elements"]:
    """Elements in the order of ``CountGroup``: as many atoms ascending, then atomic numbers."""
    return np.array(sorted(counts, key=lambda number: (counts[number], number)))
