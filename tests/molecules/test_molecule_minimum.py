"""What counts as the minimum of a molecule: the same bonds, the same stereo, and an end that was reached."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.units import kcal, mol

from unigen.eval.molecules.etkdg import etkdg_conformers
from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.force_field import mmff_relaxed
from unigen.molecules.relaxation.minimum import minimum_energy
from unigen.molecules.relaxation.xtb import XTB, MoleculeRelaxation, XtbSettings

PENICILLIN = "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O"


def ended(molecule: Molecule, ending: str = "converged") -> MoleculeRelaxation:
    return MoleculeRelaxation(ending, molecule, (-10.0, -10.5), 7)


def test_the_energy_is_in_kcal_a_mole():
    ethanol = Molecule.from_smiles("CCO")
    energy, reason = minimum_energy(ethanol, ended(ethanol), XTB)
    assert energy == pytest.approx(-10.5 * mol / kcal)
    assert energy == pytest.approx(-242.135, abs=1e-2)  # 23.0605 kcal/mol an eV
    assert reason == ""


def test_what_is_no_minimum_of_the_molecule_is_named():
    alanine = Molecule.from_smiles("C[C@H](N)C(=O)O")
    assert minimum_energy(alanine, ended(alanine, "step limit"), XTB) == (None, "not relaxed: step limit")
    as_it_stands = XtbSettings(max_steps=0)
    assert minimum_energy(alanine, ended(alanine, "step limit"), as_it_stands)[1] == ""
    mirrored = replace(alanine, positions=alanine.positions * np.array([1, 1, -1]))
    assert "another stereo" in minimum_energy(alanine, ended(mirrored), XTB)[1]
    far = replace(alanine, positions=alanine.positions + 5.0 * (np.arange(len(alanine)) == len(alanine) - 1)[:, None])
    assert "a bond" in minimum_energy(alanine, ended(far), XTB)[1]
    assert minimum_energy(alanine, MoleculeRelaxation("no self-consistent field"), XTB) == (
        None,
        "not relaxed: no self-consistent field",
    )


def test_a_flat_lactam_keeps_its_stereo():
    """Its nitrogen stands a little above its neighbours or below, which nobody calls a stereoisomer."""
    for estimated in etkdg_conformers(PENICILLIN, 3, 0):
        assert minimum_energy(estimated, ended(mmff_relaxed(estimated)[0]), XTB)[1] == ""
