"""From a folder of CIFs to a scored model, as a user types it, on real structures."""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
from collections import Counter
from math import isfinite
from pathlib import Path

import pymatgen.analysis.prototypes
import pytest
from pymatgen.core import Composition, Structure

from tests.processes import finished
from unigen.config import read_yaml, write_yaml
from unigen.data.crystal_store import open_crystals
from unigen.data.readers.crystals import read_crystal_rows

CRYSTALS = 60
MAX_ATOMS = 16


def _prototypes() -> list[Structure]:
    """AFLOW's, which come with pymatgen."""
    path = Path(pymatgen.analysis.prototypes.__file__).with_name("aflow_prototypes.json.gz")
    structures = [Structure.from_dict(entry["snl"]) for entry in json.loads(gzip.decompress(path.read_bytes()))]
    return [structure for structure in structures if structure.is_ordered and len(structure) <= MAX_ATOMS][:CRYSTALS]


class Shell:
    """Runs `unigen` in one folder, one process a command, and keeps what each printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: dict[str, str] = {}

    def unigen(self, *arguments: object) -> None:
        command = [sys.executable, "-c", "from unigen.cli import main; main()", *map(str, arguments)]
        environment = os.environ | {"UNIGEN_HOME": str(self.folder / "home"), "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
        done = finished(command, environment=environment, folder=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        self.said[" ".join(map(str, arguments[:2]))] = done.stdout


@pytest.fixture(scope="module")
def shell(tmp_path_factory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("chain"))
    (shell.folder / "cifs").mkdir()
    for number, structure in enumerate(_prototypes()):
        structure.to(str(shell.folder / "cifs" / f"proto-{number}.cif"))
    (shell.folder / "cifs" / "torn.cif").write_text("data_torn\n_cell_length_a 3.9\n")
    config = read_yaml(Path(__file__).parents[1] / "configs" / "tiny.yaml")
    write_yaml(shell.folder / "mine.yaml", config)

    shell.unigen("data", "build", "mine", "--from", "cifs", "--split-val", 0.25, "--max-atoms", MAX_ATOMS)
    shell.unigen("data", "show", "mine")
    shell.unigen("data", "requests", "mine:val", "--out", "wanted.csv")
    shell.unigen(
        *("train", "mine.yaml", "data.train=mine:train", "data.val=mine:val", "out=runs/mine", "max_steps=40"),
        *("data.batch_size=16", "match_structures=0", "threads=1", "model.width=32"),
    )
    shell.unigen(
        *("generate", "crystal", "--model", "runs/mine/model", "--requests", "wanted.csv"),
        *("--n", 2, "--batch-size", 16, "--out", "made"),
    )
    shell.unigen("evaluate", "crystals", "made", "--reference", "mine:val", "--workers", 1, "--out", "csp.json")
    shell.unigen(
        *("evaluate", "crystals", "made", "--protocol", "denovo", "--reference", "mine:train"),
        *("--workers", 1, "--out", "denovo.json"),
    )
    config = read_yaml(Path(__file__).parents[1] / "configs" / "octree-crystals.yaml")
    write_yaml(shell.folder / "coarse.yaml", config)
    shell.unigen(
        *("train", "coarse.yaml", "data.train=mine:train", "data.val=mine:val", "out=runs/coarse", "max_steps=4"),
        *("data.batch_size=16", "match_structures=0", "threads=1", "model.width=32"),
    )
    shell.unigen(
        *("generate", "crystal", "--model", "runs/coarse/model", "--requests", "wanted.csv"),
        *("--n", 2, "--batch-size", 16, "--no-page", "--out", "coarse"),
    )
    return shell


@pytest.fixture(scope="module")
def wanted(shell) -> list[dict[str, str]]:
    return list(csv.DictReader((shell.folder / "wanted.csv").read_text().splitlines()))


def _dataset(shell, name: str):
    return open_crystals(shell.folder / "home" / "datasets" / "mine" / "crystals.parquet").only(name)


def test_the_dataset_holds_every_sound_crystal(shell):
    train, val = _dataset(shell, "train"), _dataset(shell, "val")
    rejected = list(csv.DictReader((shell.folder / "home/datasets/mine/rejected.csv").read_text().splitlines()))
    assert len(train) + len(val) + len(rejected) == CRYSTALS + 1
    assert [row["id"] for row in rejected if "not a readable CIF" in row["reason"]] == ["torn"]
    assert len(val) >= 5
    formulas = [{crystal.reduced_formula for crystal in part} for part in (train, val)]
    assert not formulas[0] & formulas[1]
    assert f"{len(train) + len(val)} crystals" in shell.said["data show"]


def test_one_request_a_crystal_of_the_split(shell, wanted):
    val = _dataset(shell, "val")
    assert [row["id"] for row in wanted] == val.ids.tolist()
    assert [int(row["n_atoms"]) for row in wanted] == val.num_atoms.tolist()


def test_training_left_a_model_and_a_log(shell):
    run = shell.folder / "runs" / "mine"
    assert read_yaml(run / "model" / "config.yaml")["width"] == 32
    losses = [
        float(row["loss"])
        for file in run.glob("logs/*/metrics.csv")
        for row in csv.DictReader(file.read_text().splitlines())
        if row.get("loss")
    ]
    assert len(losses) >= 2
    assert losses[-1] < losses[0]


def test_an_octree_hardly_trained_writes_all_that_is_asked_for(shell, wanted):
    lines = (shell.folder / "coarse" / "samples.jsonl").read_text().splitlines()
    samples = [json.loads(line) for line in lines]
    assert len(samples) == 2 * len(wanted)
    asked = {row["id"]: row for row in wanted}
    for sample in samples:
        row, elements = asked[sample["id"]], [site["element"] for site in sample["sites"]]
        assert len(elements) == int(row["n_atoms"])
        assert Composition(Counter(elements)) == Composition(row["formula"])
        assert isfinite(sample["log_likelihood"])


def test_every_sample_has_exactly_the_composition_asked_for(shell, wanted):
    rows = list(read_crystal_rows(shell.folder / "made"))
    assert len(rows) == 2 * len(wanted)
    assert Counter(row.id for row in rows) == dict.fromkeys([row["id"] for row in wanted], 2)
    asked = {row["id"]: row for row in wanted}
    made = [row for row in rows if row.structure is not None]
    assert len(made) >= len(wanted)
    for row in made:
        assert len(row.structure) == int(asked[row.id]["n_atoms"])
        assert row.structure.to_pymatgen().composition == Composition(asked[row.id]["formula"])
    lines = (shell.folder / "made" / "samples.jsonl").read_text().splitlines()
    written = sum("sites" in json.loads(line) for line in lines)  # also those whose atoms are too close to be read back
    assert len(list((shell.folder / "made" / "cif").iterdir())) == written
    assert (shell.folder / "made" / "samples.extxyz").read_text().count("Lattice=") == written


def test_the_csp_report_counts_every_reference(shell, wanted):
    report = json.loads((shell.folder / "csp.json").read_text())
    assert report["protocol"] == "csp"
    assert report["counts"]["generated"] == 2 * len(wanted)
    for name in ("match_rate.k1", "match_rate.k2"):
        assert report["metrics"][name]["n"] == len(wanted)
        assert 0 <= report["metrics"][name]["value"] <= 1
    assert report["metrics"]["match_rate.k1"]["value"] <= report["metrics"]["match_rate.k2"]["value"]
    assert "rmse.k1" in report["metrics"]
    rows = list(csv.DictReader((shell.folder / "csp.csv").read_text().splitlines()))
    assert {row["reference"] for row in rows} == {row["id"] for row in wanted}


def test_the_denovo_report_has_its_rates_and_denominators(shell, wanted):
    report = json.loads((shell.folder / "denovo.json").read_text())
    assert report["protocol"] == "denovo-cdvae"
    assert report["counts"]["generated"] == 2 * len(wanted)
    for name in ("structure_valid", "composition_valid", "valid", "unique", "novel"):
        metric = report["metrics"][name]
        assert 0 <= metric["value"] <= 1
        assert metric["n"] == 2 * len(wanted)
    assert report["metrics"]["valid"]["value"] <= report["metrics"]["structure_valid"]["value"]
    assert "structure valid" in shell.said["evaluate crystals"].replace("_", " ")
