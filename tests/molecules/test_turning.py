"""What is on the wrong side is turned to the other, and nothing else is: centres, double bonds, and what is fixed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unigen.molecules.geometry_check import fault_of
from unigen.molecules.molecule import Molecule
from unigen.molecules.settling import settled
from unigen.molecules.turning import AskedStereo, turned
from unigen.smiles.skeleton import skeleton_of

TESTOSTERONE = "C[C@]12CCC(=O)C=C1CC[C@@H]1[C@@H]2CC[C@]2(C)[C@@H](O)CC[C@@H]12"
"""Six centres side by side in four rings: turned one at a time."""

TEXTS = (
    "COC(=O)[C@H](c1ccccc1Cl)N1CCc2sccc2C1",  # clopidogrel
    "C[C@H](N)C(=O)N[C@@H](C)C(=O)O",  # two centres in one chain
    TESTOSTERONE,
    "C/C=C/C(=O)N[C@@H](CO)C/C=C\\Br",
    "C[S@](=O)c1ccccc1",
)


@cache
def embedded(text: str) -> Molecule:
    return Molecule.from_smiles(text, 1)


def stereo_of(molecule: Molecule) -> AskedStereo:
    """What its positions say."""
    found = skeleton_of(molecule.numbers, molecule.charges, molecule.bonds, molecule.positions)
    chirality = np.zeros(len(molecule), dtype=np.int64)
    chirality[found.atoms] = found.skeleton.chirality
    cis_trans = np.zeros((len(molecule), len(molecule)), dtype=np.int64)
    for (one, two, _), side in zip(found.skeleton.bonds.tolist(), found.skeleton.double_bond.tolist(), strict=True):
        left, right = found.atoms[[one, two]]
        cis_trans[left, right] = cis_trans[right, left] = side
    return AskedStereo(chirality, cis_trans)


def after(molecule: Molecule, asked: AskedStereo, fixed: np.ndarray | None = None) -> Molecule:
    positions = turned(molecule.numbers, molecule.bonds, molecule.positions, asked, fixed)
    return replace(molecule, positions=positions, smiles="")


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_as_asked_stays_as_it_is(text):
    molecule = embedded(text)
    np.testing.assert_array_equal(after(molecule, stereo_of(molecule)).positions, molecule.positions)


@settings(max_examples=40)
@given(st.sampled_from([text for text in TEXTS if text != TESTOSTERONE]), st.data())
def test_centres_and_double_bonds_are_turned_and_the_others_stay(text, data):
    molecule = embedded(text)
    asked = stereo_of(molecule)
    sign = np.array(data.draw(st.lists(st.sampled_from([1, -1]), min_size=len(molecule), max_size=len(molecule))))
    sides = np.triu(np.outer(sign, sign))
    wanted = AskedStereo(asked.chirality * sign, asked.cis_trans * (sides + sides.T - np.diag(np.diag(sides))))
    found = stereo_of(after(molecule, wanted))
    np.testing.assert_array_equal(found.chirality, wanted.chirality)
    np.testing.assert_array_equal(found.cis_trans, wanted.cis_trans)


@given(st.sampled_from(TEXTS), st.integers(0, 10), st.integers(0, 2**31))
@settings(max_examples=25)
def test_one_turned_centre_is_sound_after_a_harmonic_pass(text, which, seed):
    molecule = embedded(text)
    asked = stereo_of(molecule)
    centres = np.flatnonzero(asked.chirality)
    chirality = asked.chirality.copy()
    chirality[centres[which % len(centres)]] *= -1
    found = after(molecule, AskedStereo(chirality, asked.cis_trans))
    found = replace(found, positions=settled(found.to_rdkit(), found.positions))
    np.testing.assert_array_equal(stereo_of(found).chirality, chirality)
    assert not fault_of(found)


def test_what_is_fixed_stays():
    molecule = embedded(TEXTS[0])
    asked = stereo_of(molecule)
    fixed = np.ones(len(molecule), dtype=bool)
    np.testing.assert_array_equal(
        after(molecule, AskedStereo(-asked.chirality, asked.cis_trans), fixed).positions, molecule.positions
    )


def test_a_double_bond_of_a_ring_stays():
    molecule = embedded("C1CCCCCC/C=C/1")
    asked = stereo_of(molecule)
    found = after(molecule, AskedStereo(asked.chirality, -asked.cis_trans))
    np.testing.assert_array_equal(found.positions, molecule.positions)
