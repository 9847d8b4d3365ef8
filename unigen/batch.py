"""The tensor containers all layers share.

| field        | shape              | unit, meaning                                                       |
|--------------|--------------------|---------------------------------------------------------------------|
| symbols      | (batch, tokens)    | vocabulary index; PAD beyond the end, SLOT where a vector stands    |
| vectors      | (batch, tokens, 6) | lattice: ln Angstrom, radians; fractional: cell units, first three  |
| channel      | (batch, tokens)    | Channel; SYMBOL beyond the end                                      |
| descriptor   | (batch, tokens, 3) | atomic number, index among its element, count of its element        |
| lengths      | (batch,)           | positions in use                                                    |

A ``WyckoffBatch`` adds to each position of its ``tokens``:

| field        | shape              | unit, meaning                                                       |
|--------------|--------------------|---------------------------------------------------------------------|
| start        | (batch, tokens, 6) | the numbers a slot starts from: a neighbour's, or a plain guess     |
| free         | (batch, tokens, 6) | 1 where a number of a slot is drawn, 0 where symmetry fixes it      |
| role         | (batch, tokens)    | a site's element in the neighbour that is followed, 0 for none      |
| written      | (batch, tokens)    | symbols that are drawn: not those copied from a neighbour           |
| followed     | (batch,)           | which neighbour of the shortlist is followed, -1 for none           |

and a ``NeighbourBatch`` holds shortlists, padded to the longest:

| field        | shape                               | unit, meaning                                      |
|--------------|-------------------------------------|----------------------------------------------------|
| elements     | (batch, elements)                   | atomic number, 0 beyond the end                    |
| counts       | (batch, elements)                   | atoms of it in the wanted cell                     |
| roles        | (batch, neighbours, elements)       | atomic number it takes the place of                |
| looks        | (batch, neighbours, elements, 24)   | fingerprint of those sites, ``table.UNIT``         |
| contacts     | (batch, neighbours, elements, elements, 4) | how far they are from each other, ``table.UNIT`` |
| spacing      | (batch,)                            | expected distance between atoms, Angstrom          |
| distance     | (batch, neighbours)                 | chemical distance                                  |
| kind         | (batch, neighbours)                 | which structure it proposes, -1 beyond the end     |
| facts        | (batch, neighbours, 2)              | excess ln volume; eV per atom above the hull       |
| rms          | (batch, kinds)                      | against the right structure, NaN: no match         |

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

A ``PropertyBatch`` holds atoms without bonds and what is known of each molecule:

| field        | shape                   | unit, meaning                                                  |
|--------------|-------------------------|----------------------------------------------------------------|
| numbers      | (batch, atoms)          | atomic number, 0 beyond the end                                |
| positions    | (batch, atoms, 3)       | Cartesian, Angstrom                                            |
| values       | (batch, properties)     | in the units of the data, NaN where unknown                    |
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from unigen.shapes import Bool, Float, Int, UInt8


@dataclass(frozen=True, eq=False)
class Layout:
    """Where sequences lie in a right-padded batch: causal, so padding needs no mask.

    Attributes:
        position: (batch, tokens) index within its own sequence.
        lengths: (batch,) positions in use.
    """

    position: Int[Tensor, "batch tokens"]
    lengths: Int[Tensor, "batch"]

    @classmethod
    def padded(cls, lengths: Int[Tensor, "batch"], max_len: int) -> Layout:
        """Every sequence starts at column 0."""
        return cls(torch.arange(max_len, device=lengths.device).expand(len(lengths), -1), lengths)

    @property
    def valid(self) -> Bool[Tensor, "batch tokens"]:
        """Which positions are in use."""
        return self.position < self.lengths[:, None]


Rows = TypeVar("Rows", bound="TensorRows")  # not Self: what checks shapes in tests cannot read it on a method


@dataclass(frozen=True, eq=False)
class TensorRows:
    """Tensors, and containers of tensors, that share their first axis."""

    def to(self: Rows, device: torch.device | str, *, non_blocking: bool = True) -> Rows:  # noqa: PYI019 - see Rows
        """The same rows on a device."""
        return type(self)(**{f.name: getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self)})

    def select(self: Rows, rows: Tensor) -> Rows:  # noqa: PYI019
        """Some of the rows."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(
            **{name: part.select(rows) if isinstance(part, TensorRows) else part[rows] for name, part in parts.items()}
        )


@dataclass(frozen=True, eq=False)
class TokenBatch(TensorRows):
    """Sequences, right-padded; see the table of fields above."""

    symbols: Int[Tensor, "batch tokens"]
    vectors: Float[Tensor, "batch tokens 6"]
    channel: Int[Tensor, "batch tokens"]
    descriptor: Int[Tensor, "batch tokens 3"]
    lengths: Int[Tensor, "batch"]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def layout(self) -> Layout:
        """The layout of these sequences."""
        return Layout.padded(self.lengths, self.symbols.shape[1])


@dataclass(frozen=True, eq=False)
class NeighbourBatch(TensorRows):
    """Shortlists of known structures; see the table of fields above."""

    elements: Int[Tensor, "batch elements"]
    counts: Int[Tensor, "batch elements"]
    roles: Int[Tensor, "batch neighbours elements"]
    looks: UInt8[Tensor, "batch neighbours elements features"]
    contacts: UInt8[Tensor, "batch neighbours elements elements contacts"]
    spacing: Float[Tensor, "batch"]
    distance: Float[Tensor, "batch neighbours"]
    kind: Int[Tensor, "batch neighbours"]
    facts: Float[Tensor, "batch neighbours 2"]
    rms: Float[Tensor, "batch kinds"]

    def __len__(self) -> int:
        return len(self.elements)

    @property
    def valid(self) -> Bool[Tensor, "batch neighbours"]:
        """Which neighbours are there."""
        return self.kind >= 0

    def keep(self, which: Bool[Tensor, "batch neighbours"]) -> NeighbourBatch:
        """Without the other neighbours."""
        return replace(self, kind=torch.where(which, self.kind, -1))


@dataclass(frozen=True, eq=False)
class WyckoffBatch(TensorRows):
    """Crystals as orbits, beside the neighbours they may follow; see the table of fields above."""

    tokens: TokenBatch
    start: Float[Tensor, "batch tokens 6"]
    free: Float[Tensor, "batch tokens 6"]
    role: Int[Tensor, "batch tokens"]
    written: Bool[Tensor, "batch tokens"]
    followed: Int[Tensor, "batch"]
    neighbours: NeighbourBatch

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> Int[Tensor, "batch"]:
        """Positions in use."""
        return self.tokens.lengths


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


@dataclass(frozen=True, eq=False)
class PropertyBatch(TensorRows):
    """Molecules as atoms in space, with properties; see the table of fields above."""

    numbers: Int[Tensor, "batch atoms"]
    positions: Float[Tensor, "batch atoms 3"]
    values: Float[Tensor, "batch properties"]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def lengths(self) -> Int[Tensor, "batch"]:
        """Atoms of each molecule."""
        return (self.numbers > 0).sum(1)


@dataclass(frozen=True, eq=False)
class JointBatch(TensorRows):
    """A batch of each kind, of the same size."""

    crystals: TokenBatch
    molecules: MoleculeBatch

    def __len__(self) -> int:
        return len(self.crystals)

    @property
    def lengths(self) -> Int[Tensor, "batch"]:
        """Positions in use, of both together."""
        return self.crystals.lengths + self.molecules.lengths


def pad(arrays: list[np.ndarray], length: int) -> Tensor:
    """Stack arrays along a new first axis, each padded with zeros to ``length``."""
    out = np.zeros((len(arrays), length, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(out)
