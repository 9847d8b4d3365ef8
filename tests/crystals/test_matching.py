"""Matching: what must not change it, what must, and that its numbers are pymatgen's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from scipy.spatial.transform import Rotation

from tests.eval.known_samples import (
    SAME_RMS,
    caesium_chloride,
    crystal,
    elements,
    mp20_test,
    prototypes,
    rock_salt,
    shaken,
)
from unigen.crystals.crystal import Crystal
from unigen.crystals.matching import BoundedMatcher, Match, MatchSettings, rms_to_reference

SETTINGS = MatchSettings()


def rms(sample: Crystal, reference: Crystal) -> float | None:
    return rms_to_reference([sample], reference, SETTINGS)[0].rms


@pytest.mark.parametrize("index", range(0, 30, 3))
def test_a_crystal_matches_itself(index):
    assert rms(prototypes()[index], prototypes()[index]) == pytest.approx(0, abs=SAME_RMS)


@settings(deadline=None, max_examples=20)
@given(
    index=st.integers(0, 29),
    seed=st.integers(0, 2**32 - 1),
    shear=st.sampled_from(
        [((1, 0, 0), (1, 1, 0), (0, 0, 1)), ((1, 0, 0), (0, 1, 0), (-1, 2, 1)), ((0, 1, 0), (0, 0, 1), (1, 0, 0))]
    ),
)
def test_matching_sees_no_origin_order_cell_or_rotation(index, seed, shear):
    rng = np.random.default_rng(seed)
    reference = prototypes()[index]
    sample = shaken(reference, rng, 0.05)
    order = rng.permutation(len(sample))
    change = np.array(shear, dtype=float)
    coords = (sample.frac_coords[order] + rng.random(3)) @ np.linalg.inv(change)
    turned = Crystal(sample.numbers[order], coords, change @ sample.lattice @ Rotation.random(rng=rng).as_matrix())
    # Two equal mappings may be told apart by rounding, so the smallest of them is equal only nearly.
    assert rms(turned, reference) == pytest.approx(rms(sample, reference), abs=1e-3)


def test_a_supercell_matches_its_primitive_cell():
    small = rock_salt()
    coords = np.concatenate([(small.frac_coords + np.array([shift, 0, 0])) / [2, 1, 1] for shift in (0, 1)])
    double = Crystal(np.tile(small.numbers, 2), coords, small.lattice * np.array([[2], [1], [1]]))
    assert rms(double, small) == pytest.approx(0, abs=SAME_RMS)


def test_other_structures_and_other_compositions_do_not_match():
    assert rms(rock_salt(), crystal("Na Cl", [[0, 0, 0], [0.5, 0.5, 0.5]], [3.0, 3.0, 9.0] * np.eye(3))) is None
    assert rms(rock_salt(symbols="K Cl"), rock_salt()) is None
    assert rms(rock_salt(), caesium_chloride()) is None


def test_volume_alone_makes_no_difference():
    assert rms(rock_salt(9.0), rock_salt()) == pytest.approx(0, abs=SAME_RMS)


def _pymatgen(pairs) -> list[float | None]:
    matcher = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10)
    found = [matcher.get_rms_dist(a.to_pymatgen(), b.to_pymatgen()) for a, b in pairs]
    return [None if each is None else each[0] for each in found]


@pytest.mark.parametrize("size", [0.05, 0.5])
def test_numbers_are_those_of_pymatgen(size):
    rng = np.random.default_rng(7)
    pairs = [(shaken(each, rng, size), each) for each in (*prototypes()[:20], *elements()[:10])]
    assert [rms(*pair) for pair in pairs] == _pymatgen(pairs)


def test_numbers_on_mp20_are_those_of_pymatgen():
    rng = np.random.default_rng(3)
    pairs = [(shaken(each, rng, 0.2), each) for _, each in mp20_test(60)]
    ours = [rms(*pair) for pair in pairs]
    assert ours == _pymatgen(pairs)
    assert None in ours or min(ours) > 0


def test_same_is_pymatgens_fit():
    rng = np.random.default_rng(5)
    matcher, pymatgen = BoundedMatcher(SETTINGS), StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10)
    for each in prototypes()[::2]:
        other = shaken(each, rng, 0.6)
        ours = matcher.same(matcher.reduce(other), matcher.reduce(each)).rms is not None
        assert ours == pymatgen.fit(other.to_pymatgen(), each.to_pymatgen())


def test_work_is_bounded_and_counted():
    rng = np.random.default_rng(0)
    first, second = (Crystal(np.full(24, 6), rng.random((24, 3)), np.eye(3) * 6) for _ in range(2))
    few = BoundedMatcher(MatchSettings(max_site_pairs=10_000))
    assert few.rms(few.reduce(first), few.reduce(second)) == Match(rms=None, bounded=True)
    assert few.site_pairs < 10_000 + 31 * 24 * 24
    needle = Crystal(np.array([6, 6]), rng.random((2, 3)), np.diag([2.0, 2.0, 500.0]))
    points = BoundedMatcher(MatchSettings(max_lattice_points=1000))
    assert points.rms(points.reduce(needle), points.reduce(needle)).bounded
    large = BoundedMatcher(MatchSettings(max_atoms=10))
    assert large.rms(large.reduce(first), large.reduce(second)) == Match(bounded=True)


def test_the_bounds_leave_ordinary_crystals_alone():
    rng = np.random.default_rng(1)
    assert not any(rms_to_reference([shaken(each, rng, 0.5)], each, SETTINGS)[0].bounded for each in prototypes()[:10])
