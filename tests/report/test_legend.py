"""No number without its name, unit and protocol: of every protocol's metrics, and of every column of a page."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args

import numpy as np
import pytest

from tests.crystals.real_crystals import prototypes
from unigen.cards import Kind, published
from unigen.config import read_yaml
from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.protocol import DENOVO
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.crystals.scores import CrystalResult
from unigen.eval.molecules.conditional import PropertyResult
from unigen.eval.molecules.conformer_scores import ConformerResult
from unigen.eval.molecules.conformers import evaluate_conformers
from unigen.eval.molecules.evaluate import evaluate_molecules
from unigen.eval.molecules.scores import MoleculeResult
from unigen.eval.statistics import Metric
from unigen.eval.tables import is_share
from unigen.molecules.molecule import Molecule
from unigen.report.evaluation_page import evaluation_page
from unigen.report.legend import SHARE, STABILITY, legend_of, terms_of
from unigen.report.quantities import MADE_BY, By, quantity_of, unit_of
from unigen.runs.tables import check_sample

CRYSTALS = list(prototypes(4))
MOLECULES = [Molecule.from_smiles(smiles, seed=1) for smiles in ("CCO", "CC(N)=O")]
CARDS = sorted(published("eval/protocols").glob("*.yaml"))


def csp():
    entries = [CrystalEntry(f"c{n}", crystal, index=0, score=1.0) for n, crystal in enumerate(CRYSTALS)]
    again = [replace(entry, index=1) for entry in entries]
    return evaluate_crystals([*entries, *again], CRYSTALS, "csp", workers=1)


def denovo():
    return evaluate_crystals(CRYSTALS, CRYSTALS[:2], "denovo", workers=1)


def stability():
    """As of an evaluation with relaxations by another potential than the card's."""
    metrics = dict.fromkeys(read_yaml(published("eval/protocols") / f"{STABILITY}.yaml")["metrics"], Metric(0.5, n=4))
    report = denovo()
    judged = {"potential": {"name": "7net-0", "scheme": "MP-uncorrected"}}
    return replace(report, metrics=report.metrics | metrics, settings=report.settings | {"stability": judged})


def molecules():
    return evaluate_molecules(MOLECULES, MOLECULES, workers=1)


def conformers():
    return evaluate_conformers(MOLECULES, MOLECULES, baseline=False, workers=1)


@pytest.mark.parametrize("report_of", [csp, denovo, stability, molecules, conformers])
def test_every_metric_of_a_page_has_its_entry(report_of, tmp_path):
    report = report_of()
    page = evaluation_page(report, tmp_path)
    legend = legend_of(terms_of(report))
    assert legend in page.tables
    shown = page.tables[0].rows
    assert [row[0] for row in legend.rows] == [row[0] for row in shown] == [n.replace("_", " ") for n in report.metrics]
    assert all(all(row) for row in legend.rows)
    assert not any("as this protocol has it" in row[-1] for row in legend.rows)
    for (_, unit, protocol, _), (_, value, *_), name in zip(legend.rows, shown, report.metrics, strict=True):
        assert protocol.split()[0].startswith(("csp", "denovo", "molecules", "conformers"))
        assert (unit == SHARE) == is_share(name)
        if report.metrics[name].value is not None:
            assert value.endswith(" %" if is_share(name) else f" {unit}" if unit != "none" else value)


def test_a_metric_by_another_potential_than_the_cards_says_so():
    protocols = {row[0]: row[2] for row in legend_of(terms_of(stability())).rows}
    assert protocols["stable 0.1"] == "denovo-sun-chgnet 1.3, with 7net-0"
    assert protocols["unique"] == "denovo-cdvae 1.1"


def test_a_protocol_of_ones_own_has_a_page(tmp_path):
    report = evaluate_crystals(CRYSTALS, CRYSTALS, replace(DENOVO, name="mine", min_distance=1.0), workers=1)
    rows = evaluation_page(report, tmp_path).tables[-1].rows
    assert {row[2] for row in rows} == {"mine 1.1"}


def test_a_metric_of_several_samples_says_of_which():
    said = {row[0]: row[3] for row in legend_of(terms_of(csp())).rows}
    assert said["match rate.k1"].endswith("Here: the first sample of each reference.")
    assert said["match rate.k2"].endswith("Here: the best of the first 2 samples.")
    assert said["match rate.best of 2"].endswith("Here: of the first 2 samples the one with the highest score.")


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_card_has_the_unit_of_what_is_no_share_and_of_nothing_else(path):
    card = read_yaml(path)
    assert {name for name in card["metrics"] if not is_share(name)} == card["metric_units"].keys()


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (CrystalResult, "crystals"),
        (MoleculeResult, "molecules"),
        (ConformerResult, "molecules"),
        (PropertyResult, "molecules"),
    ],
)
def test_every_column_of_an_evaluation_is_known(row, kind):
    columns = {each.name for each in fields(row)} - {"id", "formula"}
    assert [name for name in columns if quantity_of(name, kind).about == "as its file says"] == []


def test_every_check_of_a_generated_crystal_is_known():
    overlapping = Crystal(np.array([22, 8]), np.array([[0, 0, 0], [0, 0, 0.19]]), 4 * np.eye(3))
    columns = check_sample(overlapping) | check_sample(repeat_cell(CRYSTALS[0], 2))
    assert {"close_contact", "primitive_atoms"} <= columns.keys()
    assert [name for name in columns if quantity_of(name, "crystals").about == "as its file says"] == []


@pytest.mark.parametrize("kind", get_args(Kind))
def test_units_are_written_once(kind):
    assert unit_of("gap_predicted (eV)", kind) == ""
    assert unit_of("energy_per_atom", kind) == "eV/atom"
    assert unit_of("energy_per_atom at 5 GPa", kind) == "eV/atom"
    assert unit_of("steps", kind) == ""
    assert set(MADE_BY) == set(get_args(By))


def test_one_word_may_be_two_quantities():
    assert unit_of("strain", "molecules") == "kcal/mol"
    assert unit_of("strain", "crystals") == ""
