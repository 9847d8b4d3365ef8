"""Transition pressures from few relaxations are those of the equations of state behind them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from unigen.energies.enthalpy import GPA_PER_EV_A3, Phase, stable_phases, transitions
from unigen.errors import UserError

Equation = tuple[float, float, float, float]
"""Energy (eV/atom), volume (A^3/atom), bulk modulus (GPa) and its derivative, of Birch and Murnaghan."""


def energy(equation: Equation, volume: float) -> float:
    e0, v0, b0, derivative = equation
    x = (v0 / volume) ** (2 / 3) - 1
    return e0 + 9 * v0 * b0 / 16 / GPA_PER_EV_A3 * (x**3 * derivative + x**2 * (6 - 4 * (x + 1)))


def pressure(equation: Equation, volume: float) -> float:
    _, v0, b0, derivative = equation
    ratio = v0 / volume
    return 1.5 * b0 * (ratio ** (7 / 3) - ratio ** (5 / 3)) * (1 + 0.75 * (derivative - 4) * (ratio ** (2 / 3) - 1))


def volume(equation: Equation, at: float) -> float:
    return brentq(lambda v: pressure(equation, v) - at, 0.3 * equation[1], 1.05 * equation[1], xtol=1e-13)


def enthalpy(equation: Equation, at: float) -> float:
    v = volume(equation, at)
    return energy(equation, v) + at * v / GPA_PER_EV_A3


def phase(name: str, equation: Equation, at) -> Phase:
    at = np.array(at, dtype=float)
    volumes = np.array([volume(equation, p) for p in at])
    return Phase(name, at, np.array([energy(equation, v) for v in volumes]), volumes)


ANATASE = (0.0, 11.4, 180.0, 4.5)
RUTILE = (0.02, 10.4, 215.0, 5.0)
DENSE = (0.35, 8.9, 300.0, 4.2)


def test_the_crossings_are_those_of_the_equations_of_state():
    at = [0, 5, 10, 20, 35, 50]
    three = [phase(*each, at) for each in (("anatase", ANATASE), ("rutile", RUTILE), ("dense", DENSE))]
    first, second = transitions(three)
    assert (first.below, first.above, second.below, second.above) == ("anatase", "rutile", "rutile", "dense")
    for found, pair in ((first, (ANATASE, RUTILE)), (second, (RUTILE, DENSE))):
        true = brentq(lambda p, pair=pair: enthalpy(pair[0], p) - enthalpy(pair[1], p), 0.1, 49.9)
        assert found.pressure == pytest.approx(true, abs=0.02)
        change = volume(pair[1], true) / volume(pair[0], true) - 1
        assert found.volume_change == pytest.approx(change, abs=1e-3)
    assert stable_phases(three)[0] == "anatase"
    assert stable_phases(three)[-1] == "dense"


@settings(max_examples=25)
@given(
    st.floats(0.02, 0.3), st.floats(0.8, 0.95), st.floats(60, 300), st.floats(0.9, 1.3), st.floats(3.5, 5.5), st.data()
)
def test_any_two_phases(gap, ratio, bulk_modulus, stiffer, derivative, data):
    loose, dense = (0.0, 15.0, bulk_modulus, derivative), (gap, 15.0 * ratio, stiffer * bulk_modulus, 4.0)
    at = [0.0, 20.0, 50.0]
    assume(enthalpy(loose, 50) - enthalpy(dense, 50) > 0.01)
    phases = [phase("loose", loose, at), phase("dense", dense, at)]
    true = brentq(lambda p: enthalpy(loose, p) - enthalpy(dense, p), 0, 50)
    (found,) = transitions(phases)
    assert (found.below, found.above) == ("loose", "dense")
    assert found.volume_change < 0  # what becomes stable under pressure is the smaller one
    # the cubic's error is of the fourth order: with half the steps a sixteenth, here at most a tenth left for others
    assert found.pressure == pytest.approx(true, abs=1.0)
    (finer,) = transitions(
        [phase("loose", loose, np.linspace(0, 50, 21)), phase("dense", dense, np.linspace(0, 50, 21))]
    )
    assert finer.pressure == pytest.approx(true, abs=0.01)
    # neither the order of the phases nor the zero of the energies matters
    shift = data.draw(st.floats(-8, 8))
    moved = [replace(each, energies=each.energies + shift) for each in reversed(phases)]
    (again,) = transitions(moved)
    assert again.pressure == pytest.approx(found.pressure, abs=1e-6)


def test_at_no_pressure_enthalpies_are_energies():
    at = [0.0, 10.0]
    phases = [phase(name, each, at) for name, each in (("a", DENSE), ("b", ANATASE), ("c", RUTILE))]
    assert [each.enthalpies[0] for each in phases] == [each.energies[0] for each in phases]
    assert stable_phases(phases)[0] == min(phases, key=lambda each: each.energies[0]).name


def test_what_is_not_known_is_not_told():
    at = [0.0, 10.0, 50.0]
    known = phase("rutile", RUTILE, at)
    dense = phase("dense", DENSE, at)
    lost = replace(dense, energies=np.array([*dense.energies[:2], np.nan]))
    assert len(transitions([known, dense])) == 1
    late = replace(dense, energies=np.array([np.nan, dense.energies[1] - 1, dense.energies[2] - 1]))
    assert transitions([known, late]) == []  # it is lower from where it is known
    assert transitions([known, lost]) == []  # it wins beyond 10 GPa, and is not known there
    nothing = replace(known, energies=np.full(3, np.nan))
    assert stable_phases([nothing, lost]) == ["dense", "dense", None]
    assert transitions([nothing, nothing]) == []
    assert transitions([]) == []
    assert stable_phases([]) == []
    assert transitions([known, replace(known, name="twin")]) == []


def test_pressures_that_are_none():
    with pytest.raises(UserError, match="pressures must ascend"):
        Phase("x", np.array([10.0, 0.0]), np.zeros(2), np.ones(2))
    with pytest.raises(UserError, match="phases at other pressures; got dense"):
        transitions([phase("rutile", RUTILE, [0, 10]), phase("dense", DENSE, [0, 20])])
