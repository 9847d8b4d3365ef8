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

It may hold a ``NeighbourBatch``, the octrees of known structures that stand before its sequences, without compositions
and several one behind the other in a row, and adds to their ``octrees``:

| field        | shape              | meaning                                                                  |
|--------------|--------------------|--------------------------------------------------------------------------|
| was          | (batch, tokens)    | of a leaf: the atomic number that stood there in the known structure     |
| place        | (batch, tokens)    | which of the neighbours that are shown it is of, from 0                  |
| facts        | (batch, tokens, 3) | of a lattice: what is known of the neighbour beside its structure        |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from unigen.batch import TensorRows, TokenBatch
from unigen.crystals.powder.peaks import PeakList
from unigen.models.octree.tokens import OctreeGrid, Octrees, encode
from unigen.models.peaks import collate_peaks
from unigen.shapes import Float, Int
from unigen.tokens.composition import composition_symbols
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, VECTOR_WIDTH, Channel
from unigen.tokens.vocabulary import PAD, SLOT

FACTS = 3
"""Numbers that are told of a neighbour: see ``ShownNeighbour``."""

_BOTH = 256
"""Two atomic numbers as one."""


class Stage(IntEnum):
    """What a token is."""

    SYMBOL = 0
    LATTICE = 1
    NODE = 2
    LEAF = 3


@dataclass(frozen=True, eq=False)
class ShownNeighbour:
    """A known structure with the elements of another one in its places, as it is shown beside that one this time.

    Attributes:
        numbers: atomic numbers that the atoms stand for.
        was: those that stand there in the known structure.
        coords: fractional, from the origin of the item beside which it is shown.
        lattice: as in ``OctreeItem``, of axes moved as those of the item.
        facts: chemical distance, the logarithm of the volume that the exchange implies over what it was, and the place
            on the list of neighbours, in tens.
    """

    numbers: Int[np.ndarray, "atoms"]
    was: Int[np.ndarray, "atoms"]
    coords: Float[np.ndarray, "atoms 3"]
    lattice: Float[np.ndarray, "6"]
    facts: Float[np.ndarray, "3"]


@dataclass(frozen=True, eq=False)
class OctreeItem:
    """A structure as it is shown this time.

    Attributes:
        numbers: atomic numbers.
        coords: Angstrom, or fractional.
        lattice: ln lengths (Angstrom) and angles (radians) of the cell; None for molecules.
        operation: symmetry of the cube that is applied to its octree; the lattice is that of the moved axes.
        peaks: of a powder pattern, that stand before it; None: none do.
        neighbours: known structures that stand before it, moved by the same operation.
    """

    numbers: Int[np.ndarray, "atoms"]
    coords: Float[np.ndarray, "atoms 3"]
    lattice: Float[np.ndarray, "6"] | None = None
    operation: int = 0
    peaks: PeakList | None = None
    neighbours: tuple[ShownNeighbour, ...] = ()

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
    neighbours: NeighbourBatch | None = None

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

    @property
    def is_written_symbol(self) -> Tensor:
        """Where one stands that is to be predicted: neighbours, which are looked up for a composition, tell it."""
        if self.neighbours is None:
            return self.is_symbol
        return self.is_symbol & (self.neighbours.lengths == 0)[:, None]

    @classmethod
    def prompts(cls, tokens: TokenBatch) -> OctreeBatch:
        """Compositions, finished or not, of which no octree is known yet; a slot that follows is the lattice's."""
        shape, device = tokens.symbols.shape, tokens.symbols.device
        level, code, count, element = (torch.zeros(shape, dtype=torch.int64, device=device) for _ in range(4))
        children = torch.zeros(*shape, 8, dtype=torch.int64, device=device)
        stage = torch.where(tokens.channel == Channel.LATTICE, Stage.LATTICE, Stage.SYMBOL)
        return cls(tokens, stage, level, code, count, children, element, torch.zeros(*shape, 3, device=device))


@dataclass(frozen=True, eq=False)
class NeighbourBatch(TensorRows):
    """Known structures before sequences; see the second table above."""

    octrees: OctreeBatch
    was: Int[Tensor, "batch tokens"]
    place: Int[Tensor, "batch tokens"]
    facts: Float[Tensor, "batch tokens 3"]

    def __len__(self) -> int:
        return len(self.octrees)

    @property
    def lengths(self) -> Int[Tensor, "batch"]:
        """Positions that are taken; 0: nothing is shown."""
        return self.octrees.lengths


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


def collate_octrees(
    grid: OctreeGrid, items: list[OctreeItem], most_peaks: int = 0, most_neighbours: int = 0
) -> OctreeBatch:
    """Encode all structures at once, and right-pad to the longest.

    Args:
        grid: how space is divided.
        items: structures.
        most_peaks: of a model that hears peaks.
        most_neighbours: of a model that is shown neighbours.

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
    _write(octrees, batch, torch.arange(len(items)), tokens.lengths - octrees.lengths)
    if most_neighbours:
        shown = [(item.neighbours[:most_neighbours], item.operation) for item in items]
        batch = replace(batch, neighbours=collate_neighbours(grid, shown))
    return batch


def collate_neighbours(grid: OctreeGrid, shown: Sequence[tuple[Sequence[ShownNeighbour], int]]) -> NeighbourBatch:
    """Right-pad to the longest row; at least one column, so that every batch has the same parts of a network take part.

    Args:
        grid: how space is divided.
        shown: of each row the neighbours, one behind the other, and the symmetry of the cube that is applied to them.

    Raises:
        UserError: a neighbour that the grid cannot hold.
    """
    listed = [(row, place, each) for row, (some, _) in enumerate(shown) for place, each in enumerate(some)]
    if not listed:
        return _no_neighbours(len(shown))
    rows, places = (torch.tensor([part[axis] for part in listed]) for axis in (0, 1))
    neighbours = [each for _, _, each in listed]
    numbers, was = (
        torch.from_numpy(np.concatenate([getattr(each, name) for each in neighbours])).long()
        for name in ("numbers", "was")
    )
    octrees = encode(
        grid,
        numbers + _BOTH * was,  # what an atom was goes where the atom goes
        torch.from_numpy(np.concatenate([each.coords for each in neighbours])).double(),
        torch.tensor([len(each.numbers) for each in neighbours]),
        torch.tensor([shown[row][1] for row, _, _ in listed]),
    )
    was, octrees = octrees.element // _BOTH, replace(octrees, element=octrees.element % _BOTH)
    taken = 1 + octrees.lengths  # the lattice, then the octree
    lengths = torch.zeros(len(shown), dtype=torch.int64).index_add(0, rows, taken)
    first = taken.cumsum(0) - taken - (lengths.cumsum(0) - lengths)[rows]
    batch = _no_neighbours(len(shown), int(lengths.max()))
    inside = torch.arange(batch.was.shape[1]) < lengths[:, None]
    tokens = replace(batch.octrees.tokens, symbols=torch.where(inside, SLOT, PAD), lengths=lengths)
    tokens.channel[rows, first] = int(Channel.LATTICE)
    tokens.vectors[rows, first] = torch.from_numpy(np.stack([each.lattice for each in neighbours])).float()
    batch.facts[rows, first] = torch.from_numpy(np.stack([each.facts for each in neighbours])).float()
    made = OctreeBatch.prompts(tokens)
    _write(octrees, made, rows, first + 1)
    # row by row the atoms stand in the order in which they were encoded, and so do all positions
    batch.was[made.stage == Stage.LEAF] = was
    batch.place[inside] = places.repeat_interleave(taken)
    return replace(batch, octrees=made)


def _no_neighbours(rows: int, columns: int = 1) -> NeighbourBatch:
    """Of rows that are shown none, with room for some."""
    none = torch.zeros(rows, columns, dtype=torch.int64)
    tokens = TokenBatch(
        symbols=torch.full_like(none, PAD),
        vectors=torch.zeros(rows, columns, VECTOR_WIDTH),
        channel=torch.full_like(none, int(Channel.SYMBOL)),
        descriptor=torch.zeros(rows, columns, DESCRIPTOR_WIDTH, dtype=torch.int64),
        lengths=torch.zeros(rows, dtype=torch.int64),
    )
    return NeighbourBatch(OctreeBatch.prompts(tokens), none.clone(), none.clone(), torch.zeros(rows, columns, FACTS))


def _write(
    octrees: Octrees, batch: OctreeBatch, row: Int[Tensor, "structures"], first: Int[Tensor, "structures"]
) -> None:
    """Write nodes and leaves of structures into a batch, each from a column of a row on."""
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
        rows = row.repeat_interleave(lengths)
        columns = torch.arange(len(rows)) + (before - (lengths.cumsum(0) - lengths)).repeat_interleave(lengths)
        batch.stage[rows, columns] = int(stage)
        for name, values in fields.items():
            getattr(batch, name)[rows, columns] = values
