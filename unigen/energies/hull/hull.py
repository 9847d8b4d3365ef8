"""Energy above the convex hull of a reference set, by a phase diagram of each chemical system, made when asked for.

Ong et al., Chemistry of Materials 20, 1798 (2008); the geometry is pymatgen's PhaseDiagram.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

from unigen.crystals.crystal import Crystal
from unigen.elements import SYMBOLS, chemical_rank, format_formula
from unigen.energies.hull.elements import ElementEnergies, open_element_energies
from unigen.energies.hull.mp_corrections import CORRECTIONS, Correction
from unigen.energies.hull.phases import StablePhases
from unigen.energies.hull.reference import HullReference, hull_folder, open_reference
from unigen.energies.potential import Potential
from unigen.errors import UserError
from unigen.parsing import one_line

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PhaseDiagram

_DIAGRAMS = 64
"""Kept in memory; samples are judged system by system."""


@dataclass(frozen=True)
class HullVerdict:
    """Where an energy stands.

    Attributes:
        above_hull: eV/atom above the hull of the reference set; negative below it. None where it is unknown.
        formation_energy: eV/atom against the elements of the reference set.
        decomposition: the phases at the hull, such as "0.4 SrO + 0.6 TiO2", shares of atoms.
        reason: why it is unknown.
    """

    above_hull: float | None = None
    formation_energy: float | None = None
    decomposition: str = ""
    reason: str = ""


class Hull:
    """The hull of a reference set, for energies of one scheme.

    Args:
        reference: the entries.
        element_energies: eV/atom by atomic number, for total energies over a set of formation energies; None when the
            energies judged are of the same quantity as the set's.
        fit: where the energies of the elements come from, for reports.
        correction: what brings the energies that are judged into the set's scheme; None where they are of it.
    """

    def __init__(
        self,
        reference: HullReference,
        element_energies: Mapping[int, float] | None = None,
        fit: ElementEnergies | None = None,
        correction: Correction | None = None,
    ) -> None:
        self.reference, self.fit, self.correction = reference, fit, correction
        self._elements = element_energies
        self._diagram = lru_cache(_DIAGRAMS)(self._make_diagram)

    @classmethod
    def open(cls, name: str, potential: Potential) -> Hull:
        """The hull of this name for energies of a potential, corrected where a correction leads to its scheme.

        Raises:
            UserError: it is not built; its scheme is not the potential's; its energies are of another potential; it
                lacks energies of the elements for this potential.
        """
        reference = open_reference(name)
        card = reference.card
        correction = CORRECTIONS.get((potential.scheme, card.scheme))
        if card.scheme != potential.scheme and correction is None:
            raise UserError(
                "energies of two schemes cannot stand in one hull",
                got=f"{potential.name}: {potential.scheme}",
                wanted=f"hull {card.name}: {card.scheme}",
                next_step="choose a potential of the hull's scheme, or build the hull with this potential",
            )
        if card.potential and card.potential != potential.identity:
            raise UserError(
                "the hull's energies are of another potential",
                where=card.name,
                got=str(potential.identity),
                wanted=str(card.potential),
            )
        if card.quantity == "total":
            return cls(reference, correction=correction)
        fit = open_element_energies(hull_folder(name), potential)
        return cls(reference, fit.by_number(), fit, correction)

    def facts(self) -> dict[str, object]:
        """What its verdicts depend on, for a report."""
        facts: dict[str, object] = asdict(self.reference.card)
        if self.correction is not None:
            facts["judged_energies_corrected_by"] = self.correction.__name__
        return facts | ({"elements": asdict(self.fit)} if self.fit else {})

    def missing_elements(self, elements: Collection[int]) -> list[str]:
        """Symbols of those without an energy: no crystal that has one of them can be judged.

        Args:
            elements: atomic numbers.
        """
        if self._elements is not None:
            return [SYMBOLS[number] for number in elements if number not in self._elements]
        if self.reference.card.quantity == "formation":
            return []
        return [SYMBOLS[number] for number in elements if frozenset((number,)) not in self.reference.by_elements]

    def way_to_add(self, symbol: str, potential: Potential) -> str:
        """What gives an element an energy, for messages.

        Args:
            symbol: of the element.
            potential: that the hull was opened for.
        """
        name, source = self.reference.card.name, f"--from DATASET, one with {symbol}"
        if self._elements is not None:
            return f"run: unigen hull elements {name} --potential {potential.name} {source}"
        return f"build it anew with the element: unigen hull build {name} {source}"

    def judge_crystal(self, crystal: Crystal, energy_per_atom: float) -> HullVerdict:
        """Where a crystal stands by an energy of the potential that the hull was opened for.

        Args:
            crystal: its structure decides on the correction, where there is one.
            energy_per_atom: eV/atom, as the potential has it.
        """
        if self.correction is not None:
            try:
                energy_per_atom += self.correction(crystal)
            except ValueError as error:
                return HullVerdict(reason=f"no correction to {self.reference.card.scheme}: {one_line(error)}")
        return self.judge(crystal.counts, energy_per_atom)

    def judge(self, counts: Mapping[int, int], energy_per_atom: float) -> HullVerdict:
        """Where a composition stands with an energy of the hull's scheme.

        Args:
            counts: atoms by atomic number.
            energy_per_atom: eV/atom: total where the hull has energies of the elements, else of the set's quantity.

        Example:
            >>> from unigen.energies.hull.reference import HullCard
            >>> card = HullCard(name="x", quantity="formation", scheme="PBE", sources={})
            >>> reference = HullReference(card, ["a"], ["NaCl"], np.array([-2.0]))
            >>> Hull(reference).judge({11: 1, 17: 1}, -1.9).above_hull
            0.1
        """
        from pymatgen.analysis.phase_diagram import PDEntry
        from pymatgen.core import Composition

        atoms = sum(counts.values())
        if self._elements is not None:
            if missing := self.missing_elements(counts):
                return HullVerdict(reason=f"no energy of the element {missing[0]}")
            energy_per_atom -= sum(count * self._elements[number] for number, count in counts.items()) / atoms
        diagram = self._diagram(frozenset(counts))
        if isinstance(diagram, str):
            return HullVerdict(reason=diagram)
        composition = Composition({SYMBOLS[number]: count for number, count in counts.items()})
        entry = PDEntry(composition, energy_per_atom * atoms)
        # not looked for among the stable entries first: that is slower where most are not stable, says pymatgen
        phases, above = diagram.get_decomp_and_e_above_hull(entry, allow_negative=True, check_stable=False)
        if phases is None or above is None:
            return HullVerdict(reason="outside the phase diagram")
        shares = sorted(((share, phase.composition.reduced_formula) for phase, share in phases.items()), reverse=True)
        return HullVerdict(
            above_hull=float(above),
            formation_energy=float(diagram.get_form_energy_per_atom(entry)),
            decomposition=" + ".join(f"{share:.2g} {formula}" for share, formula in shares),
        )

    def stable_phases(self, elements: Collection[int]) -> StablePhases | None:
        """The hull of a chemical system, from cation to anion; None where an element has no energy.

        Args:
            elements: atomic numbers.
        """
        diagram = self._diagram(frozenset(elements))
        symbols = [SYMBOLS[number] for number in sorted(elements, key=chemical_rank)]
        return None if isinstance(diagram, str) else StablePhases.of(diagram, symbols)

    def _make_diagram(self, elements: frozenset[int]) -> PhaseDiagram | str:
        """The diagram of a chemical system, or why there is none."""
        from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
        from pymatgen.core import Composition

        reference = self.reference
        # by the subsets of a few elements, which are far fewer than the entries of a set
        rows = [
            row
            for size in range(1, len(elements) + 1)
            for system in combinations(sorted(elements), size)
            for row in reference.by_elements.get(frozenset(system), ())
        ]
        energies = {reference.formulas[row]: float(reference.energies[row]) for row in rows}
        for number in elements:
            symbol = format_formula({number: 1})
            if reference.card.quantity == "formation":
                energies[symbol] = min(0.0, energies.get(symbol, 0.0))  # elements are the zero, listed or not
            elif symbol not in energies:
                return f"the hull has no energy of the element {symbol}"
        entries = []
        for formula, energy in energies.items():
            composition = Composition(formula)
            entries.append(PDEntry(composition, energy * composition.num_atoms))
        return PhaseDiagram(entries)
