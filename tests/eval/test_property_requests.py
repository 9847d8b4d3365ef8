"""A run of molecules that were asked to have properties: scored from the command line, by a predictor known exactly."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tests.eval.known_molecules import PLAIN, embedded
from tests.models.small_predictor import electrons_network
from unigen.data.molecule_store import MoleculeDataset
from unigen.data.readers.record import Record
from unigen.errors import UserError
from unigen.eval.molecules.conditional import evaluate_conditional
from unigen.eval.molecules.protocol import PUBLISHED_UNITS, unit_of
from unigen.eval.molecules.samples import MoleculeEntry, entry_from_record, read_samples
from unigen.models.checkpoint import save_model
from unigen.molecules.molecule import Molecule
from unigen.sample.predict import load_predictor

HARTREE = 27_211.386
PER_ELECTRON = 0.001
"""Our gap: hartree."""


def electrons(molecule: Molecule) -> float:
    return float(molecule.numbers.sum())


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A home with a dataset of real molecules and their gaps, a predictor, and nothing generated yet."""
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "home" / "datasets" / "mine"
    folder.mkdir(parents=True)
    known = [
        Molecule(
            each.numbers,
            each.positions,
            each.bonds,
            each.charges,
            {"gap": PER_ELECTRON * electrons(each) + 0.0005, "mu": electrons(each)},
            each.smiles,
        )
        for each in map(embedded, PLAIN)
    ]
    table = MoleculeDataset.to_table(known, list(PLAIN), ["test"] * len(known))
    pq.write_table(table, folder / "molecules.parquet")
    save_model(electrons_network({"gap": "attention", "Cv": "sum"}, PER_ELECTRON), tmp_path / "judge")
    return tmp_path


def write_run(folder: Path, *samples: tuple[str | None, dict]) -> None:
    """A run folder as ``unigen generate molecule`` leaves it: a SMILES, or None for a failure, and what was asked."""
    folder.mkdir()
    lines, made = [], []
    for number, (smiles, asked) in enumerate(samples):
        facts = {"id": f"sample {number}", "index": number, "seed": 7, "request": {"properties": asked}}
        if smiles is None:
            facts["reason"] = "the grammar ended"
        else:
            made.append(embedded(smiles).to_sdf(name=str(number)))
        lines.append(json.dumps(facts))
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "samples.sdf").write_text("".join(made))


def test_a_run_is_scored_from_the_command_line(place, unigen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    asked = [0.012, 0.030, 0.020]
    write_run(place / "run", ("C", {"gap": asked[0]}), (None, {"gap": asked[1]}), ("CCO", {"gap": asked[2]}), ("N", {}))
    options = ("--reference", "mine:test", "--predictor", "judge", "--out", "report.json")
    code, out, err = unigen("evaluate", "conditional", "run", *options)
    assert (code, err) == (0, "")
    for text in ("conditional-qm9", "mae.gap", "gap / meV", "written: report.json, report.csv"):
        assert text in out
    report = json.loads((place / "report.json").read_text())
    metrics = {name: metric["value"] for name, metric in report["metrics"].items()}
    # methane has 10 electrons, ethanol 26
    assert metrics["mae.gap"] == pytest.approx(HARTREE * (0.002 + 0.006) / 2, rel=1e-4)
    assert metrics["mae_floor.gap"] == pytest.approx(HARTREE * 0.0005, rel=1e-3)
    shuffled = np.abs(np.subtract.outer([0.010, 0.026], asked)).mean()
    assert metrics["mae_random.gap"] == pytest.approx(HARTREE * shuffled, rel=1e-4)
    assert metrics["generated.gap"] == pytest.approx(2 / 3)
    assert report["counts"] == {"samples": 4, "failed": 1, "asked_for_nothing": 1}
    assert report["dropped"][0]["reason"].endswith("the grammar ended")
    assert report["settings"]["units"] == {"gap": "meV"}
    assert report["settings"]["predictor"]["name"] == "judge"
    assert report["seeds"] == [7]
    rows = list(csv.DictReader((place / "report.csv").read_text().splitlines()))
    assert [row["property"] for row in rows] == ["gap"] * 3
    assert [row["predicted"] for row in rows][1] == ""
    assert float(rows[0]["predicted"]) == pytest.approx(HARTREE * 0.010, rel=1e-4)
    assert float(rows[2]["requested"]) == pytest.approx(HARTREE * 0.020, rel=1e-4)
    page = (place / "report.html").read_text()
    assert "gap found against asked, 2 samples: mean absolute error 108.8 meV; 1 more have no value" in page
    assert '"file":"run/samples.sdf","place":"entry 2"' in page


def test_what_bad_input_says(place, unigen):
    write_run(place / "free", ("C", {}), ("CCO", {}))
    write_run(place / "alpha", ("C", {"alpha": 13.0}))
    write_run(place / "Cv", ("C", {"Cv": 9.0}))
    write_run(place / "failed", (None, {"gap": 0.2}), ("C", {}))
    for run, option, said in (
        ("free", ("--predictor", "judge"), "free: no sample was asked to have a property"),
        ("alpha", ("--predictor", "judge"), "judge: the predictor does not know the property 'alpha'; wanted"),
        ("Cv", ("--predictor", "judge"), "mine:test: no reference molecule has the property 'Cv'"),
        ("failed", ("--predictor", "judge"), "failed: no molecule was made for the property 'gap'; got"),
        ("free", ("--predictor", "nobody"), "no model 'nobody'"),
        ("nowhere", ("--predictor", "judge"), "nowhere"),
    ):
        code, _, err = unigen("evaluate", "conditional", run, "--reference", "mine:test", *option)
        assert (code, err.count("\n")) == (2, 1), err
        assert err.startswith("error: ")
        assert said in err
    assert not (place / "report.json").exists()


def test_molecules_in_memory_are_scored_alike(place):
    entries = [MoleculeEntry("a", embedded("C"), requested={"gap": 0.01}), MoleculeEntry("b", None, reason="none")]
    report = evaluate_conditional(entries, "mine:test", load_predictor(place / "judge"))
    assert report["mae.gap"] == pytest.approx(0, abs=0.01)
    assert report["generated.gap"] == 1
    with pytest.raises(UserError, match="no sample was asked"):
        evaluate_conditional([embedded("C")], "mine:test", load_predictor(place / "judge"))


@pytest.mark.parametrize(
    ("request_", "understood"),
    [
        ({"properties": {"gap": 0.25, "mu": 2}}, {"gap": 0.25, "mu": 2.0}),
        ({"properties": {"gap": "large", "mu": None, "Cv": float("nan")}}, {}),
        ({"properties": ["gap"]}, {}),
        ({"formula": "CH4"}, {}),
        ("gap 0.25", {}),
        (None, {}),
    ],
)
def test_what_was_asked_is_read_where_it_is_said(request_, understood):
    record = Record("a", "bad", "failed", "here", info={"request": request_})
    assert entry_from_record(record).requested == understood


def test_a_run_says_what_each_sample_was_asked(place):
    write_run(place / "run", ("C", {"gap": 0.1}), (None, {"gap": 0.3}))
    assert [dict(entry.requested) for entry in read_samples(place / "run").entries] == [{"gap": 0.1}, {"gap": 0.3}]


def test_units_are_those_of_the_card():
    card = yaml.safe_load((Path(__file__).parents[2] / "eval" / "protocols" / "conditional-qm9.yaml").read_text())
    assert {name: unit.name for name, unit in PUBLISHED_UNITS.items()} == card["properties"]
    assert "27,211.386 meV" in card["units"]
    energies = {name for name, unit in PUBLISHED_UNITS.items() if unit.factor == HARTREE}
    assert energies == {name for name, unit in card["properties"].items() if unit == "meV"}
    assert (unit_of("r2").name, unit_of("r2").factor) == ("", 1.0)
