"""The stable phases of a chemical system, and which of them border on each other: what a convex hull is drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PhaseDiagram


@dataclass(frozen=True)
class Phase:
    """A corner of the hull.

    Attributes:
        formula: reduced, as decompositions name it.
        shares: of the atoms, element by element of the system; they add up to one.
        formation_energy: eV/atom, against the elements of the reference set.
    """

    formula: str
    shares: tuple[float, ...]
    formation_energy: float


@dataclass(frozen=True)
class StablePhases:
    """The hull of a chemical system.

    Attributes:
        elements: symbols, in the order of the shares.
        phases: all that are stable, the elements among them, those richest in the first element first.
        facets: the phases, by their index, that any crystal inside the facet falls apart into: pairs in a system of
            two elements, triples in one of three.
    """

    elements: tuple[str, ...]
    phases: tuple[Phase, ...]
    facets: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, diagram: PhaseDiagram, elements: Sequence[str]) -> StablePhases:
        """Of pymatgen's diagram of these elements."""
        corner_phases = {
            int(corner): _phase(diagram, int(corner), elements) for facet in diagram.facets for corner in facet
        }
        order = sorted(corner_phases, key=lambda corner: corner_phases[corner].shares, reverse=True)
        index_of = {corner: index for index, corner in enumerate(order)}
        facets = sorted(tuple(sorted(index_of[int(corner)] for corner in facet)) for facet in diagram.facets)
        return cls(tuple(elements), tuple(corner_phases[corner] for corner in order), tuple(facets))

    @property
    def name(self) -> str:
        """Such as ``Sr-Ti-O``."""
        return "-".join(self.elements)

    @property
    def tie_lines(self) -> list[tuple[int, int]]:
        """Pairs of phases that border on each other."""
        pairs = {(one, other) for facet in self.facets for one in facet for other in facet if one < other}
        return sorted(pairs)


def _phase(diagram: PhaseDiagram, corner: int, elements: Sequence[str]) -> Phase:
    entry = diagram.qhull_entries[corner]
    shares = entry.composition.fractional_composition
    return Phase(
        formula=entry.composition.reduced_formula,
        shares=tuple(float(shares[symbol]) for symbol in elements),
        formation_energy=float(diagram.get_form_energy_per_atom(entry)),
    )
