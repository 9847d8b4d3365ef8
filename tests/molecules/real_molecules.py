"""Real molecules that every machine with RDKit and ASE has, and variations of them for hypothesis."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from rdkit import RDConfig

from unigen.molecules.molecule import Molecule

VARIED = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "C[C@H](N)C(=O)O",
    "C[C@@H]([NH3+])C(=O)[O-]",
    "C/C=C/C=C\\C",
    "O=[N+]([O-])c1ccccc1",
    "c1ccc2cc3ccccc3cc2c1",
    "C[CH2]",
    "[CH2]",
    "CC(C)(C)[N]O",
    "CN(C)[O]",
    "[NH4+]",
    "[Cl-]",
    "[H][H]",
    "F[C@](Cl)(Br)I",
    "C[S@](=O)c1ccccc1",
    "F[P-](F)(F)(F)(F)F",
    "[C-]#[O+]",
    "C=C=C",
    "[H]/N=C1\\C=CC(=O)N1",
    "CC1=CC(=O)C(C)=[O+]1",
    "OB(O)c1ccsc1",
    "C[Si](C)(C)C#C",
    "O[C@H]1C[C@H](O)C1",
    "C1C[C@H]2CC[C@@H]1C2",
)
"""Charges, radicals, all kinds of stereo, aromatic rings of several elements, cages."""


@cache
def embedded(smiles: str) -> Molecule:
    """One conformer."""
    return Molecule.from_smiles(smiles)


def nci_smiles(count: int) -> list[str]:
    """Evenly spaced entries of the 5,000 molecules of the NCI's open collection that RDKit brings along."""
    lines = (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines()
    return [line.split()[0] for line in lines[:: len(lines) // count]]


def molecules():
    """One of VARIED, its atoms moved a little: less than would turn a centre over."""
    return st.builds(_moved, st.sampled_from(VARIED), st.integers(0, 2**32 - 1))


def _moved(smiles: str, seed: int) -> Molecule:
    molecule = embedded(smiles)
    noise = np.random.default_rng(seed).uniform(-0.02, 0.02, molecule.positions.shape)
    energy = {"energy": float(noise[0, 0])}
    return Molecule(
        molecule.numbers, molecule.positions + noise, molecule.bonds, molecule.charges, energy, molecule.smiles
    )


def rotations():
    """Proper rotations: the orthogonal part of a random matrix."""
    return st.integers(0, 2**32 - 1).map(_rotation)


def _rotation(seed: int) -> np.ndarray:
    orthogonal, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return orthogonal * np.sign(np.linalg.det(orthogonal))
