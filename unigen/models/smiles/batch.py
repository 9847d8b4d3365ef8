"""Molecules as tokens and as atoms in space, right-padded.

A ``MoleculeBatch`` adds its atoms, in the order in which they are placed, to ``tokens`` whose slots hold no vectors:

| field          | shape                   | unit, meaning                                                  |
|----------------|-------------------------|----------------------------------------------------------------|
| token_atom     | (batch, tokens)         | which atom a token or slot belongs to, -1 for none              |
| slot           | (batch, atoms)          | where each atom's slot stands in the sequence, 0 beyond the end |
| numbers        | (batch, atoms)          | atomic number, 0 beyond the end                                |
| charges        | (batch, atoms)          | formal charge                                                  |
| bond_order     | (batch, atoms, atoms)   | order of the bond between two atoms, 0 for none                |
| graph_distance | (batch, atoms, atoms)   | bonds between two atoms on the shortest way                    |
| ring_size      | (batch, atoms, atoms)   | size of the smallest ring that holds both atoms, 0 for none     |
| chirality      | (batch, atoms)          | chirality asked for, by the order of the atoms; 0 for none      |
| cis_trans      | (batch, atoms, atoms)   | of the double bond between two atoms: 1 cis, -1 trans, 0 none   |
| shift          | (batch,)                | added to atom indices: see ``SHIFTS``                          |
| positions      | (batch, atoms, 3)       | Cartesian, Angstrom                                            |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unigen.batch import TensorRows, TokenBatch, pad
from unigen.models.smiles.tokens import MIDDLE, UNREACHED, MoleculeSequence
from unigen.shapes import Float, Int
from unigen.tokens.sequence import collate


@dataclass(frozen=True, eq=False)
class MoleculeBatch(TensorRows):
    """Molecules as tokens, and their atoms in the order of placement; see the table of fields above."""

    tokens: TokenBatch
    token_atom: Int[Tensor, "batch tokens"]
    slot: Int[Tensor, "batch atoms"]
    numbers: Int[Tensor, "batch atoms"]
    charges: Int[Tensor, "batch atoms"]
    bond_order: Int[Tensor, "batch atoms atoms"]
    graph_distance: Int[Tensor, "batch atoms atoms"]
    ring_size: Int[Tensor, "batch atoms atoms"]
    chirality: Int[Tensor, "batch atoms"]
    cis_trans: Int[Tensor, "batch atoms atoms"]
    shift: Int[Tensor, "batch"]
    positions: Float[Tensor, "batch atoms 3"]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> Int[Tensor, "batch"]:
        """Positions in use."""
        return self.tokens.lengths

    @property
    def atom_labels(self) -> Int[Tensor, "batch tokens"]:
        """The number by which models know the atom of each token or slot: its index plus ``shift``; -1 for none."""
        return torch.where(self.token_atom >= 0, self.token_atom + self.shift[:, None], -1)

    @property
    def num_atoms(self) -> Int[Tensor, "batch"]:
        """Atoms of each molecule."""
        return (self.numbers > 0).sum(1)


def collate_molecules(sequences: list[MoleculeSequence]) -> MoleculeBatch:
    """Right-pad tokens to the longest and atoms to the largest."""
    longest = max(len(sequence) for sequence in sequences)
    atoms = max(1, *(len(sequence.numbers) for sequence in sequences))
    token_atom = np.full((len(sequences), longest), -1)
    graph_distance = np.full((len(sequences), atoms, atoms), UNREACHED)
    bond_order, ring_size, cis_trans = (np.zeros_like(graph_distance) for _ in range(3))
    for row, sequence in enumerate(sequences):
        own = len(sequence.numbers)
        token_atom[row, : len(sequence)] = sequence.token_atom
        graph_distance[row, :own, :own] = sequence.graph_distance
        bond_order[row, :own, :own] = sequence.bond_order
        ring_size[row, :own, :own] = sequence.ring_size
        cis_trans[row, :own, :own] = sequence.cis_trans
    return MoleculeBatch(
        tokens=collate([sequence.tokens for sequence in sequences]),
        token_atom=torch.from_numpy(token_atom),
        slot=pad([sequence.slot for sequence in sequences], atoms),
        numbers=pad([sequence.numbers for sequence in sequences], atoms),
        charges=pad([sequence.charges for sequence in sequences], atoms),
        bond_order=torch.from_numpy(bond_order),
        graph_distance=torch.from_numpy(graph_distance),
        ring_size=torch.from_numpy(ring_size),
        chirality=pad([sequence.chirality for sequence in sequences], atoms),
        cis_trans=torch.from_numpy(cis_trans),
        shift=torch.full((len(sequences),), MIDDLE),
        positions=pad([sequence.positions for sequence in sequences], atoms),
    )
