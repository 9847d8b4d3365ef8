"""Conformers: what COV and MAT must be for identical, mirrored, missing and foreign samples; ETKDG beside them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from tests.eval.known_molecules import embedded, mirrored, moved, permuted
from tests.molecules.real_molecules import rotations
from unigen.errors import UserError
from unigen.eval.molecules.conformer_pairing import pair_conformers
from unigen.eval.molecules.conformer_rms import ConformerTask, ConformerVerdict, compare_conformers
from unigen.eval.molecules.conformer_scores import measures
from unigen.eval.molecules.conformers import evaluate_conformers
from unigen.eval.molecules.etkdg import etkdg_conformers
from unigen.eval.molecules.protocol import CONFORMERS
from unigen.eval.molecules.samples import MoleculeEntry, read_samples
from unigen.molecules.molecule import Molecule

FLEXIBLE = ("CCCCO", "OCC[C@H](N)C(=O)O", "CC(C)Cc1ccccc1", "C/C=C/CO", "CC[N+](=O)[O-]", "C[C@@H]([NH3+])CC(=O)[O-]")


def sample(molecule: Molecule | None, name: str = "a", smiles: str = "") -> MoleculeEntry:
    return MoleculeEntry(name, molecule, "accepted" if molecule is not None else "none", smiles=smiles)


def score(samples, reference, **options):
    return evaluate_conformers(samples, reference, baseline=False, workers=1, **options)


# ---- laws


@settings(max_examples=15)
@given(smiles=st.sampled_from(FLEXIBLE), rotation=rotations(), seed=st.integers(0, 2**16))
def test_the_same_conformer_is_covered_at_no_distance(smiles, rotation, seed):
    reference = embedded(smiles)
    report = score([permuted(moved(reference, rotation, 2.0), seed)], [reference])
    assert (report["cov_r"], report["cov_p"]) == (1, 1)
    assert report["mat_r"] == pytest.approx(0, abs=1e-4)
    assert report["mat_p"] == pytest.approx(0, abs=1e-4)


def together(one: Molecule, other: Molecule) -> Molecule:
    """Both, five Angstrom apart and more."""
    far = other.positions + one.positions.max() - other.positions.min() + 5
    bonds = np.concatenate([one.bonds, other.bonds + np.array([len(one), len(one), 0])])
    numbers, charges = (np.concatenate(pair) for pair in ((one.numbers, other.numbers), (one.charges, other.charges)))
    return Molecule(numbers, np.concatenate([one.positions, far]), bonds, charges)


def test_of_salts_the_largest_molecule_is_compared_on_both_sides_where_it_is_said():
    acetate, water, ethanol = (embedded(smiles) for smiles in ("CC(=O)[O-]", "O", "CCO"))
    hydrate = together(acetate, water)
    for sampled, known in ((hydrate, acetate), (acetate, hydrate)):
        samples, reference = [replace(sampled, smiles="CC(=O)[O-].O"), ethanol], [known, ethanol]
        assert score(samples, reference)["cov_r"] == 0.5
        assert score(samples, reference, largest_fragment=True)["cov_r"] == 1
    # ETKDG knows no distance between two molecules: its failures, and not the end of the run
    report = evaluate_conformers([hydrate, ethanol], [hydrate, ethanol], workers=1)
    assert report["cov_r"] == 1
    assert report.sections["baseline"].rows["etkdg"]["unusable"] == 1


def test_symmetry_equivalent_atoms_may_swap():
    ring = embedded("Cc1ccccc1")
    mirror = ring.positions * [1, 1, -1]
    report = score([Molecule(ring.numbers, mirror, ring.bonds)], [ring])
    assert report["mat_r"] < 0.01
    acid = embedded("CC(=O)[O-]")
    swapped = np.array([0, 1, 3, 2, *range(4, len(acid))])
    other = replace(acid, positions=acid.positions[swapped])  # the charge sits on the other oxygen
    assert score([other], [acid])["mat_r"] < 0.2


@pytest.mark.parametrize("smiles", ["C[C@H](N)C(=O)O", "F[C@](Cl)(Br)I", "C[C@H](O)[C@H](O)CC"])
def test_a_mirrored_chiral_molecule_is_no_conformer_of_it(smiles):
    reference = embedded(smiles)
    report = score([sample(mirrored(reference), smiles=reference.smiles), sample(reference)], [reference])
    assert report.counts["other_stereoisomer"] == 1
    assert (report["cov_r"], report["cov_p"]) == (1, 0.5)
    assert [row.reason for row in report.rows] == ["another stereoisomer", ""]


def test_every_failure_lowers_precision_by_its_own_part():
    reference = embedded(FLEXIBLE[0])
    good = [sample(reference)] * 3
    lost = [sample(None, smiles=reference.smiles)] * 2
    report = score([*good, *lost], [reference])
    assert report["cov_p"] == pytest.approx(3 / 5)
    assert report["cov_r"] == 1
    assert report["mat_p"] == pytest.approx(0, abs=1e-4)
    assert report.counts["failed"] == 2
    nothing = score([sample(reference), sample(None, smiles="CCO")], [reference, embedded("CCO")])
    assert nothing["cov_r"] == nothing["cov_p"] == 0.5
    assert nothing.metrics["mat_r"].n == 1


def test_bonds_that_rdkit_refuses_cover_nothing(tmp_path):
    """Positions that RDKit would find the right bonds in do not mend the wrong ones that the file states."""
    reference = embedded("CCO")
    rows = Chem.MolToMolBlock(reference.to_rdkit()).splitlines()
    first = next(n for n, row in enumerate(rows) if row.split()[:3] == ["1", "2", "1"])
    rows[first] = rows[first].replace("  1  2  1", "  1  2  3")  # a carbon of six valences
    (tmp_path / "samples.sdf").write_text("\n".join(rows) + "\n$$$$\n" + reference.to_sdf())
    samples = read_samples(tmp_path / "samples.sdf").entries
    assert [each.carried for each in samples] == ["refused", "accepted"]
    report = score([replace(each, smiles=reference.smiles) for each in samples], [reference])
    assert (report["cov_p"], report["cov_r"]) == (0.5, 1)
    assert [row.covered for row in report.rows] == [False, True]
    assert report.counts["failed"] == len(report.dropped) == 1
    assert "valence" in report.rows[0].reason
    alone = score([replace(samples[0], smiles=reference.smiles)], [reference])
    assert (alone["cov_p"], alone["cov_r"], alone["mat_r"]) == (0, 0, None)


def test_molecules_without_samples_are_failures_unless_left_out():
    reference = [embedded(smiles) for smiles in FLEXIBLE[:4]]
    assert score(reference[:3], reference)["cov_r"] == 0.75
    assert score(reference[:3], reference, only_sampled=True)["cov_r"] == 1
    assert score(reference[:3], reference).counts["molecules_without_samples"] == 1


def test_measures_by_hand():
    rms = np.array([[0.1, 0.9], [0.5, 2.0], [np.inf, np.inf]])
    found = measures([ConformerVerdict(rms, ("", "", "failed"))], 0.5)
    values = {name: float(column[0]) for name, column in found.items()}
    assert values == pytest.approx({"cov_r": 0.5, "mat_r": 0.5, "cov_p": 1 / 3, "mat_p": 0.3})


def test_the_threshold_itself_is_not_covered():
    exact = [ConformerVerdict(np.array([[0.5]]), ("",))]
    assert measures(exact, 0.5)["cov_r"][0] == measures(exact, 0.5)["cov_p"][0] == 0
    assert measures(exact, np.nextafter(0.5, 1))["cov_r"][0] == 1


def test_distances_are_rdkits():
    made = etkdg_conformers("OCC[C@H](N)C(=O)O", 5, seed=1)
    verdict = compare_conformers(ConformerTask(made[0].to_smiles(), tuple(made[:2]), tuple(made[2:]), 3), 10_000)
    from rdkit.Chem import RemoveAllHs

    heavy = [RemoveAllHs(each.to_rdkit()) for each in made]
    wanted = [[rdMolAlign.GetBestRMS(heavy[row], heavy[column]) for column in (0, 1)] for row in (2, 3, 4)]
    assert verdict.rms == pytest.approx(np.array(wanted), abs=1e-6)
    assert not verdict.bounded


def test_symmetries_beyond_the_bound_are_counted():
    caged = embedded("CC(C)(C)C(C)(C)C")
    task = ConformerTask(caged.to_smiles(), (caged,), (caged,), 1)
    assert compare_conformers(task, 10).bounded
    assert not compare_conformers(task, 10_000).bounded


# ---- pairing


def test_pairing_by_smiles_by_id_and_by_graph():
    from unigen.eval.molecules.conformer_pairing import group_references
    from unigen.eval.molecules.reference import MoleculeReference
    from unigen.parallel import Workers

    ethanol, ether, acid = embedded("CCO"), embedded("COC"), embedded("CC(=O)O")
    known = MoleculeReference("known", [], [ethanol, embedded("CCO", 3), ether, acid], ["1", "2", "3", "x_1"])
    groups, unusable = group_references(known, Workers(1))
    assert ([group.ids for group in groups], unusable) == ([("1", "2"), ("3",), ("x_1",)], 0)
    samples = [
        sample(ether, "1", smiles="OCC"),  # what it was asked to be comes first
        sample(None, "3__7"),
        sample(None, "x_1"),
        sample(acid, "unknown"),
        sample(embedded("CCN"), "unknown"),
    ]
    found = pair_conformers(samples, groups)
    assert found.of_group == ((0,), (1,), (2, 3))
    assert found.unpaired == (4,)
    report = score(samples, [ethanol, ether, acid])
    assert report.counts["other_molecule"] == 1


def test_samples_without_bonds_get_them():
    reference = embedded("C[C@@H]([NH3+])CC(=O)[O-]")
    bare = Molecule(reference.numbers, reference.positions, smiles=reference.smiles)
    report = score([bare], [reference])
    assert report["cov_r"] == 1


# ---- the baseline


def test_etkdg_keeps_graph_and_stereo_and_its_seed():
    smiles = "C[C@H](O)/C=C/[C@@H](N)CC"
    one, again, other = (etkdg_conformers(smiles, 4, seed) for seed in (1, 1, 2))
    assert len(one) == 4
    assert len({each.to_smiles() for each in (*one, *other)}) == 1
    assert all((a.positions == b.positions).all() for a, b in zip(one, again, strict=True))
    assert not np.allclose(one[0].positions, other[0].positions)
    cleaned = etkdg_conformers(smiles, 4, 1, mmff=True)
    assert not np.allclose(one[0].positions, cleaned[0].positions)


def test_every_table_has_the_rows_of_etkdg():
    reference = [embedded(smiles) for smiles in FLEXIBLE[:2]]
    samples = [*reference, *reference, reference[0]]
    report = evaluate_conformers(samples, reference, workers=1, seed=3)
    rows = report.sections["baseline"].rows
    assert list(rows) == ["samples", "etkdg", "etkdg_mmff"]
    assert all(set(row) == {"cov_r", "mat_r", "cov_p", "mat_p", "unusable"} for row in rows.values())
    assert rows["etkdg"]["mat_p"].value > rows["samples"]["mat_p"].value
    assert report["samples_per_reference"] == 2.5
    alone = evaluate_conformers(None, reference, workers=1, seed=3)
    assert alone["samples_per_reference"] == 2
    assert list(alone.sections["baseline"].rows) == ["etkdg", "etkdg_mmff"]
    assert evaluate_conformers(samples, reference, workers=2, seed=3).metrics == report.metrics


# ---- cards and the command line


def test_the_card_says_what_the_code_does():
    card = yaml.safe_load((Path(__file__).parents[2] / "eval" / "protocols" / "conformers.yaml").read_text())
    stated = asdict(CONFORMERS)
    assert (card["name"], card["version"]) == (stated.pop("name"), stated.pop("version"))
    assert card["settings"] == stated
    assert set(score([embedded("CCO")], [embedded("CCO")]).metrics) == set(card["metrics"])


@pytest.fixture
def unigen(unigen, tmp_path):
    """As everywhere, for conformers, in a folder with some."""
    for name, seed in (("known", 0), ("made", 1)):
        text = "".join(embedded(smiles, seed).to_sdf(name=f"m{n}") for n, smiles in enumerate(FLEXIBLE[:3]))
        (tmp_path / f"{name}.sdf").write_text(text)
    (tmp_path / "other.sdf").write_text(embedded("CCN").to_sdf())
    (tmp_path / "flat.smi").write_text("CCO\n")
    return partial(unigen, "evaluate", "conformers")


def test_the_command(unigen, tmp_path):
    code, out, err = unigen("made.sdf", "--reference", "known.sdf", "--threshold", 1.25, "--workers", 1)
    assert (code, err) == (0, "")
    assert "etkdg" in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["protocol"], report["settings"]["threshold"]) == ("conformers", 1.25)
    assert report["counts"]["generated"] == report["counts"]["molecules"] == 3
    assert (tmp_path / "report.csv").read_text().count("\n") == 4
    assert unigen("--reference", "known.sdf", "--baseline", "none", "--workers", 1)[0] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("other.sdf", "--reference", "known.sdf"), "no sample belongs to any molecule of the reference"),
        (("made.sdf", "--reference", "flat.smi"), "flat.smi: no molecule with positions and bonds"),
        (("made.sdf", "--reference", "none"), "dataset 'none' is not built"),
        (("none.sdf", "--reference", "known.sdf"), "none.sdf: no such file or folder"),
        (("made.sdf", "--reference", "known.sdf", "--threshold", "0"), "threshold: not positive"),
    ],
)
def test_bad_input_is_one_line(unigen, options, said):
    code, _, err = unigen(*options)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


def test_a_smiles_that_does_not_parse_is_refused():
    with pytest.raises(UserError, match="not a SMILES"):
        etkdg_conformers("C1CC", 2)
