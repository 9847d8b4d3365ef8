"""Real molecules are sound; one atom pulled away, or put on another, is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.models.small_molecules import molecules
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import kekule_smiles
from unigen.molecules.relaxation.force_field import CONVERGED, NO_PARAMETERS, mmff_relaxed
from unigen.molecules.stereoisomers import is_molecule


def test_real_molecules_are_sound():
    assert [fault_of(molecule) for molecule in molecules()] == [""] * len(molecules())


@pytest.mark.parametrize("shift", [1.5, -0.75])
def test_a_displaced_atom_is_named(shift):
    aspirin = molecules()[0]
    where = aspirin.positions.copy()
    where[0] += shift * (where[0] - where[1])
    assert "Angstrom" in fault_of(replace(aspirin, positions=where))


def test_hydrogens_of_one_carbon_do_not_collapse():
    methane = Molecule.from_smiles("C", seed=1)
    where = methane.positions.copy()
    where[2] = where[1] + 0.05
    assert fault_of(methane) == ""
    assert fault_of(replace(methane, positions=where)).startswith("H-H: no bond, but")


def test_the_force_field_finds_a_minimum_and_says_so():
    rough = replace(molecules()[4], positions=molecules()[4].positions + 0.05 * np.sin(np.arange(39).reshape(13, 3)))
    smooth, said = mmff_relaxed(rough, steps=2000)
    assert said == CONVERGED
    again, _ = mmff_relaxed(smooth, steps=2000)
    assert np.abs(again.positions - smooth.positions).max() < 0.02
    iron = Molecule(np.array([26, 17]), np.array([[0.0, 0, 0], [0, 0, 2.2]]), np.array([[0, 1, 1]]))
    assert mmff_relaxed(iron)[1] == NO_PARAMETERS


def test_stereo_that_is_said_must_hold_and_what_is_left_open_may_be_any():
    alanine = molecules()[4]
    mirrored = replace(alanine, positions=alanine.positions * [1, 1, -1])
    assert is_molecule(alanine.to_rdkit(), "C[C@H](N)C(=O)O")
    assert not is_molecule(mirrored.to_rdkit(), "C[C@H](N)C(=O)O")
    assert is_molecule(mirrored.to_rdkit(), "CC(N)C(=O)O")
    assert not is_molecule(alanine.to_rdkit(), "CC(N)C=O")
    assert is_molecule(molecules()[5].to_rdkit(), "F/C=C/Cl")
    assert not is_molecule(molecules()[5].to_rdkit(), r"F/C=C\Cl")


def test_kekule_text_keeps_stereo_and_drops_labels():
    assert kekule_smiles("[13CH3:1]/C=C/c1ccccc1") in ("C/C=C/C1=CC=CC=C1", "CC=CC1=CC=CC=C1")
    assert "@" in kekule_smiles("C[C@H](N)C(=O)O")
    assert "/" in kekule_smiles("C/C=C/c1ccccc1")
