"""What a hull is drawn from: its corners are stable, its facets have everything above them, and nothing is missing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.elements import parse_formula
from unigen.energies.hull.hull import Hull
from unigen.energies.hull.reference import HullCard, HullReference

BINARY = ("Ti3O", "Ti2O", "TiO", "Ti2O3", "TiO2")
TERNARY = (*BINARY, "SrO", "SrO2", "SrTiO3", "Sr2TiO4", "Sr3Ti2O7")


def hull_of(formulas, energies) -> Hull:
    card = HullCard(name="x", quantity="formation", scheme="PBE", sources={})
    return Hull(HullReference(card, list(formulas), list(formulas), np.array(energies, dtype=np.float64)))


def energies_of(formulas):
    return st.lists(st.floats(-4, 0.5), min_size=len(formulas), max_size=len(formulas))


@given(energies_of(BINARY))
def test_two_elements_make_a_convex_line_from_one_to_the_other(energies):
    found = hull_of(BINARY, energies).stable_phases({22, 8})
    assert found.elements == ("Ti", "O")
    line = sorted((phase.shares[1], phase.formation_energy) for phase in found.phases)
    assert (line[0], line[-1]) == ((0.0, 0.0), (1.0, 0.0))
    slopes = [(high[1] - low[1]) / (high[0] - low[0]) for low, high in pairwise(line)]
    assert slopes == sorted(slopes)
    assert len(found.facets) == len(found.phases) - 1
    assert {frozenset(pair) for pair in found.tie_lines} == set(map(frozenset, found.facets))


@given(energies_of(TERNARY))
def test_three_elements_are_tiled_by_facets_and_nothing_lies_below_them(energies):
    hull = hull_of(TERNARY, energies)
    found = hull.stable_phases({38, 22, 8})
    shares = np.array([phase.shares for phase in found.phases])
    heights = np.array([phase.formation_energy for phase in found.phases])
    assert found.name == "Sr-Ti-O"
    assert shares.sum(axis=1) == pytest.approx(1)
    facets = np.array(found.facets)
    assert np.abs(np.linalg.det(shares[facets])).sum() == pytest.approx(1, abs=1e-6)
    for facet in facets:
        plane = np.linalg.solve(shares[facet], heights[facet])
        assert (heights - shares @ plane > -1e-6).all()
    assert all(len({one, other}) == 2 and one < other for one, other in found.tie_lines)


@given(energies_of(TERNARY))
def test_the_corners_are_the_crystals_judged_stable(energies):
    hull = hull_of(TERNARY, energies)
    found = {phase.formula: phase.formation_energy for phase in hull.stable_phases({38, 22, 8}).phases}
    for formula, energy in zip(TERNARY, energies, strict=True):
        verdict = hull.judge(parse_formula(formula), energy)
        if formula in found:
            assert found[formula] == pytest.approx(energy)
            assert verdict.above_hull == pytest.approx(0, abs=1e-6)
        elif verdict.above_hull is not None:
            assert verdict.above_hull > -1e-8


def test_no_hull_without_an_energy_of_every_element():
    card = HullCard(name="x", quantity="total", scheme="PBE", sources={})
    assert Hull(HullReference(card, ["a"], ["TiO2"], np.array([-9.0]))).stable_phases({22, 8}) is None
