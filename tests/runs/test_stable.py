"""Drawing until enough is stable, by the real command line: alloys by ion exchange, judged by ASE's own potential."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from tests.energies.alloys import EMT, METALS, fcc, ordered, potential
from unigen.config import read_yaml
from unigen.crystals.crystal import Crystal
from unigen.eval.crystals.samples import read_samples

WITH = ("--potential", EMT, "--energy-scheme", "EMT", "--workers", 1)
KNOWN = [fcc(symbol) for symbol in METALS] + [ordered("Cu", "Au"), ordered("Pd", "Ag"), ordered("Ni", "Al")]


@pytest.fixture
def built(unigen):
    """A dataset of alloys, and its hull by the potential."""
    frames = [crystal.to_ase() for crystal in KNOWN]
    for number, atoms in enumerate(frames):
        atoms.info = {"id": f"n{number}"}
    write("known.extxyz", frames, format="extxyz")
    assert unigen("data", "build", "alloys", "--from", "known.extxyz")[0] == 0
    code, _, err = unigen("hull", "build", "alloys", "--from", "alloys", *WITH)
    assert code == 0, err


def stable(unigen, *words, out="run", n=2, limit=0.05):
    model = ("--model", "nearest", "--retrieve-from", "alloys", "--no-picture")
    return unigen(
        "generate", "crystal", *model, "--stable", limit, "--hull", "alloys", *WITH, "--n", n, "--out", out, *words
    )


def files(folder: Path) -> dict[str, bytes]:
    """All but the page, whose bytes are as good as its rows."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".html" and not path.name.startswith(".")
    }


def test_what_is_kept_is_stable_new_and_distinct_and_the_rest_is_accounted_for(built, unigen):
    code, out, err = stable(unigen)
    assert code == 0, err
    rows = [json.loads(line) for line in Path("run/samples.jsonl").read_text().splitlines()]
    drawn = [json.loads(line) for line in Path("run/drawn/samples.jsonl").read_text().splitlines()]
    rejected = list(csv.DictReader(Path("run/rejected.csv").read_text().splitlines()))
    assert len(rows) == 2
    assert all(row["above_hull"] <= 0.05 for row in rows)
    assert all(row["relaxation"] == "converged" for row in rows)
    known = {crystal.reduced_formula for crystal in KNOWN}
    crystals = [entry.crystal for entry in read_samples("run").entries]
    assert len(crystals) == 2  # neither what was drawn nor the frames of the relaxations count again
    assert not known & {crystal.reduced_formula for crystal in crystals}
    assert crystals[0].reduced_formula != crystals[1].reduced_formula
    # every draw up to the last one kept is an answer or has a reason
    last = max(row["index"] for row in rows)
    judged = {row["index"] for row in rows} | {int(row["id"].rpartition("__")[2]) for row in rejected}
    assert judged == set(range(last + 1))
    assert len(drawn) == 40  # a round, bounded by twenty draws a sample
    assert f"2 stable crystals from {last + 1} draws" in " ".join(out.split())
    assert {row["reason"].partition(":")[0] for row in rejected} <= {"too high", "duplicate", "gated"}
    assert read_yaml("run/run.yaml")["stable"]["limit"] == 0.05
    for row in rows:
        assert f" {row['above_hull']:.3f} " in out
    assert "above hull: energy above the convex hull of known phases, eV/atom" in out
    page = Path("run/report.html").read_text()
    assert "above_hull" in page
    assert "no energies were computed" not in page
    for row, crystal in zip(rows, crystals, strict=True):
        assert row["energy_per_atom"] == pytest.approx(_energy(crystal), abs=1e-5)


def _energy(crystal: Crystal) -> float:
    atoms = crystal.to_ase()
    atoms.calc = potential().calculator()
    return atoms.get_potential_energy() / len(atoms)


def test_a_run_that_was_cut_off_repeats_nothing_and_ends_in_the_same_bytes(built, unigen):
    assert stable(unigen, n=3)[0] == 0
    whole = files(Path("run"))
    # as a kill leaves it: some draws, some relaxations (the last one torn), no answers
    shutil.copytree("run", "cut")
    for name in ("samples.jsonl", "samples.extxyz", "rejected.csv", "report.html"):
        Path("cut", name).unlink()
    shutil.rmtree("cut/cif")
    journal = Path("cut/relaxed/relaxed.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) > 2
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:30])
    draws = Path("cut/drawn/samples.jsonl")
    draws.write_bytes(b"".join(draws.read_bytes().splitlines(keepends=True)[:20]))
    assert stable(unigen, n=3, out="cut")[0] == 0
    assert files(Path("cut")) == whole
    journal.write_text(journal.read_text().replace('"steps": ', '"steps": 1'))  # what is held is not computed again
    marked = journal.read_bytes()
    assert stable(unigen, n=3, out="cut")[0] == 0
    assert journal.read_bytes() == marked


def test_what_is_outside_the_limits_drawn_or_relaxed_is_thrown_away(built, unigen):
    code, _, err = stable(unigen, "--volume-per-atom", ":15", n=2)
    assert code == 0, err
    crystals = [entry.crystal for entry in read_samples("run").entries]
    assert all(crystal.volume / len(crystal) <= 15 for crystal in crystals)
    rejected = list(csv.DictReader(Path("run/rejected.csv").read_text().splitlines()))
    outside = [row["reason"] for row in rejected if "volume_per_atom" in row["reason"]]
    assert outside
    assert all(reason.startswith(("not drawn: ", "outside limits: once relaxed: ")) for reason in outside)
    assert all(reason.endswith("A^3/atom; wanted :15") for reason in outside)


def test_bounds_and_refusals(built, unigen, refused):
    code, out, _ = stable(unigen, "--draws", 3, n=9, out="few")
    assert code == 0
    assert "of 9 wanted from 3 draws" in " ".join(out.split())
    said = refused(
        *("generate", "crystal", "--model", "nearest", "--retrieve-from", "alloys", "--stable", -5, "--hull", "alloys"),
        *(*WITH, "--draws", 4, "--out", "none"),
    )
    assert "not one of 4 draws is stable; got " in said
    assert "too high" in said
    lowest = min(
        float(row["reason"].split()[2]) for row in csv.DictReader(Path("none/rejected.csv").read_text().splitlines())
    )
    assert f"the lowest met is {lowest:.3f} eV/atom above the hull (" in said
    assert said.endswith(
        "give more --draws or a larger --stable (the same --out goes on)"
    )  # the nearest has no --within
    assert len(Path("none/rejected.csv").read_text().splitlines()) == 5
    system = ("generate", "crystal", "--elements", "Cu,Au,Pd", "--steps", 2, "--no-score", "--stable", -5)
    for given in ((), ("--within", 0.2), ("--known-formulas",)):
        said = refused(
            *system, *given, "--hull", "alloys", *WITH, "--draws", 1, "--out", "".join(map(str, ("nearer", *given)))
        )
        assert ("--within 0.2, which draws nearer" in said) == (not given)
    assert "needs one request and a --hull" in refused("generate", "crystal", "--stable", 0.1, "--out", "x")
    assert "are for --stable" in refused("generate", "crystal", "--draws", 5, "--out", "x")
    assert "this folder holds other results" in stable(unigen, "--seed", 1, n=9, out="few")[2]


@pytest.mark.parametrize(("first", "then"), [((3, 0.2), (2, 0.05)), ((1, 0.05), (3, 0.2))])
def test_a_folder_asked_for_another_number_or_limit_goes_on_and_answers_as_a_new_one(built, unigen, first, then):
    """Whatever was answered before, no file of it is left, and what was relaxed is not relaxed again."""
    for n, limit in (first, then):
        assert stable(unigen, "--draws", 12, n=n, limit=limit, out="again")[0] == 0
    assert stable(unigen, "--draws", 12, n=then[0], limit=then[1], out="anew")[0] == 0
    both = [
        {name: content for name, content in files(Path(run)).items() if not name.startswith(("drawn/", "relaxed/"))}
        for run in ("again", "anew")
    ]
    assert both[0] == both[1]
    assert (Path("again") / "report.html").stat().st_mtime_ns > 0
    code, _, err = stable(unigen, "--draws", 12, n=1, limit=-5, out="again")
    assert (code, "not one of 12 draws is stable" in err) == (2, True)
    assert not [name for name in ("report.html", "samples.png") if (Path("again") / name).exists()]
    journals = [(Path(run) / "relaxed/relaxed.jsonl").read_text().splitlines() for run in ("again", "anew")]
    assert len(set(journals[0])) == len(journals[0])
    assert set(journals[1]) <= set(journals[0])


def test_a_known_formula_is_kept_where_it_is_asked_for(built, unigen):
    code, _, err = stable(unigen, "--formula", "CuAu", n=1, out="asked")
    assert code == 0, err
    (row,) = [json.loads(line) for line in Path("asked/samples.jsonl").read_text().splitlines()]
    assert row["above_hull"] == pytest.approx(0, abs=5e-3)
    assert np.isfinite(row["volume_change"])


def test_an_element_that_the_hull_lacks_is_the_reason_and_known_before_anything_is_drawn(built, unigen, refused):
    write("platinum.extxyz", [fcc("Pt").to_ase()], format="extxyz")
    assert unigen("data", "build", "platinum", "--from", "platinum.extxyz")[0] == 0
    assert unigen("hull", "build", "platinum", "--from", "platinum", *WITH)[0] == 0
    model = ("generate", "crystal", "--model", "nearest", "--retrieve-from", "alloys", "--no-picture")
    wanted = (*model, "--stable", 0.1, "--hull", "platinum", *WITH, "--draws", 3, "--out")
    for asked in (("--formula", "CuAu"), ("--chemical-system", "Pt-Cu")):
        said = refused(*wanted, "before", *asked)
        assert said.startswith("platinum: the hull has no energy of the element Cu for ")
        assert said.endswith("unigen hull build platinum --from DATASET, one with Cu")
        assert not Path("before").exists()
    said = refused(*wanted, "after")
    reasons = [row["reason"] for row in csv.DictReader(Path("after/rejected.csv").read_text().splitlines())]
    unknown = [reason.removeprefix("hull unknown: ") for reason in reasons if reason.startswith("hull unknown")]
    assert unknown
    assert any(f"hull unknown: {reason}; build it anew" in said for reason in unknown)
    assert "--draws" not in said
