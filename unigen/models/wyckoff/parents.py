"""A user's own structures as sources: what of them fits a request, in which cell, the chemically nearest first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.bounded_cache import BoundedCache
from unigen.elements import ATOMIC_NUMBER, parse_formula, reduce_counts, written_order
from unigen.models.cell_choice import Counts
from unigen.models.wyckoff.source_choice import Source, fitting_kinds
from unigen.request import CrystalRequest
from unigen.retrieval.neighbours import whole_parts
from unigen.retrieval.parents import Parents
from unigen.retrieval.shortlist import Retriever, Shortlist
from unigen.retrieval.volume import VolumeModel
from unigen.shapes import Int

_REMEMBERED = 4096
"""Requests whose parents are kept: as of other sources, see ``source_choice``."""


@dataclass(frozen=True)
class ParentSource:
    """A parent that fits a request.

    Attributes:
        cell: atoms of the wanted cell.
        source: what follows it.
    """

    cell: Counts
    source: Source


class ParentSources:
    """Finds the parents that fit a request.

    With a formula those whose cells hold the same counts of atoms as one of its cells (the elements take roles as for
    any known structure), or a half or a third of them where the request says how large the cell is; without one, those
    that are themselves what is asked for.

    Args:
        parents: of the user.
        volume: of the known structures: a few parents are too few for one of their own.
        max_atoms: of a cell.
        exclude_formula: follow none of a request's own formula.
    """

    def __init__(self, parents: Parents, volume: VolumeModel, max_atoms: int, *, exclude_formula: bool) -> None:
        self.parents = parents
        self.retriever = Retriever(parents.table, volume)
        self.max_atoms, self.exclude_formula = max_atoms, exclude_formula
        self._found = BoundedCache[CrystalRequest, list[ParentSource]](_REMEMBERED)

    def of(self, request: CrystalRequest) -> list[ParentSource]:
        """All that fit, the chemically nearest first, then in the order given."""
        found = self._found.get(request)
        if found is None:
            found = self._found[request] = self._search(request)
        return found

    def _search(self, request: CrystalRequest) -> list[ParentSource]:
        if request.formula is None:
            shortlists = [(self._itself(place), 1) for place in self._themselves(request)]
        else:
            unit = reduce_counts(parse_formula(request.formula))[0]
            units = range(1, self.max_atoms // sum(unit.values()) + 1) if request.units is None else [request.units]
            cells = [{number: count * z for number, count in unit.items()} for z in units]
            shortlists = [self._shortlist(cell, whole=request.units is None) for cell in cells]
        found: list[ParentSource] = []
        for shortlist, copies in shortlists:
            cell = {
                number: count * copies
                for number, count in zip(shortlist.elements.tolist(), shortlist.counts.tolist(), strict=True)
            }
            if sum(cell.values()) <= self.max_atoms:
                fits = fitting_kinds(self.retriever, request, shortlist)
                # of a parent no model is asked: it is the user who says that it is to be followed
                found += [
                    ParentSource(cell, Source(shortlist, place, 0.0, 0.0, copies, parent=True))
                    for place in np.flatnonzero(fits).tolist()
                    if self.parents.table.followable[shortlist.sources[place]]
                ]
        return sorted(found, key=lambda each: (round(_distance(each), 9), _place(each)))  # as neighbours are

    def _shortlist(self, cell: Counts, *, whole: bool) -> tuple[Shortlist, int]:
        """All parents of a cell, each a kind of its own: whoever gives two alike gets two samples."""
        most = len(self.parents.names)
        for copies in [1] if whole else whole_parts(cell):
            part = {number: count // copies for number, count in cell.items()}
            found = self.retriever.shortlist(
                part, exclude_formula=self.exclude_formula, neighbours=most, most_kinds=most
            )
            if len(found):
                kinds: Int[np.ndarray, "neighbours"] = np.arange(len(found))
                return self.retriever.rebuild(part, found.sources, found.roles, kinds, found.distance), copies
        return Shortlist.empty(cell), 1

    def _themselves(self, request: CrystalRequest) -> list[int]:
        """Parents of the size and the elements that a request without a formula allows."""
        allowed = None if request.elements is None else {ATOMIC_NUMBER[symbol] for symbol in request.elements}
        cells = [self.parents.table.counts(place) for place in range(len(self.parents.names))]
        return [
            place
            for place, cell in enumerate(cells)
            if (allowed is None or set(cell) <= allowed) and request.n_atoms in (None, sum(cell.values()))
        ]

    def _itself(self, place: int) -> Shortlist:
        cell = self.parents.table.counts(place)
        roles = np.array([written_order(cell)])
        none = np.zeros(1, dtype=np.int64)
        return self.retriever.rebuild(cell, np.array([place]), roles, none, np.zeros(1))


def _place(each: ParentSource) -> int:
    return int(each.source.shortlist.sources[each.source.neighbour])


def _distance(each: ParentSource) -> float:
    return float(each.source.shortlist.distance[each.source.neighbour])
