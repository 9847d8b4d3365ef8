"""Close contacts: real crystals have none, squeezed ones do, and no description of a crystal changes the verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crystals.real_crystals import elemental_crystals, prototypes
from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.crystals.plausibility.close_contacts import closest_contact, contact_limits
from unigen.runs.tables import check_sample

KNOWN = {number for pair in contact_limits() for number in pair}
CRYSTALS = [crystal for crystal in elemental_crystals() + prototypes(120) if set(crystal.counts) <= KNOWN]
WRONG = {"Cl16", "Mo2B5", "Ge6S12", "Ti2Ni2", "Mg8Ni16", "Si8", "Ni4Sb4S4"}
"""AFLOW's list in pymatgen has these with bonds such as S-S 1.28, Ti-Ni 1.45, Ni-Sb 1.03 Angstrom."""
places = st.integers(0, len(CRYSTALS) - 1)


def test_real_crystals_keep_their_distances():
    close = {crystal.formula: closest_contact(crystal) for crystal in CRYSTALS}
    assert {formula for formula, contact in close.items() if contact is not None} <= WRONG
    assert [closest_contact(crystal) for crystal in elemental_crystals() if set(crystal.counts) <= KNOWN].count(
        None
    ) > 60


@given(places)
def test_every_crystal_that_is_squeezed_enough_is_told(place):
    crystal = CRYSTALS[place]
    squeezed = replace(crystal, lattice=crystal.lattice * 0.15)
    contact = closest_contact(squeezed)
    assert contact is not None
    assert contact.distance < contact.limit
    assert contact.ratio < 1
    checks = check_sample(squeezed)
    assert not checks["valid"]
    assert checks["close_contact"] == contact.reason


@given(places, st.floats(0.3, 0.6), st.integers(0, 2**32 - 1))
def test_the_verdict_is_of_the_crystal_and_not_of_its_description(place, scale, seed):
    crystal = replace(CRYSTALS[place], lattice=CRYSTALS[place].lattice * scale)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(crystal))
    moved = Crystal(crystal.numbers[order], crystal.frac_coords[order] + rng.random(3), crystal.lattice)
    first, second, third = (closest_contact(each) for each in (crystal, moved, repeat_cell(crystal, 2)))
    assert (first is None) == (second is None) == (third is None)
    if first is not None:
        for other in (second, third):
            assert other.ratio == pytest.approx(first.ratio, rel=1e-6)


def test_limits_are_of_pairs_in_either_order_and_below_what_chemistry_has():
    limits = contact_limits()
    assert all(limits[b, a] == limit for (a, b), limit in limits.items())
    # H2, O2, N2, F2, C2H2, HCl, CO, and the shortest bonds of titanium and uranium to oxygen
    bonds = {(1, 1): 0.74, (8, 8): 1.21, (7, 7): 1.10, (9, 9): 1.42, (6, 6): 1.20, (1, 17): 1.27, (6, 8): 1.13}
    bonds |= {(22, 8): 1.62, (92, 8): 1.70}
    assert all(limits[pair] < length for pair, length in bonds.items())
    assert limits[22, 8] > 1.2
