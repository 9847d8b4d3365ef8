"""The periodic images that a picture of a crystal shows, and its bonds, also those that leave the cell."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import pi

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.elements import ATOMIC_NUMBER
from unigen.shapes import Float, Int

BOUNDARY = 0.02
"""Fraction of a cell edge; atoms this near a face are drawn on the opposite face too."""

BOND_FACTOR = 1.1
"""Two atoms are joined when they are closer than the sum of their covalent radii times this."""

MOST_NEIGHBOURS = 100_000
"""No bonds are looked for in what is denser than any matter."""

ANIONS = tuple(map(ATOMIC_NUMBER.__getitem__, ("P", "H", "Se", "C", "S", "I", "Br", "N", "Cl", "O", "F")))
"""The nonmetals, by Pauling's electronegativity: of two joined the latter is the anion. All else is a metal."""


@dataclass(frozen=True, eq=False)
class ClosedCell:
    """All atoms of a cell with its faces, edges and corners: one at a corner is there eight times.

    Attributes:
        wrapped: fractional coordinates of the crystal's atoms, in [0, 1) but for BOUNDARY.
        atoms: which atom each drawn one is; the crystal's own atoms come first, in their order.
        shifts: whole cells from ``wrapped`` to the drawn one, 0 or 1 along each axis.
    """

    wrapped: Float[np.ndarray, "atoms 3"]
    atoms: Int[np.ndarray, "drawn"]
    shifts: Int[np.ndarray, "drawn 3"]


@dataclass(frozen=True, eq=False)
class Bonds:
    """Bonds of the infinite crystal, each once.

    Attributes:
        first: an atom in the cell.
        second: the atom it is joined to.
        shifts: whole cells from the cell of the former to that of the latter.
    """

    first: Int[np.ndarray, "bonds"]
    second: Int[np.ndarray, "bonds"]
    shifts: Int[np.ndarray, "bonds 3"]


def close_cell(frac_coords: Float[np.ndarray, "atoms 3"]) -> ClosedCell:
    """Repeat what lies on the boundary of the cell."""
    wrapped = frac_coords - np.floor(frac_coords)
    wrapped[wrapped > 1 - BOUNDARY] -= 1.0  # a little below 0 it is repeated at the opposite face, as one at 0 is
    shifts = np.array(list(product((0, 1), repeat=3)))
    kept = (wrapped + shifts[:, None] <= 1 + BOUNDARY).all(axis=2)
    which, atoms = np.nonzero(kept)
    return ClosedCell(wrapped, atoms, shifts[which])


def find_bonds(crystal: Crystal, wrapped: Float[np.ndarray, "atoms 3"]) -> Bonds:
    """Bonds by covalent radii; in a crystal with nonmetals, metals are not joined: their radii would join them all.

    Args:
        crystal: the crystal; about a millisecond for tens of atoms.
        wrapped: its fractional coordinates as `close_cell` wraps them, which the shifts count from.
    """
    from ase.data import covalent_radii

    radii = BOND_FACTOR * covalent_radii[np.minimum(crystal.numbers, len(covalent_radii) - 1)]
    reach = 2 * float(radii.max())
    # atoms, times those in a sphere of this reach on average
    if len(crystal) ** 2 * 4 / 3 * pi * reach**3 / crystal.volume > MOST_NEIGHBOURS:
        none = np.zeros(0, dtype=np.int64)
        return Bonds(none, none, np.zeros((0, 3), dtype=np.int64))
    structure = Crystal(crystal.numbers, wrapped, crystal.lattice).to_pymatgen()
    first, second, images, distances = structure.get_neighbor_list(reach)
    shifts = images.astype(np.int64)
    metal = ~np.isin(crystal.numbers, ANIONS)
    joined = distances <= radii[first] + radii[second]
    if not metal.all():
        joined &= ~(metal[first] & metal[second])
    # pymatgen sees each bond from both its ends: kept is the one from the lower atom, or of an atom to its own image
    # the one whose first shift that is not zero goes upwards
    upwards = np.sign(shifts) @ np.array([9, 3, 1]) > 0
    joined &= (first < second) | ((first == second) & upwards)
    # in an order of their own, which no neighbour list decides
    order = np.lexsort((*shifts.T[::-1], second, first))
    order = order[joined[order]]
    return Bonds(first[order].astype(np.int64), second[order].astype(np.int64), shifts[order])
