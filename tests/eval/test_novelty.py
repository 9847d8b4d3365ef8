"""Uniqueness and novelty by formula are those of all pairs, whatever the set; and what the order of samples decides."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher

from tests.eval.known_samples import caesium_chloride, crystal, mp20_test, prototypes, rock_salt, shaken
from unigen.crystals.crystal import Crystal
from unigen.crystals.matching import BoundedMatcher, MatchSettings
from unigen.eval.crystals.novelty import find_novel, find_unique
from unigen.parallel import Workers

SETTINGS = MatchSettings()
PYMATGEN = StructureMatcher(ltol=SETTINGS.ltol, stol=SETTINGS.stol, angle_tol=SETTINGS.angle_tol)
PLENTY = 1000


def column(ratio: float) -> Crystal:
    """One polonium atom in a tetragonal cell of this c/a."""
    return crystal("Po", [[0, 0, 0]], np.diag([4.0, 4.0, 4.0 * ratio]))


@cache
def crowd() -> tuple[Crystal, ...]:
    """Crystals of few formulas, many of them nearly alike: what a bucket by formula has to tell apart."""
    rng = np.random.default_rng(0)
    salts = [rock_salt(), rock_salt(9.0), caesium_chloride(), rock_salt(symbols="K Cl")]
    columns = [column(ratio) for ratio in (1.0, 1.35, 1.35**2)]
    like = [shaken(each, rng, size) for each in (*salts, *columns, *prototypes()[:3]) for size in (0.1, 0.8)]
    return (*salts, *columns, *prototypes()[:3], *like)


@cache
def alike(first: int, second: int) -> bool:
    """Of two members of the crowd, as pymatgen's matcher says by itself."""
    return bool(PYMATGEN.fit(crowd()[first].to_pymatgen(), crowd()[second].to_pymatgen()))


drawn = st.lists(st.integers(0, 29), min_size=1, max_size=10)


def unique(samples: list[Crystal | None]) -> list[bool]:
    found = find_unique(samples, SETTINGS, PLENTY, Workers(1))
    assert not found.bounded.any()
    return found.holds.tolist()


@settings(max_examples=25)
@given(chosen=drawn)
def test_unique_is_what_all_pairs_say(chosen):
    kept: list[int] = []
    wanted = []
    for sample in chosen:
        wanted.append(not any(alike(sample, other) for other in kept))
        if wanted[-1]:
            kept.append(sample)
    assert unique([crowd()[sample] for sample in chosen]) == wanted


@settings(max_examples=25)
@given(chosen=drawn, known=drawn)
def test_novel_is_what_all_pairs_say(chosen, known):
    wanted = [not any(alike(sample, other) for other in known) for sample in chosen]
    samples, references = ([crowd()[each] for each in numbers] for numbers in (chosen, known))
    assert find_novel(samples, references, SETTINGS, PLENTY, Workers(1)).holds.tolist() == wanted


def test_on_real_crystals_the_classes_are_those_of_group_structures():
    rng = np.random.default_rng(4)
    real = [each for _, each in mp20_test(40)]
    samples = [*real, *(shaken(real[n], rng, 0.3) for n in rng.integers(0, len(real), 20))]
    structures = [each.to_pymatgen() for each in samples]
    place = {id(structure): n for n, structure in enumerate(structures)}
    groups = PYMATGEN.group_structures(structures)
    firsts = {min(place[id(structure)] for structure in group) for group in groups}
    assert unique(samples) == [n in firsts for n in range(len(samples))]


def test_likeness_is_no_equivalence_so_the_order_decides():
    short, middle, long = column(1.0), column(1.35), column(1.35**2)
    pairs = [(short, middle), (middle, long), (short, long)]
    assert [PYMATGEN.fit(a.to_pymatgen(), b.to_pymatgen()) for a, b in pairs] == [True, True, False]
    assert unique([short, middle, long]) == [True, False, True]
    assert unique([middle, short, long]) == [True, False, False]
    assert unique([short, long, middle]) == [True, True, False]


@pytest.mark.parametrize("copies", [1, 3])
def test_a_failure_is_neither(copies):
    samples = [None, *[rock_salt()] * copies, None]
    assert unique(samples) == [False, True, *[False] * (copies - 1), False]
    assert find_novel(samples, [], SETTINGS, PLENTY, Workers(1)).holds.tolist() == [False, *[True] * copies, False]


def test_the_example_of_the_captions_is_true():
    """By the tolerances of CDVAE zincblende and rocksalt are the same; by tighter ones they are not."""
    made = [Crystal.from_ase(bulk("ZnO", lattice, a=a)) for lattice, a in (("zincblende", 4.58), ("rocksalt", 4.28))]
    for rules, same in ((MatchSettings(), True), (MatchSettings(stol=0.3, ltol=0.2, angle_tol=5.0), False)):
        matcher = BoundedMatcher(rules)
        assert (matcher.same(*map(matcher.reduce, made)).rms is not None) == same
