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
    closed = close_cell(crystal.frac_coords)
    bonds = find_bonds(crystal, closed)
    ends = np.concatenate([bonds.pairs.ravel(), bonds.cut[:, 0]])
    return np.bincount(ends, minlength=len(closed.atoms))[: len(crystal)]


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
def test_drawn_bonds_are_as_long_as_bonds_are(crystal):
    closed = close_cell(crystal.frac_coords)
    bonds = find_bonds(crystal, closed)
    drawn = (closed.wrapped[closed.atoms] + closed.shifts) @ crystal.lattice
    gone = (closed.wrapped[bonds.cut[:, 1]] + bonds.cut_shifts) @ crystal.lattice
    radii = np.array(natural_cutoffs(crystal.to_ase(), mult=BOND_FACTOR))
    ends = closed.atoms[bonds.pairs]
    inner = np.linalg.norm(drawn[bonds.pairs[:, 0]] - drawn[bonds.pairs[:, 1]], axis=1)
    outer = np.linalg.norm(drawn[bonds.cut[:, 0]] - gone, axis=1)
    assert (inner <= radii[ends].sum(axis=1) + 1e-6).all()
    assert (outer <= radii[closed.atoms[bonds.cut[:, 0]]] + radii[bonds.cut[:, 1]] + 1e-6).all()


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
