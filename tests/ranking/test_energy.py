"""Ranking by energy: one crystal has one rating, what the generator holds likely counts, kills cost nothing."""

from __future__ import annotations

import csv
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.energies.hull.hull import HullVerdict
from unigen.energies.potential import Potential, find_potential
from unigen.energies.relaxation import RelaxSettings
from unigen.errors import UserError
from unigen.models.generator import Sample
from unigen.parallel import Workers
from unigen.ranking.choice import choose
from unigen.ranking.distinct import distinct_structures
from unigen.ranking.energy import LOG_PROBABILITY_WEIGHT, EnergyRanker, phases_of
from unigen.ranking.settings import RankSettings
from unigen.request import CrystalRequest
from unigen.runs.crystal_files import CrystalFolder
from unigen.runs.generation import RunSettings
from unigen.runs.ranking import CANDIDATES, read_table, run_ranking

EMT = find_potential("ase.calculators.emt:EMT", "EMT")
REQUEST = CrystalRequest(formula="CuAu", z=1)

FCC = (np.ones((3, 3)) - np.eye(3)) / 2
L1_0 = Crystal(np.array([29, 79]), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.diag([2.85, 2.85, 3.75]))
B2 = Crystal(np.array([29, 79]), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.diag([3.1, 3.1, 3.1]))
ROCKSALT = Crystal(np.array([29, 79]), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), 5.2 * (np.ones((3, 3)) - np.eye(3)) / 2)


def sample(structure: Crystal | None, index: int = 0, log_probability: float = 0.0) -> Sample:
    return Sample(
        structure=structure,
        request=REQUEST,
        request_index=0,
        index=index,
        seed=0,
        model="made up",
        log_likelihood=None,
        score=0.0,
        reason="" if structure else "not made",
        source={"log_probability": log_probability},
    )


def rate(samples, **how):
    with Workers(1) as pool:
        return EnergyRanker(EMT, **how).rate([samples], pool)[0]


@settings(max_examples=15)
@given(copies=st.integers(1, 3), shift=st.floats(0, 1), turned=st.booleans())
def test_a_rating_does_not_depend_on_the_cell(copies, shift, turned):
    larger = repeat_cell(L1_0, copies)
    order = np.arange(len(larger))[:: -1 if turned else 1]
    other = Crystal(larger.numbers[order], larger.frac_coords[order] + shift, larger.lattice)
    one, two = (rate([sample(each)])[0] for each in (L1_0, other))
    assert two.value == pytest.approx(one.value, abs=1e-5)
    assert two.merit == pytest.approx(one.merit, abs=1e-5)


def test_a_candidate_whose_atoms_are_closer_than_in_known_crystals_has_no_energy_and_is_last():
    close = Crystal(np.array([29, 79]), np.array([[0, 0, 0], [0.3, 0.0, 0.0]]), np.diag([4.0, 3.0, 3.0]))
    ratings = rate([sample(close, 0, log_probability=0.0), sample(L1_0, 1, log_probability=-50.0)])
    assert ratings[0].value is None
    assert ratings[0].merit == float("-inf")
    assert ratings[0].reason.startswith("no energy to be believed: Cu-Au 1.")
    assert ratings[1].value is not None


def test_the_lowest_energy_is_best_unless_the_generator_is_sure_of_another():
    samples = [sample(each, index) for index, each in enumerate((ROCKSALT, L1_0, None, B2))]
    ratings = rate(samples)
    assert [rating.value is None for rating in ratings] == [False, False, True, False]
    ranker = EnergyRanker(EMT)
    assert choose(samples, ratings, ranker, 4).order[:2] == (1, 3)
    assert ratings[1].facts["energy_above_lowest"] == 0
    gap = ratings[3].value - ratings[1].value
    assert 0 < gap < 0.1
    favour = -9.0 + 1.1 * gap / LOG_PROBABILITY_WEIGHT
    surer = [sample(each, index, p) for index, (each, p) in enumerate(((L1_0, -9.0), (B2, favour)))]
    assert choose(surer, rate(surer), ranker, 1).rank == {1: 1}
    assert choose(surer, rate(surer, weight=0.0), ranker, 1).rank == {0: 1}


def test_relaxed_ones_come_first_and_carry_relaxed_structures():
    samples = [sample(each, index) for index, each in enumerate((B2, ROCKSALT, L1_0))]
    ratings = rate(samples, relax=1)
    best = choose(samples, ratings, EnergyRanker(EMT), 3)
    assert best.answers[0].ranking["relaxed"] == "converged"
    assert [answer.ranking["relaxed"] for answer in best.answers[1:]] == ["no", "no"]
    assert best.answers[0].ranking["candidate"] == 2
    assert best.answers[0].ranking["energy_per_atom"] <= best.answers[0].ranking["energy_per_atom_unrelaxed"] + 1e-3


def test_what_is_asked_for_in_a_symmetry_keeps_it_while_it_is_relaxed():
    nearly_cubic = Crystal(L1_0.numbers, L1_0.frac_coords, np.diag([3.1, 3.1, 3.106]))
    asked = CrystalRequest(formula="CuAu", space_group=221)
    kept, free = (rate([replace(sample(nearly_cubic), request=request)], relax=1)[0] for request in (asked, REQUEST))
    assert kept.facts["relaxed"] == free.facts["relaxed"] == "converged"
    assert kept.structure.space_group(1e-4).number == 221
    assert free.structure.space_group(1e-4).number == 123


def test_what_relaxes_to_a_symmetry_that_nobody_asked_for_is_ranked_as_it_was_drawn():
    polar = Crystal(L1_0.numbers, np.array([[0, 0, 0], [0.5, 0.5, 0.45]]), L1_0.lattice)
    asked = CrystalRequest(formula="CuAu", space_group=99)
    rating = rate([replace(sample(polar), request=asked)], relax=1, settings=RelaxSettings(fmax=0.001))[0]
    assert rating.reason == "as relaxed it has the symmetry of P4/mmm (123)"
    assert rating.facts["relaxed"] == "no"
    assert rating.structure.space_group().number == 99


def test_energies_above_the_lowest_compare_scans_with_scans():
    samples = [sample(each, index) for index, each in enumerate((B2, ROCKSALT, L1_0))]
    scanned, ratings = rate(samples), rate(samples, relax=1)
    relaxed = [rating.facts["relaxed"] != "no" for rating in ratings]
    assert sum(relaxed) == 1
    for before, rating, is_relaxed in zip(scanned, ratings, relaxed, strict=True):
        wanted = 0.0 if is_relaxed else before.facts["energy_above_lowest"]
        assert rating.facts["energy_above_lowest"] == pytest.approx(wanted, abs=1e-6)


def test_enthalpies_at_no_pressure_order_as_energies_do():
    samples = [sample(each, index) for index, each in enumerate((B2, L1_0))]
    ratings = rate(samples, relax=2, pressures=(0.0, 30.0))
    answers = [each for each in choose(samples, ratings, EnergyRanker(EMT), 3).answers if each.structure]
    assert len(answers) > 1
    at_none = sorted(answers, key=lambda each: each.ranking["enthalpy_per_atom at 0 GPa"])
    assert at_none == sorted(answers, key=lambda each: each.ranking["energy_per_atom"])
    for phase in phases_of(answers, (0.0, 30.0)):
        assert phase.volumes[1] < phase.volumes[0]


@given(st.permutations(range(3)), st.integers(1, 3))
def test_answers_are_distinct_and_the_best_of_their_kind(order, n):
    crystals = [(B2, repeat_cell(B2, 2), ROCKSALT)[place] for place in order]
    found = distinct_structures(crystals, n)
    assert len(found.kept) == min(n, 2)
    assert list(found.kept) == sorted(found.kept)
    kept = {len(crystals[place]) == 2 and crystals[place] is ROCKSALT for place in found.kept}
    assert len(kept) == len(found.kept)


def test_what_is_missing_is_said():
    samples = [sample(B2, 0), sample(None, 1), sample(repeat_cell(B2, 2), 2)]
    choice = choose(samples, rate(samples), EnergyRanker(EMT), 3)
    assert [answer.structure is None for answer in choice.answers] == [False, True, True]
    assert "only 1 distinct structures among 3 candidates, of which 1 failed: not made" in choice.answers[1].reason
    assert [answer.index for answer in choice.answers] == [0, 1, 2]


class Drawn:
    """A generator that draws these structures, one after the other."""

    name, version, makes = "drawn", "1", "crystals"

    def __init__(self, structures):
        self.structures, self.settings = structures, RelaxSettings()

    def ranges(self, _properties):
        return {}

    def draw(self, jobs):
        made = [sample(self.structures[job.index % len(self.structures)]) for job in jobs]
        return [replace(_candidate(each)) for each in made]


def _candidate(each):
    from unigen.models.generator import Candidate

    return Candidate(each.structure, reason=each.reason, source=each.source)


RANKING = RankSettings(
    candidates=4, by="energy", potential="ase.calculators.emt:EMT", energy_scheme="EMT", relax=1, pressures=(0.0, 20.0)
)


def ranked(path, **changes):
    generator = Drawn([B2, None, L1_0, ROCKSALT])
    with patch.object(RunSettings, "load", lambda *_: generator):
        return run_ranking(
            [REQUEST, CrystalRequest(formula="AuCu", z=1, id="again")],
            CrystalFolder(path),
            CrystalFolder(path / CANDIDATES, formats=()),
            RunSettings(n=2),
            replace(RANKING, **changes),
            workers=1,
        )


def contents(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_a_run_that_is_killed_while_ranking_repeats_nothing_and_ends_in_the_same_bytes(tmp_path):
    rows = ranked(tmp_path / "whole")
    assert [(row["id"], row["index"], row["ranking"]["rank"]) for row in rows] == [
        ("CuAu", 0, 1),
        ("CuAu", 1, 2),
        ("again", 0, 1),
        ("again", 1, 2),
    ]
    asked: list[int] = []
    energies = Potential.energies

    def dying(potential):
        compute = energies(potential)

        def counted(structures):
            asked.append(len(structures))
            if len(asked) == 2:
                raise KeyboardInterrupt
            return compute(structures)

        return counted

    with patch.object(Potential, "energies", dying):
        with pytest.raises(KeyboardInterrupt):
            ranked(tmp_path / "killed")
        before = len(asked)
        ranked(tmp_path / "killed")
        assert len(asked) - before == 2  # three structures, of which one was there
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    with pytest.raises(UserError, match="this folder holds other results"):
        ranked(tmp_path / "whole", relax=2)


def test_the_table_names_every_candidate(tmp_path):
    ranked(tmp_path / "run")
    quantity, lines = read_table(tmp_path / "run" / "ranking.csv")
    assert quantity == "energy_per_atom"
    assert next(line["candidate"] for line in lines if line["id"] == "CuAu") == "2"
    assert sorted(line["candidate"] for line in lines) == sorted("0123" * 2)
    assert {line["rank"] for line in lines} == {"", "1", "2"}
    with (tmp_path / "run" / "transitions.csv").open() as file:
        assert next(csv.reader(file)) == ["id", "below", "above", "pressure_GPa", "volume_change"]


class Hull:
    """Above a hull of -1 eV/atom for copper and 0 for gold."""

    def judge_crystal(self, crystal: Crystal, energy: float):
        return HullVerdict(above_hull=energy + (1.0 if 29 in crystal.counts else 0.0))


def test_other_compositions_compare_by_the_hull_alone():
    gold = Crystal(np.array([79]), np.zeros((1, 3)), 4.06 * FCC)
    copper = Crystal(np.array([29]), np.zeros((1, 3)), 3.6 * FCC)
    open_request = CrystalRequest(elements=("Cu", "Au"))
    samples = [replace(sample(each, index), request=open_request) for index, each in enumerate((gold, copper))]
    with pytest.raises(UserError, match="energies of two compositions do not compare"):
        EnergyRanker(EMT).check([open_request])
    ratings = rate(samples, hull=Hull())
    assert ratings[1].value < ratings[0].value
    assert choose(samples, ratings, EnergyRanker(EMT), 1).rank == {0: 1}
    assert [rating.facts["energy_above_lowest"] for rating in ratings] == [0, 0]


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"by": "likelihood", "relax": 2}, "relax: only ranking by energy has it"),
        ({"by": "energy", "pressures": (0.0, 5.0)}, "pressures: nothing is relaxed"),
        ({"by": "energy", "relax": 1, "pressures": (5.0, 0.0)}, "pressures must ascend"),
        ({"candidates": 0}, "candidates must be positive"),
    ],
)
def test_settings_that_make_no_sense(settings_, said):
    with pytest.raises(UserError, match=said):
        RankSettings(**settings_)
