"""The facts beside a sample, and their table."""

from __future__ import annotations

import numpy as np
import pytest
from ase.collections import dcdft
from rich.console import Console

from unigen.crystals.crystal import Crystal
from unigen.eval.crystals.protocol import CrystalRules
from unigen.runs.tables import (
    MIN_DISTANCE,
    MIN_VOLUME,
    SHOWN,
    answers_table,
    cell_parameters,
    check_sample,
    samples_table,
)

IRON = Crystal.from_ase(dcdft["Fe"])


def test_facts_of_iron():
    facts = check_sample(IRON)
    assert facts["space_group"] == "Im-3m"
    assert facts["space_group_number"] == 229
    assert facts["density"] == pytest.approx(8.2, abs=0.3)  # PBE's lattice constant is a little short
    assert facts["smallest_distance"] == pytest.approx(2.45, abs=0.05)
    assert facts["valid"] is True


def test_a_clash_with_its_own_image_is_invalid():
    thin = Crystal(np.array([26]), np.zeros((1, 3)), np.diag([0.4, 5.0, 5.0]))
    assert check_sample(thin)["valid"] is False


def test_an_organic_composition_without_molecules_is_not_valid():
    """Methane's atoms in the structure of fluorite's kind are no methane; methane at its own distances is."""
    edge = 8.0
    corner = np.array([1, 1, 1]) * 1.09 / np.sqrt(3)
    hydrogens = corner * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    methane = Crystal(np.array([6, 1, 1, 1, 1]), np.vstack([np.zeros(3), hydrogens]) / edge, np.eye(3) * edge)
    assert check_sample(methane)["valid"] is True
    assert check_sample(methane)["network"] == "molecules"
    squeezed = Crystal(np.array([6, 1]), np.array([[0.0] * 3, [0.5] * 3]), np.eye(3) * 1.7)  # CH as CsCl
    facts = check_sample(squeezed)
    assert facts["valid"] is False
    assert facts["not_molecular"] == "atoms of CH are bonded into a framework"


def test_limits_are_those_of_the_evaluation():
    protocol = CrystalRules(name="csp")
    assert (protocol.min_distance, protocol.min_volume) == (MIN_DISTANCE, MIN_VOLUME)


def test_cell_parameters_are_those_of_pymatgen():
    cell = Crystal(np.array([6]), np.zeros((1, 3)), np.array([[3.0, 0.1, 0.2], [0.4, 4.0, -0.5], [0.6, 0.7, 5.0]]))
    assert cell_parameters(cell) == pytest.approx(cell.to_pymatgen().lattice.parameters)


def _printed(table) -> str:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_a_table_of_samples():
    rows = [check_sample(IRON) | {"crystal": IRON, "log_likelihood": -1.5}, check_sample(IRON) | {"crystal": IRON}]
    table = samples_table(rows * 15)
    assert table.row_count == SHOWN
    text = _printed(table)
    assert "Im-3m (229)" in text
    assert "-1.5" in text
    assert "and 10 more" in text
    assert "and 980 more" in _printed(samples_table(rows * SHOWN, total=1000))


@pytest.mark.parametrize("source", [{}, {"source": {"id": "mp-1234567", "formula": "Ba2YCu3O7", "distance": 0.25}}])
def test_nothing_is_cut_off_at_80_columns(source):
    facts = {"space_group": "P2_12_12_1", "space_group_number": 19, "density": 10.25, "smallest_distance": 1.91}
    wide = Crystal(IRON.numbers, IRON.frac_coords, np.diag([11.25, 12.5, 13.75]))
    row = facts | {"valid": True, "crystal": wide, "formula": "Ba2Cu3O7Y", "log_likelihood": -1234.56} | source
    text = _printed(samples_table([row]))
    assert "…" not in text
    cells = ("Ba2Cu3O7Y", "P2_12_12_1", "(19)", "11.25 12.50 13.75", "90 90 90", "10.25", "1.91", "yes")
    for whole in (*cells, *(("0.250", "Ba2YCu3O7", "mp-1234567") if source else ("-1234.6",))):
        assert whole in text
    assert "Ba12Cu12O2" in _printed(samples_table([row | {"formula": "Ba12Cu12O28Y4"}]))  # folded, not cut


@pytest.mark.parametrize("smiles", ["O", "C#CC[C@]12C[C@H]1O[C@@H]2C", "C" * 60])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_every_property_that_was_asked_for_is_told_at_80_columns(count, smiles):
    asked = {"gap": (0.25, "hartree"), "mu": (2, "debye"), "Cv": (30.5, "cal/(mol K)"), "R2": (1200.0, "bohr^2")}
    asked |= {"zpve": (0.125, "hartree"), "density": (4.5, "")}
    ranking: dict[str, float | str] = {"rank": 1, "off_by": 0.321, "candidate": 3}
    told = []
    for name, (wanted, unit) in list(asked.items())[:count]:
        of = f" ({unit})" if unit else ""
        ranking |= {f"{name}_predicted{of}": wanted * 1.1, f"{name}_asked{of}": wanted, f"{name}_off_by{of}": 0.1}
        told.append(f"{name} {wanted * 1.1:.4g} {unit}".strip() + f" (asked {wanted:.4g})")
    text = " ".join(
        _printed(
            answers_table([{"formula": "C7H10O2", "smiles": "CC1=C2CC(O)C2CO1", "ranking": ranking}], 1, "")
        ).split()
    )
    for words in told:
        assert all(word in text for word in words.split())
    assert "0.321" in text
    assert "C7H10O2" in text
