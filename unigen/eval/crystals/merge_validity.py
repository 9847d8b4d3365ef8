"""One crystal on its own: is it physically possible, and what is it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.eval.protocol import Protocol


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


def structure_valid(crystal: Crystal, min_distance: float = 0.5, min_volume: float = 0.1) -> bool:
    """Whether no two atoms, periodic images of the same atom included, are closer than ``min_distance`` (Angstrom)."""
    return crystal.volume >= min_volume and crystal.smallest_distance() >= min_distance


def structure_valid_cdvae(crystal: Crystal, min_distance: float = 0.5, min_volume: float = 0.1) -> bool:
    """The check as CDVAE published it: distances between different sites only, so a thin cell of one atom passes.

    Xie et al., ICLR 2022, ``scripts/eval_utils.py``, ``structure_validity``.
    """
    if crystal.volume < min_volume:
        return False
    distances = crystal.to_pymatgen().distance_matrix
    between = distances[~np.eye(len(crystal), dtype=bool)]
    return bool(between.min(initial=np.inf) >= min_distance)


def describe(crystal: Crystal, protocol: Protocol) -> Description:
    """Formula, symmetry, density, distances and both structural verdicts of a crystal."""
    number, symbol = crystal.space_group(protocol.symprec)
    closest = crystal.smallest_distance()
    return Description(
        formula=crystal.reduced_formula,
        space_group=symbol,
        space_group_number=number,
        n_atoms=len(crystal),
        volume=crystal.volume,
        density=crystal.density,
        smallest_distance=closest,
        structure_valid=crystal.volume >= protocol.min_volume and closest >= protocol.min_distance,
        structure_valid_cdvae=structure_valid_cdvae(crystal, protocol.min_distance, protocol.min_volume),
    )
