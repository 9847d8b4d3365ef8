"""A model that reads known molecules in its prompt, as a user trains it and draws from it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from rdkit import Chem

from tests.train.test_property_run import SMILES, molecules
from unigen import cli
from unigen.config import load, write_yaml
from unigen.data.molecule_store import MoleculeDataset
from unigen.models.checkpoint import load_model
from unigen.models.families import open_training_set
from unigen.models.smiles import generator as molecule_generator
from unigen.models.smiles.tokens import IN_EXAMPLE
from unigen.smiles.hydrogens import without_hydrogens
from unigen.smiles.text import smiles_text
from unigen.tokens.sequence import Channel, Sequence
from unigen.tokens.vocabulary import BEGIN, END, SLOT
from unigen.train.settings import TrainConfig

CONFIG = {
    "model": {
        "kind": "molecule",
        "max_atoms": 12,
        "properties": ["electrons"],
        "units": ["e"],
        "hydrogens": "written",
        "examples": 2,
        "example_pool": 16,
        "mixers": ["ssd", "attention"],
        "width": 16,
        "heads": 2,
        "head_width": 16,
        "head_blocks": 1,
        "context_width": 8,
    },
    "data": {"train": "mine:train", "val": "mine:val", "values_of_half": 2, "batch_size": 4, "bucket": 1},
    # a constant rate: a run of more steps is one of fewer that goes on
    "optim": {"warmup_steps": 0, "schedule": "wsd", "decay_fraction": 0.0, "ema_decay": 0.8},
    "out": "run",
    "max_steps": 8,
    "accelerator": "cpu",
    "threads": 1,
    "checkpoint_minutes": 0.0,
    "validate_every": 4,
    "validate_batches": 1,
    "match_structures": 0,
}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """Twelve molecules to train on, the values of six may be shown; four to validate with."""
    store = tmp_path / "home" / "datasets" / "mine"
    store.mkdir(parents=True)
    table = MoleculeDataset.to_table(molecules(), list(SMILES), ["train"] * 12 + ["val"] * 4)
    pq.write_table(table, store / "molecules.parquet")
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    write_yaml("examples.yaml", CONFIG)


def command(monkeypatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["unigen", *map(str, words)])
    with pytest.raises(SystemExit, match="0"):
        cli.main()


def test_what_is_shown_is_of_the_half_that_may_be_and_never_the_molecule_itself():
    config = load(TrainConfig, "examples.yaml")
    data, rng = open_training_set(config.data, config.model), np.random.default_rng(0)
    allowed = {one.to_smiles(): one.properties["electrons"] for one in molecules()[:12] if one.properties["half"] == 2}
    shown = set()
    for place in [*range(12)] * 5:
        molecule = data.train[place]
        examples = examples_of(data.encode(place, molecule, rng).tokens)
        assert len(examples) in (0, 2)
        assert not examples or molecule.properties["half"] == 2
        assert molecule.to_smiles() not in examples
        assert examples.items() <= allowed.items()
        shown |= set(examples)
    assert shown == set(allowed)


def examples_of(tokens: Sequence) -> dict[str, float]:
    """Values of the examples in a prompt, by canonical SMILES."""
    found, value, written = {}, 0.0, []
    for place in np.flatnonzero(tokens.descriptor[:, IN_EXAMPLE]):
        symbol = int(tokens.symbols[place])
        if tokens.channel[place] == Channel.PROPERTY:
            value, written = float(tokens.vectors[place, 0]), []
        elif symbol == END:
            found[Chem.CanonSmiles(smiles_text(without_hydrogens(written)))] = value
        elif symbol not in (BEGIN, SLOT):
            written.append(symbol)
    return found


def test_from_the_command_line_to_molecules_without_the_data(monkeypatch):
    """Trained at once or cut off in the middle, the weights are the same; the model folder is all that is needed."""
    command(monkeypatch, "train", "examples.yaml")
    command(monkeypatch, "train", "examples.yaml", "out=cut", "max_steps=4")
    command(monkeypatch, "train", "examples.yaml", "out=cut")
    whole, cut = (load_model(Path(run) / "model").state_dict() for run in ("run", "cut"))
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert (whole["examples.numbers"][:, 0] > 0).sum() == 6  # of the half that may be shown

    monkeypatch.setenv("UNIGEN_HOME", str(Path("nothing").absolute()))
    monkeypatch.setattr(molecule_generator, "fault_of", lambda molecule: "")  # it has hardly learned anything
    fast = ("--model", "run/model", "--steps", 3, "--n", 3, "--no-picture", "--no-page")
    for out in ("one", "two"):
        command(monkeypatch, "generate", "molecule", "--property", "electrons=18", *fast, "--out", out)
    assert Path("one/samples.jsonl").read_bytes() == Path("two/samples.jsonl").read_bytes()
    rows = [json.loads(line) for line in Path("one/samples.jsonl").read_text().splitlines()]
    assert [bool(row["molecule"]) for row in rows] == [True] * 3
    assert {row["examples"] for row in rows} == {2}
    command(monkeypatch, "generate", "molecule", "--smiles", "CCO", *fast, "--out", "conformers", "--redraws", 0)
