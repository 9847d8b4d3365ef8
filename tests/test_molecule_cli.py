"""``unigen generate molecule`` as a user meets it: files that RDKit reads, runs that go on, one line for bad input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from rdkit import Chem

from tests.models.small_molecules import molecules, small_molecule_model
from unigen import cli
from unigen.config import read_yaml
from unigen.data.build import build_dataset
from unigen.data.request_export import write_requests
from unigen.errors import UserError
from unigen.models.checkpoint import save_model
from unigen.models.smiles import generator as molecule_generator


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    save_model(small_molecule_model(), folder)
    return folder


@pytest.fixture
def generate(model, monkeypatch, capsys, tmp_path):
    """Run the command in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> tuple[int, str, str]:
        fast = ["--model", model, "--steps", 3, "--batch-size", 4]
        monkeypatch.setattr(sys, "argv", ["unigen", "generate", "molecule", *map(str, [*fast, *arguments])])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def unjudged(monkeypatch):
    """What a small untrained model draws is broken: here is looked at files, not at distances."""
    monkeypatch.setattr(molecule_generator, "fault_of", lambda molecule: "")


def lines(folder: str) -> list[dict]:
    return [json.loads(line) for line in (Path(folder) / "samples.jsonl").read_text().splitlines()]


@pytest.mark.usefixtures("unjudged")
def test_molecules_from_nothing(generate):
    code, out, err = generate("--n", 6, "--out", "mols")
    assert code == 0, err
    assert "6 molecules" in out
    rows = lines("mols")
    read = list(Chem.SDMolSupplier("mols/samples.sdf", removeHs=False))
    assert [Chem.MolToSmiles(Chem.RemoveHs(mol), isomericSmiles=False) for mol in read] == [
        Chem.CanonSmiles(row["smiles"], useChiral=0) for row in rows
    ]
    assert [mol.GetNumBonds() for mol in read] == [len(row["molecule"]["bonds"]) for row in rows]
    assert read[0].GetProp("_Name") == "de_novo__0"
    assert Path("mols/samples.png").read_bytes().startswith(b"\x89PNG")
    assert read_yaml(Path("mols/run.yaml"))["model"] == "small"


@pytest.mark.usefixtures("unjudged")
def test_a_run_goes_on_to_the_same_bytes(generate):
    assert generate("--n", 6, "--out", "whole", "--no-picture")[0] == 0
    Path("cut").mkdir()
    Path("cut/run.yaml").write_bytes(Path("whole/run.yaml").read_bytes())
    first = Path("whole/samples.jsonl").read_bytes().splitlines(keepends=True)
    Path("cut/samples.jsonl").write_bytes(b"".join(first[:2]) + first[2][:20])
    assert generate("--n", 6, "--out", "cut", "--no-picture")[0] == 0
    for name in ("samples.jsonl", "samples.sdf"):
        assert Path("cut", name).read_bytes() == Path("whole", name).read_bytes()


@pytest.mark.usefixtures("unjudged")
def test_values_asked_for_are_written_and_warned_of(generate):
    code, out, _ = generate("--n", 2, "--property", "gap=0.7", "--guidance", 2, "--out", "run", "--no-picture")
    assert code == 0
    assert "warning: gap 0.7 hartree lies outside of the training data: 0.1 to 0.6 hartree" in out
    assert lines("run")[0]["request"] == {"properties": {"gap": 0.7}}
    assert next(iter(Chem.SDMolSupplier("run/samples.sdf"))).GetDoubleProp("gap_asked") == 0.7


@pytest.mark.usefixtures("unjudged")
def test_a_scaffold_file(generate):
    molecules()[6].to_sdf("core.sdf")
    assert generate("--scaffold", "core.sdf", "--n", 2, "--out", "run", "--no-picture")[0] == 0
    assert lines("run")[0]["request"] == {"scaffold": True}


def test_a_file_of_smiles_keeps_names_and_reasons(generate):
    Path("in.smi").write_text("# what we have\nCC( broken\n\nC methane\nC[Si](C)C silane\n")
    code, out, err = generate("--smiles-file", "in.smi", "--out", "run", "--no-picture", "--redraws", 0)
    rows = {row["id"]: row for row in lines("run")}
    assert list(rows) == ["broken", "methane", "silane"]
    assert "not a SMILES" in rows["broken"]["reason"]
    assert "elements that may not occur; got Si" in rows["silane"]["reason"]
    assert code == (0 if "molecule" in rows["methane"] else 2), out + err


def test_one_bad_line_of_a_list_is_one_dropped_sample(generate, monkeypatch):
    """Also a salt, of which the largest piece is drawn where that is asked for; what is left out is counted."""
    monkeypatch.setattr(molecule_generator, "fault_of", lambda molecule: "")
    Path("in.smi").write_text("SMILES\tName\n[13CH4]\tlabelled\nCC(\tbroken\nCC(=O)[O-].[Na+]\tsalt\n")
    code, out, err = generate("--smiles-file", "in.smi", "--out", "run", "--no-picture", "--repairs", 0, "--no-settle")
    assert code == 0, err
    assert "1 molecules, 2 dropped (1 not a SMILES, 1 several fragments)" in " ".join(out.split())
    assert "asked for but not compared, isotopes: 1" in out
    made = {row["id"]: "molecule" in row for row in lines("run")}
    assert made == {"labelled": True, "broken": False, "salt": False}
    assert lines("run")[0]["not_compared"] == ["isotopes"]
    generate("--smiles-file", "in.smi", "--out", "largest", "--no-picture", "--largest-fragment")
    assert "several fragments" not in Path("largest/samples.jsonl").read_text()


@pytest.mark.usefixtures("unjudged")
def test_requests_of_a_dataset_are_served(generate, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(Path("home").absolute()))
    Path("mine.csv").write_text("smiles,gap\nCCO,0.3\nCCN,0.4\nCCC,0.5\n")
    build_dataset("mine", ("mine.csv",))
    assert write_requests("mine", "smiles.csv", limit=2).requests == 2
    assert write_requests("mine", "gaps.csv", properties=["gap"]).requests == 3
    with pytest.raises(UserError, match="no property 'mu'; wanted one of gap"):
        write_requests("mine", "gaps.csv", properties=["mu"])
    assert generate("--requests", "gaps.csv", "--out", "gaps", "--no-picture")[0] == 0
    assert [row["request"]["properties"]["gap"] for row in lines("gaps")] == [0.3, 0.4, 0.5]
    generate("--requests", "smiles.csv", "--out", "smiles", "--no-picture", "--redraws", 0)
    assert {row["request"]["smiles"] for row in lines("smiles")} < {"CCO", "CCN", "CCC"}
    Path("bad.csv").write_text("id,gap\nx,wide\n")
    assert "bad.csv:2: property: not a name and a number; got gap=wide" in generate("--requests", "bad.csv")[2]
    assert "exclude each other" in generate("--requests", "gaps.csv", "--smiles", "C")[2]


@pytest.mark.usefixtures("unjudged")
def test_an_ensemble_is_sorted_and_tells_what_it_leaves_out(generate):
    asked = ("--smiles", "CCCO", "-n", 6, "--relax", "mmff", "--out", "run", "--no-picture")
    code, out, err = generate(*asked, "--window", 6, "--distinct", 0.5)
    assert code == 0, err
    rows = lines("run")
    kept = [row for row in rows if "molecule" in row]
    assert f"{len(kept)} conformer" in out
    assert "kept of 6; left out: " in out
    assert "energies by MMFF94" in out
    assert [row["index"] for row in rows] == list(range(6))
    assert sorted(row["candidate"] for row in rows) == list(range(6))
    assert all("reason" in row for row in rows[len(kept) :])
    assert kept[0]["relative_energy_kcal_mol"] == 0.0
    assert sum(row["boltzmann_weight"] for row in kept) == pytest.approx(1.0, abs=1e-4)
    read = list(Chem.SDMolSupplier("run/samples.sdf", removeHs=False))
    assert [mol.GetDoubleProp("energy_kcal_mol") for mol in read] == [row["energy_kcal_mol"] for row in kept]
    assert len(lines("run/candidates")) == 6
    page = Path("run/report.html").read_text()
    assert "relative_energy" in page
    assert "Energies of CCCO" in page
    # another window asks for nothing that is not there; the same command gives the same bytes
    drawn = Path("run/candidates/samples.jsonl").read_bytes()
    assert generate(*asked, "--distinct", 0)[0] == 0
    assert all("molecule" in row or not row["reason"].startswith("duplicate") for row in lines("run"))
    assert Path("run/candidates/samples.jsonl").read_bytes() == drawn
    assert generate(*asked, "--window", 6, "--distinct", 0.5)[0] == 0
    assert lines("run") == rows


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--smiles", "CC("), "SMILES 'CC('"),
        (("--smiles", "CCO", "--window", 6), "--window compares relaxed conformers"),
        (("--formula", "C2H6O", "--relax", "xtb", "--distinct", 0.5), "say which with --smiles"),
        (("--smiles", "CCO.CC"), "several fragments"),
        (("--smiles", "C[Si](C)(C)C"), "elements that may not occur; got Si"),
        (("--smiles", "C" * 40), "too many atoms"),
        (("--smiles", "C", "--formula", "CH4"), "smiles and formula exclude each other"),
        (("--smiles-file", "none.smi"), "none.smi: cannot be read"),
        (("--formula", "C2Xx"), "unknown element"),
        (("--property", "gap"), "not a name and a number"),
        (("--property", "gap=0.1", "--property", "gap=0.2"), "given twice"),
        (("--property", "mass=1"), "does not know the property 'mass'; wanted one of gap"),
        (("--scaffold", "none.sdf"), "none.sdf: cannot read"),
        (("--scaffold", "none.sdf", "--attach", "a,b"), "none.sdf: cannot read"),
        (("--smiles-file", "none.smi", "--attach", "5"), "--smiles-file and --attach exclude each other"),
        (("--attach", "5"), "attach: names atoms of a scaffold"),
        (("--attach", "a,b"), "attach: not numbers of atoms; got a,b; wanted such as 5,12"),
        (("--model", "no-such-model"), "no model 'no-such-model'"),
    ],
)
def test_bad_input_is_one_line(generate, arguments, says):
    code, _, err = generate(*arguments, "--out", "run")
    assert code == 2
    assert says in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
