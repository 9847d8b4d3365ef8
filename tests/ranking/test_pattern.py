"""Candidates in the order in which they explain a powder pattern."""

from __future__ import annotations

import numpy as np
import pytest

from tests.crystals.powder.powder_crystals import ANATASE, FLUORITE, RUTILE, SALT, strained
from tests.crystals.powder.powder_files import profile
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.matching import match
from unigen.errors import UserError
from unigen.models.generator import Sample
from unigen.parallel import Workers
from unigen.ranking import pattern
from unigen.ranking.pattern import PatternRanker
from unigen.request import CrystalRequest


def samples(crystals, request=None) -> list[Sample]:
    request = request or CrystalRequest(formula="TiO2")
    return [
        Sample(crystal, request, 0, index, 0, "made", None, 0.0, "" if crystal else "atoms too close")
        for index, crystal in enumerate(crystals)
    ]


def merits(ratings) -> list[float]:
    return [rating.merit for rating in ratings]


def test_the_right_one_is_first_whatever_their_order_and_failures_are_last():
    drawn = [FLUORITE, strained(RUTILE, 1.02, 0.98), None, ANATASE]
    ranker = PatternRanker(profile(RUTILE, ground=30.0, seed=1))
    with Workers(1) as workers:
        (ratings,) = ranker.rate([samples(drawn)], workers)
        (turned,) = ranker.rate([samples(drawn[::-1])], workers)
    assert merits(ratings) == merits(turned)[::-1]
    assert int(np.argmax(merits(ratings))) == 1
    best = ratings[1]
    assert best.value >= best.merit - 1e-6
    assert best.value > 0.95
    assert best.facts["r_wp"] < min(ratings[index].facts["r_wp"] for index in (0, 3))
    assert best.facts["strain"] == pytest.approx(0.02, abs=2e-3)
    assert best.structure.volume == pytest.approx(RUTILE.volume, rel=2e-3)
    assert (ratings[2].merit, ratings[2].value, ratings[2].structure) == (float("-inf"), None, None)
    assert ratings[2].reason == "atoms too close"


def test_each_request_has_its_own_pattern_and_groups_know_nothing_of_each_other(tmp_path):
    groups = []
    for name, crystal in (("rutile.xy", RUTILE), ("anatase.xy", ANATASE)):
        profile(crystal, ground=30.0, seed=2).to_xy(tmp_path / name)
        request = CrystalRequest(elements=("Ti", "O"), pxrd=str(tmp_path / name))
        groups.append(samples([FLUORITE, RUTILE, ANATASE], request))
    groups.append(samples([SALT], CrystalRequest()))
    with Workers(1) as workers:
        together = PatternRanker(profile(SALT)).rate(groups, workers)
        alone = [PatternRanker(profile(SALT)).rate([group], workers)[0] for group in groups]
    assert [int(np.argmax(merits(ratings))) for ratings in together] == [1, 2, 0]
    assert [merits(ratings) for ratings in together] == [merits(ratings) for ratings in alone]


def test_fits_that_a_folder_holds_are_not_made_again_and_give_the_same_ratings(tmp_path, monkeypatch):
    einsteinium = Crystal(np.array([99]), np.zeros((1, 3)), 4 * np.eye(3))
    groups, ranker = [samples([FLUORITE, RUTILE, einsteinium, ANATASE])], PatternRanker(profile(RUTILE, seed=3))
    with Workers(1) as workers:
        (first,) = ranker.rate(groups, workers, tmp_path)
        journal = (tmp_path / "fitted" / "relaxed.jsonl").read_bytes()
        # killed after three fits: the others alone are made again
        (tmp_path / "fitted" / "relaxed.jsonl").write_bytes(b"".join(journal.splitlines(keepends=True)[:3]))
        fitted = []
        monkeypatch.setattr(pattern, "match", lambda *task: fitted.append(task) or match(*task))
        (again,) = ranker.rate(groups, workers, tmp_path)
        assert len(fitted) == len(journal.splitlines()) - 3
        assert (tmp_path / "fitted" / "relaxed.jsonl").read_bytes() == journal
        (held,) = ranker.rate(groups, workers, tmp_path)
    assert len(fitted) == len(journal.splitlines()) - 3
    for ratings in (again, held):
        assert merits(ratings) == merits(first)
        assert [each.facts for each in ratings] == [each.facts for each in first]
        assert [each.reason for each in ratings] == [each.reason for each in first]
        assert all(
            np.array_equal(a.structure.lattice, b.structure.lattice) for a, b in zip(ratings, first, strict=True)
        )


def test_another_pattern_is_another_fit(tmp_path):
    with Workers(1) as workers:
        for crystal in (RUTILE, ANATASE):
            (ratings,) = PatternRanker(profile(crystal)).rate([samples([RUTILE, ANATASE])], workers, tmp_path)
            (alone,) = PatternRanker(profile(crystal)).rate([samples([RUTILE, ANATASE])], workers)
            assert merits(ratings) == merits(alone)


def test_an_element_that_scatters_by_no_table_is_unrated_with_its_reason():
    einsteinium = Crystal(np.array([99]), np.zeros((1, 3)), 4 * np.eye(3))
    with Workers(1) as workers:
        ((rating,),) = PatternRanker(profile(SALT)).rate([samples([einsteinium])], workers)
    assert rating.merit == float("-inf")
    assert "no scattering factors; got Es" in rating.reason
    assert rating.structure is einsteinium


def test_a_request_without_a_pattern_is_said():
    with Workers(1) as workers, pytest.raises(UserError, match="a request without a powder pattern; got"):
        PatternRanker().rate([samples([SALT])], workers)
