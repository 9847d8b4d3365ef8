"""From a report to its page: every row beside its own structure, every number, the reference in the pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path

from rich.console import Console

from tests.crystals.real_crystals import prototypes
from unigen.crystals.crystal import Crystal
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry, Statement
from unigen.eval.molecules.conformers import evaluate_conformers
from unigen.eval.molecules.evaluate import evaluate_molecules
from unigen.molecules.molecule import Molecule
from unigen.report.evaluation_page import evaluation_page, write_evaluation_page
from unigen.request import CrystalRequest

CRYSTALS = prototypes(6)
MOLECULES = [Molecule.from_smiles(smiles, seed=1) for smiles in ("CCO", "c1ccoc1", "CC(N)=O")]


def test_crystals_beside_their_reference(tmp_path):
    entries = [CrystalEntry(f"c{n}", crystal) for n, crystal in enumerate(CRYSTALS)]
    entries.append(CrystalEntry("lost", None, reason="no cell"))
    report = evaluate_crystals(entries, list(CRYSTALS[3:]), "denovo", workers=1)
    page = evaluation_page(report, tmp_path)
    assert page.kind == "crystals"
    for item, row in zip(page.items[:-1], report.rows, strict=False):
        assert isinstance(item.structure, Crystal)
        assert item.structure.reduced_formula == row.formula
        assert item.columns["novel"] == row.novel
    assert page.items[-1].structure is None
    assert page.items[-1].reason == "no cell"
    assert all((item.file, item.location) == ("", "") for item in page.items)  # they were in memory
    assert page.figures[0].title == "density (g/cm³)"
    assert "3 of the reference" in page.figures[0].text
    assert {row[0] for row in page.tables[0].rows} == {name.replace("_", " ") for name in report.metrics}
    # by which tolerances two are the same, and what is new to what
    console = Console(width=120)
    with console.capture() as captured:
        console.print(report.table())
    said = " ".join(captured.get().split())
    assert "by StructureMatcher with stol 0.5, ltol 0.3, angle_tol 10;" in said
    assert f"novel: unlike every crystal of {report.reference}, and of nothing else" in said
    assert "notes" not in report.to_dict()
    assert len(report.notes) == 2
    for note in report.notes:
        assert any(note[1:] in shown for shown in page.notes)
    text = write_evaluation_page(report, tmp_path / "a.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert len(data["items"]) == len(CRYSTALS)
    assert not {"structures", "sources", "asked", "phases"} & report.to_dict().keys()


def test_what_was_asked_for_is_beside_what_was_found():
    wanted = [crystal.density + 1 for crystal in CRYSTALS]
    entries = [
        CrystalEntry(f"c{n}", crystal, statement=Statement(CrystalRequest(properties={"density": value})))
        for n, (crystal, value) in enumerate(zip(CRYSTALS, wanted, strict=True))
    ]
    report = evaluate_crystals(entries, protocol="denovo", workers=1)
    (asked,) = report.shown.requested
    assert asked.requested.tolist() == wanted
    assert asked.actual.tolist() == [crystal.density for crystal in CRYSTALS]
    figure = evaluation_page(report, Path()).figures[0]
    assert figure.title == "density found against asked (g/cm³)"
    assert "6 samples: mean absolute error 1 g/cm³" in figure.text


def test_molecules_and_conformers(tmp_path):
    report = evaluate_molecules(MOLECULES, MOLECULES, workers=1)
    page = evaluation_page(report, tmp_path)
    assert page.kind == "molecules"
    assert [item.structure for item in page.items] == MOLECULES
    assert [item.columns["n_atoms"] for item in page.items] == [len(molecule) for molecule in MOLECULES]
    report = evaluate_conformers(MOLECULES, MOLECULES, baseline=False, workers=1)
    page = evaluation_page(report, tmp_path)
    assert [item.structure for item in page.items] == MOLECULES
    assert all(item.columns["covered"] for item in page.items)


def test_a_report_of_the_baseline_has_numbers_and_no_structures(tmp_path):
    report = evaluate_conformers(None, MOLECULES[:1], baseline=False, workers=1)
    page = evaluation_page(report, tmp_path)
    assert not page.items
    assert page.tables[0].rows
