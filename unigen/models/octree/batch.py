"""Octrees behind their compositions (and lattices) as token rows, right-padded.

An ``OctreeBatch`` adds to ``tokens`` (composition as symbols, the lattice as a vector, SLOT for all else):

| field        | shape              | meaning                                                                  |
|--------------|--------------------|--------------------------------------------------------------------------|
| stage        | (batch, tokens)    | Stage: what stands here; known beforehand, as are level, code and count  |
| level        | (batch, tokens)    | of a node or leaf: its side is 2^level leaf cells                         |
| code         | (batch, tokens)    | of a node or leaf: Morton code on its level                               |
| count        | (batch, tokens)    | of a node or leaf: atoms in it                                            |
| child_counts | (batch, tokens, 8) | of a node: atoms in each child                                           |
| element      | (batch, tokens)    | of a leaf: atomic number                                                 |
| offset       | (batch, tokens, 3) | of a leaf: from its lower corner, in bins or in leaf cells               |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from unigen.batch import TensorRows, TokenBatch
from unigen.crystals.powder.peaks import PeakList
from unigen.models.octree.tokens import OctreeGrid, encode
from unigen.models.peaks import collate_peaks
from unigen.shapes import Float, Int
from unigen.tokens.composition import composition_symbols
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, VECTOR_WIDTH, Channel
from unigen.tokens.vocabulary import PAD, SLOT


class Stage(IntEnum):
    """What a token is."""

    SYMBOL = 0
    LATTICE = 1
    NODE = 2
    LEAF = 3


@dataclass(frozen=True, eq=False)
class OctreeItem:
    """A structure as it is shown this time.

    Attributes:
        numbers: atomic numbers.
        coords: Angstrom, or fractional.
        lattice: ln lengths (Angstrom) and angles (radians) of the cell; None for molecules.
        operation: symmetry of the cube that is applied to its octree; the lattice is that of the moved axes.
        peaks: of a powder pattern, that stand before it; None: none do.
    """

    numbers: Int[np.ndarray, "atoms"]
    coords: Float[np.ndarray, "atoms 3"]
    lattice: Float[np.ndarray, "6"] | None = None
    operation: int = 0
    peaks: PeakList | None = None

    @property
    def counts(self) -> dict[int, int]:
        """Atoms by atomic number."""
        numbers, counts = np.unique(self.numbers, return_counts=True)
        return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class OctreeBatch(TensorRows):
    """Octrees as rows of tokens; see the table of fields above."""

    tokens: TokenBatch
    stage: Int[Tensor, "batch tokens"]
    level: Int[Tensor, "batch tokens"]
    code: Int[Tensor, "batch tokens"]
    count: Int[Tensor, "batch tokens"]
    child_counts: Int[Tensor, "batch tokens 8"]
    element: Int[Tensor, "batch tokens"]
    offset: Float[Tensor, "batch tokens 3"]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> Int[Tensor, "batch"]:
        """Positions in use."""
        return self.tokens.lengths

    @property
    def is_symbol(self) -> Tensor:
        """Where a symbol of the composition stands."""
        return (self.stage == Stage.SYMBOL) & (self.tokens.symbols != PAD)

    @classmethod
    def prompts(cls, tokens: TokenBatch) -> OctreeBatch:
        """Compositions, finished or not, of which no octree is known yet; a slot that follows is the lattice's."""
        shape, device = tokens.symbols.shape, tokens.symbols.device
        level, code, count, element = (torch.zeros(shape, dtype=torch.int64, device=device) for _ in range(4))
        children = torch.zeros(*shape, 8, dtype=torch.int64, device=device)
        stage = torch.where(tokens.channel == Channel.LATTICE, Stage.LATTICE, Stage.SYMBOL)
        return cls(tokens, stage, level, code, count, children, element, torch.zeros(*shape, 3, device=device))


def prompt_tokens(
    compositions: list[dict[int, int]], lattices: list[np.ndarray | None], more: Int[Tensor, "batch"]
) -> TokenBatch:
    """Compositions and lattices as tokens, with room for so many more behind each.

    Args:
        compositions: atoms by atomic number.
        lattices: six numbers where a lattice belongs to the row; zeros for one that is not known yet.
        more: tokens that follow.
    """
    prompts = [composition_symbols(counts) for counts in compositions]
    before = torch.tensor(
        [len(prompt) + (lattice is not None) for prompt, lattice in zip(prompts, lattices, strict=True)]
    )
    lengths = before + more
    shape = len(prompts), int(lengths.max())
    symbols = torch.where(torch.arange(shape[1]) < lengths[:, None], SLOT, PAD)
    channel = torch.full(shape, int(Channel.SYMBOL))
    vectors = torch.zeros(*shape, VECTOR_WIDTH)
    for row, (prompt, lattice) in enumerate(zip(prompts, lattices, strict=True)):
        symbols[row, : len(prompt)] = torch.tensor(prompt)
        if lattice is not None:
            channel[row, len(prompt)] = Channel.LATTICE
            vectors[row, len(prompt)] = torch.from_numpy(lattice)
    return TokenBatch(symbols, vectors, channel, torch.zeros(*shape, DESCRIPTOR_WIDTH, dtype=torch.int64), lengths)


def collate_octrees(grid: OctreeGrid, items: list[OctreeItem], most_peaks: int = 0) -> OctreeBatch:
    """Encode all structures at once, and right-pad to the longest.

    Args:
        grid: how space is divided.
        items: structures.
        most_peaks: of a model that hears peaks.

    Raises:
        UserError: a structure that the grid cannot hold.
    """
    octrees = encode(
        grid,
        torch.from_numpy(np.concatenate([item.numbers for item in items])).long(),
        torch.from_numpy(np.concatenate([item.coords for item in items])).double(),
        torch.tensor([len(item.numbers) for item in items]),
        torch.tensor([item.operation for item in items]),
    )
    tokens = prompt_tokens([item.counts for item in items], [item.lattice for item in items], octrees.lengths)
    if most_peaks:
        tokens = replace(tokens, peaks=collate_peaks([item.peaks for item in items], most_peaks))
    batch = OctreeBatch.prompts(tokens)
    first = tokens.lengths - octrees.lengths
    for lengths, before, stage, fields in (
        (
            octrees.node_lengths,
            first,
            Stage.NODE,
            {
                "level": octrees.level,
                "code": octrees.code,
                "count": octrees.count,
                "child_counts": octrees.child_counts,
            },
        ),
        (
            octrees.leaf_lengths,
            first + octrees.node_lengths,
            Stage.LEAF,
            {
                "level": octrees.leaf_level,
                "code": octrees.leaf_code,
                "count": torch.ones_like(octrees.element),
                "element": octrees.element,
                "offset": octrees.offset.float(),
            },
        ),
    ):
        rows = torch.repeat_interleave(lengths)
        columns = torch.arange(len(rows)) + (before - (lengths.cumsum(0) - lengths)).repeat_interleave(lengths)
        batch.stage[rows, columns] = int(stage)
        for name, values in fields.items():
            getattr(batch, name)[rows, columns] = values
    return batch
