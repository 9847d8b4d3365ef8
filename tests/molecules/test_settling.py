"""The harmonic pass: mends what is wrong, hardly moves what is right, and never what is fixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.molecules.test_soundness import SOUND, relaxed
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.molecule import Molecule
from unigen.molecules.settling import settled
from unigen.smiles.skeleton import skeleton_of


def after(molecule: Molecule, fixed: np.ndarray | None = None) -> Molecule:
    return replace(molecule, positions=settled(molecule.to_rdkit(), molecule.positions, fixed))


NOT_FLAT = {"trans-cyclooctene"}
"""Flat centres are kept flat, which its double bond is not; only what is wrong goes through the pass."""


@pytest.mark.parametrize("name", sorted(SOUND.keys() - NOT_FLAT))
def test_what_is_sound_stays_sound_and_keeps_its_bonds(name):
    """What is not bonded may part, and turn bonds that turn."""
    molecule = relaxed(SOUND[name])
    found = after(molecule)
    assert fault_of(found) == ""
    one, two = molecule.bonds[:, 0], molecule.bonds[:, 1]
    was, now = (np.linalg.norm(each.positions[one] - each.positions[two], axis=1) for each in (molecule, found))
    assert np.abs(now - was).max() < 0.1
    signs = [skeleton_of(m.numbers, m.charges, m.bonds, m.positions).skeleton for m in (molecule, found)]
    assert signs[0].chirality.tolist() == signs[1].chirality.tolist()
    assert signs[0].double_bond.tolist() == signs[1].double_bond.tolist()


@given(st.sampled_from(["C1CCCCC1", "c1ccc2ccccc2c1", "C1CC2CCC1CC2", "O=C1CCCN1C", "C1CCCCCC1"]), st.integers(0, 1000))
def test_a_ring_that_did_not_close_is_closed(smiles, seed):
    """One ring atom half an Angstrom out of place, as an error that has piled up leaves it."""
    molecule, rng = relaxed(smiles), np.random.default_rng(seed)
    positions, direction = molecule.positions.copy(), rng.normal(size=3)
    positions[rng.integers(5)] += 0.5 * direction / np.linalg.norm(direction)
    torn = replace(molecule, positions=positions)
    assert fault_of(after(torn)) == "" or not fault_of(torn)


@settings(max_examples=30)
@given(
    st.sampled_from(["C/C=C/C", "C/C=C\\C", "C/C(F)=C(C)/C=N/C", "C1CCCCCCCC/C=C/1", "O=C1CCCCC/C(C)=C/CCCO1"]),
    st.sampled_from([-1, 1]),
    st.floats(45, 60),
)
def test_a_twisted_double_bond_is_flat_again_on_its_side(smiles, sense, degrees):
    molecule = relaxed(smiles)
    bond = next(row for row in molecule.bonds.tolist() if row[2] == 2 and set(molecule.numbers[row[:2]]) == {6})
    left, right = bond[:2]
    bonded = molecule.bonds[:, :2].tolist()
    near = {atom for pair in bonded if right in pair for atom in pair} - {left, right}
    hydrogens = {atom for pair in bonded if near & {*pair} for atom in pair if molecule.numbers[atom] == 1}
    moved = sorted(near | hydrogens)
    axis = molecule.positions[right] - molecule.positions[left]
    turn = Rotation.from_rotvec(sense * np.radians(degrees) * axis / np.linalg.norm(axis))
    positions = molecule.positions.copy()
    positions[moved] = turn.apply(positions[moved] - positions[right]) + positions[right]
    rough = replace(molecule, positions=positions)
    assert fault_of(rough)
    found = after(rough)
    assert "twisted" not in fault_of(found)
    signs = [skeleton_of(m.numbers, m.charges, m.bonds, m.positions).skeleton for m in (molecule, found)]
    assert signs[0].double_bond.tolist() == signs[1].double_bond.tolist()


LARGE_RINGS = ["C1CCCCCCCCC/C=C/1", "C1CCCCCCCCCCCCC/C=C\\1", "O=C1CCCCCCCCC/C(C)=C/CCCO1", "O=C1CCCCC/C=C/C=C/CCCCO1"]


@settings(max_examples=12)
@given(st.sampled_from(LARGE_RINGS), st.integers(0, 100))
def test_a_double_bond_of_a_large_ring_goes_to_the_side_that_is_asked_for(smiles, seed):
    """It cannot be turned, since the ring holds both of its ends; the others stay on their sides."""
    molecule = Molecule.from_smiles(smiles, seed)
    skeleton = skeleton_of(molecule.numbers, molecule.charges, molecule.bonds, molecule.positions).skeleton
    asked = skeleton.double_bond.copy()
    asked[np.flatnonzero(asked)[0]] *= -1
    left, right, _ = skeleton.bonds.T
    cis_trans = np.zeros((len(molecule), len(molecule)), dtype=np.int64)
    cis_trans[left, right] = cis_trans[right, left] = asked
    found = replace(molecule, positions=settled(molecule.to_rdkit(), molecule.positions, None, cis_trans))
    now = skeleton_of(found.numbers, found.charges, found.bonds, found.positions).skeleton
    assert now.double_bond.tolist() == asked.tolist()
    assert fault_of(found) == ""


def test_atoms_on_top_of_each_other_part():
    butane = relaxed("CCCC")
    hydrogens = np.flatnonzero(butane.numbers == 1)
    positions = butane.positions.copy()
    positions[hydrogens[1]] = positions[hydrogens[0]]
    molecule = replace(butane, positions=positions)
    assert fault_of(molecule)
    assert fault_of(after(molecule)) == ""


@settings(max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 8))
def test_fixed_atoms_do_not_move(seed, count):
    molecule, rng = relaxed(SOUND["clopidogrel"]), np.random.default_rng(seed)
    rough = replace(molecule, positions=molecule.positions + rng.normal(0, 0.3, molecule.positions.shape))
    fixed = np.arange(len(rough)) < count
    assert np.array_equal(after(rough, fixed).positions[fixed], rough.positions[fixed])
