"""Substitution augmentation: an exchanged crystal is one that a shortlist of its own would have been made for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.retrieval.known_templates import retriever, table
from unigen.element_similarity import element_distances
from unigen.elements import written_order
from unigen.models.wyckoff.exchange import SIMILAR, draw_exchange, exchanged_lesson
from unigen.retrieval.lessons import Lesson

ROWS, SEEDS = st.integers(0, len(table()) - 1), st.integers(0, 2**31)


def lesson(row: int) -> Lesson:
    """Of a crystal of the table; verdicts that tell which kind they belong to."""
    known = retriever().shortlist(table().counts(row), exclude_formula=True)
    aligned = np.arange(min(2, len(known)))
    orbits = table()[row].free
    return Lesson(
        shortlist=known,
        rms=np.arange(len(known.heads), dtype=float),
        aligned_at=aligned,
        aligned_lattice=np.tile(table()[row].lattice, (len(aligned), 1)),
        aligned_free=np.tile(orbits, (len(aligned), 1, 1)),
    )


@given(ROWS, SEEDS)
def test_an_exchange_is_for_a_similar_element_and_keeps_the_order(row, seed):
    before = lesson(row).shortlist
    exchange = draw_exchange(before, retriever(), np.random.default_rng(seed))
    if exchange is not None:
        assert element_distances()[exchange.old, exchange.new] <= SIMILAR
        assert exchange.old in before.elements
        assert exchange.new not in before.elements
        crystal = exchange.crystal(table()[row])
        assert written_order(crystal.counts) == [
            exchange.new if number == exchange.old else number for number in before.elements.tolist()
        ]
        assert crystal.letters.tolist() == table()[row].letters.tolist()
        volume = retriever().volume
        ratio = volume.predict(crystal.counts) / volume.predict(table().counts(row))
        np.testing.assert_allclose(crystal.lattice[:3], table()[row].lattice[:3] * ratio ** (1 / 3))
        np.testing.assert_array_equal(crystal.lattice[3:], table()[row].lattice[3:])


@given(ROWS, SEEDS)
def test_the_lesson_is_the_same_but_for_distances_and_order(row, seed):
    before = lesson(row)
    exchange = draw_exchange(before.shortlist, retriever(), np.random.default_rng(seed))
    after = exchanged_lesson(before, exchange, retriever()) if exchange else None
    if after is None:
        return
    old, new = before.shortlist, after.shortlist
    assert (np.diff(new.distance) >= 0).all()
    share = new.counts / new.counts.sum()
    direct = [(share * element_distances()[new.elements, roles]).sum() for roles in new.roles]
    np.testing.assert_allclose(new.distance, direct, atol=1e-9)
    place = [old.sources.tolist().index(source) for source in new.sources.tolist()]
    assert sorted(place) == list(range(len(old)))
    np.testing.assert_array_equal(after.rms[new.kind], before.rms[old.kind[place]])
    np.testing.assert_array_equal(new.sources[after.aligned_at], old.sources[before.aligned_at])
    np.testing.assert_array_equal(np.unique(new.kind), np.arange(len(new.heads)))
    assert (np.diff(new.heads) > 0).all()  # kinds are counted in order of appearance


@given(ROWS, SEEDS)
def test_a_formula_that_is_known_is_not_taught(row, seed):
    before = lesson(row)
    exchange = draw_exchange(before.shortlist, retriever(), np.random.default_rng(seed))
    if exchange is not None:
        wanted = [exchange.new if n == exchange.old else n for n in before.shortlist.elements.tolist()]
        own = (before.shortlist.roles == wanted).all(axis=1).any()
        assert (exchanged_lesson(before, exchange, retriever()) is None) == bool(own)
