"""Names of structure types: the same for every description of a crystal, and none where it is another structure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.crystals.plausibility.close_contacts import closest_contact
from unigen.crystals.prototypes import TOLERANCE, deviation, prototype_name, prototypes
from unigen.elements import ATOMIC_NUMBER
from unigen.models.checkpoint import model_folder
from unigen.retrieval.build_table import TABLE, open_table

ALL = [each for several in prototypes().values() for each in several]
NAMED = {each.name: each for each in ALL}


def _described_anew(crystal: Crystal, seed: int, copies: int, scale: float) -> Crystal:
    """In another cell, from another origin, turned, its atoms in another order, larger or smaller."""
    rng = np.random.default_rng(seed)
    larger = repeat_cell(crystal, copies)
    shear = np.eye(3, dtype=int)
    first, second = rng.choice(3, 2, replace=False)
    shear[first, second] = rng.integers(-1, 2)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    order = rng.permutation(len(larger))
    moved = (larger.frac_coords + rng.random(3)) @ np.linalg.inv(shear)
    return Crystal(larger.numbers[order], (moved % 1)[order], scale * shear @ larger.lattice @ turn)


@pytest.mark.parametrize("prototype", ALL, ids=lambda each: each.name)
def test_a_prototype_has_its_name(prototype):
    assert closest_contact(prototype.crystal) is None
    assert prototype.crystal.space_group().number == prototype.space_group
    assert prototype_name(prototype.crystal) == prototype.name


@settings(max_examples=60)
@given(st.sampled_from(ALL), st.integers(0, 2**20), st.integers(1, 2), st.floats(0.9, 1.3))
def test_the_name_is_the_same_in_every_cell(prototype, seed, copies, scale):
    other = _described_anew(prototype.crystal, seed, copies, scale)
    assert prototype_name(other) == prototype.name


def _with_elements(name: str, *symbols: str) -> Crystal:
    """The prototype with its elements, by ascending atomic number, replaced."""
    crystal = NAMED[name].crystal
    becomes = dict(zip(crystal.counts, symbols, strict=True))
    return replace(crystal, numbers=np.array([ATOMIC_NUMBER[becomes[number]] for number in crystal.numbers.tolist()]))


def test_elements_make_no_difference_but_anions_do():
    assert prototype_name(_with_elements("rutile", "F", "Mg")) == "rutile"
    assert prototype_name(_with_elements("half-Heusler", "Zr", "Ni", "Sn")) == "half-Heusler"
    # fluorine is the lighter one of CaF2
    assert prototype_name(_with_elements("fluorite", "Li", "O")) == "antifluorite"
    assert prototype_name(_with_elements("fluorite", "O", "Zr")) == "fluorite"
    # of SrTiO3: oxygen, titanium, strontium
    assert prototype_name(_with_elements("perovskite", "Mn", "N", "Ga")) == "antiperovskite"
    assert prototype_name(_with_elements("perovskite", "I", "Pb", "Cs")) == "perovskite"


def test_stretched_beyond_belief_it_is_another_structure():
    for name in ("anatase", "wurtzite", "CdI2 type"):
        crystal = NAMED[name].crystal
        stretched = replace(crystal, lattice=crystal.lattice * [1, 1, 1.7])
        assert stretched.space_group(0.1).number == NAMED[name].space_group
        assert prototype_name(stretched) == ""


def test_dry_ice_is_no_pyrite_and_thorium_silicide_no_anatase():
    places = [[0.0] * 3, [0.117] * 3]
    dry_ice = Structure.from_spacegroup("Pa-3", Lattice.cubic(5.624), ["C", "O"], places)
    assert dry_ice.get_space_group_info()[1] == NAMED["pyrite"].space_group
    assert prototype_name(Crystal.from_pymatgen(dry_ice)) == ""
    assert NAMED["anatase"].key == NAMED["\N{GREEK SMALL LETTER ALPHA}-ThSi2 type"].key


@given(st.sampled_from([each for each in ALL if len(each.crystal) > 1]), st.integers(0, 2**20))
def test_what_has_lost_its_symmetry_is_not_named(prototype, seed):
    crystal = prototype.crystal
    shifts = np.random.default_rng(seed).uniform(-0.4, 0.4, (len(crystal), 3)) @ np.linalg.inv(crystal.lattice)
    distorted = replace(crystal, frac_coords=crystal.frac_coords + shifts)
    assume(distorted.space_group(0.1).number != prototype.space_group)
    assert prototype_name(distorted) != prototype.name


def test_no_two_prototypes_are_near_enough_to_be_taken_for_each_other():
    for several in prototypes().values():
        for first, second in combinations(several, 2):
            if len(first.crystal) == len(second.crystal):
                assert deviation(first.crystal, second) > TOLERANCE
                assert deviation(first.crystal, second) == pytest.approx(deviation(second.crystal, first))


def test_a_name_stands_for_one_arrangement_but_for_those_whose_sites_may_hold_one_element_or_two():
    groups = defaultdict(set)
    for each in ALL:
        groups[each.name].add(each.space_group)
    assert all(len(found) == 1 for found in groups.values())
    assert [name for name in groups if sum(each.name == name for each in ALL) > 1] == ["garnet"]
    assert all(each.anti not in NAMED for each in ALL if each.anti)


def test_pymatgens_matcher_takes_them_for_the_same_structures():
    matcher = StructureMatcher(ltol=0.2, stol=0.3, angle_tol=5)
    table = open_table(model_folder("unigen-crystal-small") / TABLE)
    found = 0
    for place in range(0, len(table), 150):
        crystal = table[place].to_crystal()
        if name := prototype_name(crystal):
            known = {each.anti: each for each in ALL if each.anti} | NAMED
            assert matcher.fit_anonymous(crystal.to_pymatgen(), known[name].crystal.to_pymatgen()), crystal
            found += 1
    assert found > 50
