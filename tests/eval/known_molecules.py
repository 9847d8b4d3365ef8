"""Molecules for scoring: made by hand with known verdicts, embedded by RDKit, and QM9 where it lies near."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from unigen.elements import ATOMIC_NUMBER
from unigen.molecules.molecule import Molecule

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)

PLAIN = ("C", "CCO", "CC(=O)N", "C#CCN", "C1CC1O", "OCC=O", "c1ccccc1", "c1cc[nH]c1", "NCC(=O)O", "CC(F)(F)F")
"""Neutral, without ambiguity in their bonds."""


def atoms(symbols: str, positions) -> Molecule:
    """``atoms("C H H", [...])`` without bonds."""
    return Molecule(np.array([ATOMIC_NUMBER[symbol] for symbol in symbols.split()]), np.array(positions, dtype=float))


def methane(at: float = 0.0) -> Molecule:
    return atoms("C H H H H", np.vstack([np.zeros(3), 1.09 * TETRAHEDRON]) + at)


def five_bonds() -> Molecule:
    """A carbon with five hydrogens around it."""
    corners = np.vstack([np.eye(3), -np.eye(3)[:2]])
    return atoms("C H H H H H", np.vstack([np.zeros(3), 1.09 * corners]))


def two_methanes() -> Molecule:
    one, other = methane(), methane(6.0)
    return Molecule(np.concatenate([one.numbers, other.numbers]), np.vstack([one.positions, other.positions]))


def benzene(length: float = 1.395) -> Molecule:
    """A regular hexagon, bond lengths in Angstrom."""
    angles = np.arange(6) * np.pi / 3
    ring = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(6)])
    return atoms("C " * 6 + "H " * 6, np.vstack([length * ring, (length + 1.09) * ring]))


def thirty_nitrogens() -> Molecule:
    """A zigzag with more sets of valences than anybody can try."""
    steps = np.arange(30)
    return atoms("N " * 30, np.column_stack([1.2 * steps, 0.7 * (steps % 2), np.zeros(30)]))


@cache
def embedded(smiles: str, seed: int = 0) -> Molecule:
    return Molecule.from_smiles(smiles, seed)


def permuted(molecule: Molecule, seed: int) -> Molecule:
    return molecule.selected(np.random.default_rng(seed).permutation(len(molecule)))


def mirrored(molecule: Molecule) -> Molecule:
    return Molecule(
        molecule.numbers, molecule.positions * [1, 1, -1], molecule.bonds, molecule.charges, smiles=molecule.smiles
    )


def moved(molecule: Molecule, rotation: np.ndarray, shift: float) -> Molecule:
    places = molecule.positions @ rotation.T + shift
    return Molecule(molecule.numbers, places, molecule.bonds, molecule.charges, smiles=molecule.smiles)


def qm9(count: int) -> list[Molecule]:
    """So many molecules of QM9 at random, without bonds; skips the test where the data is not at hand."""
    folder = os.environ.get("UNIGEN_DATA")
    if not folder:
        pytest.skip("set UNIGEN_DATA to the folder that holds qm9/qm9.npz")
    arrays = dict(np.load(Path(folder) / "qm9" / "qm9.npz", allow_pickle=False))
    offsets = np.concatenate([[0], np.cumsum(arrays["num_atoms"], dtype=np.int64)])
    chosen = np.random.default_rng(0).choice(len(offsets) - 1, count, replace=False)
    return [
        Molecule(arrays["atomic_numbers"][start:end], arrays["positions"][start:end])
        for start, end in zip(offsets[chosen], offsets[chosen + 1], strict=True)
    ]
