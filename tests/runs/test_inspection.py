"""`unigen inspect` on a small model of every family: the command, the call, the folder."""

from __future__ import annotations

import csv
import inspect as signatures
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.collections import dcdft

import unigen as ug
from unigen.cards import find_cards
from unigen.cli.inspect import inspect as inspect_command
from unigen.crystals.crystal import Crystal
from unigen.errors import UserError
from unigen.models.checkpoint import load_model, save_model
from unigen.models.families import FAMILIES, build_model, family_of
from unigen.molecules.molecule import Molecule
from unigen.nn.mixers.interactions import UnifiedView
from unigen.nn.mixers.pattern import RepeatedLayer, kind_of
from unigen.retrieval.build_table import TABLE
from unigen.runs.inspection import SMILES, backbone_input

PATTERN = ("ssd", RepeatedLayer(mixer="delta_product", times=2), "attention")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """An untrained model of every family that has weights; those that read sequences have a hybrid backbone."""
    folder = tmp_path_factory.mktemp("models")
    for family in FAMILIES:
        if family.learned is None:
            continue
        if family.learned.encoder is None and (folder / family.name).exists():
            continue  # predictors of a family that also writes sequences
        config = family.learned.tiny
        if family.name == "joint":
            parts = {name: replace(getattr(config, name), mixers=PATTERN) for name in ("crystal", "molecule")}
            config = replace(config, **parts)
        elif family.learned.encoder is not None:
            config = replace(config, mixers=PATTERN)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            save_model(build_model(config), folder / family.name)
            if family.name == "smiles":
                save_model(build_model(replace(config, mixers=("lightnet",))), folder / "one-layer")
    return folder


@pytest.mark.parametrize("family", [each.name for each in FAMILIES if each.learned and each.learned.encoder])
def test_the_command_writes_what_it_prints(unigen, models, tmp_path, family):
    options = ("--n", 2, "--seed", 3)
    code, out, err = unigen("inspect", models / family, *options, "--out", "seen")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "delta_product" in out
    assert "ranks at 0.001 of" in " ".join(out.split())
    code, printed, _ = unigen("inspect", models / family, *options, "--json")
    assert code == 0
    told = json.loads((tmp_path / "seen/inspect.json").read_text())
    assert json.loads(printed) == told
    assert [(each["layer"], each["turn"], each["mixer"]) for each in told["layers"]] == [
        (1, 0, "ssd"),
        (2, 1, "delta_product"),
        (2, 2, "delta_product"),
        (3, 0, "attention"),
    ]
    assert len(told["sequences"]) == 2
    assert told["kind"] == ("molecules" if family == "smiles" else "crystals")
    assert all(np.isfinite(each) and each >= 0 for each in told["gradient"])
    rows = list(csv.DictReader((tmp_path / "seen/layers.csv").read_text().splitlines()))
    assert [float(each["rank"]) for each in rows] == [each["rank"] for each in told["layers"]]
    page = (tmp_path / "seen/report.html").read_text()
    assert page.count("<figure") == 2 + len(told["layers"])


def test_a_dataset_is_read_and_what_does_not_fit_is_counted(unigen, refused, models, tmp_path):
    (tmp_path / "metals").mkdir()
    for name in ("Fe", "Cu", "Mn", "Na"):  # alpha-Mn has 29 atoms
        Crystal.from_ase(dcdft[name]).to_cif(tmp_path / "metals" / f"{name}.cif")
    big = Crystal.from_ase(dcdft["Cu"].repeat((3, 3, 3)))
    rattled = replace(big, frac_coords=big.frac_coords + 0.01 * np.random.default_rng(0).random(big.frac_coords.shape))
    rattled.to_cif(tmp_path / "metals" / "large.cif")
    assert unigen("data", "build", "metals", "--from", "metals", "--workers", 1)[0] == 0
    code, out, _ = unigen("inspect", models / "words", "--on", "metals", "--n", 9, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["on"] == "metals"
    assert {each["id"] for each in told["sequences"]} == {"Fe", "Cu", "Mn", "Na"}
    assert told["left_out"] == {"more atoms than the tokenizer takes": 1}
    said = " ".join(unigen("inspect", models / "words", "--on", "metals", "--n", 9)[1].split())
    assert "left out: 1 more atoms than the tokenizer takes" in said
    assert "5 sequences fewer than asked for" in said
    assert "reads molecules; got crystals" in refused("inspect", models / "smiles", "--on", "metals")
    assert "not built" in refused("inspect", models / "words", "--on", "no-such")


def test_what_has_no_layers_is_refused_in_a_line(refused, models):
    assert "models of the family predictor read no sequences" in refused("inspect", models / "predictor")
    assert "nearest learns nothing" in refused("inspect", "nearest")
    assert "no model 'no-such'" in refused("inspect", "no-such")


def test_a_folder_holds_one_inspection(unigen, refused, models, tmp_path):
    def contents(name: str) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}

    command = ("inspect", models / "one-layer", "--n", 1, "--out", "seen")
    assert unigen(*command)[0] == 0
    first = contents("seen")
    assert unigen(*command)[0] == 0
    assert unigen(*command[:-1], "again")[0] == 0
    assert contents("again") == contents("seen") == first
    assert "this folder holds other results" in refused(*command, "--seed", 1)
    assert contents("seen") == first
    assert unigen(*command, "--seed", 1, "--overwrite")[0] == 0
    assert json.loads((tmp_path / "seen/inspect.json").read_text())["seed"] == 1
    assert set(unigen(*command, "--seed", 1, "--quiet")[1:]) == {""}


def test_the_call_takes_structures_and_has_the_options_of_the_command(models, tmp_path):
    options, keywords = (set(signatures.signature(each).parameters) for each in (inspect_command, ug.inspect))
    assert keywords == options | {"progress"}
    molecules = [Molecule.from_smiles(smiles) for smiles in ("CCO", "C1CC1")]
    found = ug.inspect(models / "joint", on=molecules, out=tmp_path / "seen")
    assert [each.structure.formula for each in found.sequences] == [each.formula for each in molecules]
    frame = found.to_dataframe()
    assert frame["mixer"].tolist() == ["ssd", "delta_product", "delta_product", "attention"]
    assert (frame["effective_heads"] <= frame["heads"]).all()
    assert found.maps[-1].weights.shape[1:] == (len(found.sequences[found.shown].labels),) * 2
    assert np.allclose(found.maps[-1].weights.sum(-1), 1.0)  # attention
    assert (tmp_path / "seen/report.html").exists()
    with pytest.raises(UserError, match="this folder holds other results"):
        ug.inspect(models / "joint", on=molecules[:1], out=tmp_path / "seen")
    with pytest.raises(UserError, match="no structure fits the model"):
        ug.inspect(models / "smiles", on=[Molecule.from_smiles("C" * 12)])


@pytest.mark.parametrize("family", ["words", "smiles"])
def test_a_sequence_says_the_same_alone_and_in_a_batch(models, family):
    network = load_model(models / family)
    learned = family_of(network.config).learned
    encoder = learned.encoder(network, learned.reads, find_cards("models")["unigen-crystal-small"].parent / TABLE)
    if family == "words":
        structures = [Crystal.from_ase(dcdft[name]) for name in ("Fe", "Ga", "Cl")]
    else:
        structures = [Molecule.from_smiles(smiles) for smiles in SMILES[10:13]]
    items = [encoder.encode(each, np.random.default_rng(0)) for each in structures]
    assert len({len(encoder.labels(item)) for item in items}) > 1
    together = backbone_input(encoder, items)
    for item, row in zip(items, together, strict=True):
        (alone,) = backbone_input(encoder, [item])
        views = [UnifiedView(network.backbone, [kind_of(each) for each in PATTERN]) for _ in range(2)]
        for view, x in zip(views, (alone, row), strict=True):
            view.add(x)
        assert np.allclose(views[0].gradient, views[1].gradient, rtol=1e-3)
        for one, other in zip(views[0].layers, views[1].layers, strict=True):
            for name in ("effective_rank", "effective_heads", "distance", "head_effective_rank"):
                assert np.isclose(getattr(one, name), getattr(other, name), rtol=1e-3), name


def test_tokens_are_named(models):
    known = find_cards("models")["unigen-crystal-small"].parent / TABLE
    named = {}
    for family, structure in (("words", "Mg"), ("wyckoff", "Fe"), ("smiles", "CO")):
        network = load_model(models / family)
        learned = family_of(network.config).learned
        encoder = learned.encoder(network, learned.reads, known)
        given = Molecule.from_smiles(structure) if family == "smiles" else Crystal.from_ase(dcdft[structure])
        named[family] = encoder.labels(encoder.encode(given, np.random.default_rng(0)))
    assert named["words"] == ["begin", "Mg", "2", "end", "cell", "Mg·"]
    assert named["wyckoff"][:4] == ["begin", "Fe", "1", "end"]
    assert named["wyckoff"][4] in ("copy", "new")
    assert named["wyckoff"][5:] == ["#229", "a", "cell"]
    assert sorted(named["smiles"][1:3]) == ["C", "O"]
    assert named["smiles"][3] == "end"
    assert sorted(named["smiles"][4:]) == ["C·", *["H·"] * 4, "O·"]
