"""``unigen generate molecule --rank-by property`` as a user meets it, judged by ``unigen evaluate conditional``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from rdkit import Chem

from tests.eval.known_molecules import PLAIN, embedded
from tests.models.small_molecules import small_molecule_model
from tests.models.small_predictor import electrons_network
from unigen import MoleculeRequest, RankSettings
from unigen.config import read_yaml
from unigen.data.molecule_store import MoleculeDataset
from unigen.elements import ATOMIC_NUMBER
from unigen.models.checkpoint import save_model
from unigen.models.smiles import generator as molecule_generator
from unigen.ranking import property as by_property
from unigen.sample.generate import generate

ASKED = 40.0
"""Electrons, which is what the predictors here call the gap."""


@pytest.fixture
def command(tmp_path, monkeypatch, unigen):
    """Run ``unigen`` beside a small model, a chooser and a judge; distances of what it draws are not looked at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    for module in (molecule_generator, by_property):
        monkeypatch.setattr(module, "fault_of", lambda molecule: "")
    save_model(small_molecule_model(), tmp_path / "small")
    for name, factor in (("chooser", 1.0), ("judge", 1.01)):
        network = electrons_network({"gap": "sum"}, factor)
        network.seen.fill_(value=True)
        save_model(network, tmp_path / name)

    def run(*arguments: object) -> tuple[int, str, str]:
        fast = ("--model", "small", "--steps", 3, "--batch-size", 4) if arguments[0] == "generate" else ()
        return unigen(*map(str, (*arguments, *fast)))

    return run


RANKED = ("--property", f"gap={ASKED}", "--candidates", 8, "--rank-by", "property", "--predictor", "chooser")


def lines(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def electrons(row: dict) -> int:
    return sum(ATOMIC_NUMBER[symbol] for symbol in row["molecule"]["elements"])


def test_the_nearest_of_the_candidates_are_the_answers(command):
    code, out, err = command("generate", "molecule", *RANKED, "--n", 2, "--out", "run")
    assert code == 0, err
    assert "2 answers of 8 candidates, ranked by property" in out
    answers, candidates = lines("run/samples.jsonl"), lines("run/candidates/samples.jsonl")
    assert len(candidates) == 8
    far = sorted(abs(electrons(row) - ASKED) for row in candidates)
    assert abs(electrons(answers[0]) - ASKED) == far[0]
    assert answers[0]["molecule"] == candidates[answers[0]["ranking"]["candidate"]]["molecule"]
    assert answers[0]["smiles"] != answers[1]["smiles"]
    for row in answers:
        ranking = row["ranking"]
        assert ranking["gap_predicted (hartree)"] == electrons(row)
        assert ranking["gap_off_by (hartree)"] == electrons(row) - ASKED
    table = list(csv.DictReader(Path("run/ranking.csv").read_text().splitlines()))
    assert sorted(int(row["candidate"]) for row in table) == list(range(8))
    off = [float(row["off_by"]) for row in table]
    assert off == sorted(off)
    entries = list(Chem.SDMolSupplier("run/samples.sdf", removeHs=False))
    assert [float(entry.GetProp("gap_predicted")) for entry in entries] == [electrons(row) for row in answers]
    assert read_yaml(Path("run/run.yaml"))["ranking"]["predictor"]["name"] == "chooser"
    page = Path("run/report.html").read_text()
    assert "gap predicted (hartree)" in page
    assert "Predicted values are those of chooser, which chose each sample among 8 candidates" in page


def test_an_interrupted_run_goes_on_to_the_same_answers(command):
    assert command("generate", "molecule", *RANKED, "--out", "whole", "--no-picture", "--no-page")[0] == 0
    Path("cut/candidates").mkdir(parents=True)
    for name in ("run.yaml", "candidates/run.yaml"):
        Path("cut", name).write_bytes(Path("whole", name).read_bytes())
    journal = Path("whole/candidates/samples.jsonl").read_bytes().splitlines(keepends=True)
    Path("cut/candidates/samples.jsonl").write_bytes(b"".join(journal[:3]) + journal[3][:30])
    assert command("generate", "molecule", *RANKED, "--out", "cut", "--no-picture", "--no-page")[0] == 0
    for name in ("samples.jsonl", "samples.sdf", "ranking.csv", "candidates/samples.jsonl"):
        assert Path("cut", name).read_bytes() == Path("whole", name).read_bytes()


def test_the_judge_says_who_chose_and_whether_it_is_itself(command, tmp_path):
    folder = tmp_path / "home" / "datasets" / "mine"
    folder.mkdir(parents=True)
    known = [embedded(smiles) for smiles in PLAIN]
    for molecule in known:
        molecule.properties["gap"] = float(molecule.numbers.sum())
    pq.write_table(MoleculeDataset.to_table(known, list(PLAIN), ["test"] * len(known)), folder / "molecules.parquet")
    assert command("generate", "molecule", *RANKED, "--out", "run", "--no-picture", "--no-page")[0] == 0
    said = {}
    for judge in ("judge", "chooser"):
        code, said[judge], err = command(
            "evaluate", "conditional", "run", "--reference", "mine:test", "--predictor", judge, "--out", f"{judge}.json"
        )
        assert code == 0, err
    report = json.loads(Path("judge.json").read_text())
    (row,) = lines("run/samples.jsonl")
    assert report["counts"]["samples"] == 1  # the candidates are no samples
    assert report["metrics"]["mae.gap"]["value"] == pytest.approx(27_211.386 * abs(1.01 * electrons(row) - ASKED))
    chosen_by = report["settings"]["chosen_by"]
    assert (chosen_by["name"], chosen_by["candidates"]) == ("chooser", 8)
    assert chosen_by["sha256"] != report["settings"]["predictor"]["sha256"]
    note = " ".join(said["judge"].split())
    assert "the best of 8 candidates by chooser, another model than the judge, judge" in note
    assert "which is the judge itself: this hides its errors" in " ".join(said["chooser"].split())


def test_python_says_the_same(command):
    assert command("generate", "molecule", *RANKED, "--out", "run", "--no-picture", "--no-page")[0] == 0
    (row,) = lines("run/samples.jsonl")
    ranking = RankSettings(candidates=8, by="property", predictor="chooser")
    request = MoleculeRequest(properties={"gap": ASKED})
    (answer,) = generate(request, model="small", ranking=ranking, batch_size=4, steps=3)
    assert answer.ranking == row["ranking"]
    assert torch.equal(
        torch.tensor(answer.structure.numbers),
        torch.tensor([ATOMIC_NUMBER[symbol] for symbol in row["molecule"]["elements"]]),
    )


def test_conformers_of_a_molecule_are_different_answers(command):
    code, _, err = command("generate", "molecule", "--smiles", "OCC=O", *RANKED, "--n", 3, "--out", "run")
    assert code == 0, err
    assert [row["ranking"]["candidate"] for row in lines("run/samples.jsonl")] == [0, 1, 2]  # all equally far off


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
