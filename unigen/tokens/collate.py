"""Sequences and shortlists to right-padded batches."""

from __future__ import annotations

import numpy as np
import torch

from unigen.batch import MoleculeBatch, NeighbourBatch, TokenBatch, WyckoffBatch, pad
from unigen.models.smiles.tokens import MIDDLE, UNREACHED, MoleculeSequence
from unigen.models.wyckoff.tokens import WyckoffSequence
from unigen.retrieval.shortlist import KINDS, Shortlist
from unigen.shapes import Float, Integer
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


def collate_wyckoff(sequences: list[WyckoffSequence], followed: list[int], neighbours: NeighbourBatch) -> WyckoffBatch:
    """Right-pad to the longest.

    Args:
        sequences: crystals or plans.
        followed: the neighbour each one follows, -1 for none.
        neighbours: their shortlists, as ``collate_shortlists`` makes them.
    """
    longest = max(len(sequence) for sequence in sequences)
    return WyckoffBatch(
        tokens=collate([sequence.tokens for sequence in sequences]),
        start=pad([s.start for s in sequences], longest),
        free=pad([s.free for s in sequences], longest),
        role=pad([s.role for s in sequences], longest),
        written=pad([s.written for s in sequences], longest),
        followed=torch.tensor(followed),
        neighbours=neighbours,
    )


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
        looks=pad([_widened(s.looks, width) for s in shortlists], most),
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
