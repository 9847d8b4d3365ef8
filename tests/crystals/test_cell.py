"""The choice of cell changes nothing about the crystal."""

from __future__ import annotations

import os
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher

from tests.crystals.real_crystals import crystals, elemental_crystals, prototypes, unimodular, vectors
from unigen.crystals.cell import Cell, find_space_group
from unigen.crystals.crystal import Crystal


def rebased(crystal: Crystal, matrix: np.ndarray) -> Crystal:
    return Crystal(crystal.numbers, crystal.frac_coords @ np.linalg.inv(matrix), matrix @ crystal.lattice)


def supercell(crystal: Crystal, times: tuple[int, int, int]) -> Crystal:
    cells = np.array(list(product(*map(range, times))))
    coords = (crystal.frac_coords[None] + cells[:, None]).reshape(-1, 3) / times
    return Crystal(np.tile(crystal.numbers, len(cells)), coords, crystal.lattice * np.array(times)[:, None])


def same(one: Crystal, other: Crystal) -> bool:
    matcher = StructureMatcher(ltol=0.01, stol=0.01, angle_tol=0.5, primitive_cell=False, scale=False)
    return matcher.fit(one.to_pymatgen(), other.to_pymatgen())


@settings(max_examples=25, deadline=None)
@given(crystals(), unimodular(), vectors(-2, 2), st.tuples(*[st.integers(1, 2)] * 3), st.randoms(use_true_random=False))
def test_reduced_forgets_basis_origin_order_and_supercell(crystal, matrix, origin, times, shuffler):
    order = list(range(len(crystal)))
    shuffler.shuffle(order)
    moved = Crystal(crystal.numbers[order], crystal.frac_coords[order] + np.array(origin), crystal.lattice)
    one, other = crystal.reduced(), supercell(rebased(moved, matrix), times).reduced()
    assert len(one) == len(other) == moved.primitive_atoms()
    assert np.linalg.det(other.lattice) > 0
    assert other.volume == pytest.approx(one.volume, rel=1e-6)
    assert np.sort(np.linalg.norm(other.lattice, axis=1)) == pytest.approx(
        np.sort(np.linalg.norm(one.lattice, axis=1)), abs=1e-4
    )
    assert ((other.frac_coords >= 0) & (other.frac_coords.astype(np.float32) < 1)).all()
    assert same(one, other)


@pytest.mark.parametrize("crystal", [*elemental_crystals()[::12], *prototypes(8)], ids=lambda c: c.formula)
def test_real_crystals_reduce_to_the_same_crystal(crystal):
    reduced = crystal.reduced()
    assert len(crystal) % len(reduced) == 0
    assert reduced.reduced_formula == crystal.reduced_formula
    assert len(supercell(crystal, (1, 2, 1)).reduced()) == len(reduced)
    assert crystal.primitive_atoms() == supercell(crystal, (1, 2, 1)).primitive_atoms() == len(reduced)
    assert reduced.smallest_distance() == pytest.approx(crystal.smallest_distance(), abs=1e-3)
    assert reduced.space_group(0.05) == crystal.space_group(0.05)
    assert StructureMatcher().fit(crystal.to_pymatgen(), reduced.to_pymatgen())


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(crystals(), st.sampled_from(prototypes(40))),
    unimodular(),
    st.tuples(*[st.integers(1, 2)] * 3),
    st.sampled_from([0.0, 0.002, 0.008, 0.02, 0.06, 0.2]),
    st.integers(0, 2**32 - 1),
)
def test_as_many_atoms_are_primitive_as_reducing_leaves(crystal, matrix, times, moved, seed):
    """Also of cells that are nearly repeated, where the tolerance decides."""
    given_cell = supercell(rebased(crystal, matrix), times)
    steps = np.random.default_rng(seed).normal(0, moved, given_cell.frac_coords.shape)
    shaken = Crystal(
        given_cell.numbers, given_cell.frac_coords + steps @ np.linalg.inv(given_cell.lattice), given_cell.lattice
    )
    assert shaken.primitive_atoms() == len(shaken.reduced())


@settings(max_examples=25, deadline=None)
@given(crystals(), unimodular())
def test_smallest_distance_is_the_brute_force_one_in_any_cell(crystal, matrix):
    images = np.array(list(product(range(-4, 5), repeat=3)))
    cartesian = crystal.frac_coords @ crystal.lattice
    steps = cartesian[:, None, None] - cartesian[None, :, None] + (images @ crystal.lattice)[None, None]
    distances = np.linalg.norm(steps, axis=-1)
    assert rebased(crystal, matrix).smallest_distance() == pytest.approx(distances[distances > 1e-9].min(), rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(crystals(), unimodular(), st.sampled_from([24, 60, 64]))
def test_smallest_distance_is_that_of_any_number_of_copies(crystal, matrix, copies):
    """One by one or by a tree: the same."""
    many = rebased(supercell(crystal, (2, copies // 4, 2)), matrix)
    assert many.smallest_distance() == pytest.approx(crystal.smallest_distance(), rel=1e-6)
    twice = Crystal(np.tile(many.numbers, 2), np.tile(many.frac_coords, (2, 1)), many.lattice)
    assert twice.smallest_distance() == pytest.approx(0, abs=1e-9)


def test_one_atom_sees_its_own_image():
    assert Crystal(np.array([26]), np.zeros((1, 3)), np.diag([2.5, 4, 5])).smallest_distance() == pytest.approx(2.5)


def test_known_space_groups():
    rocksalt = Crystal(np.array([11, 17]), np.array([[0, 0, 0], [0.5] * 3]), 2.8 * (np.ones((3, 3)) - np.eye(3)))
    assert rocksalt.space_group() == (225, "Fm-3m")
    left = Crystal(rocksalt.numbers, rocksalt.frac_coords, rocksalt.lattice[[1, 0, 2]])
    assert left.space_group().number == 225
    assert np.linalg.det(left.reduced().lattice) > 0


@pytest.mark.parametrize("before", [None, "false", "true"])
def test_spglib_raises_nothing_whatever_others_had_it_do(monkeypatch, before):
    monkeypatch.delenv("SPGLIB_OLD_ERROR_HANDLING", raising=False)
    if before is not None:
        monkeypatch.setenv("SPGLIB_OLD_ERROR_HANDLING", before)
    on_one_place = Cell(np.eye(3) * 3, np.zeros((2, 3)), np.array([29, 29]))
    assert find_space_group(on_one_place).number == 1
    assert os.environ.get("SPGLIB_OLD_ERROR_HANDLING") == before
