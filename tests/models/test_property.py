"""The predictor of properties: what it is told before and after training, and what it tells."""

from __future__ import annotations

import csv
from dataclasses import replace

import ase.io
import numpy as np
import pytest
import torch
import yaml

import unigen as ug
from tests.crystals.real_crystals import elemental_crystals, prototypes
from unigen.config import load
from unigen.crystals.crystal import Crystal
from unigen.data.build import BuildOptions, build_dataset
from unigen.data.crystal_store import open_crystals
from unigen.errors import UserError
from unigen.models.checkpoint import load_model
from unigen.models.error_bars import COVERAGE
from unigen.models.property.batch import collate_labelled
from unigen.models.property.items import LabelledStructures, calibrate_errors
from unigen.models.property.network import PropertyConfig
from unigen.models.training_set import DataConfig
from unigen.nn.encoders.choice import FrameAveragingChoice, MessagePassingChoice
from unigen.train.run import train
from unigen.train.settings import TrainConfig

MODEL = {
    "kind": "property",
    "structures": "crystals",
    "properties": {"volume": "mean", "electrons": "mean", "width": "attention"},
    "units": {"volume": "A^3/atom", "electrons": "1/atom", "width": "A"},
    "auxiliary": ["width"],
    "encoder": {"kind": "message_passing", "width": 16, "layers": 2, "radial": 8, "cutoff": 4.0},
}
CONFIG = {
    "model": MODEL,
    "data": {"train": "mine:train", "val": "held:train", "batch_size": 8, "bucket": 2},
    "optim": {"warmup_steps": 2, "ema_decay": 0.8, "lr": 3e-3},
    "out": "run",
    "max_steps": 30,
    "accelerator": "cpu",
    "threads": 1,
    "checkpoint_minutes": 0.0,
    "validate_every": 15,
    "validate_batches": 2,
    "match_structures": 0,
    "log_every": 1,
}


def labelled(crystal: Crystal, place: int) -> Crystal:
    """With the volume an atom, the electrons an atom, and the mean distance of lattice planes; some unknown."""
    known = {"volume": crystal.volume / len(crystal), "electrons": float(crystal.numbers.mean())}
    if place % 3:
        known["width"] = float(np.cbrt(crystal.volume))
    return replace(crystal, properties=known)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Elements and pymatgen's prototypes, a few of them a little larger held out, and a model trained on them."""
    home = tmp_path_factory.mktemp("home")
    crystals = [*elemental_crystals(), *prototypes(60)]
    larger = [replace(crystal, lattice=1.03 * crystal.lattice) for crystal in crystals[::3]]
    for name, some in {"mine": crystals, "held": larger}.items():
        ase.io.write(home / f"{name}.extxyz", [labelled(each, place).to_ase() for place, each in enumerate(some)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIGEN_HOME", str(home))
        patch.chdir(home)
        for name in ("mine", "held"):
            build_dataset(name, (f"{name}.extxyz",), BuildOptions(), workers=1)
        (home / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
        train(load(TrainConfig, home / "config.yaml"))
        yield home


@pytest.fixture(scope="module")
def model(home):
    return load_model(home / "run" / "model")


def test_the_baseline_is_the_least_squares_fit_of_the_composition(home, model):
    data = LabelledStructures("mine:train", model.config)
    together = collate_labelled([data[row] for row in range(len(data))])
    left = (together.values - model.baseline(together.graphs)).numpy()
    # what is linear in the shares is said by them alone
    assert np.abs(left[:, 1]).max() < 0.01 * np.abs(together.values[:, 1].numpy()).max()
    # what is not has no residue on average, and less than before
    assert np.nanmean(left[:, 0]) == pytest.approx(0, abs=1e-3)
    assert np.nanstd(left[:, 0]) < np.nanstd(together.values[:, 0].numpy())
    assert model.scale[0] == pytest.approx(np.nanstd(left[:, 0]), rel=0.01)


def test_error_bars_hold_nine_errors_of_ten_of_what_is_held_out(home, model):
    held_out = open_crystals("held:train")
    found = ug.predict(list(held_out), home / "run" / "model")
    inside = [
        abs(sample.facts["volume_predicted"] - volume) <= sample.facts["volume_error"] + 1e-6
        for sample, volume in zip(found, held_out.properties["volume"], strict=True)
    ]
    assert len(inside) > 20
    assert np.mean(inside) >= COVERAGE
    wider = load_model(home / "run" / "model")
    wider.calibration *= 100
    calibrate_errors(wider, DataConfig(train="mine:train", val="held:train"))
    assert torch.allclose(wider.calibration, model.calibration, rtol=1e-4)


def test_too_few_held_out_values_give_no_error_bars(home, model, capsys):
    few = load_model(home / "run" / "model")
    held = open_crystals("held:train")
    ase.io.write("few.extxyz", [labelled(held[row], row).to_ase() for row in range(8)])
    build_dataset("few", ("few.extxyz",), BuildOptions(), workers=1)
    calibrate_errors(few, DataConfig(train="mine:train", val="few:train"))
    assert "volume: no error bars, as 8 held-out values are known; nine are needed" in capsys.readouterr().out
    values, errors = few.predicted([held[0]])
    assert torch.equal(values, model.predicted([held[0]])[0])
    assert errors.isnan().all()


def test_what_is_auxiliary_is_learned_and_not_told(home, model):
    assert model.properties == ("volume", "electrons")
    assert model.units == ("A^3/atom", "1/atom")
    told = ug.predict(prototypes(1)[0], home / "run" / "model").facts
    assert {*told} == {"volume_predicted", "volume_error", "electrons_predicted", "electrons_error"}
    assert told["volume_predicted"] >= 0  # as in all of the training
    with pytest.raises(UserError, match="auxiliary: no such property; got x"):
        PropertyConfig(**{**MODEL, "auxiliary": ("x",), "encoder": MessagePassingChoice()})
    with pytest.raises(UserError, match="auxiliary: nothing is left to be told"):
        PropertyConfig(
            kind="property", structures="crystals", properties={"gap": "mean"}, units={"gap": "eV"}, auxiliary=("gap",)
        )


def test_what_would_depend_on_the_cell_of_a_crystal_is_refused():
    told = {"properties": {"gap": "monoid"}, "units": {"gap": "eV"}}
    with pytest.raises(UserError, match="depend on the cell that it is written in; got monoid"):
        PropertyConfig(kind="property", structures="crystals", **told)
    assert PropertyConfig(kind="property", structures="molecules", **told).properties == told["properties"]
    told = {"properties": {"gap": "mean"}, "units": {"gap": "eV"}, "encoder": FrameAveragingChoice(positional=4)}
    with pytest.raises(UserError, match="positional: the spectrum of a crystal's graph depends on the cell"):
        PropertyConfig(kind="property", structures="crystals", **told)
    PropertyConfig(kind="property", structures="molecules", **told)


def test_files_of_anyone_are_predicted_into_a_table_and_a_page(home, unigen, refused, tmp_path):
    (tmp_path / "cifs").mkdir()
    for name, crystal in zip("abc", prototypes(3), strict=True):
        crystal.to_cif(tmp_path / "cifs" / f"{name}.cif")
    (tmp_path / "cifs" / "broken.cif").write_text("data_broken\n_cell_length_a 3\n")
    strange = replace(prototypes(1)[0], numbers=np.full(len(prototypes(1)[0]), 95))
    strange.to_cif(tmp_path / "cifs" / "americium.cif")
    command = ("predict", "cifs", "--model", home / "run" / "model", "--out", "found")
    code, said, error = unigen(*command)
    assert code == 0, error
    assert (
        "3 of 5 crystals, by model\nnothing is predicted of 1 of 5 structures: the predictor was trained without Am"
        in said
    )
    assert "\n1 not read of 5 structures: " in said
    lines = list(csv.DictReader((tmp_path / "found" / "predictions.csv").open()))
    assert [line["id"] for line in lines] == ["a", "americium", "b", "broken", "c"]
    assert [bool(line["volume_predicted"]) for line in lines] == [True, False, True, False, True]
    assert lines[1]["prediction_note"] == "the predictor was trained without Am"
    assert lines[3]["reason"]
    page = (tmp_path / "found" / "report.html").read_text()
    assert "volume predicted" in page
    before = (tmp_path / "found" / "predictions.csv").read_bytes()
    assert unigen(*command)[0] == 0
    assert (tmp_path / "found" / "predictions.csv").read_bytes() == before
    each = sorted((tmp_path / "cifs").iterdir())
    assert unigen("predict", *each, "--model", home / "run" / "model", "--out", "each")[0] == 0
    values = [line["volume_predicted"] for line in csv.DictReader((tmp_path / "each" / "predictions.csv").open())]
    assert values == [line["volume_predicted"] for line in lines]
    (tmp_path / "cifs" / "a.cif").unlink()
    assert "holds other results" in refused(*command)
    assert "this predictor is of crystals; got molecules" in refused(
        "predict", _molecule(tmp_path), "--model", home / "run" / "model"
    )


def _molecule(folder) -> str:
    (folder / "water.xyz").write_text("3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n")
    return "water.xyz"


def test_what_was_asked_for_is_judged_by_a_predictor(home):
    samples = ug.generate("NaCl", z=1, n=2, score=False)
    for sample in samples:
        sample.request.properties["volume"] = 30.0
    report = ug.evaluate(samples, predictor=home / "run" / "model", workers=1)
    row = report.sections["volume_as_requested"].rows["volume"]
    assert row["samples"] == row["of"] == 2
    expected = [abs(each.facts["volume_predicted"] - 30.0) for each in ug.predict(samples, home / "run" / "model")]
    assert row["mae"].value == pytest.approx(np.mean(expected), abs=1e-4)
    assert report.settings["predictor"]["name"] == "model"
