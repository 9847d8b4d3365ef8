"""A framework has no elements in it and no description; a rare earth in the place of another is no new structure."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from tests.crystals.real_crystals import described_otherwise, prototypes
from unigen.crystals.crystal import Crystal
from unigen.eval.crystals.framework import find_new_frameworks, find_rare_earth_swaps, framework_of
from unigen.eval.crystals.protocol import DENOVO
from unigen.parallel import Workers

SPECIAL = [[0, 0, 0], [0.5, 0.5, 0.5]]


def cubic(group: str, length: float, species: list[str], points) -> Crystal:
    structure = Structure.from_spacegroup(group, Lattice.cubic(length), species, points)
    return Crystal.from_ase(structure.get_primitive_structure().to_ase_atoms())


def perovskite(a: str, b: str, x: str, length: float = 3.9) -> Crystal:
    return cubic("Pm-3m", length, [a, b, x], [*SPECIAL, [0.5, 0.5, 0]])


def salt(cation: str, anion: str, length: float = 5.6) -> Crystal:
    return cubic("Fm-3m", length, [cation, anion], SPECIAL)


def fluorite(cation: str, anion: str) -> Crystal:
    return cubic("Fm-3m", 5.5, [cation, anion], [[0, 0, 0], [0.25, 0.25, 0.25]])


@settings(max_examples=10)
@given(st.data())
def test_neither_elements_nor_the_description_nor_the_hand_change_it(data):
    crystal = prototypes(60)[data.draw(st.integers(0, 59))]
    framework = framework_of(crystal)
    elements = np.unique(crystal.numbers)
    others = np.array(data.draw(st.permutations(range(3, 60))))
    named = Crystal(others[np.searchsorted(elements, crystal.numbers)], crystal.frac_coords, crystal.lattice)
    assert framework_of(data.draw(described_otherwise(named))) == framework
    assert framework_of(Crystal(crystal.numbers, -crystal.frac_coords, crystal.lattice)) == framework


def test_known_ones():
    assert framework_of(perovskite("Sr", "Ti", "O")) == framework_of(perovskite("K", "Mg", "F")) == "221 a|b|c"
    antiperovskite = cubic("Pm-3m", 4.1, ["O", "Li", "Br"], [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0.5]])
    assert framework_of(antiperovskite) == "221 a|b|c"
    assert framework_of(salt("Na", "Cl")) == "225 a|b"
    assert framework_of(cubic("Pm-3m", 4.1, ["Cs", "Cl"], SPECIAL)) == "221 a|b"
    assert framework_of(fluorite("Ca", "F")) == framework_of(fluorite("O", "Li")) == "225 a|c"
    assert len({framework_of(each) for each in prototypes(12)}) == 12


def test_new_by_structure_and_new_by_elements():
    known = [salt("Na", "Cl"), perovskite("Sr", "Ti", "O")]
    samples = [salt("Mg", "O"), fluorite("Ca", "F"), None, perovskite("Ba", "Zr", "O"), salt("Na", "Cl")]
    with Workers(1) as workers:
        assert find_new_frameworks(samples, known, workers).tolist() == [False, True, False, False, False]
        assert find_new_frameworks(samples, [], workers).tolist() == [True, True, False, True, True]


SWAPPED = [
    (perovskite("Nd", "Al", "O"), True),
    (perovskite("Y", "Al", "O"), True),
    (perovskite("La", "Al", "O"), False),  # known itself: exchanged it is none
    (perovskite("Nd", "Ga", "O"), False),  # two elements are other ones
    (perovskite("Sr", "Al", "O"), False),  # no rare earth
    (perovskite("Al", "Nd", "O"), False),  # another structure of that formula
    (salt("Nd", "N"), False),
    (perovskite("Eu", "La", "O"), True),  # of a crystal with two of them one is exchanged
    (perovskite("Eu", "Yb", "O"), False),  # both
    (None, False),
]


def test_rare_earths_exchanged():
    known = [perovskite("La", "Al", "O"), salt("Na", "Cl"), perovskite("Gd", "La", "O")]
    samples, expected = zip(*SWAPPED, strict=True)
    rules = (DENOVO.matching, DENOVO.max_candidates)
    with Workers(1) as workers:
        assert find_rare_earth_swaps(samples, known, *rules, workers).tolist() == [*expected]
        assert not find_rare_earth_swaps([], known, *rules, workers).size
        assert not find_rare_earth_swaps(samples, [], *rules, workers).any()
