"""Symmetric crystals beside the known structures they may follow, right-padded.

A ``WyckoffBatch`` adds to each position of its ``tokens``:

| field        | shape              | unit, meaning                                                       |
|--------------|--------------------|---------------------------------------------------------------------|
| start        | (batch, tokens, 6) | the numbers a slot starts from: a neighbour's, or a plain guess     |
| free         | (batch, tokens, 6) | 1 where a number of a slot is drawn, 0 where symmetry fixes it      |
| role         | (batch, tokens)    | a site's element in the neighbour that is followed, 0 for none      |
| written      | (batch, tokens)    | symbols that are drawn: not those copied from a neighbour           |
| followed     | (batch,)           | which neighbour of the shortlist is followed, -1 for none           |

A ``NeighbourBatch`` holds shortlists, padded to the longest:

| field        | shape                               | unit, meaning                                      |
|--------------|-------------------------------------|----------------------------------------------------|
| elements     | (batch, elements)                   | atomic number, 0 beyond the end                    |
| counts       | (batch, elements)                   | atoms of it in the wanted cell                     |
| roles        | (batch, neighbours, elements)       | atomic number it takes the place of                |
| fingerprints | (batch, neighbours, elements, 24)   | fingerprint of those sites, ``table.UNIT``         |
| contacts     | (batch, neighbours, elements, elements, 4) | how far they are from each other, ``table.UNIT`` |
| spacing      | (batch,)                            | expected distance between atoms, Angstrom          |
| distance     | (batch, neighbours)                 | chemical distance                                  |
| kind         | (batch, neighbours)                 | which structure it proposes, -1 beyond the end     |
| facts        | (batch, neighbours, 2)              | excess ln volume; eV per atom above the hull       |
| rms          | (batch, kinds)                      | against the right structure, NaN: no match         |
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from unigen.batch import PeakBatch, TensorRows, TokenBatch, pad
from unigen.models.wyckoff.tokens import WyckoffSequence
from unigen.retrieval.shortlist import KINDS, Shortlist
from unigen.shapes import Bool, Float, Int, Integer, UInt8
from unigen.tokens.sequence import collate


@dataclass(frozen=True, eq=False)
class NeighbourBatch(TensorRows):
    """Shortlists of known structures; see the table of fields above."""

    elements: Int[Tensor, "batch elements"]
    counts: Int[Tensor, "batch elements"]
    roles: Int[Tensor, "batch neighbours elements"]
    fingerprints: UInt8[Tensor, "batch neighbours elements features"]
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


def collate_wyckoff(
    sequences: list[WyckoffSequence],
    followed: list[int],
    neighbours: NeighbourBatch,
    peaks: PeakBatch | None = None,
) -> WyckoffBatch:
    """Right-pad to the longest.

    Args:
        sequences: crystals or plans.
        followed: the neighbour each one follows, -1 for none.
        neighbours: their shortlists, as ``collate_shortlists`` makes them.
        peaks: that stand before each; None: none do.
    """
    longest = max(len(sequence) for sequence in sequences)
    return WyckoffBatch(
        tokens=replace(collate([sequence.tokens for sequence in sequences]), peaks=peaks),
        start=pad([s.start for s in sequences], longest),
        free=pad([s.free for s in sequences], longest),
        role=pad([s.role for s in sequences], longest),
        written=pad([s.written for s in sequences], longest),
        followed=torch.tensor(followed),
        neighbours=neighbours,
    )


def collate_shortlists(shortlists: list[Shortlist], rms: list[Float[np.ndarray, "_"]] | None = None) -> NeighbourBatch:
    """Right-pad neighbours and elements to the most there are.

    Args:
        shortlists: one a crystal, maybe empty.
        rms: of each kind against the right structure, where it is known.
    """
    most = max(1, *(len(shortlist) for shortlist in shortlists))
    width = max(len(shortlist.elements) for shortlist in shortlists)
    kind = np.full((len(shortlists), most), -1, dtype=np.int64)
    verdicts = np.full((len(shortlists), KINDS), np.nan, dtype=np.float32)
    for row, shortlist in enumerate(shortlists):
        kind[row, : len(shortlist)] = shortlist.kind
        if rms is not None:
            verdicts[row, : len(rms[row])] = rms[row]
    return NeighbourBatch(
        elements=pad([s.elements for s in shortlists], width),
        counts=pad([s.counts for s in shortlists], width),
        roles=pad([_widened(s.roles, width) for s in shortlists], most),
        fingerprints=pad([_widened(s.fingerprints, width) for s in shortlists], most),
        contacts=pad([_widened(s.contacts, width, axes=2) for s in shortlists], most),
        spacing=torch.tensor([s.spacing for s in shortlists], dtype=torch.float32),
        distance=pad([s.distance.astype(np.float32) for s in shortlists], most),
        kind=torch.from_numpy(kind),
        facts=pad([s.facts.astype(np.float32) for s in shortlists], most),
        rms=torch.from_numpy(verdicts),
    )


def _widened(array: Integer[np.ndarray, "neighbours *rest"], width: int, axes: int = 1) -> np.ndarray:
    """Zeros along the first ``axes`` axes after the neighbours, for elements that only other crystals have."""
    missing = width - array.shape[1]
    return np.pad(array, [(0, 0)] + [(0, missing)] * axes + [(0, 0)] * (array.ndim - 1 - axes))
