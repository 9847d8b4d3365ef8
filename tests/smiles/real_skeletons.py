"""Real molecules as skeletons: the NCI's from RDKit's graphs with stereo drawn at random, QM9's from positions."""

from __future__ import annotations

import os
import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem, RDConfig, rdBase
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers, StereoEnumerationOptions

from unigen.molecules.bonds_of_smiles import with_bonds_of
from unigen.molecules.handedness import odd
from unigen.molecules.molecule import Molecule
from unigen.smiles.skeleton import Skeleton

FIELDS = ("numbers", "charges", "hydrogens", "bonds", "chirality", "double_bond")
HANDS = {Chem.ChiralType.CHI_TETRAHEDRAL_CCW: -1, Chem.ChiralType.CHI_TETRAHEDRAL_CW: 1}
SIDES = {Chem.BondStereo.STEREOZ: 1, Chem.BondStereo.STEREOE: -1}


def same(one: Skeleton, other: Skeleton) -> bool:
    """Whether two skeletons agree atom by atom."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


@cache
def nci_smiles() -> list[str]:
    """All SMILES of the NCI's open collection that RDKit brings along."""
    lines = (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines()
    return [line.split()[0] for line in lines]


def canonical(text: str) -> str | None:
    """RDKit's canonical isomeric SMILES, None where it does not parse."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(text)
        return None if mol is None else Chem.MolToSmiles(mol)


@cache
def nci_molecules(step: int) -> list[tuple[str, Skeleton]]:
    """Canonical SMILES and skeleton of every step-th, of one piece, all open stereo drawn."""
    found = []
    with rdBase.BlockLogs():
        for text in nci_smiles()[::step]:
            mol = Chem.MolFromSmiles(text)
            if mol is not None and "." not in text:
                options = StereoEnumerationOptions(maxIsomers=1, rand=random.Random(0))  # noqa: S311
                drawn = Chem.MolFromSmiles(Chem.MolToSmiles(next(iter(EnumerateStereoisomers(mol, options=options)))))
                if drawn is not None:
                    found.append((canonical(Chem.MolToSmiles(drawn)), skeleton_of_mol(drawn)))
    return found


def skeleton_of_mol(mol) -> Skeleton:
    """From RDKit's graph with its own stereo, hydrogens implied."""
    mol = Chem.Mol(mol)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    ends = {tuple(sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))): bond for bond in mol.GetBonds()}
    atoms = list(mol.GetAtoms())
    return Skeleton(
        numbers=np.array([atom.GetAtomicNum() for atom in atoms]),
        charges=np.array([atom.GetFormalCharge() for atom in atoms]),
        hydrogens=np.array([atom.GetTotalNumHs() for atom in atoms]),
        bonds=np.array([(*pair, int(ends[pair].GetBondType())) for pair in sorted(ends)], dtype=np.int64).reshape(
            -1, 3
        ),
        chirality=np.array([_hand(atom) for atom in atoms]),
        double_bond=np.array([_side(mol, ends[pair]) for pair in sorted(ends)], dtype=np.int64),
    )


def _hand(atom) -> int:
    near = [bond.GetOtherAtomIdx(atom.GetIdx()) for bond in atom.GetBonds()]
    hand = HANDS.get(atom.GetChiralTag(), 0) * (-1 if odd(near) else 1)
    return -hand if len(near) == 3 else hand  # RDKit counts what is not written last, we first


def _side(mol, bond) -> int:
    side = SIDES.get(bond.GetStereo(), 0)
    if side:
        ends = (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
        for end, other, reference in zip(ends, reversed(ends), bond.GetStereoAtoms(), strict=True):
            near = [atom.GetIdx() for atom in mol.GetAtomWithIdx(end).GetNeighbors() if atom.GetIdx() != other]
            side = side if reference == min(near) else -side
    return side


@cache
def _qm9() -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    file = Path(os.environ.get("UNIGEN_DATA", "")) / "qm9" / "qm9.npz"
    if "UNIGEN_DATA" not in os.environ or not file.exists():
        pytest.skip("UNIGEN_DATA names no folder with qm9/qm9.npz")
    arrays = np.load(file, allow_pickle=False)
    ends = np.concatenate([[0], np.cumsum(arrays["num_atoms"].astype(np.int64))])
    return bytes(arrays["smiles"]).decode().split("\n"), ends, arrays["atomic_numbers"], arrays["positions"]


@cache
def qm9_molecules(count: int) -> list[Molecule]:
    """Molecules of QM9 drawn at random, with the bonds of their SMILES."""
    texts, ends, numbers, positions = _qm9()
    chosen = np.random.default_rng(0).choice(len(texts), count, replace=False).tolist()
    parts = [(slice(ends[place], ends[place + 1]), texts[place]) for place in chosen]
    bare = [(Molecule(numbers[part].astype(int), positions[part].astype(float)), text) for part, text in parts]
    return [with_bonds_of(molecule, text) for molecule, text in bare]
