"""Strain by GFN2-xTB: what must not change it, what tblite itself says, and that every failure has a name."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.eval.known_molecules import atoms, embedded, methane, moved, permuted
from tests.molecules.real_molecules import rotations
from unigen.data.readers.molecules import read_molecule_rows
from unigen.energies.relaxed_molecules import RelaxedMolecules
from unigen.energies.strain import Strain, deviation, strain_of
from unigen.errors import UserError
from unigen.eval.molecules.evaluate import evaluate_molecules
from unigen.eval.molecules.protocol import STRAIN
from unigen.eval.statistics import median_with_interval
from unigen.molecules.relaxation.minimum import keeps_bonds
from unigen.molecules.relaxation.xtb import XTB, MoleculeRelaxation, XtbSettings, relax_molecule
from unigen.parallel import Workers

pytest.importorskip("tblite.ase", exc_type=ImportError)

SMILES = ("C", "CCO", "CC(=O)N", "C1CC1O", "C[NH3+]", "[O-]C=O", "C[CH2]", "[H][H]", "[He]")
SAME_ENERGY = 0.02
"""kcal/mol: two walks to one minimum end where no force is above 0.05 eV/Angstrom, which is not one point."""


def direct(molecule, **settings) -> float:
    """The energy in eV as anybody would ask ASE and tblite for it."""
    from ase import Atoms
    from tblite.ase import TBLite

    plain = Atoms(molecule.numbers, molecule.positions)
    plain.calc = TBLite(method="GFN2-xTB", verbosity=0, **settings)
    return plain.get_potential_energy()


def strain(molecule, settings: XtbSettings = XTB) -> Strain:
    found = MoleculeRelaxation("no molecule") if molecule is None else relax_molecule(molecule, settings)
    return strain_of(molecule, found)


def squeezed(molecule, factor: float):
    return replace(molecule, positions=molecule.positions * factor)


# ---- laws


@pytest.mark.parametrize("smiles", SMILES)
def test_relaxing_gives_energy_off_and_a_second_time_nothing(smiles):
    molecule = embedded(smiles)
    found = strain(molecule)
    assert found.ending == "converged"
    assert found.energy >= 0
    again = strain(relax_molecule(molecule).molecule)
    assert (again.steps, again.energy, again.bonds_kept) == (0, 0.0, True)
    assert again.rmsd == (None if smiles == "[H][H]" else pytest.approx(0, abs=1e-6))


@settings(max_examples=6)
@given(smiles=st.sampled_from(SMILES[1:7]), rotation=rotations(), seed=st.integers(0, 2**16))
def test_strain_does_not_depend_on_place_and_order(smiles, rotation, seed):
    molecule = embedded(smiles)
    here, there = (strain(each) for each in (molecule, permuted(moved(molecule, rotation, 3.0), seed)))
    assert there.energy == pytest.approx(here.energy, abs=SAME_ENERGY)
    assert there.rmsd == pytest.approx(here.rmsd, abs=5e-3)
    assert there.bonds_kept == here.bonds_kept


def test_more_distortion_is_more_strain():
    flat = [strain(squeezed(embedded("CCO"), factor)).energy for factor in (1.0, 1.05, 1.1)]
    assert flat == sorted(flat)


@given(seed=st.integers(0, 2**16), count=st.integers(1, 12))
def test_the_deviation_sees_no_rotation_but_a_mirror(seed, count):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3))
    turned = points @ Rotation.random(rng=rng).as_matrix() + rng.normal(size=3)
    assert deviation(points, turned) == pytest.approx(0, abs=1e-6)
    other = rng.normal(size=(count, 3))
    if count > 2:
        centred = [each - each.mean(axis=0) for each in (points, other)]
        assert deviation(points, other) == pytest.approx(Rotation.align_vectors(*centred)[1] / np.sqrt(count))
    if count > 4:
        assert deviation(points, points * [1, 1, -1]) > 1e-3


# ---- what tblite says


@pytest.mark.parametrize(
    ("smiles", "settings"),
    [
        ("N", {}),
        ("[NH4+]", {"charge": 1}),
        ("[O-]C=O", {"charge": -1}),
        ("C[CH2]", {"multiplicity": 2}),
        ("[NH3+]CC(=O)[O-]", {}),
    ],
)
def test_energies_are_those_of_a_direct_call(smiles, settings):
    found = relax_molecule(embedded(smiles))
    before, after = found.energy
    assert before == pytest.approx(direct(embedded(smiles), **settings), abs=1e-6)
    assert after == pytest.approx(direct(found.molecule, **settings), abs=1e-4)
    assert strain(embedded(smiles)).energy == pytest.approx((before - after) * 23.0605, rel=1e-4)


def test_the_charge_is_not_forgotten():
    """Ammonium taken for a neutral molecule would be a radical."""
    ammonium = embedded("[NH4+]")
    right, wrong = direct(ammonium, charge=1), direct(ammonium, charge=0, multiplicity=2)
    assert relax_molecule(ammonium).energy[0] == pytest.approx(right, abs=1e-6)
    assert abs(right - wrong) > 1
    proton = direct(atoms("H", [[0, 0, 0]]), charge=1)
    affinity = relax_molecule(embedded("N")).energy[1] + proton - relax_molecule(ammonium).energy[1]
    assert affinity * 23.06 == pytest.approx(204, abs=20)  # kcal/mol, the measured proton affinity of ammonia


# ---- bonds


def test_a_zwitterion_without_water_does_not_keep_its_bonds():
    assert strain(embedded("[NH3+]CC(=O)[O-]")).bonds_kept is False
    assert strain(embedded("NCC(=O)O")).bonds_kept is True


def test_bonds_break_form_and_were_never_there():
    ethane = embedded("CC")
    apart = ethane.positions.copy()
    apart[[1, *ethane.bonds[(ethane.bonds[:, 0] == 1), 1]]] += [0, 0, 3.0]
    assert keeps_bonds(ethane, ethane)
    assert not keeps_bonds(ethane, replace(ethane, positions=apart))
    unknown = replace(ethane, bonds=ethane.bonds[1:])  # a pair that was as close before is no new bond
    assert keeps_bonds(unknown, ethane)
    assert not keeps_bonds(replace(unknown, positions=apart), ethane)


# ---- failures


def test_every_gate_has_its_name():
    ends = {
        "no molecule": None,
        "no bonds": methane(),
        "several fragments": two_pieces(),
        "element unknown to GFN2-xTB": atoms("Fr", [[0, 0, 0]]),
        "atoms too close": squeezed(embedded("CCO"), 0.4),
    }
    assert {ending: strain(each).ending for ending, each in ends.items()} == {name: name for name in ends}


def test_the_step_limit_has_no_energy():
    found = strain(embedded("CC(=O)N"), XtbSettings(max_steps=1))
    assert (found.ending, found.energy, found.rmsd, found.steps) == ("step limit", None, None, 1)


def test_what_tblite_cannot_compute_is_a_failure(monkeypatch):
    from tblite.ase import TBLite

    amide = embedded("CC(=O)N")
    ungated = XtbSettings(min_distance=0.0)
    assert strain(squeezed(amide, 0.0), ungated).ending == "refused by tblite"
    # two iterations make no field self-consistent, on any processor; of a wild geometry that depends on the last digits
    monkeypatch.setitem(TBLite.default_parameters, "max_iterations", 2)
    found = strain(amide)
    assert (found.ending, found.energy, found.rmsd) == ("no self-consistent field", None, None)


# ---- the report


def test_failures_lower_the_shares_and_no_number_knows_the_workers():
    samples = [embedded("CCO"), two_pieces(), embedded("[NH3+]CC(=O)[O-]"), embedded("C[NH3+]"), embedded("CC")]
    reports = [evaluate_molecules(samples, [embedded("CCO")], strain=4, workers=count) for count in (1, 2)]
    assert reports[0].rows == reports[1].rows
    assert reports[0].metrics == reports[1].metrics
    report, rows = reports[0], reports[0].rows
    assert (report["strain.converged"], report["strain.bonds_kept"]) == (0.75, 0.5)
    assert [row.strain_ending for row in rows[1:3]] == ["several fragments", "converged"]
    assert rows[4].strain_ending is None
    known = [row.strain for row in rows if row.strain is not None]
    assert report["strain.mean_energy"] == pytest.approx(np.mean(known))
    assert report["strain.median_energy"] == pytest.approx(np.median(known))
    assert report.metrics["strain.median_energy"].n == 3
    assert (report.counts["strain"], report.counts["strain_failed"]) == (4, 1)
    assert report.sections["strain_endings"].rows["several fragments"] == {"samples": 1, "reference": 0}
    beside = report.sections["strain"].rows["strain.mean_energy"]
    assert beside["reference"].value == pytest.approx(rows[0].strain)
    assert report.protocol == "molecules-edm, molecules-rdkit, molecules-strain"
    assert report.settings["strain"]["relaxation"]["fmax"] == 0.05
    assert "tblite" in report.versions


def two_pieces():
    one = embedded("C")
    return replace(
        one,
        numbers=np.tile(one.numbers, 2),
        positions=np.vstack([one.positions, one.positions + 6.0]),
        bonds=np.vstack([one.bonds, one.bonds + np.array([5, 5, 0])]),
        charges=np.zeros(10, dtype=np.int64),
    )


def test_the_card_says_what_the_code_does():
    card = yaml.safe_load((Path(__file__).parents[2] / "eval" / "protocols" / f"{STRAIN.name}.yaml").read_text())
    assert (card["name"], card["version"]) == (STRAIN.name, STRAIN.version)
    assert card["settings"] == STRAIN.own_settings() | {
        "bootstrap": STRAIN.bootstrap,
        "confidence": STRAIN.confidence,
    }
    report = evaluate_molecules([embedded("C")], strain=1, workers=1)
    assert {name for name in report.metrics if name.startswith("strain.")} == set(card["metrics"])


def test_the_command(tmp_path):
    sdf = tmp_path / "mine.sdf"
    sdf.write_text("".join(embedded(smiles).to_sdf() for smiles in ("CCO", "C[NH3+]")) + "broken\n\n\n$$$$\n")
    words = ["evaluate", "molecules", sdf, "--strain", 5, "--out", tmp_path / "a.json"]
    code = "from unigen.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "strain.median_energy" in done.stdout
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["metrics"]["strain.converged"]["value"] == pytest.approx(2 / 3)
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [row["strain_ending"] for row in rows] == ["converged", "converged", "no molecule"]
    assert float(rows[0]["strain"]) == pytest.approx(strain(embedded("CCO")).energy, abs=SAME_ENERGY)


def test_the_relaxed_molecules_are_kept_and_go_on(tmp_path, monkeypatch, unigen, refused):
    monkeypatch.chdir(tmp_path)
    Path("mine.smi").write_text("CCO ethanol\nCC(=O)N amide\n[NH3+]CC(=O)[O-] glycine\nC(C torn\n")
    assert unigen("relax", "mine.smi", "--out", "out", "--limit", 2)[0] == 0
    first = Path("out/relaxed.jsonl").read_text()
    Path("out/relaxed.jsonl").write_text(first + first[:40])  # killed in the middle of a line
    code, said, err = unigen("relax", "mine.smi", "--out", "out")
    assert (code, err) == (0, "")
    assert "3 converged, 1 no molecule" in said
    lines = Path("out/relaxed.jsonl").read_text().splitlines()
    assert {*first.splitlines()} < {*lines}  # in one order at the end, whoever came first
    assert len(lines) == 3
    ethanol, amide, glycine = read_molecule_rows("out/relaxed.sdf")
    assert (ethanol.id, amide.structure.to_smiles(), glycine.structure.total_charge) == ("ethanol", "CC(N)=O", 0)
    for row in (ethanol, amide, glycine):
        known = row.structure.properties
        assert known["energy"] < known["initial_energy"]
        assert known["energy"] == pytest.approx(direct(row.structure), abs=2e-3)  # an SD file has four digits
        assert strain(row.structure).energy == pytest.approx(0, abs=SAME_ENERGY)
    assert "got settings.fmax: 0.1; wanted settings.fmax: 0.05" in refused(
        "relax", "mine.smi", "--out", "out", "--fmax", 0.1
    )
    assert "relaxed by gfn2-xtb" in refused("relax", "mine.smi", "--out", "new", "--potential", "chgnet")
    said = refused("relax", "mine.smi", "--out", "new", "--potential", "mmff")
    assert said == (
        "mine.smi: molecules are relaxed by gfn2-xtb; got the potential mmff; wanted gfn2-xtb; "
        "MMFF94 cleans up what is drawn: unigen generate molecule ... --relax mmff (in Python relax='mmff')"
    )
    Path("salt.smi").write_text("CCO ethanol\nCC(=O)N.Cl salt\n")
    assert "several fragments" in unigen("relax", "salt.smi", "--out", "salt")[1]
    assert "2 converged" in unigen("relax", "salt.smi", "--out", "largest", "--largest-fragment")[1]
    Path("torn.smi").write_text("C(C torn\n")
    assert "no readable molecule" in refused("relax", "torn.smi", "--out", "new")


def test_an_interrupted_evaluation_computes_no_molecule_twice(tmp_path):
    samples = [embedded(smiles) for smiles in ("CCO", "CC(=O)N", "C1CC1O")]
    folder = tmp_path / "report.relaxed"
    whole = evaluate_molecules(samples, strain=3, relaxed=folder, workers=1)
    lines = (folder / "relaxed.jsonl").read_text().splitlines(keepends=True)
    (folder / "relaxed.jsonl").write_text("".join(lines[1:]))
    again = evaluate_molecules(samples, strain=3, relaxed=folder, workers=1)
    assert (folder / "relaxed.jsonl").read_text() == "".join(lines)
    assert again.metrics == whole.metrics
    with Workers(1) as workers:
        kept = RelaxedMolecules(folder, XTB).relax(samples[:1], workers)[0]
    np.testing.assert_array_equal(kept.molecule.positions, relax_molecule(samples[0]).molecule.positions)


def test_what_bad_arguments_say(monkeypatch):
    with pytest.raises(UserError, match="strain: not a count"):
        evaluate_molecules([embedded("C")], strain=-1)
    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    with pytest.raises(UserError, match=r"unigen-matter\[xtb\]"):
        evaluate_molecules([embedded("C")], strain=1)


def test_a_median_with_its_interval():
    values = np.array([1.0, np.nan, 2.0, 9.0])
    found = median_with_interval(values, resamples=200, confidence=0.95, seed=0)
    assert (found.value, found.n) == (2.0, 3)
    assert 1.0 <= found.low <= 2.0 <= found.high <= 9.0
    assert found == median_with_interval(values, resamples=200, confidence=0.95, seed=0)
    assert median_with_interval(values[1:2], resamples=200, confidence=0.95, seed=0).value is None
