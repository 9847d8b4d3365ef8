"""The facts beside a sample, and their table."""

from __future__ import annotations

import numpy as np
import pytest
from ase.collections import dcdft
from rich.console import Console

from unigen.data.crystal import Crystal
from unigen.eval.protocol import Protocol
from unigen.report.tables import MIN_DISTANCE, MIN_VOLUME, cell_parameters, check_sample, samples_table

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


def test_limits_are_those_of_the_evaluation():
    protocol = Protocol(name="csp")
    assert (protocol.min_distance, protocol.min_volume) == (MIN_DISTANCE, MIN_VOLUME)


def test_cell_parameters_are_those_of_pymatgen():
    cell = Crystal(np.array([6]), np.zeros((1, 3)), np.array([[3.0, 0.1, 0.2], [0.4, 4.0, -0.5], [0.6, 0.7, 5.0]]))
    assert cell_parameters(cell) == pytest.approx(cell.to_pymatgen().lattice.parameters)


def test_a_table_of_samples():
    rows = [check_sample(IRON) | {"crystal": IRON, "score": -1.5}, check_sample(IRON) | {"crystal": IRON}]
    table = samples_table([*rows, *rows], limit=3)
    assert table.row_count == 3
    console = Console(width=160)
    with console.capture() as captured:
        console.print(table)
    text = captured.get()
    assert "Im-3m (229)" in text
    assert "-1.50" in text
    assert "and 1 more" in text
