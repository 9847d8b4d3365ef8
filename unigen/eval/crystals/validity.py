"""One crystal on its own: what is it, and is it physically possible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.plausibility.close_contacts import closest_contact
from unigen.eval.crystals.protocol import CrystalRules


@dataclass(frozen=True, kw_only=True)
class Description:
    """What the per-structure table says about a crystal, whatever the protocol.

    Attributes:
        formula: reduced formula, by ascending atomic number.
        space_group: Hermann-Mauguin symbol at the protocol's tolerance.
        space_group_number: its international number.
        n_atoms: atoms in the cell as given.
        volume: cell volume, cubic Angstrom.
        density: g/cm^3.
        smallest_distance: Angstrom, own periodic images included.
        structure_valid: no distance below 0.5 Angstrom, own images included, and a volume of at least 0.1 Angstrom^3.
        structure_valid_cdvae: the published check, which does not see an atom's own images.
        no_close_contact: no two atoms closer than known crystals keep their elements, by
            `unigen.crystals.plausibility.close_contacts`: half an Angstrom lets Ti-O of 0.76 Angstrom pass.
    """

    formula: str
    space_group: str
    space_group_number: int
    n_atoms: int
    volume: float
    density: float
    smallest_distance: float
    structure_valid: bool
    structure_valid_cdvae: bool
    no_close_contact: bool


def describe(crystal: Crystal, rules: CrystalRules) -> Description:
    """Formula, symmetry, density, distances and both structural verdicts of a crystal.

    CDVAE's verdict is that of its ``scripts/eval_utils.py``, ``structure_validity``: distances between different sites
    only, so a thin cell of one atom passes.
    """
    number, symbol = crystal.space_group(rules.symprec)
    closest = crystal.smallest_distance()
    large_enough = crystal.volume >= rules.min_volume
    between_sites = np.inf
    if large_enough:  # pymatgen needs a cell that is one
        distances = crystal.to_pymatgen().distance_matrix
        between_sites = distances[~np.eye(len(crystal), dtype=bool)].min(initial=np.inf)
    return Description(
        formula=crystal.reduced_formula,
        space_group=symbol,
        space_group_number=number,
        n_atoms=len(crystal),
        volume=crystal.volume,
        density=crystal.density,
        smallest_distance=closest,
        structure_valid=large_enough and closest >= rules.min_distance,
        structure_valid_cdvae=large_enough and bool(between_sites >= rules.min_distance),
        no_close_contact=large_enough and closest_contact(crystal) is None,
    )
