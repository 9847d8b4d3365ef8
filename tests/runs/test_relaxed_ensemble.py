"""``unigen relax`` makes ensembles of anyone's conformers: in files, in Python and on the page."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import unigen as library
from unigen.data.readers.molecules import read_molecule_rows
from unigen.eval.molecules.etkdg import etkdg_conformers
from unigen.molecules.molecule import Molecule

pytest.importorskip("tblite")

NAMES = ("a", "b", "a again", "ammonium")


@pytest.fixture
def conformers(tmp_path, monkeypatch) -> list[Molecule]:
    """Two conformers of propanol, the first once more, another molecule, in a file; and a torn entry behind them."""
    monkeypatch.chdir(tmp_path)
    first, second = etkdg_conformers("CCCO", 2, 4)
    molecules = [first, second, first, Molecule.from_smiles("C[NH3+]")]
    text = "".join(each.to_sdf(name=name) for name, each in zip(NAMES, molecules, strict=True))
    Path("mine.sdf").write_text(text + "torn\n\n\n$$$$\n")
    return molecules


def test_files_and_page_of_an_ensemble(conformers, unigen, refused):
    code, said, err = unigen("relax", "mine.sdf", "--out", "out", "--window", 10, "--distinct", 0.1, "--workers", 1)
    assert (code, err) == (0, "")
    assert "3 conformers kept of 5; left out: 1 nearer than 0.1 A to one of lower energy, 0 more than 10" in said
    assert "energies by GFN2-xTB" in said
    with Path("out/ensemble.csv").open() as file:
        lines = {line["id"]: line for line in csv.DictReader(file)}
    assert [line["rank"] for line in lines.values()] == ["1", "2", "1", "", ""]
    doubled = next(line for line in lines.values() if line["left_out"] == "duplicate")
    assert doubled["reason"].startswith("duplicate of a")
    assert doubled["reason"].endswith("(0.00 A)")
    kept = [line for line in lines.values() if line["rank"] and line["smiles"] == "CCCO"]
    assert sum(float(line["boltzmann_weight"]) for line in kept) == pytest.approx(1.0)
    in_files = list(read_molecule_rows("out/ensemble.sdf"))
    assert [row.id for row in in_files] == [name for name, line in lines.items() if line["rank"]]
    assert in_files[0].structure.properties["relative_energy_kcal_mol"] == 0.0
    assert len(list(read_molecule_rows("out/relaxed.sdf"))) == 4  # nothing is lost
    page = Path("out/report.html").read_text()
    assert "Energies of CCCO" in page
    assert "3 molecules, 1 left out, 1 failed" in page
    # another window relaxes nothing again; without any, the files of the ensemble are gone
    relaxed = Path("out/relaxed.jsonl").read_bytes()
    said = unigen("relax", "mine.sdf", "--out", "out", "--window", 0, "--workers", 1)[1]
    assert "2 conformers kept of 5; left out: 2 more than 0 kcal/mol above the lowest" in said
    assert unigen("relax", "mine.sdf", "--out", "out", "--workers", 1)[0] == 0
    assert Path("out/relaxed.jsonl").read_bytes() == relaxed
    assert not Path("out/ensemble.csv").exists()
    Path("salt.cif").write_text("data_a\n")
    assert "--window and --distinct are for molecules" in refused("relax", "salt.cif", "--out", "new", "--window", 1)


def test_the_same_in_python(conformers):
    found = library.relax(conformers, window=10.0, distinct=0.1, workers=1)
    assert [sample.facts.get("rank") for sample in found] == [1, 2, 1, None]
    assert [len(each) for each in (found.made, found.left_out, found.failed)] == [3, 1, 0]
    assert found[0].facts["relative_energy_kcal_mol"] == 0.0
    assert found[0].facts["boltzmann_weight"] + found[1].facts["boltzmann_weight"] == pytest.approx(1.0)
    assert found.left_out[0].reason.startswith("duplicate of ")
    # energies of molecules as they stand: no step is no failure where none was asked for
    single = library.relax(conformers[:2], window=100.0, max_steps=0, workers=1)
    assert [sample.facts.get("rank") for sample in single] == [1, 2]
