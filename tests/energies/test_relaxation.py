"""Relaxation goes down, does not depend on how a crystal is written, and lets nothing impossible through."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import make_supercell
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.energies.alloys import fcc, ordered, potential, strained
from unigen.crystals.crystal import Crystal
from unigen.energies.potential import find_potential
from unigen.energies.relaxation import CUTOFF_UNKNOWN, RelaxSettings, displacement, relax
from unigen.errors import UserError
from unigen.geometry.rotation import random_rotation

ODD = "tests.energies.odd_calculators"
TIGHT = RelaxSettings(fmax=0.005)


@settings(max_examples=10)
@given(strained())
def test_it_goes_down_to_where_no_force_is_left(crystal):
    found = relax(crystal, potential(), RelaxSettings())
    assert found.outcome == "converged"
    assert found.energy_per_atom <= found.initial_energy_per_atom
    assert found.largest_force < 0.05
    assert found.volume_change == pytest.approx(found.crystal.volume / crystal.volume - 1)
    again = relax(found.crystal, potential(), RelaxSettings())
    # the cell's force counts from the cell it starts in, which is another one now: some steps, but nothing to gain
    assert again.energy_per_atom == pytest.approx(found.energy_per_atom, abs=1e-3)
    assert again.displacement < 0.01
    assert found.crystal.properties == {}


@settings(max_examples=6)
@given(strained())
def test_the_energy_does_not_depend_on_how_the_crystal_is_written(crystal):
    rng = np.random.default_rng(0)
    order = rng.permutation(len(crystal))
    turned = Crystal(
        crystal.numbers[order], crystal.frac_coords[order] + rng.random(3), crystal.lattice @ random_rotation(rng)
    )
    doubled = Crystal.from_ase(make_supercell(crystal.to_ase(), [[1, 1, 0], [0, 1, 0], [0, 0, 2]]))
    here = relax(crystal, potential(), TIGHT)
    for other in (turned, doubled):
        there = relax(other, potential(), TIGHT)
        assert there.initial_energy_per_atom == pytest.approx(here.initial_energy_per_atom, abs=1e-6)
        assert there.energy_per_atom == pytest.approx(here.energy_per_atom, abs=1e-3)


@given(strained())
def test_a_shift_of_the_origin_and_a_strain_are_no_displacement(crystal):
    shifted = Crystal(crystal.numbers, crystal.frac_coords + 0.3, 1.1 * crystal.lattice)
    assert displacement(crystal, shifted) == pytest.approx(0, abs=1e-9)


def test_the_displacement_of_one_atom_of_two():
    two = Crystal(np.array([29, 29]), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), 4 * np.eye(3))
    moved = Crystal(two.numbers, two.frac_coords + np.array([[0, 0, 0], [0.1, 0, 0]]), two.lattice)
    assert displacement(two, moved) == pytest.approx(0.2)  # 0.4 A, half of it to each side of the centre


@pytest.mark.parametrize(
    ("crystal", "reason"),
    [
        (Crystal(np.array([29, 29]), np.array([[0, 0, 0], [0.02, 0, 0]]), 4 * np.eye(3)), "before: atoms 0.08 A"),
        (Crystal(np.array([29]), np.zeros((1, 3)), np.diag([0.4, 6, 6])), "before: atoms 0.40 A"),
        (Crystal(np.array([29]), np.zeros((1, 3)), 12 * np.eye(3)), "before: volume 1.73e+03 A^3 an atom"),
    ],
)
def test_what_is_impossible_is_gated(crystal, reason):
    found = relax(crystal, potential(), RelaxSettings())
    assert found.outcome == "gated"
    assert found.reason.startswith(reason)
    assert found.crystal is None


@pytest.mark.parametrize("lattice_constant", [1.9, 3.6])
def test_atoms_closer_than_in_any_known_crystal_have_no_energy_in_the_end(lattice_constant):
    crystal = Crystal(np.array([29]), np.zeros((1, 3)), lattice_constant * (np.ones((3, 3)) - np.eye(3)) / 2)
    found = relax(crystal, potential(), RelaxSettings(max_steps=0))
    if lattice_constant < 2:  # 1.34 A
        assert (found.outcome, found.crystal) == ("gated", None)
        assert found.reason.startswith("after: Cu-Cu 1.34 A apart; known crystals keep")
        # what a relaxation parts again was no worse for its beginning
        assert relax(crystal, potential(), RelaxSettings()).outcome == "converged"
    else:
        assert found.outcome == "limit"


@pytest.mark.parametrize(
    ("calculator", "outcome", "reason"),
    [
        ("NotANumber", "failed", "step 0: energy or forces are not finite"),
        ("Raising", "failed", "RuntimeError: the network has no such element"),
        ("Exploding", "gated", "A^3 an atom"),
    ],
)
def test_calculators_that_misbehave(calculator, outcome, reason):
    found = relax(fcc("Cu"), find_potential(f"{ODD}:{calculator}", "none"), RelaxSettings(max_steps=5000))
    assert found.outcome == outcome
    assert reason in found.reason


def test_out_of_steps_is_said():
    crystal = ordered("Cu", "Au")
    static = relax(crystal, potential(), RelaxSettings(max_steps=0))
    assert static.outcome == "limit"
    assert static.energy_per_atom == static.initial_energy_per_atom
    assert static.displacement == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "scheme", "said"),
    [
        ("chgnett", None, "no such potential; got chgnett"),
        (f"{ODD}:Raising", None, "needs the scheme"),
        (f"{ODD}:Missing", "EMT", "cannot be imported"),
        ("no_such_module:Missing", "EMT", "cannot be imported"),
    ],
)
def test_potentials_that_are_none(name, scheme, said):
    with pytest.raises(UserError, match=said):
        find_potential(name, scheme)


def test_a_factory_of_something_else():
    with pytest.raises(UserError, match="not an ASE calculator"):
        relax(fcc("Cu"), find_potential(f"{ODD}:no_calculator", "none"), RelaxSettings())


def test_a_factory_that_wants_arguments():
    with pytest.raises(UserError, match=r"needs_weights: this calculator cannot be made; got .*path"):
        relax(fcc("Cu"), find_potential(f"{ODD}:needs_weights", "none"), RelaxSettings())


@given(st.floats(3.2, 5.5), st.integers(1, 3))
def test_an_atom_that_sees_no_other_is_gated(length, copies):
    assume(abs(length - 4.0) > 1e-6)
    short_sighted = find_potential(f"{ODD}:ShortSighted", "x")
    assert short_sighted.cutoff == 4.0
    repeats = np.arange(copies)[:, None] * np.array([[0, 0, 1 / copies]])
    chain = Crystal(np.full(copies, 55), repeats, length * np.diag([1.0, 1.1, copies]))
    found = relax(chain, short_sighted, RelaxSettings())
    if length <= 4.0:
        assert found.outcome == "converged"
    else:
        assert (found.outcome, found.energy_per_atom, found.crystal) == ("gated", None, None)
        assert "before: no neighbour of site 0 (Cs) within 4 A" in found.reason


def test_a_cutoff_that_is_known_once_elements_were_seen_is_taken_then():
    assert potential().cutoff is None
    assert relax(fcc("Cu"), potential(), RelaxSettings(max_steps=0)).reason == ""
    apart = Crystal(np.array([29]), np.zeros((1, 3)), 6.0 * np.eye(3))
    found = relax(apart, potential(), RelaxSettings())
    assert (found.outcome, found.energy_per_atom, found.crystal) == ("gated", None, None)
    assert "after: no neighbour of site 0 (Cu) within 5.38 A" in found.reason


def test_where_the_cutoff_is_not_known_that_is_said_and_nothing_is_gated():
    blind = find_potential(f"{ODD}:Blind", "x")
    assert blind.cutoff is None
    found = relax(Crystal(np.array([55]), np.zeros((1, 3)), 7.0 * np.eye(3)), blind, RelaxSettings())
    assert found.outcome == "converged"
    assert found.reason == CUTOFF_UNKNOWN


def test_what_a_potential_warns_of_stands_beside_its_result():
    near = Crystal(np.array([55]), np.zeros((1, 3)), 3.0 * np.eye(3))
    assert relax(near, find_potential(f"{ODD}:Outspoken", "x"), RelaxSettings()).reason == "warned: extrapolates"
    assert relax(near, find_potential(f"{ODD}:ShortSighted", "x"), RelaxSettings()).reason == ""


def test_a_skewed_cell_is_relaxed_in_a_short_one():
    skew = np.array([[1, 0, 0], [99, 1, 0], [-500, 155, 1]])
    plain = Crystal(np.array([29]), np.zeros((1, 3)), 2.6 * np.eye(3))
    found = relax(Crystal(plain.numbers, plain.frac_coords, skew @ plain.lattice), potential(), RelaxSettings())
    assert found.energy_per_atom == pytest.approx(relax(plain, potential(), RelaxSettings()).energy_per_atom, abs=1e-3)
    assert np.linalg.norm(found.crystal.lattice, axis=1).max() < 10
