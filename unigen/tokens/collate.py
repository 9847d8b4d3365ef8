"""Sequences to a right-padded batch."""

from __future__ import annotations

import torch

from unigen.batch import TokenBatch, pad
from unigen.tokens.sequence import Sequence


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
