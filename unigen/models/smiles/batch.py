"""Molecules as tokens and as atoms in space, right-padded.

A ``MoleculeBatch`` adds its atoms, in the order in which they are placed, to ``tokens`` whose slots hold no vectors:

| field        | shape                   | unit, meaning                                                  |
|--------------|-------------------------|----------------------------------------------------------------|
| atom         | (batch, tokens)         | which atom a token or slot belongs to, -1 for none              |
| slot         | (batch, atoms)          | where each atom's slot stands in the sequence, 0 beyond the end |
| numbers      | (batch, atoms)          | atomic number, 0 beyond the end                                |
| charges      | (batch, atoms)          | formal charge                                                  |
| order        | (batch, atoms, atoms)   | order of the bond between two atoms, 0 for none                |
| near         | (batch, atoms, atoms)   | bonds between two atoms on the shortest way                    |
| ring         | (batch, atoms, atoms)   | size of the smallest ring that holds both atoms, 0 for none     |
| handed       | (batch, atoms)          | chirality asked for, by the order of the atoms; 0 for none      |
| sides        | (batch, atoms, atoms)   | of the double bond between two atoms: 1 cis, -1 trans, 0 none   |
| shift        | (batch,)                | atoms are counted from it where models name them               |
| positions    | (batch, atoms, 3)       | Cartesian, Angstrom                                            |
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
    atom: Int[Tensor, "batch tokens"]
    slot: Int[Tensor, "batch atoms"]
    numbers: Int[Tensor, "batch atoms"]
    charges: Int[Tensor, "batch atoms"]
    order: Int[Tensor, "batch atoms atoms"]
    near: Int[Tensor, "batch atoms atoms"]
    ring: Int[Tensor, "batch atoms atoms"]
    handed: Int[Tensor, "batch atoms"]
    sides: Int[Tensor, "batch atoms atoms"]
    shift: Int[Tensor, "batch"]
    positions: Float[Tensor, "batch atoms 3"]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> Int[Tensor, "batch"]:
        """Positions in use."""
        return self.tokens.lengths

    @property
    def names(self) -> Int[Tensor, "batch tokens"]:
        """The number by which models know the atom of each token or slot, -1 for none."""
        return torch.where(self.atom >= 0, self.atom + self.shift[:, None], -1)

    @property
    def atoms(self) -> Int[Tensor, "batch"]:
        """Atoms of each molecule."""
        return (self.numbers > 0).sum(1)


def collate_molecules(sequences: list[MoleculeSequence]) -> MoleculeBatch:
    """Right-pad tokens to the longest and atoms to the largest."""
    longest = max(len(sequence) for sequence in sequences)
    atoms = max(1, *(len(sequence.numbers) for sequence in sequences))
    token_atom = np.full((len(sequences), longest), -1)
    near = np.full((len(sequences), atoms, atoms), UNREACHED)
    order, ring, sides = (np.zeros_like(near) for _ in range(3))
    for row, sequence in enumerate(sequences):
        own = len(sequence.numbers)
        token_atom[row, : len(sequence)] = sequence.atom
        near[row, :own, :own], order[row, :own, :own] = sequence.near, sequence.order
        ring[row, :own, :own], sides[row, :own, :own] = sequence.ring, sequence.sides
    return MoleculeBatch(
        tokens=collate([sequence.tokens for sequence in sequences]),
        atom=torch.from_numpy(token_atom),
        slot=pad([sequence.slot for sequence in sequences], atoms),
        numbers=pad([sequence.numbers for sequence in sequences], atoms),
        charges=pad([sequence.charges for sequence in sequences], atoms),
        order=torch.from_numpy(order),
        near=torch.from_numpy(near),
        ring=torch.from_numpy(ring),
        handed=pad([sequence.handed for sequence in sequences], atoms),
        sides=torch.from_numpy(sides),
        shift=torch.full((len(sequences),), MIDDLE),
        positions=pad([sequence.positions for sequence in sequences], atoms),
    )
