"""Which images and bonds a picture of a crystal shows, held against ASE's neighbour list."""

from __future__ import annotations

import numpy as np
from ase.neighborlist import natural_cutoffs, neighbor_list
from hypothesis import given

from tests.crystals.real_crystals import crystals, prototypes
from unigen.crystals.crystal import Crystal
from unigen.report.pictures.periodic_images import BOND_FACTOR, close_cell, find_bonds

NONMETALS = [1, 6, 7, 8, 9, 15, 16, 17, 34, 35, 53]
SALT = Crystal(np.array([11, 17]), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), 2.82 * (np.ones((3, 3)) - np.eye(3)))


def bonds_of_atoms(crystal: Crystal) -> np.ndarray:
    """How many bonds each of the crystal's own atoms has, in the cell or out of it."""
    bonds = find_bonds(crystal, close_cell(crystal.frac_coords).wrapped)
    return np.bincount(np.concatenate([bonds.first, bonds.second]), minlength=len(crystal))


def expected(crystal: Crystal) -> np.ndarray:
    atoms = crystal.to_ase()
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=BOND_FACTOR))
    metal = ~np.isin(crystal.numbers, NONMETALS)
    kept = np.ones(len(first), dtype=bool) if metal.all() else ~(metal[first] & metal[second])
    return np.bincount(first[kept], minlength=len(crystal))


@given(crystals())
def test_every_atom_has_the_bonds_of_the_infinite_crystal(crystal):
    assert bonds_of_atoms(crystal).tolist() == expected(crystal).tolist()


def test_real_prototypes_have_the_bonds_of_the_infinite_crystal():
    for crystal in prototypes(40):
        assert bonds_of_atoms(crystal).tolist() == expected(crystal).tolist()


@given(crystals())
def test_bonds_are_as_long_as_bonds_are_and_each_is_told_once(crystal):
    wrapped = close_cell(crystal.frac_coords).wrapped
    bonds = find_bonds(crystal, wrapped)
    ends = wrapped[bonds.second] + bonds.shifts - wrapped[bonds.first]
    radii = np.array(natural_cutoffs(crystal.to_ase(), mult=BOND_FACTOR))
    lengths = np.linalg.norm(ends @ crystal.lattice, axis=1)
    assert (lengths <= radii[bonds.first] + radii[bonds.second] + 1e-6).all()
    told = np.column_stack([bonds.first, bonds.second, bonds.shifts])
    back = np.column_stack([bonds.second, bonds.first, -bonds.shifts])
    assert len(np.unique(np.concatenate([told, back]), axis=0)) == 2 * len(told)


@given(crystals())
def test_the_crystals_own_atoms_come_first(crystal):
    closed = close_cell(crystal.frac_coords)
    assert closed.atoms[: len(crystal)].tolist() == list(range(len(crystal)))
    assert not closed.shifts[: len(crystal)].any()
    assert len({(atom, *shift) for atom, shift in zip(closed.atoms, closed.shifts.tolist(), strict=True)}) == len(
        closed.atoms
    )


def test_salt_in_its_primitive_cell():
    assert bonds_of_atoms(SALT).tolist() == [6, 6]


def test_what_is_denser_than_matter_gets_no_bonds():
    dense = Crystal(np.full(40, 55), np.random.default_rng(0).random((40, 3)), np.eye(3) * 0.3)
    assert not bonds_of_atoms(dense).any()
