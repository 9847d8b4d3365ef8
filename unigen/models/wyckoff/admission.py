"""Which cells a request takes: those that its space groups can hold and, de novo, those that are new yet near."""

from __future__ import annotations

from dataclasses import dataclass

from unigen.models.cell_choice import Counts
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.request import CrystalRequest
from unigen.retrieval.shortlist import Retriever


@dataclass(frozen=True, eq=False)
class Admission:
    """Admits cells.

    Attributes:
        retriever: over the known structures.
        within: de novo only unknown formulas, at most so far (chemical distance) from a known cell of as many atoms;
            None: any formula.
    """

    retriever: Retriever
    within: float | None

    def admits(self, request: CrystalRequest, cell: Counts) -> bool:
        """Whether a request takes a cell."""
        if not holds(request, cell):
            return False
        if self.within is None or request.formula is not None:
            return True
        if self.retriever.compositions.knows_formula(cell):
            return False
        return self.retriever.index.nearest_distance(cell) <= self.within  # NaN is not


def holds(request: CrystalRequest, cell: Counts) -> bool:
    """Whether some space group that the request allows can hold the cell."""
    if request.space_group is None and request.crystal_system is None:
        return True  # P1 holds everything
    return bool(WyckoffGrammar(cell, request.space_groups).legal_space_groups().any())
