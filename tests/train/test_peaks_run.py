"""A model that is asked for powder patterns, as a user trains it, looks into it and asks it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import unigen as ug
from tests.crystals.powder.powder_crystals import RUTILE, SALT
from tests.crystals.powder.powder_files import WAVELENGTH, profile
from tests.train.tiny_run import logged
from unigen.config import load, read_yaml, write_yaml
from unigen.errors import UserError
from unigen.models.checkpoint import begin_with, load_model
from unigen.models.families import build_model, open_training_set
from unigen.train.run import train
from unigen.train.settings import TrainConfig

OCTREE = {
    "kind": "octree-crystals",
    "max_atoms": 6,
    "peaks": 8,
    "mixers": ["ssd", "attention"],
    "width": 16,
    "heads": 2,
    "head_width": 16,
    "head_blocks": 1,
    "dropout": 0.1,
}
RUN = {
    # a constant rate: a run of more steps is one of fewer that goes on
    "optim": {"warmup_steps": 0, "schedule": "wsd", "decay_fraction": 0.0, "ema_decay": 0.8},
    "max_steps": 6,
    "accelerator": "cpu",
    "threads": 1,
    "checkpoint_minutes": 0.0,
    "validate_every": 3,
    "validate_batches": 1,
    "match_structures": 0,
    "log_every": 1,
}


def config(folder, crystals, **changes):
    data = {"train": f"{crystals}:train", "val": f"{crystals}:val", "batch_size": 8, "bucket": 4}
    write_yaml(folder / "peaks.yaml", RUN | {"model": OCTREE, "data": data, "out": str(folder / "run")} | changes)
    return folder / "peaks.yaml"


@pytest.fixture(scope="module")
def trained(crystals, tmp_path_factory):
    """The folder of a tiny trained model."""
    folder = tmp_path_factory.mktemp("peaks")
    return train(load(TrainConfig, config(folder, crystals)))


def test_a_run_that_was_stopped_goes_on_with_the_same_losses(crystals, tmp_path, trained):
    path = config(tmp_path, crystals)
    train(load(TrainConfig, path, ["max_steps=3"]))
    again = load_model(train(load(TrainConfig, path)))
    whole = load_model(trained)
    assert all(torch.equal(again.state_dict()[name], part) for name, part in whole.state_dict().items())
    assert logged(tmp_path / "run").keys() == logged(trained.parent).keys()


def test_crystals_show_their_peaks_or_hide_them(crystals, tmp_path):
    whole = load(TrainConfig, config(tmp_path, crystals))
    deaf = load(TrainConfig, tmp_path / "peaks.yaml", ["model.peaks=0"])
    hearing, other = (open_training_set(each.data, each.model) for each in (whole, deaf))
    items = [hearing.encode(row, hearing.train[row], np.random.default_rng(row)) for row in range(20)]
    shown = [item.peaks is not None for item in items]
    assert 8 < sum(shown) < 20
    assert all(len(item.peaks) <= 8 for item in items if item.peaks is not None)
    # without peaks the same crystals are shown, and nothing stands before them
    plain = [other.encode(row, other.train[row], np.random.default_rng(row)) for row in range(20)]
    assert all(np.array_equal(one.coords, each.coords) for one, each in zip(items, plain, strict=True))
    assert other.collate(plain).tokens.peaks is None
    lengths = hearing.collate(items).tokens.peaks.lengths.tolist()
    assert [length > 0 for length in lengths] == shown


def test_a_trained_model_without_peaks_is_what_one_with_peaks_may_begin_with(trained, crystals, tmp_path):
    deaf = train(load(TrainConfig, config(tmp_path, crystals), ["model.peaks=0", "max_steps=2"]))
    torch.manual_seed(0)
    model = build_model(load_model(trained).config)
    fresh = {name: part.clone() for name, part in model.state_dict().items()}
    begin_with(model, deaf)
    known = load_model(deaf).state_dict()
    for name, part in model.state_dict().items():
        assert torch.equal(part, fresh[name] if name.startswith("peaks.") else known[name]), name
    with pytest.raises(UserError, match="do not fit the model of this config, first peaks"):
        begin_with(load_model(deaf), trained)


@pytest.fixture
def ask(unigen, trained, tmp_path):
    """The command with this model and a pattern of halite, whatever its other options."""
    profile(SALT, ground=20.0, seed=1).to_xy(tmp_path / "salt.xy")

    def run(*options, out="run"):
        usual = ("--model", trained, "--no-score", "--no-picture", "--no-cif", "--no-page", "--out", tmp_path / out)
        return unigen("generate", "crystal", *usual, *options)

    return run


def journal(folder):
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def test_the_command_line_asks_for_a_pattern_and_says_so(ask, trained, tmp_path):
    asked = ("--formula", "LiF", "--z", 1, "--n", 3)
    code, out, err = ask(*asked, "--pxrd", "salt.xy")
    assert code == 0, err
    assert "salt.xy: asked for by its peaks, 7 from 0.11 to 0.92 1/A" in " ".join(out.split())
    rows = journal(tmp_path / "run")
    assert [row["asked_peaks"] for row in rows] == [7, 7, 7]
    facts = read_yaml(tmp_path / "run" / "run.yaml")["asked_by_peaks"]["salt.xy"]
    assert facts["peaks"] == 7
    assert abs(facts["strongest"] - 2 / 5.64) < 1e-3
    assert ug.open_run(tmp_path / "run")[0].facts["asked_peaks"] == 7

    # what is asked makes another crystal of the same random numbers; where nothing is asked nothing is said
    code, out, err = ask(*asked, out="plain")
    assert code == 0, err
    assert "asked for by" not in out
    plain = journal(tmp_path / "plain")
    assert all("asked_peaks" not in row for row in plain)
    assert "asked_by_peaks" not in read_yaml(tmp_path / "plain" / "run.yaml")
    assert rows[0]["lattice"] != plain[0]["lattice"]

    # the same in Python, in memory, with a generator and with a name
    for model in (ug.load(str(trained), score=False), str(trained)):
        samples = ug.generate("LiF", z=1, n=3, model=model, score=False, pxrd="salt.xy")
        assert np.allclose(samples[0].structure.lattice, rows[0]["lattice"], atol=1e-4)
        assert samples[0].facts == {"asked_peaks": 7}


def test_what_is_asked_for_ranks_as_well_and_its_wavelength_is_that_of_both(ask, tmp_path):
    angles = profile(SALT, ground=20.0, seed=1).two_theta
    intensity = profile(SALT, ground=20.0, seed=1).intensity
    lines = "".join(f"{angle} {value}\n" for angle, value in zip(angles, intensity, strict=True))
    (tmp_path / "untold.xy").write_text(lines)
    ranked = ("--formula", "LiF", "--z", 1, "--rank-by", "pxrd", "--candidates", 4, "--n", 2, "--workers", 1)
    code, out, err = ask(*ranked, "--pxrd", "untold.xy", "--wavelength", "0.8")
    assert code == 0, err
    # half the wavelength, twice as far: 95 degrees of Cu K-alpha and more are not listed
    assert "untold.xy: asked for by its peaks, 3 from 0.22 to 1 1/A" in " ".join(out.split())
    facts = read_yaml(tmp_path / "run" / "candidates" / "run.yaml")["asked_by_peaks"]["untold.xy"]
    assert abs(facts["strongest"] - 2 / 5.64 * WAVELENGTH / 0.8) < 2e-3
    rows = journal(tmp_path / "run")
    assert rows[0]["ranking"]["similarity"] >= rows[1]["ranking"]["similarity"]
    assert all(row["asked_peaks"] == 3 for row in rows)

    # without a ranking the wavelength is that of what is asked
    code, out, err = ask("--formula", "LiF", "--pxrd", "untold.xy", "--wavelength", "0.8", out="alone")
    assert code == 0, err
    assert "3 from 0.22 to 1 1/A" in " ".join(out.split())


def test_requests_of_a_file_are_each_asked_for_their_own_pattern(ask, tmp_path):
    profile(RUTILE).to_xy(tmp_path / "rutile.xy")
    (tmp_path / "three.csv").write_text("formula,pxrd\nLiF,salt.xy\nLiF,rutile.xy\nLiF,\n")
    code, _, err = ask("--requests", "three.csv")
    assert code == 0, err
    assert [row.get("asked_peaks") for row in journal(tmp_path / "run")] == [7, 8, None]


def test_a_pattern_without_peaks_is_one_line_before_anything_is_drawn(ask, tmp_path):
    flat = np.random.default_rng(0).poisson(100, 1600)
    (tmp_path / "flat.xy").write_text("".join(f"{10 + 0.05 * n:.2f} {value}\n" for n, value in enumerate(flat)))
    code, _, err = ask("--formula", "LiF", "--pxrd", "flat.xy")
    assert code == 2
    assert err.startswith("error: flat.xy: no peak to ask for")
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_its_layers_can_be_looked_into(unigen, trained, crystals):
    code, out, err = unigen("inspect", trained, "--on", f"{crystals}:val", "--n", 2, "--out", "seen")
    assert code == 0, err
    assert "attention" in out
