"""``unigen relax`` as those use it who go on: who is who, how far above the best, files of the best, no work twice."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from ase.build import bulk

from unigen.crystals.crystal import Crystal
from unigen.data.readers.crystals import read_crystal_rows
from unigen.energies.relaxation import Relaxation
from unigen.energies.vasp_inputs import FILES

EMT = ("--potential", "ase.calculators.emt:EMT", "--energy-scheme", "EMT", "--workers", 1)


def metal(name: str, lattice: str, a: float) -> Crystal:
    return Crystal.from_ase(bulk(name, lattice, a=a))


@pytest.fixture
def run(tmp_path):
    """A run folder: three copper (one impossible), two of nickel, one that was never made."""
    samples = [
        ("Cu", 0, metal("Cu", "bcc", 2.9)),
        ("Cu", 1, metal("Cu", "fcc", 3.7)),
        ("Cu", 2, Crystal(np.array([29, 29]), np.array([[0, 0, 0], [0.05, 0, 0]]), 3 * np.eye(3))),
        ("Ni", 0, metal("Ni", "fcc", 3.5)),
        ("Ni", 1, metal("Ni", "sc", 2.4)),
        ("Ag", 0, None),
    ]
    lines = []
    for name, index, crystal in samples:
        line = {"id": name, "index": index, "request_index": 0, "request": {"formula": name}}
        if crystal is None:
            lines.append(line | {"reason": "drawn five times"})
            continue
        sites = [{"element": name, "fractional_coordinates": place} for place in crystal.frac_coords.tolist()]
        lines.append(line | {"lattice": crystal.lattice.tolist(), "sites": sites})
    (tmp_path / "run").mkdir()
    (tmp_path / "run/samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def table(folder) -> list[dict[str, str]]:
    with (folder / "relaxed.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_relaxation_that_ends_in_another_volume_is_marked(unigen, tmp_path):
    (tmp_path / "in").mkdir()
    for name, a in (("near", 3.7), ("far", 4.9)):
        metal("Cu", "fcc", a).to_cif(tmp_path / "in" / f"{name}.cif")
    code, out, _ = unigen("relax", "in", *EMT, "--out", "relaxed", "--no-page")
    assert code == 0
    changed = {row["file"]: float(row["volume_change"]) for row in table(tmp_path / "relaxed")}
    assert changed["far"] < -1 / 3 < changed["near"]
    assert f"! {changed['far']:+.1%}" in out
    assert f"! {changed['near']:+.1%}" not in out
    assert "!: the volume changed by more than a third" in out


def test_each_entry_keeps_its_name_and_is_told_how_far_it_is_from_the_best(unigen, run):
    code, out, _ = unigen("relax", "run", *EMT, "--out", "relaxed", "--top", 1, "--format", "cif,vasp", "--no-page")
    assert code == 0
    rows = {row["file"]: row for row in table(run / "relaxed")}
    assert [(row["id"], row["index"]) for row in rows.values()] == [
        *(("Cu", str(index)) for index in range(3)), ("Ni", "0"), ("Ni", "1"), ("Ag", "0"),
    ]  # fmt: skip
    best = rows["Cu__1"]
    assert (best["rank"], best["space_group"], best["formula"]) == ("1", "Fm-3m", "Cu")
    assert best["energy_above_lowest"] == "0.000000"
    assert float(rows["Cu__0"]["energy_above_lowest"]) == pytest.approx(
        float(rows["Cu__0"]["energy_per_atom"]) - float(best["energy_per_atom"]), abs=2e-6
    )
    assert float(rows["Cu__0"]["energy_above_lowest"]) > 0.01
    assert rows["Cu__2"]["outcome"] == "gated"
    assert rows["Cu__2"]["rank"] == ""
    assert "drawn five times" in rows["Ag__0"]["reason"]
    assert "1. Cu__1: Cu Fm-3m (225), +0.000 eV/atom" in out
    assert "above best, drop: eV/atom" in out
    (shown,) = (line.split() for line in out.splitlines() if line.startswith(" Cu__1 "))
    assert shown[:4] == ["Cu__1", "Cu", "converged", rows["Cu__1"]["steps"]]
    assert "Fm-3m" in out
    assert "!:" not in out
    top = sorted(path.relative_to(run / "relaxed/top").as_posix() for path in (run / "relaxed/top").rglob("*.cif"))
    assert top == ["cif/01-Cu__1.cif", "cif/01-Ni__0.cif"]
    assert sorted(path.name for path in (run / "relaxed/top/vasp/01-Cu__1").iterdir()) == sorted(FILES)
    assert not (run / "relaxed/vasp").exists()
    assert "_space_group_IT_number 225\n" in (run / "relaxed/top/cif/01-Cu__1.cif").read_text()
    # another number of them: no copy of the former is left among the best
    assert unigen("relax", "run", *EMT, "--out", "relaxed", "--limit", 3, "--top", 2, "--no-page")[0] == 0
    copies = sorted(path.name for path in (run / "relaxed/top/cif").iterdir())
    assert copies == ["01-Cu__1.cif", "02-Cu__0.cif"]


def test_relaxed_ones_are_read_as_the_samples_that_they_were(unigen, run):
    assert unigen("relax", "run", *EMT, "--out", "relaxed", "--no-page")[0] == 0
    rows = list(read_crystal_rows(run / "relaxed"))
    assert [(row.name, row.info.get("index"), row.structure is not None) for row in rows] == [
        ("Cu", 0, True), ("Cu", 1, True), ("Cu", 2, False), ("Ni", 0, True), ("Ni", 1, True), ("Ag", 0, False),
    ]  # fmt: skip
    assert rows[1].structure.properties["energy_above_lowest"] == 0


def test_what_was_relaxed_is_judged_without_relaxing_it_again(unigen, run, monkeypatch):
    assert unigen("relax", "run", *EMT, "--out", "relaxed", "--no-page")[0] == 0
    energies = [row["energy_per_atom"] for row in table(run / "relaxed")]

    def never(*_: object, **__: object) -> Relaxation:
        raise AssertionError("relaxed again")

    monkeypatch.setattr("unigen.energies.relaxed_crystals.relax", never)
    judged = ("evaluate", "crystals", "relaxed", "--protocol", "denovo", "--relax", 6, *EMT, "--no-page")
    assert unigen(*judged, "--out", "report.json")[0] == 0
    with (run / "report.csv").open(newline="") as file:
        found = [row["energy_per_atom"] for row in csv.DictReader(file)]
    assert [float(each or "nan") for each in found] == pytest.approx(
        [float(each or "nan") for each in energies], abs=1e-5, nan_ok=True
    )
    report = json.loads((run / "report.json").read_text())
    assert report["settings"]["stability"]["relaxed_before"]["folder"] == "relaxed"
    assert report["counts"]["relaxation_converged"] == 4
    # energies under a pressure are of another quantity
    pressed = ("relax", "run", *EMT, "--pressure", 5, "--out", "pressed", "--no-page", "--limit", 1)
    monkeypatch.undo()
    monkeypatch.chdir(run)
    assert unigen(*pressed)[0] == 0
    monkeypatch.setattr("unigen.energies.relaxed_crystals.relax", never)
    with pytest.raises(AssertionError, match="relaxed again"):
        unigen("evaluate", "crystals", "pressed", "--protocol", "denovo", "--relax", 1, *EMT, "--out", "b.json")


def test_formats_that_are_none_are_refused_before_any_work(refused, run):
    assert "format: not one that is written; got xsf; wanted cif" in refused(
        "relax", "run", *EMT, "--out", "relaxed", "--format", "cif,xsf"
    )
    assert not (run / "relaxed/relaxed.jsonl").exists()
