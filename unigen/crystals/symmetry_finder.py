"""From a crystal in any cell to its orbits in the standard setting of its space group; spglib finds the symmetry."""

from __future__ import annotations

import numpy as np

from unigen.crystals import cell
from unigen.crystals.crystal import Crystal
from unigen.crystals.orbits import find_orbits
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.elements import written_order
from unigen.geometry.lattice import lattice_parameters
from unigen.shapes import Int
from unigen.symmetry.setting import canonical_description

SYMPRECS = (0.1, 0.01, 0.001)
"""Tolerances in Angstrom tried one after the other, the widest first: it finds the most symmetry, and `find_orbits`
refuses what it should not have found. Of 400 crystals of MP-20 the first is taken for 395, the second for 5."""

FAITHFUL = 1e-3
"""Root mean square displacement, in units of (V/atoms)^(1/3), below which two crystals count as the same: about 0.003
Angstrom, a 500th of the site tolerance at which crystals are matched."""


def find_symmetric(
    crystal: Crystal, symprecs: tuple[float, ...] = SYMPRECS, faithful: float = FAITHFUL
) -> SymmetricCrystal:
    """The canonical symmetric form of a crystal; needs spglib.

    The same for every cell, origin and order of atoms of one crystal: among the descriptions that the space
    group's normaliser makes equivalent the one with the smallest letters and numbers is taken (see
    `unigen.symmetry.setting`), elements in the order of their counts, then of their chemical rank.

    Args:
        crystal: any cell of it.
        symprecs: tolerances in Angstrom, the first taken that keeps the crystal as it is; where none does, the
            crystal is described in P1.
        faithful: how far idealising may move the atoms (root mean square, in units of (V/atoms)^(1/3)); lengths
            and angles of the cell may change by five times this. A structure that is noisier than this loses its
            symmetry; give more where symmetry matters more than the last digits.
    """
    given = cell.right_handed(cell.Cell(crystal.lattice, crystal.frac_coords, crystal.numbers))
    orbits = find_orbits(given, symprecs, faithful)
    if orbits is not None:
        return canonical(SymmetricCrystal(*orbits))
    # P1: every atom of the Niggli cell is an orbit. Only translations that are exact to the digits of a file may make
    # the cell smaller, so the tolerance is below that of every search for symmetry.
    reduced = cell.reduce_cell(given, symprec=1e-4)
    numbers = np.asarray(reduced.numbers, dtype=np.int64)
    letters: Int[np.ndarray, "orbits"] = np.zeros(len(numbers), dtype=np.int64)
    return canonical(SymmetricCrystal(1, lattice_parameters(reduced.lattice), numbers, letters, reduced.frac_coords))


def canonical(crystal: SymmetricCrystal) -> SymmetricCrystal:
    """The same crystal in its canonical setting."""
    counts = crystal.counts
    order = written_order(counts)
    ranks = np.array([order.index(number) for number in crystal.numbers.tolist()])
    best = canonical_description(crystal.space_group, crystal.lattice, ranks, crystal.letters, crystal.free)
    numbers = np.ascontiguousarray(crystal.numbers[best.order])
    return SymmetricCrystal(crystal.space_group, best.lattice, numbers, best.letters, best.free, crystal.symprec)
