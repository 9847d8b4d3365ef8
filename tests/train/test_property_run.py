"""Training a predictor, as a user does it: on one half of a dataset of real molecules."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import unigen
from tests.train.tiny_run import logged
from unigen import cli
from unigen.config import load, read_yaml, write_yaml
from unigen.data.molecule_store import MoleculeDataset, open_molecules
from unigen.errors import UserError
from unigen.models.checkpoint import load_model
from unigen.models.error_bars import COVERAGE
from unigen.models.predictor.batch import collate_properties
from unigen.models.predictor.items import PropertyItems
from unigen.models.predictor.network import PredictorConfig, PropertyNetwork
from unigen.molecules.molecule import Molecule
from unigen.sample.load import load as load_generator
from unigen.train.run import train
from unigen.train.settings import TrainConfig

SMILES = ("C", "CC", "CO", "CN", "C=O", "C#C", "CCO", "CC=O", "CF", "C=C", "C#N", "COC", "NC=O", "N", "O", "CCC")
POOLINGS = {"electrons": "sum", "spread": "attention", "moment": "dipole"}
MODEL = {
    "kind": "predictor",
    "properties": POOLINGS,
    "layers": 2,
    "width": 16,
    "vectors": 8,
    "tensors": 4,
    "channels": 3,
    "radial": 5,
}
CONFIG = {
    "model": MODEL,
    "data": {"train": "mine:train", "val": "mine:val", "values_of_half": 1, "batch_size": 8, "bucket": 2},
    "optim": {"warmup_steps": 2, "ema_decay": 0.8, "clip": 10.0},
    "out": "run",
    "max_steps": 12,
    "accelerator": "cpu",
    "threads": 1,
    "checkpoint_minutes": 0.0,
    "validate_every": 4,
    "validate_batches": 2,
    "match_structures": 0,
    "log_every": 1,
}


@cache
def molecules() -> list[Molecule]:
    """With the number of electrons, the root mean square distance from the centre, and a moment of nuclear charges."""
    made = [Molecule.from_smiles(smiles, seed=1) for smiles in SMILES]
    return [
        Molecule(each.numbers, each.positions, each.bonds, each.charges, _properties(each, place), smiles=each.smiles)
        for place, each in enumerate(made)
    ]


def _properties(molecule: Molecule, place: int) -> dict[str, float]:
    away = molecule.positions - molecule.positions.mean(0)
    known = {
        "electrons": float(molecule.numbers.sum()),
        "spread": float(np.sqrt((away**2).sum(1).mean())),
        "moment": float(np.linalg.norm(molecule.numbers @ away)),
    }
    return known if place >= 12 else known | {"half": float(1 + place % 2)}  # as in qm9: of training molecules alone


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Twelve molecules to train on, six in each half, and four to validate with."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "datasets" / "mine"
    folder.mkdir(parents=True)
    splits = ["train"] * 12 + ["val"] * 4
    table = MoleculeDataset.to_table(molecules(), list(SMILES), splits)
    pq.write_table(table, folder / "molecules.parquet")
    return home


@pytest.fixture(autouse=True)
def _at_home(home, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(home))


def items(half: int | None = 1, dataset: str = "mine:train") -> PropertyItems:
    return PropertyItems(dataset, PredictorConfig(**MODEL), half)


@pytest.fixture(scope="module")
def run(home, tmp_path_factory):
    """The run folder after ``unigen train``."""
    folder = tmp_path_factory.mktemp("trained")
    write_yaml(folder / "tiny.yaml", CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIGEN_HOME", str(home))
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["unigen", "train", "tiny.yaml", "optim.lr=5e-3"])
        with pytest.raises(SystemExit, match="0"):
            cli.main()
    return folder / "run"


def test_the_command_trains_and_leaves_a_model(run):
    losses = list(logged(run).values())
    assert len(losses) == 12
    assert np.isfinite(losses).all()
    model = load_model(run / "model")
    assert isinstance(model, PropertyNetwork)
    written = read_yaml(run / "model" / "config.yaml")
    assert written == MODEL | {"cutoff": 6.0, "units": {}, "error_bars": False}
    assert {*unigen.predict(molecules()[0], run / "model").facts} == {f"{name}_predicted" for name in POOLINGS}


def test_error_bars_are_learned_afterwards_and_change_no_value(home, run, tmp_path):
    """From the other half; then nine of ten of the molecules that they were calibrated on lie inside."""
    held = home / "datasets" / "held"
    held.mkdir(exist_ok=True)
    known = [molecule for place in range(3) for molecule in moved(place)]
    table = MoleculeDataset.to_table(known, [f"held-{place}" for place in range(len(known))], ["val"] * len(known))
    pq.write_table(table, held / "molecules.parquet")
    changes = ["model.error_bars=true", "only=error_bars", f"start_from={run}/model", f"out={tmp_path}/run"]
    write_yaml(tmp_path / "tiny.yaml", CONFIG)
    config = load(TrainConfig, tmp_path / "tiny.yaml", [*changes, "data.values_of_half=2", "data.val=held:val"])
    told, silent = load_model(train(config)), load_model(run / "model")
    values, errors = told.predicted(known)
    torch.testing.assert_close(values, silent.predicted(known)[0], rtol=0, atol=0)
    assert silent.predicted(known)[1].isnan().all()
    truth = torch.tensor([[molecule.properties[name] for name in POOLINGS] for molecule in known])
    inside = ((values - truth).abs() <= errors * (1 + 1e-5)).double().mean(0)
    assert (inside >= COVERAGE).all()
    assert (errors > 0).all()
    assert errors[:, 1:].std(0).min() > 0  # not one number for all
    found = unigen.predict(known[0], tmp_path / "run" / "model").facts
    assert found["spread_error"] == pytest.approx(float(errors[0, 1]), rel=1e-4)


def moved(place: int) -> list[Molecule]:
    """All molecules, a little out of shape, with their properties."""
    rng = np.random.default_rng(place)
    bent = [replace(each, positions=each.positions + rng.normal(size=(len(each), 3)) / 50) for each in molecules()]
    return [replace(each, properties=_properties(each, 12)) for each in bent]


def test_every_validation_logs_the_error_of_each_property_in_its_unit(run):
    network, val = load_model(run / "model"), items(None, "mine:val")
    batch = collate_properties([val[place] for place in range(len(val))])
    with torch.no_grad():
        wanted = {name: float(value) for name, value in network.errors(batch).items()}
    for name in POOLINGS:
        found = logged(run, f"val_mae_{name}")
        assert len(found) == 3
        assert found[11] == pytest.approx(wanted[name], rel=1e-3, abs=1e-4), name
    assert len(logged(run, "val_loss")) == 3


def test_what_is_linear_in_the_elements_is_known_before_the_training(run):
    val = items(None, "mine:val")
    batch = collate_properties([val[place] for place in range(len(val))])
    baseline = load_model(run / "model").baseline(batch.numbers)
    column = list(POOLINGS).index("electrons")
    torch.testing.assert_close(baseline[:, column], batch.values[:, column], rtol=1e-3, atol=0)


def test_only_one_half_is_trained_on(home):
    whole = open_molecules("mine:train").properties["half"]
    one, other, all_of_them = items(1), items(2), items(None)
    assert [len(each) for each in (one, other, all_of_them)] == [6, 6, 12]
    assert (one.molecules.properties["half"] == 1).all()
    assert not set(one.molecules.ids) & set(other.molecules.ids)
    assert sorted(whole.tolist()) == [1.0] * 6 + [2.0] * 6


def test_a_length_has_no_part_that_is_linear_in_the_elements(run):
    model = load_model(run / "model")
    column = list(POOLINGS).index("moment")
    assert float(model.of_element[:, column].abs().max()) == float(model.offset[column]) == 0
    values = items().values[:, column]
    assert float(model.scale[column]) == pytest.approx(values.std(), rel=1e-4)
    assert model.seen.nonzero().flatten().tolist() == sorted({int(n) for n in items().molecules.numbers})


@settings(max_examples=10)
@given(st.integers(0, 2**31))
def test_least_squares_leave_a_rest_of_mean_zero_and_spread_one(seed):
    rng = np.random.default_rng(seed)
    some = items(None)
    some.values[:] = rng.normal(size=some.values.shape) * 3 + 40
    some.values[rng.random(some.values.shape) < 0.1] = np.nan
    model = PropertyNetwork(PredictorConfig(**MODEL))
    some.prepare(model)
    batch = collate_properties([some[place] for place in range(len(some))])
    rest = ((batch.values - model.baseline(batch.numbers)) / model.scale)[:, :2]
    for column in rest.T:
        known = column[~torch.isnan(column)]
        assert float(known.mean()) == pytest.approx(0, abs=1e-2)
        assert float(known.std(correction=0)) == pytest.approx(1, rel=1e-2) or float(known.abs().max()) < 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"match_structures": 4}, "match_structures: molecules have no match rate"),
        ({"only": "reranker"}, "no part for reranker"),
        ({"data": CONFIG["data"] | {"values_of_half": 3}}, "data.values_of_half: out of range; got 3; wanted 1 to 2"),
        ({"model": MODEL | {"properties": {"gap": "sum"}}}, "mine:train has no property 'gap'; wanted some of"),
        ({"model": MODEL | {"properties": {"moment": "norm"}}}, "wanted sum or attention or dipole"),
    ],
)
def test_what_bad_settings_say(tmp_path, change, said):
    write_yaml(tmp_path / "bad.yaml", CONFIG | {"out": str(tmp_path / "run")} | change)
    with pytest.raises(UserError) as refusal:
        train(load(TrainConfig, tmp_path / "bad.yaml"))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_predictor_generates_nothing_and_says_so(run):
    with pytest.raises(UserError, match=r"model: this model predicts properties and generates nothing"):
        load_generator(run / "model")
