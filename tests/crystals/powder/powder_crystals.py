"""Crystals whose powder patterns everybody knows."""

from __future__ import annotations

import numpy as np
from ase.build import bulk
from pymatgen.core import Lattice, Structure

from unigen.crystals.crystal import Crystal


def oxide(group: int, lattice: Lattice, oxygen: list[float]) -> Crystal:
    return Crystal.from_pymatgen(Structure.from_spacegroup(group, lattice, ["Ti", "O"], [[0, 0, 0], oxygen]))


RUTILE = oxide(136, Lattice.tetragonal(4.594, 2.959), [0.305, 0.305, 0])
ANATASE = oxide(141, Lattice.tetragonal(3.784, 9.515), [0, 0, 0.2066])
FLUORITE = oxide(225, Lattice.cubic(4.8), [0.25, 0.25, 0.25])
SALT = Crystal.from_ase(bulk("NaCl", "rocksalt", a=5.64))
QUARTZ = Crystal.from_pymatgen(
    Structure.from_spacegroup(
        152, Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 1 / 3], [0.4135, 0.2669, 0.2858]]
    )
)
CRYSTALS = (RUTILE, ANATASE, FLUORITE, SALT, QUARTZ)


def strained(crystal: Crystal, a: float, c: float) -> Crystal:
    """Longer along x and y by one factor, along z by another."""
    return Crystal(crystal.numbers, crystal.frac_coords, crystal.lattice * np.array([a, a, c]))
