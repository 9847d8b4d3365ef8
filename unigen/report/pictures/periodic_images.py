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

_NONMETALS = tuple(map(ATOMIC_NUMBER.__getitem__, ("H", "C", "N", "O", "F", "P", "S", "Cl", "Se", "Br", "I")))


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
    """Bonds of a closed cell.

    Attributes:
        pairs: two drawn atoms each.
        cut: bonds that leave the cell: a drawn atom, and the atom that is not drawn.
        cut_shifts: whole cells from ``wrapped`` to that atom.
    """

    pairs: Int[np.ndarray, "bonds 2"]
    cut: Int[np.ndarray, "cut 2"]
    cut_shifts: Int[np.ndarray, "cut 3"]


def close_cell(frac_coords: Float[np.ndarray, "atoms 3"]) -> ClosedCell:
    """Repeat what lies on the boundary of the cell."""
    wrapped = frac_coords - np.floor(frac_coords)
    wrapped[wrapped > 1 - BOUNDARY] -= 1.0  # a little below 0 it is repeated at the opposite face, as one at 0 is
    shifts = np.array(list(product((0, 1), repeat=3)))
    kept = (wrapped + shifts[:, None] <= 1 + BOUNDARY).all(axis=2)
    which, atoms = np.nonzero(kept)
    return ClosedCell(wrapped, atoms, shifts[which])


def find_bonds(crystal: Crystal, closed: ClosedCell) -> Bonds:
    """Bonds by covalent radii; in a crystal with nonmetals, metals are not joined: their radii would join them all.

    Args:
        crystal: the crystal; about a millisecond for tens of atoms.
        closed: its closed cell.
    """
    first, second, shifts = _bonded(crystal, closed.wrapped)
    drawn = {atom_in_cell: n for n, atom_in_cell in enumerate(_atoms_in_cells(closed.atoms, closed.shifts))}
    pairs, cut = [], []
    for (atom, *at), number in drawn.items():
        here = first == atom
        for target in _atoms_in_cells(second[here], shifts[here] + np.array(at)):
            other = drawn.get(target)
            if other is None:
                cut.append((number, *target))
            elif number < other:  # each is seen from both its ends
                pairs.append((number, other))
    ends = np.array(cut, dtype=np.int64).reshape(-1, 5)
    return Bonds(np.array(pairs, dtype=np.int64).reshape(-1, 2), ends[:, :2], ends[:, 2:])


def _atoms_in_cells(atoms: Int[np.ndarray, "bonds"], shifts: Int[np.ndarray, "bonds 3"]) -> list[tuple[int, ...]]:
    return [(atom, *shift) for atom, shift in zip(atoms.tolist(), shifts.tolist(), strict=True)]


def _bonded(
    crystal: Crystal, wrapped: Float[np.ndarray, "atoms 3"]
) -> tuple[Int[np.ndarray, "bonds"], Int[np.ndarray, "bonds"], Int[np.ndarray, "bonds 3"]]:
    """Both atoms of every bond, each bond from both its ends, and the whole cells between them."""
    from ase.data import covalent_radii

    radii = BOND_FACTOR * covalent_radii[np.minimum(crystal.numbers, len(covalent_radii) - 1)]
    reach = 2 * float(radii.max())
    # atoms, times those in a sphere of this reach on average
    if len(crystal) ** 2 * 4 / 3 * pi * reach**3 / crystal.volume > MOST_NEIGHBOURS:
        none = np.zeros(0, dtype=np.int64)
        return none, none, np.zeros((0, 3), dtype=np.int64)
    structure = Crystal(crystal.numbers, wrapped, crystal.lattice).to_pymatgen()
    first, second, shifts, distances = structure.get_neighbor_list(reach)
    metal = ~np.isin(crystal.numbers, _NONMETALS)
    joined = distances <= radii[first] + radii[second]
    if not metal.all():
        joined &= ~(metal[first] & metal[second])
    return first[joined].astype(np.int64), second[joined].astype(np.int64), shifts[joined].astype(np.int64)
