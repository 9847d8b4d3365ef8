"""Energies of PBE(+U) as they come, brought into the scheme of the Materials Project's 2020 corrections.

Wang et al., Scientific Reports 11, 15496 (2021), by pymatgen's `MaterialsProject2020Compatibility`: so much an atom of
each anion (of oxides by their kind: oxide, peroxide, superoxide, ozonide), and of each transition metal that is
computed with a Hubbard U. They depend on composition and structure alone, so that a potential that learned uncorrected
energies (SevenNet) may stand in a hull of corrected ones. On nine crystals from MgO to BaO2 CHGNet, which learned
corrected energies, and 7net-0 differ by up to 1.11 eV/atom as they are, and by at most 0.05 when this is added.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from unigen.crystals.crystal import Crystal

if TYPE_CHECKING:
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

Correction = Callable[[Crystal], float]
"""eV/atom to be added to the energy of a crystal; raises ValueError where there is none."""


def mp2020_correction(crystal: Crystal) -> float:
    """What the corrections of 2020 add to the energy of a crystal, eV/atom.

    Args:
        crystal: taken as the Project would compute it: with its Hubbard U where a transition metal meets O or F.

    Raises:
        ValueError: pymatgen has no correction for it.

    Example:
        >>> points = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
        >>> round(mp2020_correction(Crystal(np.array([12, 8]), points, 2.1 * (1 - np.eye(3)))), 4)  # MgO: O alone
        -0.3435
    """
    from pymatgen.entries.compatibility import CompatibilityError
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    structure = crystal.to_pymatgen()
    compatibility, hubbards = _scheme()
    with warnings.catch_warnings():
        # of noble gases, which have no electronegativity, and of oxidation states that pymatgen cannot guess
        warnings.simplefilter("ignore")
        # the Project's input sets go by the most electronegative element
        anion = max(structure.composition.elements, key=lambda element: np.nan_to_num(element.X)).symbol
        values = {element.symbol: hubbards.get(anion, {}).get(element.symbol, 0.0) for element in structure.elements}
        plus_u = any(values.values())
        parameters = {"run_type": "GGA+U" if plus_u else "GGA", "hubbards": values if plus_u else {}}
        try:
            adjustments = compatibility.get_adjustments(ComputedStructureEntry(structure, 0.0, parameters=parameters))
        except CompatibilityError as error:
            raise ValueError(str(error)) from error
    return sum(float(each.value) for each in adjustments) / len(structure)


@lru_cache
def _scheme() -> tuple[MaterialsProject2020Compatibility, dict[str, dict[str, float]]]:
    """The corrections, and the Hubbard U in eV by anion and metal."""
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
    from pymatgen.io.vasp.sets import MPRelaxSet

    return MaterialsProject2020Compatibility(check_potcar=False), MPRelaxSet.CONFIG["INCAR"]["LDAUU"]


CORRECTIONS: dict[tuple[str, str], Correction] = {("MP-uncorrected", "MP2020"): mp2020_correction}
"""By the scheme that energies have and the one they are wanted in."""
