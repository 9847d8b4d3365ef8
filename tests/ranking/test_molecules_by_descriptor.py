"""Asked for logP, chosen and judged by logP as it is computed: no network is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rdkit import Chem
from rdkit.Chem import Crippen

from tests.eval.known_molecules import PLAIN, embedded
from tests.models.small_molecules import molecules, small_molecule_model
from unigen.data.molecule_store import MoleculeDataset
from unigen.models.checkpoint import save_model
from unigen.models.smiles import generator as molecule_generator
from unigen.models.smiles.network import MoleculeModel
from unigen.molecules.descriptors import DESCRIPTORS, ComputedDescriptors
from unigen.ranking import property as by_property


@pytest.fixture(autouse=True)
def _unjudged(monkeypatch):
    """What an untrained model draws is broken: distances are not looked at here."""
    for module in (molecule_generator, by_property):
        monkeypatch.setattr(module, "fault_of", lambda molecule: "")


def test_a_column_each_in_the_order_of_their_names():
    table = ComputedDescriptors()(molecules())
    assert table.shape == (len(molecules()), len(DESCRIPTORS))
    expected = [Crippen.MolLogP(Chem.RemoveHs(molecule.to_rdkit())) for molecule in molecules()]
    assert table[:, list(DESCRIPTORS).index("logP")] == pytest.approx(expected)


def test_the_nearest_are_the_answers_and_the_judge_computes_too(unigen, tmp_path):
    small = small_molecule_model()
    asking = MoleculeModel(replace(small.config, properties=("gap", "logP"), units=("hartree", "1")))
    asking.load_state_dict(asking.beginning(small.state_dict()))
    save_model(asking, tmp_path / "small")
    asked = ("--property", "logP=1.5", "--candidates", 6, "--rank-by", "property", "--n", 2)
    fast = ("--model", "small", "--steps", 2, "--no-picture", "--no-page")
    code, _, err = unigen("generate", "molecule", *asked, *fast, "--out", "run")
    assert code == 0, err
    rows = [json.loads(line) for line in Path("run/samples.jsonl").read_text().splitlines()]
    every = [json.loads(line) for line in Path("run/candidates/samples.jsonl").read_text().splitlines()]
    off = sorted(abs(Crippen.MolLogP(Chem.MolFromSmiles(row["smiles"])) - 1.5) for row in every if row.get("smiles"))
    assert abs(rows[0]["ranking"]["logP_off_by (1)"]) == pytest.approx(off[0], abs=1e-5)
    folder = tmp_path / "home" / "datasets" / "mine"
    folder.mkdir(parents=True)
    known = [embedded(smiles) for smiles in PLAIN]
    pq.write_table(MoleculeDataset.to_table(known, list(PLAIN), ["test"] * len(known)), folder / "molecules.parquet")
    code, _, err = unigen("evaluate", "conditional", "run", "--reference", "mine:test", "--out", "r.json", "--no-page")
    assert code == 0, err
    found = json.loads(Path("r.json").read_text())["metrics"]
    mean = np.mean([abs(Crippen.MolLogP(Chem.MolFromSmiles(row["smiles"])) - 1.5) for row in rows])
    assert found["mae.logP"]["value"] == pytest.approx(mean, abs=1e-5)
    assert found["mae_floor.logP"]["value"] == 0
