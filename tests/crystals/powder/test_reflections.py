"""Reflections against pymatgen's, and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS, XRDCalculator

from tests.crystals.powder.powder_crystals import CRYSTALS
from tests.crystals.real_crystals import described_otherwise
from tests.crystals.scrambled_crystals import made_up
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder import reflections as module
from unigen.crystals.powder.radiation import WAVELENGTHS, inverse_d_of, two_theta_of, wavelength_of
from unigen.crystals.powder.reflections import free_displacements, reflections
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.symmetry.crystal_systems import crystal_system, free_lattice
from unigen.symmetry.space_groups import space_group

WAVELENGTH = 1.5
some_groups = st.sampled_from([1, 2, 14, 19, 62, 88, 129, 148, 160, 186, 194, 216, 225, 227])


def pymatgens_factors(number, inverse_d):
    a, b = np.array(ATOMIC_SCATTERING_PARAMS[SYMBOLS[number]]).T
    square = np.square(inverse_d / 2)
    return number - 41.78214 * square * (a * np.exp(-b * square[:, None])).sum(axis=1)


@pytest.mark.parametrize("number", [2, 14, 62, 160, 227])
def test_the_lines_are_those_of_pymatgen(number, monkeypatch):
    """Places, and intensities in absolute units, with pymatgen's scattering factors in place of ours."""
    monkeypatch.setattr(module, "scattering_factors", pymatgens_factors)
    crystal = made_up(number, seed=1).to_crystal()
    theirs = XRDCalculator(WAVELENGTH).get_pattern(crystal.to_pymatgen(), scaled=False, two_theta_range=(1, 80))
    lines = reflections(crystal, float(inverse_d_of(np.array([80.0]), WAVELENGTH)[0]))
    angles, intensities = two_theta_of(lines.inverse_d, WAVELENGTH), lines.intensities(WAVELENGTH)
    copies = len(crystal) / len(lines.cell)
    for angle, intensity in zip(theirs.x, theirs.y, strict=True):
        ours = intensities[np.abs(angles - angle) < 1e-3].sum() * copies**2
        near = sum(y for x, y in zip(theirs.x, theirs.y, strict=True) if abs(x - angle) < 1e-3)
        assert ours == pytest.approx(near, rel=1e-3, abs=1e-6 * max(theirs.y)), f"at {angle}, {intensity}"
    assert intensities.sum() * copies**2 == pytest.approx(sum(theirs.y), rel=1e-3)


@pytest.mark.parametrize("number", [1, 8, 26, 57, 79, 92, 98])
def test_scattering_factors_count_the_electrons(number):
    at_zero, far = module.scattering_factors(number, np.array([0.0, 1.3]))
    assert at_zero == pytest.approx(number, rel=2e-3)
    assert far < at_zero
    # the two tables differ by what their fits do
    assert far == pytest.approx(pymatgens_factors(number, np.array([1.3]))[0], abs=0.04 * number + 0.1)


@settings(max_examples=10)
@given(st.data())
def test_a_crystal_described_otherwise_has_the_same_lines(data):
    crystal = data.draw(st.sampled_from(CRYSTALS))
    other = data.draw(described_otherwise(crystal))
    first, second = reflections(crystal, 0.5), reflections(other, 0.5)
    edges = np.linspace(0, 0.5, 26)
    # a line at an edge may fall on either side by rounding, so that sums up to each edge plus a little are compared
    for edge in edges:
        reached = [each.strength[each.inverse_d < edge + 1e-5].sum() for each in (first, second)]
        nearby = [each.strength[np.abs(each.inverse_d - edge) < 2e-5].sum() for each in (first, second)]
        assert reached[0] == pytest.approx(reached[1], rel=1e-4, abs=1e-6 * first.strength.sum() + sum(nearby))
    assert len(first.strains) == len(second.strains)


@settings(max_examples=10)
@given(some_groups, st.integers(0, 5))
def test_as_many_strains_are_free_as_the_crystal_system_leaves(number, seed):
    symmetric = made_up(number, seed)
    crystal = symmetric.to_crystal()
    found = crystal.space_group(0.01).number
    assert len(reflections(crystal, 0.4).strains) == free_lattice(crystal_system(found)).sum()


@settings(max_examples=10)
@given(some_groups, st.integers(0, 5))
def test_free_displacements_are_the_free_parameters_and_keep_the_symmetry(number, seed):
    symmetric = made_up(number, seed)
    cell = symmetric.to_crystal().reduced()
    if cell.space_group(0.01).number != number:  # its numbers happen to have more symmetry
        return
    modes = free_displacements(cell)
    assert len(modes) == space_group(number).dof[symmetric.letters].sum()
    if len(modes):
        steps = np.random.default_rng(seed).normal(0, 0.02, len(modes))
        moved = cell.frac_coords + np.einsum("m,mai->ai", steps, modes) @ np.linalg.inv(cell.lattice)
        found = Crystal(cell.numbers, moved, cell.lattice).space_group(1e-4).number
        assert found == cell.space_group(1e-4).number


def test_wavelengths_by_name_and_number():
    assert wavelength_of("Cu K\u03b11") == wavelength_of("cuka1") == WAVELENGTHS["CuKa1"]
    assert wavelength_of("0.4137 A") == wavelength_of(0.4137) == 0.4137
    for wrong in ("XxKa", "0", "1541", "-1", "nan"):
        with pytest.raises(UserError, match="not a wavelength of X-rays"):
            wavelength_of(wrong)


def test_what_cannot_be_calculated_is_said():
    lattice = 4.0 * np.eye(3)
    with pytest.raises(UserError, match="no scattering factors; got Es"):
        reflections(Crystal(np.array([99]), np.zeros((1, 3)), lattice), 0.5)
    with pytest.raises(UserError, match="too large a cell"):
        reflections(Crystal(np.arange(1, 31), np.random.default_rng(0).random((30, 3)), 50 * np.eye(3)), 1.4)
