"""``unigen generate molecule --rank-by property`` as a user meets it, judged by ``unigen evaluate conditional``."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rdkit import Chem

from tests.eval.known_molecules import PLAIN, embedded
from tests.models.small_molecules import small_molecule_model
from tests.models.small_predictor import electrons_network
from unigen import MoleculeRequest, RankSettings
from unigen.config import read_yaml
from unigen.data.molecule_store import MoleculeDataset
from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.models.checkpoint import save_model
from unigen.models.smiles import generator as molecule_generator
from unigen.ranking import property as by_property
from unigen.sample.generate import generate

ASKED = 40.0
"""Electrons, which is what the predictors here call the gap."""


@pytest.fixture(autouse=True)
def _unjudged(monkeypatch):
    """What an untrained model draws is broken: distances are not looked at here."""
    for module in (molecule_generator, by_property):
        monkeypatch.setattr(module, "fault_of", lambda molecule: "")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A small model, a chooser, and a judge that says one per cent more."""
    folder = tmp_path_factory.mktemp("models")
    save_model(small_molecule_model(), folder / "small")
    for name, factor in (("chooser", 1.0), ("judge", 1.01)):
        network = electrons_network({"gap": "sum"}, factor)
        network.seen.fill_(value=True)
        save_model(network, folder / name)
    return folder


@pytest.fixture
def command(unigen, models, tmp_path):
    """Run ``unigen`` beside these models, and with a finished run once there is one."""
    for name in ("small", "chooser", "judge"):
        (tmp_path / name).symlink_to(models / name)

    def run(*arguments: object) -> tuple[int, str, str]:
        fast = (
            ("--model", "small", "--steps", 2, "--batch-size", 3, "--no-picture") if arguments[0] == "generate" else ()
        )
        return unigen(*arguments, *fast)

    return run


@pytest.fixture
def run(command, models) -> Path:
    """A run folder, drawn once for all tests."""
    made = models / "run"
    if not made.exists():
        code, _, err = command("generate", "molecule", *RANKED, "--n", 2, "--out", made)
        assert code == 0, err
    return made


RANKED = ("--property", f"gap={ASKED}", "--candidates", 6, "--rank-by", "property", "--predictor", "chooser")


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def electrons(row: dict) -> int:
    return sum(ATOMIC_NUMBER[symbol] for symbol in row["molecule"]["elements"])


def test_the_nearest_of_the_candidates_are_the_answers(run):
    answers, candidates = lines(run / "samples.jsonl"), lines(run / "candidates/samples.jsonl")
    assert len(candidates) == 6
    far = sorted(abs(electrons(row) - ASKED) for row in candidates)
    assert abs(electrons(answers[0]) - ASKED) == far[0]
    assert answers[0]["molecule"] == candidates[answers[0]["ranking"]["candidate"]]["molecule"]
    assert answers[0]["smiles"] != answers[1]["smiles"]
    for row in answers:
        ranking = row["ranking"]
        assert ranking["gap_predicted (hartree)"] == electrons(row)
        assert ranking["gap_off_by (hartree)"] == electrons(row) - ASKED
    table = list(csv.DictReader((run / "ranking.csv").read_text().splitlines()))
    assert sorted(int(row["candidate"]) for row in table) == list(range(6))
    off = [float(row["off_by"]) for row in table]
    assert off == sorted(off)
    entries = list(Chem.SDMolSupplier(str(run / "samples.sdf"), removeHs=False))
    assert [float(entry.GetProp("gap_predicted")) for entry in entries] == [electrons(row) for row in answers]
    assert read_yaml(run / "run.yaml")["ranking"]["predictor"]["name"] == "chooser"
    page = (run / "report.html").read_text()
    assert "gap_predicted (hartree)" in page
    assert "Let another model judge" in page


def test_an_interrupted_run_goes_on_to_the_same_answers(command, run):
    Path("cut/candidates").mkdir(parents=True)
    for name in ("run.yaml", "candidates/run.yaml"):
        Path("cut", name).write_bytes((run / name).read_bytes())
    journal = (run / "candidates/samples.jsonl").read_bytes().splitlines(keepends=True)
    Path("cut/candidates/samples.jsonl").write_bytes(b"".join(journal[:3]) + journal[3][:30])
    assert command("generate", "molecule", *RANKED, "--n", 2, "--out", "cut", "--no-page")[0] == 0
    for name in ("samples.jsonl", "samples.sdf", "ranking.csv", "candidates/samples.jsonl"):
        assert Path("cut", name).read_bytes() == (run / name).read_bytes()


def test_the_judge_says_who_chose_and_whether_it_is_itself(command, run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "home" / "datasets" / "mine"
    folder.mkdir(parents=True)
    plain = [embedded(smiles) for smiles in PLAIN]
    known = [replace(each, properties={"gap": float(each.numbers.sum())}) for each in plain]
    pq.write_table(MoleculeDataset.to_table(known, list(PLAIN), ["test"] * len(known)), folder / "molecules.parquet")
    said = {}
    for judge in ("judge", "chooser"):
        options = ("--reference", "mine:test", "--predictor", judge, "--out", f"{judge}.json", "--no-page")
        code, said[judge], err = command("evaluate", "conditional", run, *options)
        assert code == 0, err
    report = json.loads(Path("judge.json").read_text())
    found = [electrons(row) for row in lines(run / "samples.jsonl")]
    assert report["counts"]["samples"] == len(found) == 2  # the candidates are no samples
    off = sum(abs(1.01 * each - ASKED) for each in found) / 2
    assert report["metrics"]["mae.gap"]["value"] == pytest.approx(27_211.386 * off, rel=1e-4)
    chosen_by = report["settings"]["chosen_by"]
    assert (chosen_by["name"], chosen_by["candidates"]) == ("chooser", 6)
    assert chosen_by["sha256"] != report["settings"]["predictor"]["sha256"]
    note = " ".join(said["judge"].split())
    assert "the best of 6 candidates by chooser, another model than the judge, judge" in note
    assert "which is the judge itself: this hides its errors" in " ".join(said["chooser"].split())


@pytest.mark.usefixtures("command")
def test_python_says_the_same(run):
    row = lines(run / "samples.jsonl")[0]
    ranking = RankSettings(candidates=6, by="property", predictor="chooser")
    request = MoleculeRequest(properties={"gap": ASKED})
    (answer,) = generate(request, model="small", ranking=ranking, batch_size=3, steps=2)
    assert answer.ranking == row["ranking"]
    assert [SYMBOLS[number] for number in answer.structure.numbers] == row["molecule"]["elements"]


@pytest.mark.usefixtures("command")
def test_a_page_of_many_requests_shows_what_was_predicted_against_what_was_asked(command):
    Path("wanted.csv").write_text("id,gap\na,30\nb,50\n")
    ranked = ("--candidates", 2, "--rank-by", "property", "--predictor", "chooser")
    code, out, err = command("generate", "molecule", "--requests", "wanted.csv", *ranked, "--out", "many")
    assert code == 0, err
    assert "2 answers of 4 candidates" in out
    assert "gap found against asked (hartree)" in Path("many/report.html").read_text()


def test_conformers_of_a_molecule_are_different_answers(command):
    code, _, err = command("generate", "molecule", "--smiles", "OCC=O", *RANKED, "--n", 3, "--out", "run", "--no-page")
    assert code == 0, err
    assert [row["ranking"]["candidate"] for row in lines(Path("run/samples.jsonl"))] == [0, 1, 2]  # all equally far off


def test_what_cannot_be_ranked_is_one_line(command):
    for options, said in (
        (("--rank-by", "property", "--predictor", "chooser"), "a request asks for none"),
        (("--property", "gap=1", "--candidates", 4), "molecules are not ranked by likelihood"),
        (("--property", "gap=1", "--predictor", "chooser"), "--predictor belongs to ranking"),
        (("--property", "gap=1", "--rank-by", "property", "--predictor", "small"), "predicts no properties"),
        (("--property", "gap=1", "--rank-by", "property", "--predictor", "nobody"), "no model 'nobody'"),
        ((*RANKED, "--n", 9), "more answers are wanted than candidates"),
    ):
        code, _, err = command("generate", "molecule", *options, "--out", "run")
        assert (code, err.count("\n")) == (2, 1), err
        assert err.startswith("error: ")
        assert said in err
        assert not Path("run").exists()
