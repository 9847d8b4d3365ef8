"""A crystal by its space group comes back as it was, and has one canonical form."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.real_crystals import crystals, elemental_crystals, prototypes, unimodular, vectors
from tests.crystals.scrambled_crystals import assert_same_description, made_up, scrambled
from unigen.crystals.crystal import Crystal
from unigen.crystals.matching import BoundedMatcher, MatchSettings
from unigen.crystals.symmetric import SymmetricCrystal, align
from unigen.crystals.symmetry_finder import canonical, find_symmetric
from unigen.errors import UserError
from unigen.symmetry.space_groups import space_group

SAME = 1e-3
seeds = st.integers(0, 10_000)
space_groups = st.integers(1, 230)


def rms(one: Crystal, other: Crystal) -> float:
    """Distance by pymatgen's matcher, in units of (V / atoms)^(1/3); infinite without a match."""
    matcher = BoundedMatcher(MatchSettings())
    found = matcher.rms(matcher.reduce(one), matcher.reduce(other)).rms
    return np.inf if found is None else found


def real_crystals() -> list[Crystal]:
    return [*elemental_crystals(), *prototypes(40)]


def varied(crystal: Crystal, basis: np.ndarray, times: tuple[int, ...], origin: np.ndarray, seed: int) -> Crystal:
    """Another cell, supercell, origin, orientation and order of the same crystal."""
    random = np.random.default_rng(seed)
    cells = np.array(list(product(*map(range, times))))
    coords = (crystal.frac_coords[None] + cells[:, None]).reshape(-1, 3) / times
    lattice = crystal.lattice * np.array(times)[:, None]
    order = random.permutation(len(coords))
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    numbers = np.tile(crystal.numbers, len(cells))
    return Crystal(numbers[order], (coords @ np.linalg.inv(basis) + origin)[order], basis @ lattice @ turn)


@pytest.mark.parametrize("crystal", real_crystals(), ids=lambda crystal: crystal.formula)
def test_real_crystals_come_back(crystal):
    found = find_symmetric(crystal)
    decoded = found.to_crystal()
    assert found.counts == decoded.counts
    assert decoded.reduced_formula == crystal.reduced_formula
    assert rms(decoded, crystal) < SAME
    assert found.space_group == decoded.space_group(symprec=1e-3).number


@settings(max_examples=20)
@given(crystals())
def test_any_crystal_comes_back(crystal):
    decoded = find_symmetric(crystal).to_crystal()
    assert decoded.reduced_formula == crystal.reduced_formula
    assert rms(decoded, crystal) < SAME


@settings(max_examples=60)
@given(st.sampled_from(real_crystals()), unimodular(), st.tuples(*[st.integers(1, 2)] * 3), vectors(-2, 2), seeds)
def test_the_form_forgets_cell_origin_orientation_and_order(crystal, basis, times, origin, seed):
    wanted = find_symmetric(crystal)
    got = find_symmetric(varied(crystal, basis, times, np.array(origin), seed))
    assert_same_description(got, wanted, tolerance=2e-3)


@settings(max_examples=150)
@given(space_groups, seeds)
def test_the_form_forgets_the_setting(number, seed):
    crystal = made_up(number, seed)
    wanted = canonical(crystal)
    assert_same_description(canonical(scrambled(crystal, np.random.default_rng(seed))), wanted)
    assert_same_description(canonical(wanted), wanted)
    assert wanted.counts == crystal.counts
    assert wanted.n_free == crystal.n_free


@settings(max_examples=40)
@given(space_groups, seeds)
def test_the_canonical_form_is_the_same_crystal(number, seed):
    """Spheres of every element see the same neighbours: all distances of the two are equal."""
    crystal = made_up(number, seed, orbits=2)
    for one, other in zip(_distances(crystal.to_crystal()), _distances(canonical(crystal).to_crystal()), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def _distances(crystal: Crystal) -> list[np.ndarray]:
    """For every pair of elements the sorted distances below 6 Angstrom, in the whole cell."""
    structure = crystal.to_pymatgen()
    first, second, _, distance = structure.get_neighbor_list(6.0)
    kinds = crystal.numbers[first] * 128 + crystal.numbers[second]
    near = distance < 5.99
    return [np.sort(distance[near & (kinds == kind)]) for kind in np.unique(kinds)]


@settings(max_examples=100)
@given(space_groups, seeds)
def test_align_undoes_a_change_of_setting(number, seed):
    crystal = canonical(made_up(number, seed))
    other = scrambled(crystal, np.random.default_rng(seed))
    got = align(crystal, other)
    assert got is not None
    assert_same_description(got, other)


@settings(max_examples=60)
@given(space_groups, seeds)
def test_align_finds_a_small_displacement(number, seed):
    """A crystal moved a little is described near where it was, and is still itself."""
    crystal, random = canonical(made_up(number, seed)), np.random.default_rng(seed)
    group = space_group(number)
    nudge = random.uniform(-0.004, 0.004, crystal.free.shape) * (np.arange(3) < group.dof[crystal.letters][:, None])
    moved = SymmetricCrystal(number, crystal.lattice, crystal.numbers, crystal.letters, crystal.free + nudge)
    other = scrambled(crystal, random)
    got = align(canonical(moved), other)
    assert got is not None
    between = got.free - other.free
    assert np.abs(between - np.round(between)).max() < 0.02
    assert_same_description(canonical(got), canonical(moved))


CUBIC = np.array([5.6, 5.6, 5.6, *[np.pi / 2] * 3])


def cubic(numbers: list[int], letters: list[int], number: int = 225) -> SymmetricCrystal:
    return SymmetricCrystal(number, CUBIC, np.array(numbers), np.array(letters), np.zeros((len(numbers), 3)))


def test_align_refuses_another_template():
    rock_salt = cubic([11, 17], [0, 1])
    assert align(rock_salt, cubic([11, 17], [0, 2])) is None
    assert align(rock_salt, cubic([11, 17], [0, 0], number=1)) is None
    assert align(rock_salt, cubic([11, 35], [0, 1])) is None
    aligned = align(rock_salt, cubic([17, 11], [0, 1]))
    assert aligned is not None
    assert aligned.numbers.tolist() == [17, 11]


def test_rock_salt():
    found = find_symmetric(
        Crystal(np.array([11, 17]), np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.8]]), 2.8 * (np.ones((3, 3)) - np.eye(3)))
    )
    assert (found.space_group, found.numbers.tolist(), found.letters.tolist()) == (225, [11, 17], [0, 1])
    np.testing.assert_allclose(found.lattice[:3], 5.6)
    assert found.counts == {11: 1, 17: 1}
    assert found.n_free == 1


def test_without_any_tolerance_it_is_p1():
    crystal = prototypes(3)[0]
    found = find_symmetric(crystal, symprecs=())
    assert (found.space_group, found.symprec) == (1, 0.0)
    assert rms(found.to_crystal(), crystal) < SAME


def test_noise_costs_the_symmetry_unless_it_is_allowed():
    ideal = prototypes(3)[0]
    noise = np.random.default_rng(0).normal(scale=0.006, size=(len(ideal), 3)) @ np.linalg.inv(ideal.lattice)
    noisy = Crystal(ideal.numbers, ideal.frac_coords + noise, ideal.lattice)
    assert find_symmetric(noisy).space_group == 1
    found = find_symmetric(noisy, faithful=0.05)
    assert found.space_group == find_symmetric(ideal).space_group
    assert SAME < rms(found.to_crystal(), noisy) < 0.05


def test_the_hand_is_kept():
    """Quartz of either hand is described in the space group of its own."""
    left = made_up(152, 0)
    right = SymmetricCrystal(154, left.lattice, left.numbers, left.letters, left.free)
    for crystal in (left, right):
        assert find_symmetric(crystal.to_crystal()).space_group == crystal.space_group


def test_a_letter_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="P1 has no such Wyckoff position"):
        cubic([11], [1], number=1)


@pytest.mark.skipif("UNIGEN_DATA" not in os.environ, reason="UNIGEN_DATA names no folder of benchmark data")
def test_mp_20_comes_back_in_any_cell():
    from unigen.data.readers.crystals import read_crystal_rows

    folder = Path(os.environ["UNIGEN_DATA"]) / "mp_20" / "mp_20_val_test.npz"
    random = np.random.default_rng(0)
    for seed, row in zip(range(100), read_crystal_rows(folder), strict=False):
        found = find_symmetric(row.structure)
        assert found.counts == row.structure.counts
        assert rms(found.to_crystal(), row.structure) < SAME
        basis = np.linalg.multi_dot([[[1, 0, 1], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [-1, 1, 0], [0, 0, 1]], np.eye(3)])
        again = find_symmetric(varied(row.structure, basis, (1, 1, 2), random.random(3), seed))
        assert_same_description(again, found, tolerance=2e-3)
