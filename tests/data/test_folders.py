"""A folder's structures are read once each and named by what tells them apart; what is passed over is counted."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import ase.io
import pytest
from ase.build import bulk

from tests.crystals.real_crystals import elemental_crystals
from tests.data.test_sources import SOME, site_form, write_output
from unigen.config import read_yaml
from unigen.crystals.crystal import Crystal
from unigen.data.readers.contents import kind_of
from unigen.data.readers.crystals import CRYSTAL_FORMATS, parse_crystal, read_crystal_rows
from unigen.data.readers.molecules import MOLECULE_FORMATS, read_molecule_rows
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.molecules.molecule import Molecule

NAMES = [f"mp-{100 + 7 * index}" for index in range(len(SOME))]


def ids(folder: Path) -> list[str]:
    return sorted(row.id for row in read_crystal_rows(folder))


def passed_over(folder: Path) -> dict[str, int]:
    survey = CRYSTAL_FORMATS.survey(folder)
    files = {file for file in folder.rglob("*") if file.is_file()}
    read = {file for file, _, _ in survey.files}
    # every file is either read, or lies in a run that is read, or is passed over
    assert files == {file for file in read if file.is_file()} | {each.path for each in survey.passed_over} | {
        file for file in files if file.parent in read and file.name in ("samples.jsonl", "relaxed.jsonl")
    }
    return survey.passed_over_by_reason()


@pytest.mark.parametrize(
    "pattern",
    [
        "{}/POSCAR",
        "{}/CONTCAR",
        "{}/relax/CONTCAR",
        "deep/{}/relaxed.vasp",
        "{}/final.vasp",
        "POSCAR_{}",
        "POSCAR.{}",
        "{}_POSCAR",
        "{}.vasp",
        "{}.poscar",
        "CONTCAR-{}.vasp",
        "x/{}/POSCAR.gz",
    ],
)
def test_structures_are_named_by_what_tells_them_apart(tmp_path, pattern):
    for name, crystal in zip(NAMES, SOME, strict=True):
        path = tmp_path / "all" / pattern.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = crystal.to_poscar().encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    assert ids(tmp_path / "all") == sorted(NAMES)
    report = evaluate_crystals(tmp_path / "all", tmp_path / "all", protocol="csp", workers=1)
    assert report["match_rate.k1"] == 1.0
    assert report.counts["paired_by_composition"] == 0


def test_numbered_folders_are_samples_of_the_one_above(tmp_path):
    for name in NAMES[:2]:
        for index in range(2):
            (tmp_path / name / str(index)).mkdir(parents=True)
            SOME[0].to_poscar(tmp_path / name / str(index) / "POSCAR")
    assert ids(tmp_path) == [f"{name}_{index}" for name in NAMES[:2] for index in range(2)]


def test_formulas_and_ids_stay_names_in_folders_of_samples(tmp_path):
    for run in ("run_0", "run_1"):
        (tmp_path / "a" / run).mkdir(parents=True)
        (tmp_path / "b" / run).mkdir(parents=True)
        SOME[0].to_cif(tmp_path / "a" / run / "NaCl.cif")
        SOME[0].to_cif(tmp_path / "b" / run / "mp-1.cif")
    assert ids(tmp_path / "a") == ["NaCl", "NaCl"]
    assert ids(tmp_path / "b") == ["mp-1", "mp-1"]


def cifs(folder: Path, crystals=SOME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, crystal in zip(NAMES, crystals, strict=False):
        crystal.to_cif(folder / f"{name}.cif")
    return folder


def test_the_same_structures_in_another_format_are_read_once(tmp_path):
    folder = cifs(tmp_path / "all" / "cif")
    for name, crystal in zip(NAMES, SOME, strict=True):
        crystal.to_poscar(folder / f"{name}.vasp")
        (folder / f"{name}.cif.gz").write_bytes(gzip.compress((folder / f"{name}.cif").read_bytes()))
    (tmp_path / "all" / "set.extxyz").write_text("".join(crystal.to_extxyz() for crystal in reversed(SOME)))
    (tmp_path / "all" / "set.jsonl").write_text("".join(json.dumps(site_form(c)) + "\n" for c in SOME))
    (folder / "broken.cif").write_text("data_x\n")
    assert ids(tmp_path / "all") == ["broken", *sorted(NAMES)]
    why = passed_over(tmp_path / "all")
    assert sum(why.values()) == 2 * len(SOME) + 2
    assert all(reason.startswith("the same structures as ") for reason in why)


def test_structures_that_differ_are_all_read(tmp_path):
    folder = cifs(tmp_path / "all")
    others = [Crystal(c.numbers, c.frac_coords, 1.02 * c.lattice) for c in SOME]
    for name, crystal in zip(NAMES, others, strict=True):
        crystal.to_poscar(folder / f"{name}.vasp")
    (folder / "set.extxyz").write_text("".join(crystal.to_extxyz() for crystal in [*others[:-1], SOME[0]]))
    # a model may make one structure twice: equal files of one format are samples
    shutil.copytree(folder, tmp_path / "all" / "again")
    assert len(ids(tmp_path / "all")) == 2 * 3 * len(SOME)
    assert passed_over(tmp_path / "all") == {}


def test_files_of_systems_and_other_files_are_passed_over_and_lost_structures_count(tmp_path):
    folder = cifs(tmp_path / "all")
    for name in (".ipynb_checkpoints/a.cif", "__MACOSX/._a.cif", ".hidden.cif", "a.cif.partial", "b.cif~"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("data_x\n")
    for name in ("README", "notes.md", "poscar.png", "poscar_tools.py", "run.log"):
        (folder / name).write_text("words\n")
    for name in ("a.mcif", "b.pdb", "c/vasprun.xml", "d/OUTCAR"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("words\n")
    ase.io.write(folder / "XDATCAR", [bulk("Cu"), bulk("Cu", a=3.7)], format="vasp-xdatcar")
    for name in ("POSCAR", "CONTCAR", "OUTCAR", "XDATCAR"):
        (folder / "mp-9").mkdir(exist_ok=True)
        (folder / "mp-9" / name).write_text(SOME[0].to_poscar())
    rows = list(read_crystal_rows(folder))
    bad = [row for row in rows if row.structure is None]
    assert len(rows) - len(bad) == len(SOME) + 2 + 1
    assert [Path(row.where).name for row in bad] == ["a.mcif", "b.pdb", "vasprun.xml", "OUTCAR"]
    assert all("not read" in row.reason for row in bad)
    why = passed_over(folder)
    assert why["hidden, or left over by a system"] == 5
    assert why["of the calculation whose CONTCAR is read"] == 3
    assert sum(why.values()) == 5 + 3 + 5


def test_a_link_to_nothing_is_a_lost_structure(tmp_path):
    folder = cifs(tmp_path / "all")
    (folder / "gone.cif").symlink_to(tmp_path / "nowhere.cif")
    (bad,) = (row for row in read_crystal_rows(folder) if row.structure is None)
    assert "gone.cif: cannot be read" in bad.reason


def test_molecules_of_a_run_and_relaxed_ones_are_read_once_with_those_that_failed(tmp_path):
    sdf = Molecule.from_smiles("CCO").to_sdf(name="ethanol")
    for name in ("made/samples", "relaxed/relaxed"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / f"{name}.sdf").write_text(2 * sdf)
    facts = [{"id": "a"}, {"id": "b", "reason": "no valid graph"}, {"id": "c"}]
    (tmp_path / "made" / "samples.jsonl").write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    (tmp_path / "relaxed" / "relaxed.jsonl").write_text('{"ending": "converged"}\n')
    (tmp_path / "relaxed" / "rejected.csv").write_text("id,where,reason\nb,in.sdf entry 2,no valid graph\n")
    for name in ("made", "relaxed"):
        assert kind_of(tmp_path / name) == "molecules"
        rows = list(read_molecule_rows(tmp_path / name))
        assert sorted(row.structure is None for row in rows) == [False, False, True]
        assert [row.reason.endswith("no valid graph") for row in rows if row.structure is None] == [True]


def test_several_runs_below_a_folder_are_read_once_each(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "runs").mkdir(exist_ok=True)
        write_output(tmp_path / "runs" / name)
    assert len(ids(tmp_path / "runs")) == 2 * len(SOME)
    assert passed_over(tmp_path / "runs") == {"beside the structures of its run": 4}
    assert kind_of(tmp_path / "runs") == "crystals"


def test_a_frame_that_no_line_of_a_run_stands_for_counts(tmp_path):
    folder = write_output(tmp_path / "run")
    frames = folder / "samples.extxyz"
    frames.write_text(frames.read_text() + SOME[0].to_extxyz())
    rows = list(read_crystal_rows(folder))
    assert [row.structure is None for row in rows] == [False] * len(SOME) + [True]


METALS = [crystal for crystal in elemental_crystals() if crystal.reduced_formula in ("Cu", "Ni", "Al")]


def test_what_is_left_out_is_printed_written_and_in_every_denominator(unigen, tmp_path):
    cifs(tmp_path / "in", METALS)
    (tmp_path / "in" / "broken.cif").write_text("data_x\n")
    (tmp_path / "in" / "spin.mcif").write_text("data_x\n")
    (tmp_path / "in" / "twice.extxyz").write_text("".join(crystal.to_extxyz() for crystal in METALS))
    (tmp_path / "in" / "notes.txt").write_text("words\n")
    entries = len(METALS) + 2

    code, out, _ = unigen("data", "build", "mine", "--from", "in", "--workers", 1)
    home = tmp_path / "home" / "datasets" / "mine"
    facts = read_yaml(home / "build.yaml")
    assert code == 0
    assert sum(facts["splits"].values()) + sum(facts["rejected"].values()) == entries
    assert sum(facts["passed_over"].values()) == 2
    with (home / "rejected.csv").open() as file:
        assert sum(1 for _ in csv.DictReader(file)) == sum(facts["rejected"].values())
    for reason in (*facts["rejected"], *facts["passed_over"]):
        assert " ".join(reason.split()[:3]) in out

    potential = ("--potential", "ase.calculators.emt:EMT", "--energy-scheme", "EMT", "--max-steps", 3)
    code, out, _ = unigen("relax", "in", "--out", "relaxed", *potential, "--workers", 1, "--no-page")
    assert code == 0
    assert "not relaxed, because" in out
    assert "a magnetic CIF" in out
    with (tmp_path / "relaxed" / "rejected.csv").open() as file:
        left_out = list(csv.DictReader(file))
    assert [row["id"] for row in left_out] == ["broken", "spin"]

    for samples in ("in", "relaxed"):
        out_file = tmp_path / f"{samples}.json"
        code, out, _ = unigen("evaluate", "crystals", samples, "--out", out_file, "--no-page", "--workers", 1)
        report = json.loads(out_file.read_text())
        assert code == 0
        assert report["counts"]["generated"] == entries
        assert report["counts"]["failed"] == sum(report["dropped_by_reason"].values()) == 2
        assert report["metrics"]["unique"]["value"] == pytest.approx(len(METALS) / entries)
        assert report["passed_over"]["samples"]
        assert "a magnetic CIF" in out
    # our own reports beside the samples are no structures
    (tmp_path / "in.json").rename(tmp_path / "in" / "in.json")
    (tmp_path / "in.csv").rename(tmp_path / "in" / "in.csv")
    assert len(list(map(parse_crystal, CRYSTAL_FORMATS.records(tmp_path / "in")))) == entries


def test_unreadable_references_are_said_and_two_of_one_id_refused(unigen, refused, tmp_path):
    cifs(tmp_path / "refs", METALS)
    (tmp_path / "refs" / "broken.cif").write_text("data_x\n")
    cifs(tmp_path / "samples", METALS)
    for protocol in ("csp", "denovo"):
        arguments = ("--protocol", protocol, "--no-page", "--out", "r.json", "--workers", 1)
        code, out, _ = unigen("evaluate", "crystals", "samples", "--reference", "refs", *arguments)
        assert code == 0
        assert "reference: not a" in " ".join(out.split())
        assert json.loads((tmp_path / "r.json").read_text())["counts"]["references_unreadable"] == 1
    shutil.copytree(tmp_path / "samples", tmp_path / "refs" / "again")
    said = refused("evaluate", "crystals", "samples", "--reference", "refs", "--no-page", "--workers", 1)
    assert "two references of one id" in said
    assert NAMES[0] in said


def molecules(count: int = 4) -> list[Molecule]:
    return [Molecule.from_smiles(smiles) for smiles in ("CCO", "CC#N", "c1ccccc1O", "C[C@H](N)C(=O)O")[:count]]


def read_molecules(folder: Path) -> tuple[list[str], list[str], dict[str, int]]:
    """Formulas of what is read, files that are not, and what is passed over."""
    rows = list(read_molecule_rows(folder))
    made = [row.structure.formula for row in rows if row.structure is not None]
    return (
        sorted(made),
        sorted(Path(row.where).name for row in rows if row.structure is None),
        MOLECULE_FORMATS.survey(folder).passed_over_by_reason(),
    )


def test_the_same_molecules_in_another_format_are_read_once(tmp_path):
    formulas = sorted(each.formula for each in molecules())
    (tmp_path / "samples.xyz").write_text("".join(each.to_xyz() for each in molecules()))
    (tmp_path / "set.sdf").write_text("".join(each.to_sdf() for each in reversed(molecules())))
    (tmp_path / "set.extxyz").write_text("".join(each.to_extxyz() for each in molecules()))
    made, bad, why = read_molecules(tmp_path)
    assert (made, bad) == (formulas, [])
    assert why == {"the same structures as set.sdf": 2}  # which has the bonds


def test_files_that_are_called_like_ours_are_no_run(tmp_path):
    (tmp_path / "samples.sdf").write_text("".join(each.to_sdf() for each in molecules(2)))
    (tmp_path / "samples.xyz").write_text("".join(each.to_xyz() for each in molecules(2)))
    (tmp_path / "more.sdf").write_text("".join(each.to_sdf() for each in molecules()[2:]))
    made, bad, why = read_molecules(tmp_path)
    assert (made, bad) == (sorted(each.formula for each in molecules()), [])
    assert why == {"the same structures as samples.sdf": 1}


def test_molecules_in_files_of_their_own_are_read_once(tmp_path):
    for index, each in enumerate(molecules()):
        each.to_sdf(tmp_path / f"m{index}.sdf")
        each.to_xyz(tmp_path / f"m{index}.xyz")
    (tmp_path / "all.xyz").write_text("".join(each.to_xyz() for each in molecules()))
    made, bad, why = read_molecules(tmp_path)
    assert (made, bad) == (sorted(each.formula for each in molecules()), [])
    assert sum(why.values()) == len(molecules()) + 1


def test_molecules_that_differ_and_equal_files_of_one_format_are_all_read(tmp_path):
    moved = [replace(each, positions=1.02 * each.positions) for each in molecules()]
    (tmp_path / "a.sdf").write_text("".join(each.to_sdf() for each in molecules()))
    (tmp_path / "b.sdf").write_text("".join(each.to_sdf() for each in molecules()))
    (tmp_path / "a.xyz").write_text("".join(each.to_xyz() for each in moved))
    (tmp_path / "a.smi").write_text("".join(f"{each.smiles}\n" for each in molecules()))
    made, bad, why = read_molecules(tmp_path)
    assert (len(made), bad, why) == (4 * len(moved), [], {})


def test_molecules_in_forms_that_are_not_read_are_named(tmp_path):
    (tmp_path / "a.sdf").write_text(molecules(1)[0].to_sdf())
    for name in ("b.mol2", "c.pdb", "d.cif", "e.gjf"):
        (tmp_path / name).write_text("words\n")
    (tmp_path / "f.log").write_text(" Entering Gaussian System, Link 0=g16\n")
    (tmp_path / "g.out").write_text(f"{'*' * 40}\n{'* O   R   C   A *':^40}\n")
    (tmp_path / "run.log").write_text("step 1\n")
    (tmp_path / "job.out").write_text("done\n")
    made, bad, why = read_molecules(tmp_path)
    assert made == ["C2H6O"]
    assert bad == ["b.mol2", "c.pdb", "d.cif", "e.gjf", "f.log", "g.out"]
    assert why == {"no molecules (.log)": 1, "no molecules (.out)": 1}
