"""Real molecules are sound; what chemists would call broken is not, and is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit.Chem import rdMolTransforms

from unigen.geometry.rotation import random_rotation
from unigen.molecules.distance_bounds import distance_bounds
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.estimated import relaxed_estimate

SOUND = {
    "sildenafil": "CCCc1nn(C)c2c1nc([nH]c2=O)-c1cc(ccc1OCC)S(=O)(=O)N1CCN(C)CC1",
    "clopidogrel": "COC(=O)[C@H](c1ccccc1Cl)N1CCc2sccc2C1",
    "amiodarone, in part": "CCCCc1oc2ccccc2c1C(=O)c1cc(I)c(O)c(I)c1",
    "fosfomycin": "C[C@@H]1O[C@@H]1P(=O)(O)O",
    "bromazepam": "O=C1CN=C(c2ccccn2)c2cc(Br)ccc2N1",
    "bortezomib": "CC(C)C[C@H](NC(=O)[C@H](Cc1ccccc1)NC(=O)c1cnccn1)B(O)O",
    "a silane": "C[Si](C)(C)C#Cc1ccccc1",
    "cubane": "C12C3C4C1C5C2C3C45",
    "penicillin": "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O",
    "trans-cyclooctene": "C1CCC/C=C/CC1",
    "an allene": "CC=C=CC",
}


def relaxed(smiles: str) -> Molecule:
    return relaxed_estimate(Molecule.from_smiles(smiles, seed=3))[0]


def moved(molecule: Molecule, change) -> Molecule:
    mol = molecule.to_rdkit()
    change(mol.GetConformer())
    return replace(molecule, positions=mol.GetConformer().GetPositions())


@pytest.mark.parametrize("smiles", SOUND.values(), ids=SOUND)
def test_what_a_force_field_made_is_sound(smiles):
    assert fault_of(relaxed(smiles)) == ""


def neighbours(molecule: Molecule, atom: int) -> list[int]:
    return sorted({*molecule.bonds[(molecule.bonds[:, :2] == atom).any(1), :2].ravel().tolist()} - {atom})


def test_an_angle_of_36_degrees_is_a_fault():
    propane = relaxed("CCC")
    hydrogen = next(atom for atom in neighbours(propane, 1) if propane.numbers[atom] == 1)
    bent = moved(propane, lambda conformer: rdMolTransforms.SetAngleDeg(conformer, 0, 1, hydrogen, 36.0))
    assert "an angle with ends apart by" in fault_of(bent) or "no bond, but" in fault_of(bent)


@pytest.mark.parametrize("degrees", [101.0, 60.0, -120.0])
def test_a_double_bond_that_is_neither_cis_nor_trans_is_a_fault(degrees):
    butene = relaxed("C/C=C/C")
    twisted = moved(butene, lambda conformer: rdMolTransforms.SetDihedralDeg(conformer, 0, 1, 2, 3, degrees))
    assert fault_of(twisted).startswith("C=C: a ")


def test_a_benzene_ring_that_is_a_chair_is_a_fault():
    benzene = relaxed("c1ccccc1")
    flat = replace(benzene, positions=benzene.positions - benzene.positions[:6].mean(0))
    normal = np.linalg.svd(flat.positions[:6])[2][-1]
    chair = flat.positions.copy()
    chair[:6] += 0.3 * np.outer([1, -1, 1, -1, 1, -1], normal)
    assert "not flat" in fault_of(replace(flat, positions=chair))


def test_a_carbonyl_that_is_a_pyramid_is_a_fault():
    acetone = relaxed("CC(C)=O")
    lifted = acetone.positions.copy()
    corners = lifted[neighbours(acetone, 1)]
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    lifted[1] += 0.45 * normal / np.linalg.norm(normal)
    assert "off its plane" in fault_of(replace(acetone, positions=lifted))


@pytest.mark.parametrize(("name", "bond"), [("water", "O"), ("hydrogen fluoride", "F")])
def test_hydrogens_on_top_of_their_atom_are_a_fault(name, bond):
    molecule = Molecule.from_smiles(bond, seed=1)
    assert fault_of(molecule) == ""
    close = molecule.positions[0] + 0.03 * (molecule.positions - molecule.positions[0])
    assert fault_of(replace(molecule, positions=close))


@given(st.sampled_from(sorted(SOUND.values())), st.integers(0, 2**32 - 1))
def test_what_is_said_does_not_depend_on_side_place_or_order(smiles, seed):
    rng = np.random.default_rng(seed)
    molecule = Molecule.from_smiles(smiles, seed=1)
    rough = replace(molecule, positions=molecule.positions + rng.normal(0, 0.15, molecule.positions.shape))
    turned = replace(rough, positions=rough.positions @ random_rotation(rng) + rng.normal(0, 5, 3))
    shuffled = turned.selected(rng.permutation(len(turned)))
    assert bool(fault_of(rough)) == bool(fault_of(turned)) == bool(fault_of(shuffled))


@given(st.sampled_from(sorted(SOUND.values())), st.integers(0, 2**32 - 1))
def test_bounds_are_symmetric_and_leave_room(smiles, seed):
    mol = Molecule.from_smiles(smiles, seed=seed % 1000).to_rdkit()
    bounds = distance_bounds(mol)
    assert np.array_equal(bounds.lower, bounds.lower.T)
    assert np.array_equal(bounds.upper, bounds.upper.T)
    assert (bounds.lower <= bounds.upper).all()
    assert not np.diagonal(bounds.lower).any()
