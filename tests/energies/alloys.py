"""Crystals of the metals that ASE's effective-medium potential knows: real forces in milliseconds."""

from __future__ import annotations

import numpy as np
from ase.build import bulk
from hypothesis import strategies as st

from unigen.crystals.crystal import Crystal
from unigen.energies.potential import find_potential

METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
EMT = "ase.calculators.emt:EMT"


def potential():
    return find_potential(EMT, "EMT")


def fcc(symbol: str, scale: float = 1.0) -> Crystal:
    return Crystal.from_ase(bulk(symbol, "fcc", cubic=True, a=scale * bulk(symbol).cell.cellpar()[0] * np.sqrt(2)))


def ordered(one: str, other: str) -> Crystal:
    """An alloy of the CuAu kind."""
    cell = fcc(one)
    numbers = cell.numbers.copy()
    numbers[cell.frac_coords[:, 2] > 0.25] = fcc(other).numbers[0]
    lattice = (cell.lattice + fcc(other).lattice) / 2
    return Crystal(numbers, cell.frac_coords, lattice)


@st.composite
def strained(draw) -> Crystal:
    """An ordered alloy, strained and shaken."""
    cell = ordered(*draw(st.lists(st.sampled_from(METALS), min_size=2, max_size=2, unique=True)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    lattice = cell.lattice @ (np.eye(3) + rng.uniform(-0.04, 0.04, (3, 3)))
    return Crystal(cell.numbers, cell.frac_coords + rng.normal(0, 0.02, cell.frac_coords.shape), lattice)
