"""A setting that a model does not have is an error, from Python and from the command line, and in no file."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args, get_type_hints

import numpy as np
import pytest

from tests.models.small_model import small_model
from tests.models.small_molecules import small_molecule_model
from tests.small_generators import save_untrained
from unigen.cli import generate as cli
from unigen.config import read_yaml, write_yaml
from unigen.errors import UserError
from unigen.models.checkpoint import save_model
from unigen.models.families import FAMILIES
from unigen.models.words.generator import WordsGenerator
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.runs.crystal_files import CrystalFolder
from unigen.runs.generation import RunSettings, run_generation
from unigen.sample.generate import generate
from unigen.sample.load import load

SALT = CrystalRequest(formula="NaCl", z=1)


def test_the_nearest_known_structure_has_no_settings(refused, tmp_path):
    asked = ("--within", "0.01", "--temperature", "3", "--guidance", "9", "--steps", "3")
    said = refused("generate", "crystal", "--model", "nearest", "--retrieve-from", "mp-20", *asked, "--out", "run")
    assert said == "nearest: this model has no setting steps; wanted none: it has no settings"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["--within", "--guidance"])
def test_a_model_of_words_refuses_what_it_would_ignore(refused, tmp_path, option):
    model, name = save_untrained(tmp_path / "words"), option.strip("-")
    said = refused("generate", "crystal", "--model", model, option, "1.0", "--out", "run")
    assert said.startswith(f"{model}: this model has no setting {name}; wanted one of steps, solver, temperature")
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match=f"words: this model has no setting {name}"):
        generate(SALT, model=str(model), **{name: 1.0})
    with pytest.raises(UserError, match=r"setting temperature_; wanted one of .*; did you mean temperature"):
        load(model, temperature_=1.0)
    with pytest.raises(UserError, match=r"temperature: wrong type or value \(got 'hot'\)"):
        load(model, temperature="hot")
    with pytest.raises(UserError, match="this model retrieves nothing; got --exclude-formula"):
        load(model, exclude_formula=True)


def test_a_model_of_molecules_refuses_what_it_would_ignore(tmp_path):
    save_model(small_molecule_model(), tmp_path / "molecules")
    with pytest.raises(UserError, match=r"this model has no setting within; wanted one of steps, .*, relax"):
        generate(MoleculeRequest(smiles="C"), model=str(tmp_path / "molecules"), within=0.1)
    assert load(tmp_path / "molecules", symbol_temperature=0.5).settings.symbol_temperature == 0.5


def test_settings_stand_in_for_no_generator():
    with pytest.raises(UserError, match="steps: a generator has its own settings"):
        generate(SALT, model=WordsGenerator(small_model(), "small"), steps=3)


def test_a_run_says_all_settings_that_count_and_no_other(tmp_path):
    model = save_untrained(tmp_path / "words")
    run_generation([SALT], CrystalFolder(tmp_path / "run"), RunSettings(model=str(model), decoding={"steps": 3}))
    assert read_yaml(tmp_path / "run/run.yaml")["decoding"] == {"steps": 3, "solver": "dpm2m", "temperature": 0.7}


def test_an_older_folder_that_says_more_than_counted_goes_on(tmp_path):
    model = save_untrained(tmp_path / "words")
    settings = RunSettings(model=str(model), decoding={"steps": 3})
    rows = run_generation([SALT], CrystalFolder(tmp_path / "run"), settings)
    said = read_yaml(tmp_path / "run/run.yaml")
    write_yaml(tmp_path / "run/run.yaml", said | {"decoding": said["decoding"] | {"within": None, "anew": 0.05}})
    assert run_generation([SALT], CrystalFolder(tmp_path / "run"), settings) == rows
    with pytest.raises(UserError, match=r"other results; got decoding.steps: 4; wanted decoding.steps: 3"):
        run_generation([SALT], CrystalFolder(tmp_path / "run"), RunSettings(model=str(model), decoding={"steps": 4}))


@pytest.mark.parametrize(
    ("command", "family", "makes"), [("crystal", "wyckoff", "crystals"), ("molecule", "smiles", "molecules")]
)
def test_the_help_shows_the_defaults_of_the_bundled_models(command, family, makes):
    """They are written twice: there to be read, in the settings to count."""
    (settings,) = (each.settings[makes] for each in FAMILIES if each.name == family)
    options = get_type_hints(getattr(cli, f"generate_{command}"), include_extras=True)
    for each in fields(settings):
        if each.name in options and each.default is not None:
            (option,) = get_args(options[each.name])[1:]
            assert option.show_default == str(each.default), each.name


def test_numbers_of_numpy_are_numbers(tmp_path):
    model = save_untrained(tmp_path / "words")
    settings = load(model, temperature=np.float64(0.5), steps=np.int64(3)).settings
    assert (type(settings.temperature), settings.temperature) == (float, 0.5)
    assert (type(settings.steps), settings.steps) == (int, 3)
