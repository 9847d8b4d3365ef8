"""From files to S.U.N. by the real command line, with a potential fast enough for it: ASE's, on alloys."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml
from ase.io import read, write

from tests.energies.alloys import EMT, METALS, fcc, ordered, potential
from unigen.cards import published
from unigen.energies.hull.build import build_by_potential
from unigen.energies.hull.hull import Hull
from unigen.energies.potential import find_potential
from unigen.energies.relaxation import RelaxSettings
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.protocol import DENOVO
from unigen.eval.crystals.samples import CrystalEntry, Statement
from unigen.eval.crystals.stability import THRESHOLDS, StabilityRules
from unigen.parallel import Workers
from unigen.request import CrystalRequest

WITH = ("--potential", EMT, "--energy-scheme", "EMT", "--workers", 1)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frames(crystals, path) -> None:
    some = [crystal.to_ase() for crystal in crystals]
    for number, atoms in enumerate(some):
        atoms.info = {"id": f"n{number}"}
    write(path, some, format="extxyz")


KNOWN = [*(fcc(symbol) for symbol in METALS), ordered("Cu", "Au"), ordered("Ni", "Al")]
SAMPLES = [ordered("Cu", "Au"), fcc("Cu", 1.03), ordered("Pt", "Cu"), ordered("Cu", "Pt"), fcc("Al", 0.15)]
"""Known twice; new, and the same again; impossible."""


@pytest.fixture
def built(home, unigen):
    frames(KNOWN, "known.extxyz")
    frames(SAMPLES, "samples.extxyz")
    assert unigen("data", "build", "alloys", "--from", "known.extxyz")[0] == 0
    code, out, err = unigen("hull", "build", "alloys", "--from", "alloys", *WITH)
    assert code == 0, err
    assert "hull alloys: 9 formulas of 9 entries; total energies, EMT" in out
    return home


def evaluate(unigen, *words, out="report.json"):
    arguments = ("evaluate", "crystals", "samples.extxyz", "--protocol", "denovo", *words, *WITH, "--out", out)
    code, _, err = unigen(*arguments)
    assert code == 0, err
    report = Path(out)
    rows = list(csv.DictReader(report.with_suffix(".csv").read_text().splitlines()))
    return json.loads(report.read_text()), rows


def test_sun(built, unigen):
    report, rows = evaluate(unigen, "--reference", "alloys", "--hull", "alloys")
    values = {name: metric["value"] for name, metric in report["metrics"].items()}
    assert [row["relaxation"] for row in rows] == ["converged"] * 4 + ["gated"]
    above = [float(row["above_hull"]) for row in rows[:4]]
    assert above[:2] == pytest.approx([0, 0], abs=2e-3)  # what the hull was made of
    assert above[2] == pytest.approx(above[3], abs=1e-3)
    stable = sum(each <= 0.1 for each in above)
    assert values["stable_0.1"] == pytest.approx(stable / 5)
    assert values["novel_relaxed"] == pytest.approx(2 / 5)
    assert values["unique_relaxed"] == pytest.approx(3 / 5)
    assert values["sun_0.1"] == pytest.approx((above[2] <= 0.1) / 5)
    assert report["counts"]["relaxation_gated"] == 1
    assert report["settings"]["stability"]["potential"]["scheme"] == "EMT"
    assert "above hull (eV/atom)" in Path("report.html").read_text()
    assert report["settings"]["stability"]["hull"]["potential"] == report["settings"]["stability"]["potential"]


def test_an_interrupted_evaluation_repeats_nothing_and_changes_no_number(built, unigen):
    whole, rows = evaluate(unigen, "--hull", "alloys")
    journal = built / "report.relaxed" / "relaxed.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:40])  # killed while the third was written
    again, repeated = evaluate(unigen, "--hull", "alloys")
    assert repeated == rows
    assert again["metrics"] == whole["metrics"]
    assert journal.read_bytes().splitlines(keepends=True)[:2] == lines[:2]
    assert sorted(journal.read_bytes().splitlines()) == sorted(b"".join(lines).splitlines())


def test_energies_beside_those_that_the_reference_states(built, unigen):
    some = [each.to_ase() for each in SAMPLES[:2]]
    for atoms, stated in zip(some, (0.0, 0.3), strict=True):
        atoms.info = {"id": f"n{int(stated > 0)}", "e_above_hull": stated}
    write("stated.extxyz", some, format="extxyz")
    report, _ = evaluate(unigen, "--hull", "alloys", "--reference", "stated.extxyz")
    found = report["sections"]["energy_agreement"]["rows"]["above_hull"]
    assert found["n"] == 2
    assert found["within_0.05"]["value"] == 0.5
    assert found["mean_signed"]["value"] == pytest.approx(-0.15, abs=2e-3)


def test_formation_energies_asked_for_and_found(built):
    asked = [0.0, 0.5]
    entries = [
        CrystalEntry(
            f"n{n}", crystal, statement=Statement(CrystalRequest(properties={"formation_energy_per_atom": wanted}))
        )
        for n, (crystal, wanted) in enumerate(zip(SAMPLES[:2], asked, strict=True))
    ]
    rules = StabilityRules.of(potential(), RelaxSettings(), None, "alloys")
    report = evaluate_crystals(entries, protocol="denovo", stability=rules, workers=1)
    row = report.sections["formation_energy_per_atom_as_requested"].rows["formation_energy_per_atom"]
    found = [row.formation_energy for row in report.rows]
    assert found[1] == pytest.approx(0, abs=2e-3)  # copper
    assert row["mae"].value == pytest.approx((abs(found[0]) + abs(found[1] - 0.5)) / 2)


def test_only_the_first_and_another_method(built, unigen):
    report, rows = evaluate(unigen, "--relax", 2, "--against", "known.extxyz")
    assert report["counts"]["judged_stability"] == 2
    assert rows[2]["relaxation"] == ""
    against = report["sections"]["against"]["rows"]["lowest of each composition"]
    assert against["compositions"] == 2
    assert against["mean_difference"]["value"] == pytest.approx(0, abs=2e-3)


def test_numbers_do_not_depend_on_the_workers(built):
    for count in (1, 2):
        with Workers(count) as crew:
            build_by_potential(f"with-{count}", ["alloys"], potential(), RelaxSettings(), crew)
    one, two = (Hull.open(f"with-{count}", potential()).reference for count in (1, 2))
    assert one.formulas == two.formulas
    assert one.energies.tolist() == two.energies.tolist()


def test_relax_writes_structures_with_energies(built, unigen):
    code, out, err = unigen("relax", "samples.extxyz", "--out", "relaxed", *WITH)
    assert code == 0, err
    assert "4 converged, 1 gated" in out
    relaxed = read("relaxed/relaxed.extxyz", ":")
    assert [atoms.info["id"] for atoms in relaxed] == ["n0", "n1", "n2", "n3"]
    assert all(atoms.info["energy_per_atom"] <= atoms.info["initial_energy_per_atom"] for atoms in relaxed)
    before = (built / "relaxed" / "relaxed.jsonl").read_bytes()
    assert unigen("relax", "samples.extxyz", "--out", "relaxed", *WITH)[0] == 0
    assert (built / "relaxed" / "relaxed.jsonl").read_bytes() == before


def test_together_and_one_by_one_relax_to_the_same(home, unigen):
    pytest.importorskip("chgnet")
    frames([fcc("Al", 1.02), ordered("Cu", "Au"), fcc("Ni", 0.99)], "samples.extxyz")
    for out, words in (("alone", ("--workers", 1)), ("together", ("--batch", 2))):
        code, said, err = unigen("relax", "samples.extxyz", "--out", out, *words)
        assert (code, err) == (0, "")
        assert "3 converged" in said
    alone, together = (read(f"{out}/relaxed.extxyz", ":") for out in ("alone", "together"))
    for one, other in zip(alone, together, strict=True):
        assert other.info["energy_per_atom"] == pytest.approx(one.info["energy_per_atom"], abs=1e-3)
    before = (home / "together" / "relaxed.jsonl").read_bytes()
    assert unigen("relax", "samples.extxyz", "--out", "together")[0] == 0  # batches are no other results
    assert (home / "together" / "relaxed.jsonl").read_bytes() == before


def test_what_is_refused(built, unigen, refused):
    words = ("relax", "samples.extxyz", "--out", "relaxed", *WITH)
    assert unigen(*words)[0] == 0
    assert "got settings.fmax: 0.1; wanted settings.fmax: 0.05" in refused(*words, "--fmax", 0.1)
    (built / "taken").mkdir()
    shutil.copy("samples.extxyz", "taken")
    assert "this folder holds other files" in refused("relax", "samples.extxyz", "--out", "taken", *WITH)
    assert "fmax: not a positive force" in refused("relax", "samples.extxyz", "--out", "new", *WITH, "--fmax", 0)
    assert "one structure at a time; got --batch 2" in refused(*words, "--batch", 2)
    assert "'nowhere' is not there" in refused("relax", "samples.extxyz", "--out", "new", "--device", "nowhere")
    (built / "known.csv").write_text("formula,e\nCuAu,0\n")
    assert unigen("hull", "build", "pbe", "--from", "known.csv", "--energy", "e", "--energy-scheme", "PBE")[0] == 0
    said = refused("evaluate", "crystals", "samples.extxyz", "--hull", "pbe", *WITH)
    assert "two schemes cannot stand in one hull" in said
    assert "EMT" in said
    assert "PBE" in said


def test_the_card_is_what_the_code_does(built, unigen):
    card = yaml.safe_load((published("eval/protocols") / "denovo-sun-chgnet.yaml").read_text())
    stated = card["settings"]
    assert stated["relaxation"] == RelaxSettings().facts()
    assert tuple(stated["thresholds"]) == THRESHOLDS
    assert {key: getattr(DENOVO.matching, key) for key in stated["matching"]} == stated["matching"]
    pytest.importorskip("chgnet")
    identity = find_potential(stated["potential"]).identity
    assert (identity["scheme"], identity["checkpoint"]) == (stated["scheme"], stated["checkpoint"])
    plain, _ = evaluate(unigen, "--reference", "alloys", out="plain.json")
    judged, _ = evaluate(unigen, "--reference", "alloys", "--hull", "alloys")
    assert judged["metrics"].keys() - plain["metrics"].keys() == card["metrics"].keys()
