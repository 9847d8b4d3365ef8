"""A look at the first lines: the same for every cell of a crystal, and it loses none that a fit of all would find."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.powder.powder_crystals import CRYSTALS, SALT
from tests.crystals.powder.powder_files import profile
from tests.retrieval.known_templates import symmetric_crystals, table
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.matching import prepare
from unigen.crystals.powder.screening import Screen
from unigen.parallel import Workers
from unigen.ranking import identification
from unigen.ranking.identification import Identification, identify

N = 80
KNOWN = table().select(np.arange(N))


def strained(crystal: Crystal, seed: int, size: float) -> Crystal:
    """Along all directions, differently."""
    change = np.random.default_rng(seed).normal(0, size, (3, 3))
    return Crystal(crystal.numbers, crystal.frac_coords, crystal.lattice @ (np.eye(3) + (change + change.T) / 2))


@cache
def screen(index: int) -> Screen:
    return Screen.of(prepare(profile(CRYSTALS[index], ground=20.0, seed=index)))


@given(st.integers(0, len(CRYSTALS) - 1), st.sampled_from(CRYSTALS), st.randoms(use_true_random=False))
def test_cell_origin_order_and_orientation_make_no_difference(index, crystal, random):
    order = random.sample(range(len(crystal)), len(crystal))
    numbers, coords = crystal.numbers[order], crystal.frac_coords[order] + [random.random() for _ in range(3)]
    # another basis of the same lattice, seen from elsewhere
    basis = np.array([[1, random.randint(-1, 1), random.randint(-1, 1)], [0, 1, random.randint(-1, 1)], [0, 0, 1]])
    turn = np.linalg.qr(np.array([[random.gauss(0, 1) for _ in range(3)] for _ in range(3)]))[0]
    other = Crystal(numbers, coords @ np.linalg.inv(basis), basis @ crystal.lattice @ turn)
    one, same = screen(index).similarities([crystal, other])
    # a reflection between two points of the grid may fall to either
    assert same == pytest.approx(one, abs=0.02)


@given(st.integers(0, len(CRYSTALS) - 1), st.floats(0.96, 1.04))
def test_what_was_measured_is_the_most_alike_in_any_volume(index, scale):
    made = [Crystal(each.numbers, each.frac_coords, each.lattice * scale) for each in CRYSTALS]
    similarities = screen(index).similarities(made)
    assert similarities.argmax() == index
    assert 0.9 < similarities[index] <= 1


def test_each_alone_is_as_among_others():
    together = screen(0).similarities(CRYSTALS)
    np.testing.assert_allclose([screen(0).similarities([each])[0] for each in CRYSTALS], together, atol=1e-12)


def test_what_cannot_be_judged_is_not_judged():
    einsteinium = Crystal(np.array([99]), np.zeros((1, 3)), np.eye(3) * 4)
    endless = Crystal(np.full(8, 3), np.arange(24).reshape(8, 3) / 24, np.eye(3) * 90)
    assert np.isnan(screen(0).similarities([einsteinium, endless, SALT])).tolist() == [True, True, False]


def found(index: int, monkeypatch: pytest.MonkeyPatch, screened: int, workers: int = 1) -> Identification:
    monkeypatch.setattr(identification, "_SCREENED", screened)
    monkeypatch.setattr(identification, "_FITTED", 5)
    made = strained(symmetric_crystals()[index].to_crystal(), index, 0.004)
    with Workers(workers) as pool:
        return identify(profile(made, ground=30.0, seed=index), KNOWN, pool, n=3)


@settings(max_examples=5)
@given(st.integers(0, N - 1))
def test_the_first_answers_are_those_of_a_fit_of_all(index):
    with pytest.MonkeyPatch.context() as patch:
        every, few = (found(index, patch, screened) for screened in (N, N // 5))
    assert (every.compared, every.left_out) == (few.compared, few.left_out)
    assert [each.id for each in few.found][:1] == [each.id for each in every.found][:1]
    kept = {each.id: each.similarity for each in every.found}
    assert all(kept.get(each.id, each.similarity) == each.similarity for each in few.found)


def test_any_number_of_workers_finds_the_same(monkeypatch):
    one, two = (found(3, monkeypatch, 20, workers) for workers in (1, 2))
    assert [(each.id, each.similarity, each.scale) for each in one.found] == [
        (each.id, each.similarity, each.scale) for each in two.found
    ]
    assert (one.compared, one.left_out) == (two.compared, two.left_out)
