"""A model trained further on someone's own structures: as a user types it, whatever interrupts it."""

from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import unigen as ug
from tests.models.small_molecules import small_molecule_model
from tests.models.small_wyckoff import small_wyckoff
from tests.processes import finished
from tests.retrieval.known_templates import save_table, symmetric_crystals
from tests.small_generators import save_untrained
from unigen import cli
from unigen.api.structures import samples_of
from unigen.cli.finetune import finetune as finetune_command
from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import open_crystals
from unigen.data.molecule_store import open_molecules
from unigen.errors import UserError
from unigen.models import fine_tuning
from unigen.models.card import read_model_card
from unigen.models.checkpoint import load_model, save_model
from unigen.molecules.molecule import Molecule
from unigen.retrieval.table import read_table
from unigen.runs.fine_tuning import FineTuneSettings, _user_data, why_undone
from unigen.runs.fine_tuning_measures import Measured

MAX_ATOMS, KNOWN, OWN = 6, 50, 34

KILLED = """
import os, signal
from {module} import {owner}
function = {owner}.{name}
times = []
def killed(*arguments, **keywords):
    times.append(1)
    if len(times) == {count}:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*arguments, **keywords)
{owner}.{name} = killed
"""
MOMENTS = (
    ("unigen.runs.fine_tuning_measures", "Measures", "before", 1),
    ("unigen.train.module", "TrainingModule", "training_step", 3),
    ("unigen.runs.fine_tuning_measures", "Measures", "after", 1),
)


def command(*arguments: object, before: str = "") -> list[str]:
    return [sys.executable, "-c", f"{before}\nfrom unigen.cli import main\nmain()", *map(str, arguments)]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a small model that has a table, and crystals of somebody, with a table of their hardness."""
    place = tmp_path_factory.mktemp("fine-tuning")
    small = [crystal for crystal in symmetric_crystals() if sum(crystal.counts.values()) <= MAX_ATOMS]
    own, known = small[:OWN], small[OWN : OWN + KNOWN]
    model = small_wyckoff(0, max_atoms=MAX_ATOMS, properties=("density",), units=("g/cm^3",))
    torch.nn.init.normal_(model.adapter.move[2].weight)
    save_model(model, place / "base")
    save_table(place / "base/templates.parquet", tuple(known))
    (place / "mine").mkdir()
    rows = ["name,hardness,colour"]
    for index, crystal in enumerate(own):
        crystal.to_crystal().to_cif(place / "mine" / f"own-{index}.cif")
        rows.append(f"own-{index}.cif,{0.1 * index + 1:.3f},red")
    (place / "mine/hardness.csv").write_text("\n".join(rows) + "\n")
    return place


@pytest.fixture
def unigen(place, monkeypatch, capfd):
    """Run a command in this process, in that folder: exit code, standard output, standard error."""
    monkeypatch.setenv("UNIGEN_HOME", str(place / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(place)

    def said(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["unigen", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        streams = capfd.readouterr()
        return int(stop.value.code or 0), streams.out, streams.err

    return said


def finetune(*options: object, data: str = "mine") -> tuple[object, ...]:
    return ("finetune", "base", "--data", data, "--steps", 4, "--workers", 1, *options)


def test_the_own_structures_are_learned_measured_and_followed(unigen, place):
    code, out, err = unigen(*finetune("--out", "tuned"))
    assert (code, err.replace("\r", "").strip()) == (0, "")
    assert "properties of hardness.csv: 34 structures with a row" in out
    for said in ("before", "your relatives", "after", "match rate, held out", "loss of what it knew", "tuned/model"):
        assert said in " ".join(out.split())
    result = json.loads((place / "tuned/finetune.json").read_text())
    data = open_crystals(place / "tuned/data/crystals.parquet")
    assert result["splits"] == Counter(data.split.tolist())
    table, base = (read_table(place / name / "templates.parquet") for name in ("tuned/model", "base"))
    assert table.ids.tolist() == [*base.ids.tolist(), *data.ids[data.split == "train"].tolist()]
    for row in (0, KNOWN - 1, KNOWN, len(table) - 1):
        same = base[row] if row < KNOWN else None
        assert same is None or np.array_equal(table[row].free, same.free)
        assert table[row].to_crystal().counts == table.counts(row)
    before, after = (load_model(place / name).state_dict() for name in ("base", "tuned/model"))
    assert result["kept"] == any(not torch.equal(after[name], tensor) for name, tensor in before.items())
    if result["kept"]:
        assert result["after"]["held_out"] < result["before"]["held_out"]
    assert result["after"]["score"] >= result["relatives"]["score"]
    assert result["relatives"]["held_out"] == result["before"]["held_out"]  # the same weights
    card = read_model_card(place / "tuned/model/card.yaml")
    assert card.train == result["command"]
    assert f"{result['splits']['train']} train" in card.data
    code, _, err = unigen("generate", "crystal", "--model", "tuned/model", "--formula", "NaCl", "--out", "made")
    assert (code, err) == (0, "")


def test_killed_at_any_moment_it_goes_on_to_the_same_model(unigen, place):
    assert unigen(*finetune("--out", "whole"))[0] == 0
    for module, owner, name, count in MOMENTS:
        before = KILLED.format(module=module, owner=owner, name=name, count=count)
        done = subprocess.run(
            command(*finetune("--out", "killed"), before=before), capture_output=True, text=True, check=False
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
    code, out, _ = unigen(*finetune("--out", "killed"))
    assert code == 0
    assert "finished before" in out
    for name in ("finetune.json", "model/weights.safetensors", "model/templates.parquet"):
        ours, theirs = ((place / folder / name).read_bytes() for folder in ("killed", "whole"))
        assert ours.replace(b"--out killed", b"--out whole") == theirs, name


def test_a_property_is_learned_beside_the_old_ones(unigen, place):
    code, out, _ = unigen(*finetune("--property", "hardness", "--unit", "GPa", "--out", "told"))
    assert code == 0
    assert "error of the hardness asked for, GPa" in " ".join(out.split())
    assert "leave-one-out error" in " ".join(out.split())
    before, after = load_model(place / "base"), load_model(place / "told/model")
    assert after.config.properties == ("density", "hardness")
    assert after.config.units == ("g/cm^3", "GPa")
    # what is not asked for hardness is the model it was
    for name, tensor in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], tensor), name
    known = open_crystals(place / "told/data/crystals.parquet").only("train").properties["hardness"]
    assert after.added[0].mean.item() == pytest.approx(known.mean(), rel=1e-5)
    assert after.added[0].range[0].tolist() == pytest.approx([known.min(), known.max()])
    for asked, said in (("hardness=2", "hardness 2 GPa ("), ("density=5", "density 5 g/cm^3")):
        code, out, err = unigen(
            "generate", "crystal", "--model", "told/model", "--property", asked, "--out", asked.partition("=")[0]
        )
        assert (code, err) == (0, "")
        assert said in out


def test_what_cannot_be_done_is_one_line(unigen, place, tmp_path):
    save_untrained(place / "words")
    (place / "few").mkdir()
    for name in ("own-0.cif", "own-1.cif"):
        (place / "few" / name).write_text((place / "mine" / name).read_text())
    assert unigen(*finetune("--out", "held", "--steps", 1))[0] == 0
    for options, said in (
        (("finetune", "words", "--data", "mine"), "models of the family words cannot be fine-tuned"),
        (("finetune", "nearest", "--data", "mine"), "nearest learns nothing"),
        (("finetune", "no-such", "--data", "mine"), "no model 'no-such'"),
        (finetune("--property", "mass", "--out", "a"), "no property 'mass'; wanted one of hardness"),
        (finetune("--property", "density", "--out", "b"), "knows the property 'density' already"),
        (finetune("--out", "c", data="few"), "too few structures of it that could be read; got"),
        (finetune("--out", "mine/run"), "the new model would lie within its data; give another --out"),
        (finetune("--out", "d", data="no-such"), "neither a path nor a built dataset"),
        (finetune("--out", "held", "--steps", 1, "--seed", 5), "this folder holds other results; got seed: 5"),
        (finetune("--out", "held", "--steps", 1, data="few"), "this folder holds other results"),
    ):
        code, _, err = unigen(*options)
        assert (code, err.startswith("error: "), err.count("\n")) == (2, True, 1), err
        assert said in err
    assert not list((place / "c").glob("*.yaml"))  # nothing was learned, and another try may begin there


@pytest.mark.parametrize("share", [0.2, 0.3, 0.5])
def test_of_few_structures_about_the_share_that_is_asked_for_is_held_out(place, tmp_path, monkeypatch, share):
    """Whatever the hashes of their formulas say."""
    monkeypatch.chdir(place)
    settings = FineTuneSettings(model="base", data="mine", out=tmp_path, split_val=share, workers=1)
    data = _user_data(settings, "crystals", None)
    held = float((data.split == "val").mean())
    assert 0.75 * share < held < 2 * share + 0.1


# ---- from Python


def test_every_option_is_a_keyword_with_the_same_default():
    """But for progress, which a notebook shows by itself."""
    options, keywords = (inspect.signature(each).parameters for each in (finetune_command, ug.finetune))
    assert [name.rstrip("_") for name in options] == [*keywords][:-1]
    assert [*keywords][-1] == "progress"
    for name, option in options.items():
        assert keywords[name.rstrip("_")].default == option.default, name


def test_python_makes_the_model_of_the_command_line(unigen, place):
    tuned = ug.finetune("base", "mine", steps=4, workers=1, out="by-call")
    assert unigen(*finetune("--out", "by-command"))[0] == 0
    by_call, by_command = (place / name / "model/weights.safetensors" for name in ("by-call", "by-command"))
    assert by_call.read_bytes() == by_command.read_bytes()
    written = json.loads((place / "by-command/finetune.json").read_text())
    frame = tuned.to_dataframe()
    assert [*frame] == ["before", "relatives", "after"]
    for name in frame:
        assert frame[name].to_dict() == {key: written[name][key] for key in frame.index}
    assert written["splits"] == tuned.splits
    assert ug.generate("NaCl", model=tuned.model, steps=4, score=False)[0].model == "model"


def test_structures_in_memory_are_what_their_file_is(unigen, place, tmp_path):
    """Whatever library they are of; their values go with them, and the same call goes on."""
    crystals = [Crystal.from_cif(path) for path in sorted((place / "mine").glob("*.cif"))]
    given = [(crystal, crystal.to_pymatgen(), crystal.to_ase())[place_ % 3] for place_, crystal in enumerate(crystals)]
    hardness = [float("nan"), *np.linspace(1, 4, len(given) - 1)]
    call = {"property": "hardness", "properties": {"hardness": hardness}, "steps": 2, "workers": 1}
    tuned = ug.finetune("base", given, out=tmp_path / "a", **call)
    data = open_crystals(tmp_path / "a/data/crystals.parquet")
    assert sum(tuned.splits.values()) == len(given) - 1  # the one without a value
    values = data.properties["hardness"]
    assert sorted(values[np.isfinite(values)]) == pytest.approx(hardness[1:])
    assert Counter(data[row].reduced_formula for row in range(len(data))) == Counter(
        crystal.reduced_formula for crystal in crystals
    )
    again = ug.finetune("base", given, out=tmp_path / "a", **call)
    assert again.to_dataframe().equals(tuned.to_dataframe())
    from_file = ug.finetune("base", tmp_path / "a.extxyz", out=tmp_path / "b", property="hardness", steps=2, workers=1)
    assert from_file.to_dataframe().equals(tuned.to_dataframe())
    with pytest.raises(UserError, match="other structures stand here"):
        ug.finetune("base", given[1:], out=tmp_path / "a", steps=2, workers=1)


def test_what_is_left_out_is_counted(unigen, place, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for path in (place / "mine").glob("*.cif"):
        (own / path.name).write_text(path.read_text())
    (own / "torn.cif").write_text("data_torn\n")
    with pytest.warns(UserWarning, match="1 left out: "):
        tuned = ug.finetune("base", own, out=tmp_path / "tuned", steps=1, workers=1)
    assert sum(tuned.left_out.values()) == 1
    assert json.loads((tmp_path / "tuned/finetune.json").read_text())["left_out"] == tuned.left_out
    crystals = sorted(own.glob("*.cif"))
    with pytest.warns(UserWarning, match=r"1 left out: no structure: .*torn\.cif"):
        ug.finetune("base", samples_of(crystals)[0], out=tmp_path / "again", steps=1, workers=1)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"steps": 0}, "steps: out of range; got 0; wanted 1 to"),
        ({"split_val": 0.95}, "split_val: out of range"),
        ({"seed": -1}, "seed: out of range"),
        ({"properties": {"a": [1.0]}}, "values are of structures in memory"),
        ({"data": [Molecule.from_smiles("C")], "properties": "a.csv"}, "a CSV is of files"),
        ({"data": [Molecule.from_smiles("C")], "properties": {"a": [1.0, 2.0]}}, "a has another length; got 2"),
        ({"data": [Molecule.from_smiles("C")]}, "this model is of crystals"),
        ({"data": "no-such"}, "neither a path nor a built dataset"),
    ],
)
def test_a_call_that_cannot_be_is_told(unigen, place, tmp_path, keywords, said):
    with pytest.raises(UserError, match=said):
        ug.finetune(**{"model": "base", "data": "mine", "out": tmp_path / "out", **keywords})


# ---- molecules


@pytest.fixture(scope="module")
def molecules(place) -> Path:
    model = small_molecule_model()
    save_model(model, place / "molecules")
    names = [f"{'C' * chain}{end}" for chain in range(1, 6) for end in ("S", "Br", "O", "N", "(=O)O", "#N")]
    made = [Molecule.from_smiles(smiles, seed=1) for smiles in names]
    parts = [molecule.to_sdf().replace("$$$$", f">  <weight>\n{len(molecule)}\n\n$$$$") for molecule in made]
    (place / "mine.sdf").write_text("".join(parts))
    return place / "mine.sdf"


def test_molecules_with_new_elements_and_a_property(unigen, place, molecules, monkeypatch):
    for name, fewer in (("FEWEST_REPLAYED", 6), ("MOST_REPLAYED", 6), ("HELD_BACK", 4)):
        monkeypatch.setattr(fine_tuning, name, fewer)  # an untrained model draws each many times
    options = ("--steps", 2, "--workers", 1, "--property", "weight", "--out", "wet")
    code, out, _ = unigen("finetune", "molecules", "--data", "mine.sdf", *options)
    assert code == 0
    assert "error of the weight asked for" in " ".join(out.split())
    base, tuned = load_model(place / "molecules"), load_model(place / "wet/model")
    assert tuned.config.properties == (*base.config.properties, "weight")
    result = json.loads((place / "wet/finetune.json").read_text())
    if result["kept"]:  # else it is what it was, told of the data
        assert not torch.equal(base.symbol_head.to_logits.weight, tuned.symbol_head.to_logits.weight)
    assert not base.atoms_seen[35].any()
    assert tuned.atoms_seen[35].any()  # bromine may be written now
    assert (tuned.atoms_seen >= base.atoms_seen).all()
    known = open_molecules(place / "wet/data/molecules.parquet").only("train").properties["weight"]
    assert tuned.embedding.property_mean[-1].item() == pytest.approx(known.mean(), rel=1e-5)
    assert tuned.embedding.property_range[1].tolist() == base.embedding.property_range[1].tolist()


def test_it_is_a_command_that_says_what_it_takes():
    done = finished(command("finetune", "--help"))
    assert done.returncode == 0
    for said in ("--data", "--property", "--unit", "--out"):
        assert said in done.stdout


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from([-0.1, 0.1]), st.sampled_from(["crystals", "molecules"]))
def test_no_weights_are_kept_that_find_fewer_of_what_is_held_out(before, after, gain, kind):
    def measured(score, loss):
        return Measured(score=score, drawn=50, made=50, held_out=loss, remembered=1.0)

    reason = why_undone(measured(before, 2.0), measured(after, 2.0 - gain), kind=kind, asked=None)
    assert bool(reason) == (gain < 0 or after < before)
