"""Bonds as an array: rows (i, j, order) with i < j, sorted; what follows from them without any chemistry library."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unigen.errors import UserError
from unigen.shapes import Int, Integer

LARGEST_ORDER = 3
"""A triple bond; RDKit's dative and quadruple bonds have no place in a SMILES of ours."""


class MoleculeFields(NamedTuple):
    """What libraries and files hold of a molecule, in the order of `unigen.molecules.molecule.Molecule`.

    Attributes:
        numbers: atomic numbers, shape (atoms,).
        positions: Cartesian coordinates in Angstrom, shape (atoms, 3).
        bonds: rows (i, j, order), shape (bonds, 3); none where nobody knows them.
        charges: formal charges, shape (atoms,).
        properties: named scalars.
        smiles: as the source gives it, empty where it gives none.
    """

    numbers: np.ndarray
    positions: np.ndarray
    bonds: np.ndarray
    charges: np.ndarray
    properties: dict[str, float]
    smiles: str


def sorted_bonds(bonds: Integer[np.ndarray, "bonds 3"], n_atoms: int) -> Int[np.ndarray, "bonds 3"]:
    """The bonds with i < j in ascending order.

    Raises:
        UserError: a bond of an atom with itself or with one that is not there, an order that is none of 1, 2, 3, a
            second bond of one pair.
    """
    low, high, orders = np.minimum(bonds[:, 0], bonds[:, 1]), np.maximum(bonds[:, 0], bonds[:, 1]), bonds[:, 2]
    invalid = (low < 0) | (high >= n_atoms) | (low == high) | (orders < 1) | (orders > LARGEST_ORDER)
    if invalid.any():
        got = bonds[invalid.argmax()].tolist()
        raise UserError("not a bond", got=got, wanted=f"two of {n_atoms} atoms and an order of 1, 2 or 3")
    key = low * n_atoms + high
    order = key.argsort(kind="stable")
    duplicate = key[order][1:] == key[order][:-1]
    if duplicate.any():
        first = order[duplicate.argmax()]
        raise UserError("a pair of atoms has two bonds", got=[int(low[first]), int(high[first])])
    return np.stack([low, high, orders], axis=1)[order]


def fragments(bonds: Int[np.ndarray, "bonds 3"], n_atoms: int) -> Int[np.ndarray, "atoms"]:
    """Which connected piece each atom belongs to, numbered from 0 by their first atoms."""
    # scipy's connected_components says the same, but making its matrix takes eight times as long at twenty atoms
    labels = list(range(n_atoms))
    for first, second, _ in bonds.tolist():
        low, high = sorted((labels[first], labels[second]))
        if low != high:
            labels = [low if label == high else label for label in labels]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def heavy_first(numbers: Int[np.ndarray, "atoms"], bonds: Int[np.ndarray, "bonds 3"]) -> Int[np.ndarray, "atoms"]:
    """Heavy atoms in their order, then the hydrogens in the order of their parents, one parent's in their own.

    A hydrogen's parent is the first heavy atom it is bonded to; hydrogens without one come last.
    """
    hydrogen = numbers == 1
    parent = np.full(len(numbers), len(numbers))
    for first, second, _ in bonds[::-1].tolist():  # backwards: the first bond has the last word
        if hydrogen[first] != hydrogen[second]:
            atom, other = (first, second) if hydrogen[first] else (second, first)
            parent[atom] = other
    hydrogens = np.flatnonzero(hydrogen)
    by_parent = hydrogens[np.argsort(parent[hydrogens], kind="stable")]
    return np.concatenate([np.flatnonzero(~hydrogen), by_parent])


def bonds_among(
    bonds: Int[np.ndarray, "bonds 3"], atoms: Int[np.ndarray, "chosen"], n_atoms: int
) -> Int[np.ndarray, "kept 3"]:
    """The bonds between these atoms, none of which occurs twice, each atom called by its index among them."""
    new_index = np.full(n_atoms, -1)
    new_index[atoms] = np.arange(len(atoms))
    renamed = np.column_stack([new_index[bonds[:, 0]], new_index[bonds[:, 1]], bonds[:, 2]])
    return renamed[(renamed[:, :2] >= 0).all(axis=1)]
