"""A trained predictor as a judge: molecules in, values out, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unigen
from tests.eval.known_molecules import PLAIN, embedded, moved
from tests.models.small_model import small_model
from tests.models.small_predictor import SIZES, electrons_network
from unigen.errors import UserError
from unigen.eval.molecules.conditional import PropertyPredictor, evaluate_conditional, score_conditional
from unigen.eval.molecules.samples import MoleculeEntry
from unigen.models.checkpoint import save_model
from unigen.models.predictor.network import PredictorConfig, PropertyNetwork
from unigen.sample import predict as module
from unigen.sample.predict import NetworkPredictor, load_predictor

MOLECULES = [embedded(smiles) for smiles in PLAIN]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "electrons"
    save_model(electrons_network({"gap": "attention", "mu": "dipole"}, 0.001), folder)
    return folder


def random_network() -> PropertyNetwork:
    network = PropertyNetwork(PredictorConfig(kind="predictor", properties={"gap": "attention", "Cv": "sum"}, **SIZES))
    network.seen.fill_(value=True)
    return network


@settings(max_examples=10)
@given(st.permutations(range(len(MOLECULES))), st.integers(1, 5))
def test_a_prediction_depends_on_its_molecule_alone(order, size):
    network = random_network()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BATCH", size)
        together = NetworkPredictor(network, "random")([MOLECULES[place] for place in order])
    alone = np.concatenate([NetworkPredictor(network, "random")([MOLECULES[place]]) for place in order])
    assert together.dtype == np.float64
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_each_property_is_one_column_in_the_published_unit():
    predictor = NetworkPredictor(random_network(), "random")
    whole = predictor(MOLECULES)
    assert isinstance(predictor, PropertyPredictor)
    assert predictor.properties == ("gap", "Cv")
    assert predictor([]).shape == (0, 2)
    entries = [MoleculeEntry(str(n), each, requested={"gap": 0.0, "Cv": 0.0}) for n, each in enumerate(MOLECULES[::-1])]
    known = [replace(each, properties={"gap": 0.1, "Cv": 1.0}) for each in MOLECULES]
    rows = evaluate_conditional(entries, known, predictor).rows
    for column, (name, factor) in enumerate({"gap": 27_211.386, "Cv": 1.0}.items()):
        found = [row.predicted for row in rows if row.property == name]
        np.testing.assert_array_equal(found, factor * whole[::-1, column])


def test_no_molecule_is_looked_at_twice(monkeypatch):
    judge = NetworkPredictor(random_network(), "random")
    first = judge(MOLECULES)
    monkeypatch.setattr(judge.network, "predicted", lambda _: pytest.fail("all are known"))
    np.testing.assert_array_equal(judge(MOLECULES), first)


def test_a_folder_is_read_and_judges(folder):
    judge = load_predictor(folder)
    assert judge.properties == ("gap", "mu")
    assert len(judge.version) == 64
    truth = np.array([0.001 * float(each.numbers.sum()) for each in MOLECULES])
    moved_ones = [moved(each, np.eye(3), 3.0) for each in MOLECULES]
    found = score_conditional(moved_ones, truth, lambda molecules: judge(molecules)[:, 0], MOLECULES, truth)
    assert found["mae"].value == pytest.approx(0, abs=1e-7)
    assert found["mae_random"].value > 0.001


def test_of_estimated_positions_no_error_bar_is_told(tmp_path):
    """They hold for positions as in training; where these come from a SMILES, that is said."""
    save_model(electrons_network({"gap": "attention"}, error_bars=True), tmp_path / "electrons")
    (tmp_path / "two.smi").write_text("CCO ethanol\nCO methanol\n")
    with pytest.warns(UserWarning, match=r"positions of 2 of 2 structures are estimated from their SMILES \(ETKDGv3\)"):
        estimated = unigen.predict(tmp_path / "two.smi", tmp_path / "electrons")
    assert [{*sample.facts} for sample in estimated] == [{"gap_predicted", "positions"}] * 2
    given_ones = unigen.predict([sample.structure for sample in estimated], tmp_path / "electrons")
    assert [{*sample.facts} for sample in given_ones] == [{"gap_predicted", "gap_error"}] * 2


def test_what_it_refuses(folder, tmp_path):
    judge = load_predictor(folder)
    with pytest.raises(UserError, match=r"does not know the property 'alpha'; wanted some of gap, mu"):
        evaluate_conditional([MoleculeEntry("a", MOLECULES[0], requested={"alpha": 1.0})], MOLECULES, judge)
    with pytest.raises(UserError, match="the predictor was trained without S"):
        judge([MOLECULES[0], embedded("CS")])
    with pytest.raises(UserError, match="no model 'nothing'"):
        load_predictor("nothing")
    save_model(small_model(), tmp_path / "crystals")
    with pytest.raises(UserError, match=r"crystals: this model predicts no properties; got kind autoregressive"):
        load_predictor(tmp_path / "crystals")
