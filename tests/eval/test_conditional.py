"""Conditional error: its three baselines by hand, with predictors that need no learning."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.eval.known_molecules import PLAIN, embedded
from unigen.errors import UserError
from unigen.eval.molecules.conditional import median_by_size, score_conditional
from unigen.eval.molecules.protocol import CONDITIONAL
from unigen.eval.statistics import mean_absolute_differences
from unigen.molecules.molecule import Molecule

MOLECULES = [embedded(smiles) for smiles in PLAIN]


def electrons(molecules: list[Molecule]) -> np.ndarray:
    """The number of electrons of neutral molecules: a property that is known exactly."""
    return np.array([float(molecule.numbers.sum()) for molecule in molecules])


def shifted(molecules: list[Molecule]) -> np.ndarray:
    return electrons(molecules) + 2.5


TRUTH = electrons(MOLECULES)


def score(molecules, requested, predict=electrons, **options):
    return score_conditional(molecules, np.array(requested), predict, MOLECULES, TRUTH, **options)


def test_perfect_molecules_and_a_perfect_predictor_have_no_error():
    found = score(MOLECULES, TRUTH)
    assert found["mae"].value == found["mae_floor"].value == 0
    assert found["generated"].value == 1
    assert found["mae_random"].value > 1


def test_the_floor_is_the_predictors_own_error():
    found = score(MOLECULES, TRUTH, shifted)
    assert found["mae"].value == found["mae_floor"].value == pytest.approx(2.5)


def test_baselines_by_hand():
    samples, wanted = MOLECULES[2:6], np.array([20.0, 30.0, 24.0, 41.0])
    found = score(samples, wanted)
    predicted = electrons(samples)
    assert found["mae"].value == pytest.approx(np.abs(predicted - wanted).mean())
    assert found["mae_random"].value == pytest.approx(np.abs(predicted[:, None] - wanted).mean())
    sizes = np.array([len(each) for each in MOLECULES])
    by_size = [np.median(TRUTH[sizes == len(each)]) for each in samples]
    assert found["mae_atoms_only"].value == pytest.approx(np.abs(by_size - wanted).mean())


def test_failures_are_no_error_but_are_told():
    found = score([MOLECULES[0], None, MOLECULES[1], None], [TRUTH[0], 99.0, TRUTH[1], 99.0])
    assert (found["mae"].value, found["mae"].n, found["generated"].value) == (0, 2, 0.5)
    assert found["mae_random"].value > 30  # the requests of failures are requests


def test_an_unknown_size_takes_the_nearest():
    values = median_by_size(np.array([1, 5, 9, 1000]), [MOLECULES[0], MOLECULES[1]], np.array([3.0, 7.0]))
    assert values.tolist() == [3, 3, 7, 7]


@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9),
    others=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9),
)
def test_mean_absolute_differences_are_those_of_all_pairs(values, others):
    found = mean_absolute_differences(np.array(values), np.array(others))
    assert found == pytest.approx(np.abs(np.subtract.outer(values, others)).mean(axis=1), abs=1e-9)


def test_what_bad_input_says():
    with pytest.raises(UserError, match="samples: one value a molecule"):
        score(MOLECULES, TRUTH[1:])
    with pytest.raises(UserError, match="samples: a value is not finite"):
        score(MOLECULES[:1], [np.nan])
    with pytest.raises(UserError, match="no molecule to predict"):
        score([None], [1.0])


def test_the_card_says_what_the_code_does():
    card = yaml.safe_load((Path(__file__).parents[2] / "eval" / "protocols" / "conditional-qm9.yaml").read_text())
    stated = json.loads(json.dumps(asdict(CONDITIONAL)))
    assert (card["name"], card["version"]) == (stated.pop("name"), stated.pop("version"))
    assert card["settings"] == stated
    assert set(score(MOLECULES, TRUTH)) == set(card["metrics"])
