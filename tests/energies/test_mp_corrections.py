"""Uncorrected energies in a corrected hull: the numbers of the scheme, whatever way the crystal is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from unigen.crystals.crystal import Crystal
from unigen.elements import SYMBOLS
from unigen.energies.hull.hull import Hull
from unigen.energies.hull.mp_corrections import mp2020_correction
from unigen.energies.hull.reference import HullCard, HullReference, write_reference
from unigen.energies.potential import Potential
from unigen.errors import UserError

ROCKSALT = [[0, 0, 0], [0.5, 0.5, 0.5]]
UNCORRECTED = Potential(name="of-test", scheme="MP-uncorrected")


def binary(cation: int, anion: int) -> Crystal:
    return Crystal(np.array([cation, anion]), np.array(ROCKSALT, dtype=float), 2.2 * (1 - np.eye(3)))


def crystal(structure: Structure) -> Crystal:
    return Crystal.from_ase(structure.to_ase_atoms())


PEROVSKITE = crystal(
    Structure.from_spacegroup("Pm-3m", Lattice.cubic(3.87), ["Sr", "Fe", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]])
)
PEROXIDE = crystal(
    Structure(
        Lattice.tetragonal(3.81, 6.85),
        ["Ba", "Ba", "O", "O", "O", "O"],
        [[0, 0, 0], [0.5] * 3, [0, 0, 0.39], [0, 0, 0.61], [0.5, 0.5, 0.89], [0.5, 0.5, 0.11]],
    )
)


@pytest.mark.parametrize(
    ("crystal", "total"),
    [
        (binary(12, 8), -0.687),  # an oxide
        (binary(11, 17), -0.614),  # a chloride
        (binary(27, 8), -0.687 - 1.638),  # cobalt with its U
        (binary(27, 16), -0.503),  # without: beside sulfur the Project uses none
        (PEROVSKITE, 3 * -0.687 - 2.256),
        (PEROXIDE, 4 * -0.465),
        (binary(28, 13), 0.0),
    ],
)
def test_the_numbers_of_the_paper(crystal, total):
    """Wang et al. (2021), table 1: eV an atom of the element that is corrected."""
    assert mp2020_correction(crystal) * len(crystal) == pytest.approx(total, abs=1e-3)


@settings(max_examples=8)
@given(st.sampled_from([PEROVSKITE, PEROXIDE, binary(26, 9)]), st.integers(0, 99))
def test_it_does_not_depend_on_how_the_crystal_is_written(crystal, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(crystal))
    shuffled = Crystal(crystal.numbers[order], crystal.frac_coords[order] + rng.random(3), crystal.lattice)
    doubled = Crystal.from_ase(shuffled.to_ase() * (1, 2, 1))
    assert mp2020_correction(shuffled) == pytest.approx(mp2020_correction(crystal), abs=1e-9)
    assert mp2020_correction(doubled) == pytest.approx(mp2020_correction(crystal), abs=1e-9)


@pytest.mark.parametrize("anion", [7, 8, 9, 53])
def test_every_element_can_be_corrected(anion):
    for number in range(1, 95):
        if number != anion:
            assert np.isfinite(mp2020_correction(binary(number, anion))), SYMBOLS[number]


def test_a_hull_takes_energies_that_a_correction_brings_into_its_scheme(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path))
    for scheme in ("MP2020", "OQMD"):
        card = HullCard(name=f"by-{scheme}", quantity="total", scheme=scheme, sources={})
        write_reference(HullReference(card, ["a", "b", "c"], ["Mg", "O", "MgO"], np.array([-1.5, -4.9, -6.3])))
    hull = Hull.open("by-MP2020", UNCORRECTED)
    oxide = binary(12, 8)
    as_is, corrected = hull.judge(oxide.counts, -6.0), hull.judge_crystal(oxide, -6.0)
    assert corrected.above_hull == pytest.approx(as_is.above_hull + mp2020_correction(oxide))
    assert hull.facts()["judged_energies_corrected_by"] == "mp2020_correction"
    own = Hull.open("by-MP2020", Potential(name="of-test", scheme="MP2020"))
    assert own.judge_crystal(oxide, -6.0) == own.judge(oxide.counts, -6.0) == as_is
    assert "judged_energies_corrected_by" not in own.facts()
    with pytest.raises(UserError, match="two schemes cannot stand in one hull"):
        Hull.open("by-OQMD", UNCORRECTED)
