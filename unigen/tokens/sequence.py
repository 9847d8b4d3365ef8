"""A structure written as symbols and vectors, each position knowing what it is about to be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch

from unigen.batch import TokenBatch, pad
from unigen.shapes import Float, Int

VECTOR_WIDTH = 6
DESCRIPTOR_WIDTH = 3


class Channel(IntEnum):
    """Which head draws a position, and which noise process its vector has."""

    SYMBOL = 0
    LATTICE = 1
    FRACTIONAL = 2
    CARTESIAN = 3
    PROPERTY = 4


CRYSTAL_CHANNELS = 3
"""Channels of crystals: the first ones."""


SLOT_WIDTH = {Channel.LATTICE: 6, Channel.FRACTIONAL: 3, Channel.CARTESIAN: 3, Channel.PROPERTY: 1}
"""Numbers in a slot: ln lengths (Angstrom) and angles (radians); fractional coordinates; Angstrom; a scaled value."""


@dataclass(frozen=True, eq=False)
class Sequence:
    """Content of each position and what is known of it beforehand.

    Attributes:
        symbols: (tokens,) vocabulary indices, SLOT where a vector stands.
        vectors: (tokens, VECTOR_WIDTH) float32, the first SLOT_WIDTH[channel] numbers count.
        channel: (tokens,) Channel values.
        descriptor: (tokens, 3) of each position, given to the model one position earlier: the atomic number the slot
            places (0 for none), its index among the atoms of that element, and the count of that element.
    """

    symbols: Int[np.ndarray, "tokens"]
    vectors: Float[np.ndarray, "tokens 6"]
    channel: Int[np.ndarray, "tokens"]
    descriptor: Int[np.ndarray, "tokens 3"]

    def __len__(self) -> int:
        return len(self.symbols)


def collate(sequences: list[Sequence]) -> TokenBatch:
    """Right-pad to the longest."""
    longest = max(len(sequence) for sequence in sequences)
    return TokenBatch(
        symbols=pad([s.symbols for s in sequences], longest),
        vectors=pad([s.vectors for s in sequences], longest),
        channel=pad([s.channel for s in sequences], longest),
        descriptor=pad([s.descriptor for s in sequences], longest),
        lengths=torch.tensor([len(s) for s in sequences]),
    )
