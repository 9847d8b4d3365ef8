"""Bonds of a molecule in space from the SMILES its source gives with it, held against the distances."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from unigen.errors import UserError
from unigen.molecules.rdkit_graph import AROMATIC, kekule_form
from unigen.molecules.rdkit_smiles import flat_smiles, parse_smiles
from unigen.shapes import Float

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from unigen.molecules.molecule import Molecule

LONGEST_BOND = 1.3
"""In sums of covalent radii; RDKit draws the same line."""


def with_bonds_of(molecule: Molecule, smiles: str, where: str = "") -> Molecule:
    """The molecule with the bonds and charges of a SMILES.

    As a rule the heavy atoms stand in the SMILES' order; hydrogens then belong to the nearest heavy atom. It is taken
    when every heavy atom has as many hydrogens as the SMILES says and every bond is shorter, in sums of covalent radii,
    than every distance that is no bond. Otherwise bonds are perceived from the distances alone and must give the same
    graph.

    Raises:
        UserError: the SMILES does not parse, or the positions are not of its molecule.
    """
    graph = parse_smiles(smiles, where)
    bonded = _in_order(molecule, graph, where)
    if bonded is not None:
        return replace(bonded, smiles=smiles)
    charge = sum(atom.GetFormalCharge() for atom in graph.GetAtoms())
    try:
        bonded = molecule.with_bonds(charge, where)
        perceived = flat_smiles(bonded.to_rdkit())
    except UserError:
        perceived = "no bonds that fit"
    if bonded is None or perceived != flat_smiles(graph):
        raise UserError("the positions are not of the SMILES", where=where, got=perceived, wanted=smiles)
    return replace(bonded, smiles=smiles)


def _in_order(molecule: Molecule, graph: Mol, where: str) -> Molecule | None:
    """The bonds when the heavy atoms stand in the order of the graph and the distances agree, else None."""
    heavy, hydrogens = np.flatnonzero(molecule.numbers > 1), np.flatnonzero(molecule.numbers == 1)
    if [atom.GetAtomicNum() for atom in graph.GetAtoms()] != molecule.numbers[heavy].tolist():
        return None
    relative = _relative_distances(molecule)
    parents = relative[np.ix_(hydrogens, heavy)].argmin(axis=1)
    hydrogen_counts = [atom.GetTotalNumHs() for atom in graph.GetAtoms()]
    if np.bincount(parents, minlength=len(heavy)).tolist() != hydrogen_counts:
        return None
    ends = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(bond.GetBondType())) for bond in graph.GetBonds()]
    pairs = [(heavy[one], heavy[other], order) for one, other, order in ends]
    pairs += [(heavy[parent], atom, 1) for parent, atom in zip(parents, hydrogens, strict=True)]
    bonds = np.array(sorted((min(a, b), max(a, b), order) for a, b, order in pairs), dtype=np.int64).reshape(-1, 3)
    bonded = np.zeros(relative.shape, dtype=bool)
    bonded[bonds[:, 0], bonds[:, 1]] = bonded[bonds[:, 1], bonds[:, 0]] = True
    longest = float(relative[bonded].max(initial=0.0))
    if longest > LONGEST_BOND or longest >= float(relative[~bonded].min(initial=np.inf)):
        return None
    charges = np.zeros(len(molecule), dtype=np.int64)
    charges[heavy] = [atom.GetFormalCharge() for atom in graph.GetAtoms()]
    if (bonds[:, 2] == AROMATIC).any():
        bonds = kekule_form(molecule.numbers, charges, bonds, where)
    return replace(molecule, bonds=bonds, charges=charges)


def _relative_distances(molecule: Molecule) -> Float[np.ndarray, "atoms atoms"]:
    """Distances in sums of the two covalent radii, infinite of an atom to itself."""
    from rdkit.Chem import GetPeriodicTable

    radii = np.array([GetPeriodicTable().GetRcovalent(number) for number in molecule.numbers.tolist()])
    distances = np.linalg.norm(molecule.positions[:, None] - molecule.positions, axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances / (radii[:, None] + radii)
