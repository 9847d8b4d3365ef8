"""A scan of volumes finds the minimum that is there, wherever it starts, and the same for the same crystal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.energies.potential import find_potential
from unigen.energies.volume_scan import ScannedCrystals, ScanSettings, scan_volume
from unigen.errors import UserError
from unigen.parallel import Workers

EMT = find_potential("ase.calculators.emt:EMT", "EMT")
FCC = (np.ones((3, 3)) - np.eye(3)) / 2


def metal(edge: float, number: int = 29) -> Crystal:
    return Crystal(np.array([number]), np.zeros((1, 3)), edge * FCC)


def parabola(best: float, curvature: float, lowest: float = -3.0):
    """Energies that are a parabola in 1 / edge^2, per atom."""
    return lambda structures: [
        len(atoms) * (lowest + curvature * (atoms.cell.lengths()[0] ** -2.0 - best**-2.0) ** 2) for atoms in structures
    ]


@given(
    edge=st.floats(3.0, 6.0),
    off=st.floats(0.85, 1.18),
    curvature=st.floats(10, 1e4),
    lowest=st.floats(-9, 3),
)
def test_the_minimum_of_a_parabola_is_found_exactly(edge, off, curvature, lowest):
    start = Crystal(np.array([29]), np.zeros((1, 3)), edge * off * np.eye(3))
    found = scan_volume(start, parabola(edge, curvature, lowest), ScanSettings())
    assert found.reason == ""
    assert found.scale * off == pytest.approx(1, abs=1e-5)
    assert found.energy_per_atom == pytest.approx(lowest, abs=1e-6)
    assert found.energy_per_atom <= found.initial_energy_per_atom + 1e-9
    np.testing.assert_allclose(found.crystal.lattice, edge * np.eye(3), rtol=1e-5)


@given(edge=st.floats(3.2, 4.1))
def test_copper_has_one_minimum_wherever_the_scan_begins(edge):
    found, near = (scan_volume(metal(each), EMT.energies(), ScanSettings()) for each in (edge, 3.6))
    assert found.scale * edge == pytest.approx(near.scale * 3.6, rel=2e-3)
    assert found.energy_per_atom == pytest.approx(near.energy_per_atom, abs=1e-3)


@given(copies=st.integers(1, 4), shift=st.lists(st.floats(0, 1), min_size=3, max_size=3), seed=st.integers(0, 99))
def test_a_crystal_in_another_cell_has_the_same_energy(copies, shift, seed):
    numbers = np.array([29, 79, 47])
    cell = Crystal(numbers, np.array([[0, 0, 0], [0.5, 0.5, 0.1], [0.2, 0.6, 0.6]]), np.diag([3.9, 4.0, 4.4]))
    larger = repeat_cell(cell, copies)
    order = np.random.default_rng(seed).permutation(len(larger))
    moved = Crystal(larger.numbers[order], larger.frac_coords[order] + np.array(shift), larger.lattice)
    one, two = (scan_volume(each, EMT.energies(), ScanSettings()) for each in (cell, moved))
    assert two.energy_per_atom == pytest.approx(one.energy_per_atom, abs=1e-6)
    assert two.scale == pytest.approx(one.scale, abs=1e-6)


def test_one_point_is_the_structure_as_it_is():
    found = scan_volume(metal(3.7), EMT.energies(), ScanSettings(points=1))
    assert (found.points, found.scale, found.reason) == (1, 1.0, "")
    assert found.energy_per_atom == found.initial_energy_per_atom


def test_a_slope_without_an_end_is_said():
    found = scan_volume(metal(3.7), parabola(90.0, 100.0), ScanSettings())
    assert found.reason == "energy still falls at 1.23 times the edges"


def test_what_no_potential_can_judge_has_a_reason():
    close = Crystal(np.array([29, 29]), np.array([[0, 0, 0], [0.05, 0, 0]]), 4 * np.eye(3))
    assert scan_volume(close, EMT.energies(), ScanSettings()).reason == "atoms 0.20 A apart"
    assert scan_volume(metal(3.6, 92), EMT.energies(), ScanSettings()).reason.startswith("NotImplementedError")


def test_a_folder_is_gone_on_with_and_belongs_to_one_potential(tmp_path):
    crystals = [metal(3.5), metal(4.0, 79), metal(3.6, 92)]
    with Workers(1) as pool:
        first = ScannedCrystals(tmp_path / "scan", EMT, ScanSettings()).scan(crystals, pool)
        again = ScannedCrystals(tmp_path / "scan", EMT, ScanSettings()).scan(crystals[::-1], pool)[::-1]
    for one, two in zip(first, again, strict=True):
        assert (one.energy_per_atom, one.scale, one.reason) == (two.energy_per_atom, two.scale, two.reason)
        assert (one.crystal is None) == (two.crystal is None)
    assert first[2].crystal is None
    with pytest.raises(UserError, match="this folder holds other results"):
        ScannedCrystals(tmp_path / "scan", EMT, ScanSettings(points=3))
