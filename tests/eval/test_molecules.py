"""`unigen evaluate molecules` end to end: denominators, uniqueness, carried bonds, files, reports, bad input."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from rdkit import Chem

from tests.eval.known_molecules import PLAIN, embedded, five_bonds, methane, mirrored, permuted, two_methanes
from unigen.data.readers.record import Record
from unigen.data.smiles_build import build_smiles_table
from unigen.errors import UserError
from unigen.eval.molecules.evaluate import evaluate_molecules
from unigen.eval.molecules.protocol import EDM, RDKIT
from unigen.eval.molecules.samples import MoleculeEntry, entry_from_record, read_samples
from unigen.eval.molecules.scores import ScoredMolecules
from unigen.eval.report import Outcome
from unigen.molecules.molecule import Molecule

SET = [embedded(smiles) for smiles in PLAIN]
BROKEN = [five_bonds(), two_methanes(), methane()]


def bare(molecule: Molecule) -> Molecule:
    return Molecule(molecule.numbers, molecule.positions)


def entry_of_sdf(text: str) -> MoleculeEntry:
    return entry_from_record(Record("a", "sdf", text, "a.sdf entry 1"))


# ---- laws


def test_every_failure_lowers_every_share_by_its_own_part():
    samples = [*SET, *BROKEN]
    failures = [MoleculeEntry(f"lost-{n}", None, reason="never made") for n in range(7)]
    whole = evaluate_molecules(samples, workers=1)
    less = evaluate_molecules([*map(_entry, samples), *failures], workers=1)
    part = len(samples) / (len(samples) + 7)
    assert less.counts["failed"] == 7
    for name, metric in whole.metrics.items():
        assert less[name] == pytest.approx(part * metric.value), name


def _entry(molecule: Molecule) -> MoleculeEntry:
    return MoleculeEntry("made", molecule, "accepted" if len(molecule.bonds) else "none")


def test_stable_atoms_are_counted_over_all_atoms():
    report = evaluate_molecules([methane(), five_bonds(), two_methanes()], workers=1)
    assert report["edm.atom_stable"] == pytest.approx((5 + 5 + 10) / (5 + 6 + 10))
    assert report["edm.molecule_stable"] == pytest.approx(2 / 3)
    assert report["rdkit.valid"] == pytest.approx(1 / 3)
    assert report.counts["fragmented"] == 1
    assert [row.reason for row in report.rows][::2] == ["", "2 fragments"]
    assert "no bonds fit the positions" in report.rows[1].reason


def test_the_order_of_samples_and_the_number_of_workers_change_nothing():
    samples = [*SET, *BROKEN, *SET[:3]]
    one, two = evaluate_molecules(samples, SET[:4], workers=1), evaluate_molecules(samples, SET[:4], workers=2)
    assert one.metrics == two.metrics
    assert one.rows == two.rows
    back = evaluate_molecules(samples[::-1], SET[:4], workers=1)
    assert {name: metric.value for name, metric in back.metrics.items()} == pytest.approx(
        {name: metric.value for name, metric in one.metrics.items()}
    )


# ---- uniqueness and novelty


def test_copies_conformers_and_mirror_images_are_one_molecule():
    alanine = embedded("C[C@H](N)C(=O)O")
    samples = [alanine, permuted(alanine, 3), mirrored(alanine), embedded("C[C@H](N)C(=O)O", 5), embedded("CCO")]
    report = evaluate_molecules([bare(each) for each in samples], [embedded("CCO")], workers=1)
    assert (report["rdkit.valid"], report["rdkit.valid_unique"]) == (1.0, 0.4)
    assert report["rdkit.valid_unique_novel"] == 0.2
    assert [row.unique for row in report.rows] == [True, False, False, False, True]
    assert [row.novel for row in report.rows] == [True, True, True, True, False]
    assert report.rows[0].smiles == "C[C@H](N)C(=O)O"
    assert report.rows[2].smiles == "C[C@@H](N)C(=O)O"


def test_what_is_known_is_not_novel_wherever_it_is_known_from(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    (tmp_path / "trained.smi").write_text("CCO\nCCO.[Na+]\n")
    build_smiles_table("trained", (str(tmp_path / "trained.smi"),), workers=1)
    (tmp_path / "more.smi").write_text("CC(N)C(=O)O\n")
    samples = [bare(embedded(smiles)) for smiles in ("C[C@H](N)C(=O)O", "CCO", "CCN", "CC")]

    def novel(*known, reference=None):
        report = evaluate_molecules(samples, reference, known=known, workers=1)
        return [row.novel for row in report.rows], report

    assert novel("trained:train")[0] == [True, False, True, True]
    seen, report = novel("trained", tmp_path / "more.smi", reference=[embedded("CC")])
    assert seen == [False, False, True, False]
    assert report["rdkit.valid_unique_novel"] == 0.25
    assert (report.counts["known_graphs"], report.counts["known_unreadable"]) == (2, 0)
    with pytest.raises(UserError, match="dataset 'nothing' is not built"):
        novel("nothing")


def test_a_set_against_itself_is_not_novel_and_at_no_distance():
    report = evaluate_molecules(SET, SET, workers=1)
    assert report["rdkit.valid"] == report["own.valid"] == 1
    assert report["rdkit.valid_unique_novel"] == report["own.valid_unique_novel"] == 0
    for name in ("w_atoms", "w_heavy_atoms", "tv_elements", "w_bond_lengths"):
        assert report[name] == pytest.approx(0, abs=1e-9)
    beside = report.sections["reference"].rows
    assert all(row["samples"].value == pytest.approx(row["reference"].value) for row in beside.values())


def test_distances_of_sizes_and_lengths():
    longer, ethane = Molecule(methane().numbers, 1.1 * methane().positions), embedded("CC")
    report = evaluate_molecules([longer], [ethane], workers=1)
    assert report["w_atoms"] == 3
    assert report["w_heavy_atoms"] == 1
    assert report["tv_elements"] == pytest.approx(1 / 4 - 1 / 5)
    ends = ethane.bonds[ethane.numbers[ethane.bonds[:, 1]] == 1]
    lengths = np.linalg.norm(ethane.positions[ends[:, 0]] - ethane.positions[ends[:, 1]], axis=1)
    assert report["w_bond_lengths"] == pytest.approx(np.abs(1.1 * 1.09 - lengths).mean())  # of C-H, the shared kind


# ---- the bonds a sample carries


def test_carried_bonds_that_are_right():
    report = evaluate_molecules(SET, workers=1)
    for name in ("accepted", "valid", "agrees", "agrees_on_pairs", "valid_unique"):
        assert report[f"own.{name}"] == 1
    assert "own.valid" not in evaluate_molecules([bare(each) for each in SET], workers=1).metrics


def test_carried_bonds_that_are_refused_leave_the_positions():
    text = embedded("C").to_sdf().replace("  1  2  1  0", "  1  2  3  0")
    entry = entry_of_sdf(text)
    assert entry.carried == "refused"
    assert "valence" in entry.reason
    report = evaluate_molecules([entry], workers=1)
    assert (report["own.accepted"], report["rdkit.valid"], report["edm.molecule_stable"]) == (0, 1, 1)
    assert report.counts["bonds_refused"] == 1


def test_carried_bonds_of_another_molecule_do_not_agree():
    ethanol = embedded("CCO")
    ether = embedded("COC").selected(np.array([0, 2, 1, 3, 4, 5, 6, 7, 8]))
    assert (ether.numbers == ethanol.numbers).all()
    report = evaluate_molecules([replace(ethanol, bonds=ether.bonds)], workers=1)
    assert (report["own.valid"], report["own.agrees"], report["own.agrees_on_pairs"]) == (1, 0, 0)


def test_the_aromatic_trap():
    """Of order 1.5 made an integer, a ring carbon that lost its hydrogen would pass as one of three bonds."""
    mol = embedded("c1ccccc1").to_rdkit()
    whole = entry_of_sdf(Chem.MolToMolBlock(mol, kekulize=False))
    editable = Chem.RWMol(mol)
    editable.RemoveAtom(11)
    editable.GetAtomWithIdx(5).SetNoImplicit(False)
    broken = entry_of_sdf(Chem.MolToMolBlock(editable, kekulize=False))
    assert [whole.carried, broken.carried] == ["accepted", "refused"]
    assert "hydrogens are missing" in broken.reason
    report = evaluate_molecules([whole, broken], workers=1)
    assert (report["own.valid"], report["own.agrees"], report["rdkit.valid_neutral"]) == (0.5, 0.5, 0.5)


def test_a_carried_radical_is_accepted_and_not_valid():
    radical = embedded("C[CH2]")
    report = evaluate_molecules([entry_of_sdf(radical.to_sdf())], workers=1)
    assert (report["own.accepted"], report["own.valid"]) == (1, 0)


# ---- PoseBusters


def test_posebusters_on_the_first_samples_and_as_many_of_the_reference():
    pytest.importorskip("posebusters")
    lost = MoleculeEntry("lost", None, reason="never made")
    report = evaluate_molecules([_entry(embedded("CCO")), lost, _entry(SET[0])], SET[:3], posebusters=2, workers=1)
    assert report["posebusters.pass"] == 0.5
    assert report.metrics["posebusters.pass_reference"].n == 2
    assert [row.posebusters for row in report.rows] == [True, False, None]
    assert report.sections["posebusters"].rows["sanitization"]["posebusters.pass"].value == 0.5
    assert "posebusters" in report.versions


# ---- files, cards, the command line


def test_formats_give_the_same_verdicts(tmp_path):
    (tmp_path / "a.sdf").write_text("".join(each.to_sdf() for each in SET))
    (tmp_path / "a.xyz").write_text("".join(each.to_xyz() for each in SET))
    (tmp_path / "a.extxyz").write_text("".join(each.to_extxyz() for each in SET))
    reports = [evaluate_molecules(tmp_path / f"a.{kind}", workers=1) for kind in ("sdf", "xyz", "extxyz")]
    for name in ("edm.atom_stable", "edm.molecule_stable", "edm.valid", "rdkit.valid", "rdkit.valid_unique"):
        assert len({report[name] for report in reports}) == 1
    assert [report.counts["carry_bonds"] for report in reports] == [len(SET), 0, 0]


def test_a_run_folder_counts_what_was_never_made(tmp_path):
    (tmp_path / "samples.sdf").write_text("".join(each.to_sdf() for each in SET[:2]))
    lines = [{"id": "a", "index": 0, "seed": 4}, {"id": "a", "index": 1, "reason": "no end"}, {"id": "b", "index": 0}]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = evaluate_molecules(tmp_path, workers=1)
    assert (report.counts["generated"], report.counts["failed"]) == (3, 1)
    assert report.seeds == [4]
    assert [(row.id, row.index, row.reason[-6:]) for row in report.rows] == [
        ("a", 0, ""),
        ("a", 1, "no end"),
        ("b", 0, ""),
    ]
    (tmp_path / "samples.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(UserError, match=r"more molecules in samples\.sdf"):
        read_samples(tmp_path)


def test_a_bad_entry_among_good_ones(tmp_path):
    text = SET[1].to_sdf() + "broken\nno counts here\n\n$$$$\n" + SET[2].to_sdf()
    (tmp_path / "a.sdf").write_text(text)
    report = evaluate_molecules(tmp_path / "a.sdf", workers=1)
    assert (report.counts["generated"], report.counts["failed"]) == (3, 1)
    assert report["rdkit.valid"] == pytest.approx(2 / 3)
    assert "a.sdf entry 2" in report.dropped[0]["where"]


@pytest.mark.parametrize("rules", [EDM, RDKIT], ids=lambda each: each.name)
def test_cards_say_what_the_code_does(rules):
    card = yaml.safe_load((Path(__file__).parents[2] / "eval" / "protocols" / f"{rules.name}.yaml").read_text())
    stated = json.loads(json.dumps(asdict(rules)))
    assert (card["name"], card["version"]) == (stated.pop("name"), stated.pop("version"))
    assert card["settings"] == stated


def test_every_number_is_on_a_card():
    folder = Path(__file__).parents[2] / "eval" / "protocols"
    cards = [yaml.safe_load((folder / f"{rules.name}.yaml").read_text()) for rules in (EDM, RDKIT)]
    described = {name for card in cards for name in card["metrics"]}
    report = evaluate_molecules(SET, SET, workers=1)
    assert {name for name in described if not name.startswith("posebusters")} == set(report.metrics)


@pytest.fixture
def unigen(unigen, tmp_path):
    """As everywhere, in a folder with some molecules."""
    (tmp_path / "mine.sdf").write_text("".join(each.to_sdf() for each in SET))
    (tmp_path / "mine.smi").write_text("\n".join(PLAIN[:3]))
    return unigen


def test_the_command(unigen, tmp_path):
    code, out, err = unigen("evaluate", "molecules", "mine.sdf", "--reference", "mine.smi", "--workers", 1)
    assert (code, err) == (0, "")
    assert "rdkit.valid_unique_novel" in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["protocol"] == "molecules-edm, molecules-rdkit"
    assert report["metrics"]["rdkit.valid_unique_novel"]["value"] == pytest.approx(0.7)
    assert report["settings"]["edm"] == {"margins": [10.0, 5.0, 3.0]}
    assert {"rdkit", "unigen-matter"} <= set(report["versions"])
    rows = list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))
    assert len(rows) == len(SET)
    assert rows[0]["valid"] == "true"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("none.sdf",), "none.sdf: no such file or folder"),
        (("mine.smi",), "mine.smi: no readable molecule"),
        (("mine.sdf", "--reference", "qm9"), "dataset 'qm9' is not built"),
        (("mine.sdf", "--reference", "none.sdf"), "dataset 'none.sdf' is not built"),
        (("empty",), "empty: no molecules in this folder"),
    ],
)
def test_bad_input_is_one_line(unigen, tmp_path, options, said):
    (tmp_path / "empty").mkdir()
    code, _, err = unigen("evaluate", "molecules", *options)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


def test_what_bad_arguments_say():
    with pytest.raises(UserError, match="no readable molecule"):
        evaluate_molecules([])
    with pytest.raises(UserError, match="workers: not a positive count"):
        evaluate_molecules(SET, workers=0)
    with pytest.raises(UserError, match="posebusters: not a count"):
        evaluate_molecules(SET, posebusters=-1)


def test_an_outcome_without_rows_writes_a_table_all_the_same(tmp_path):
    scored = ScoredMolecules((), (), 0)
    outcome = Outcome({}, {}, (), [])
    report = outcome.report(EDM, samples="none", reference=None, entries=scored.entries, seed=0, tools=(), seconds=0.0)
    assert report.write(tmp_path / "a.json")[1].read_text().strip() == "id"
