"""Layers, chains, molecules and frameworks, told apart by their bonds."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk, mx2
from ase.geometry.dimensionality import analyze_dimensionality
from ase.lattice.hexagonal import Graphite
from hypothesis import given
from hypothesis import strategies as st

from tests.crystals.real_crystals import elemental_crystals
from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.crystals.dimensionality import dimensionality

MOLYBDENITE = mx2("MoS2", "2H", a=3.16, thickness=3.17, vacuum=1.5)
MOLYBDENITE.pbc = True
POLYMER = Crystal(np.array([16, 16]), np.array([[0.4, 0.5, 0.25], [0.6, 0.5, 0.75]]), np.diag([8.0, 8.0, 2.9]))
CHLORINE = Crystal(np.array([17, 17]), np.array([[0.0] * 3, [0.0, 0.0, 0.33]]), np.diag([6.0, 6.0, 6.0]))
EXAMPLES = {
    "graphite": (Crystal.from_ase(Graphite("C", latticeconstant={"a": 2.461, "c": 6.708})), 2),
    "molybdenite": (Crystal.from_ase(MOLYBDENITE), 2),
    "sulphur chains": (POLYMER, 1),
    "chlorine": (CHLORINE, 0),
    "rocksalt": (Crystal.from_ase(bulk("NaCl", "rocksalt", a=5.64)), 3),
    "diamond": (Crystal.from_ase(bulk("C")), 3),
    "copper": (Crystal.from_ase(bulk("Cu")), 3),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_what_everybody_knows(name):
    crystal, wanted = EXAMPLES[name]
    assert dimensionality(crystal) == wanted


@given(st.sampled_from(sorted(EXAMPLES)), st.integers(0, 2**20), st.integers(1, 4))
def test_it_is_the_same_in_every_cell(name, seed, copies):
    crystal, wanted = EXAMPLES[name]
    rng = np.random.default_rng(seed)
    larger = repeat_cell(crystal, copies)
    shear = np.eye(3)
    first, second = rng.choice(3, 2, replace=False)
    shear[first, second] = rng.integers(-2, 3)
    order = rng.permutation(len(larger))
    places = ((larger.frac_coords + rng.random(3)) @ np.linalg.inv(shear))[order]
    assert dimensionality(Crystal(larger.numbers[order], places, shear @ larger.lattice)) == wanted


def test_it_is_that_of_ase_where_its_score_is_clear():
    compared = 0
    for crystal in elemental_crystals():
        try:
            best = analyze_dimensionality(crystal.to_ase())[0]
        except TypeError:  # ASE finds no bonds beyond some factor, as in solid hydrogen
            continue
        if best.score > 0.8:
            assert f"{dimensionality(crystal)}D" == best.dimtype
            compared += 1
    assert compared > 40
