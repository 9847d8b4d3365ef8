"""Tokens of octrees as vectors: what stands at a position, and what is known of the next one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unigen.batch import TensorRows
from unigen.geometry.morton import deinterleave
from unigen.models.octree.batch import OctreeBatch, Stage
from unigen.models.octree.grammar import MASKS, mask_of
from unigen.models.octree.tokens import OctreeGrid
from unigen.nn.embeddings import ElementEmbedding
from unigen.nn.process.torus import fourier_features
from unigen.shapes import Float, Int
from unigen.tokens.sequence import SLOT_WIDTH, Channel
from unigen.tokens.vocabulary import CRYSTAL_VOCABULARY_SIZE, element_of


@dataclass(frozen=True, eq=False)
class Target(TensorRows):
    """What is known of a token before it is drawn; all fields share their shape.

    Attributes:
        stage: Stage.
        level: of a node or leaf.
        code: of a node or leaf.
        count: atoms in it.
    """

    stage: Int[Tensor, "*batch"]
    level: Int[Tensor, "*batch"]
    code: Int[Tensor, "*batch"]
    count: Int[Tensor, "*batch"]


@dataclass(frozen=True, eq=False)
class Content(TensorRows):
    """What was drawn there: the fields of ``OctreeBatch`` and its ``tokens``."""

    symbols: Int[Tensor, "*batch"]
    vectors: Float[Tensor, "*batch 6"]
    child_counts: Int[Tensor, "*batch 8"]
    element: Int[Tensor, "*batch"]
    offset: Float[Tensor, "*batch 3"]


class OctreeEmbedding(nn.Module):
    """Content of tokens, and target descriptors, as vectors.

    Args:
        grid: how space is divided.
        width: of the backbone.
        max_atoms: the largest count.
        dropout: how often an element's own embedding is hidden.
    """

    symbol_element: Tensor
    frequencies: Tensor
    lattice_mean: Tensor
    lattice_std: Tensor

    def __init__(self, grid: OctreeGrid, width: int, max_atoms: int, dropout: float) -> None:
        super().__init__()
        self.grid, self.max_atoms = grid, max_atoms
        self.symbol = nn.Embedding(CRYSTAL_VOCABULARY_SIZE, width)
        self.element = ElementEmbedding(width, dropout)
        self.placed_element = ElementEmbedding(width, dropout)
        self.mask = nn.Embedding(MASKS, width)
        self.child_count = nn.Embedding(8 * (max_atoms + 1), width)
        self.stage = nn.Embedding(len(Stage), width)
        self.level = nn.Embedding(grid.depth + 1, width)
        self.count = nn.Embedding(max_atoms + 1, width)
        self.lattice = nn.Sequential(nn.Linear(SLOT_WIDTH[Channel.LATTICE], width), nn.SiLU(), nn.Linear(width, width))
        # Waves that fit the cube n times, n up to one a leaf cell: an exact period on the torus, and on every level
        # one of them tells the halves of a node apart.
        waves = sorted({2**level for level in range(grid.depth + 1)} | {3, 6, 12})
        self.register_buffer("frequencies", torch.tensor(waves, dtype=torch.float32), persistent=False)
        self.where = nn.Sequential(nn.Linear(6 * len(waves), width), nn.SiLU(), nn.Linear(width, width))
        self.at = nn.Sequential(nn.Linear(6 * len(waves), width), nn.SiLU(), nn.Linear(width, width))
        elements = [element_of(symbol) or 0 for symbol in range(CRYSTAL_VOCABULARY_SIZE)]
        self.register_buffer("symbol_element", torch.tensor(elements), persistent=False)
        self.register_buffer("lattice_mean", torch.zeros(SLOT_WIDTH[Channel.LATTICE]))
        self.register_buffer("lattice_std", torch.ones(SLOT_WIDTH[Channel.LATTICE]))

    def standardise(self, lattice: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 6"]:
        """Lattice numbers to zero mean and unit variance over the training set."""
        return (lattice - self.lattice_mean) / self.lattice_std

    def restore(self, standardised: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 6"]:
        """Inverse of ``standardise``."""
        return standardised * self.lattice_std + self.lattice_mean

    def content(self, target: Target, content: Content) -> Float[Tensor, "*batch width"]:
        """What stands at a position, where it is included."""
        stage = target.stage[..., None]
        symbol = self.symbol(content.symbols) + self.element(self.symbol_element[content.symbols])
        octants = torch.arange(8, device=stage.device) * (self.max_atoms + 1)
        counts = self.child_count(octants + content.child_counts.clamp(max=self.max_atoms))
        node = self.mask(mask_of(content.child_counts)) + (counts * (content.child_counts > 0)[..., None]).sum(-2)
        sides = self.lies(target, content) * self._sides
        leaf = self.placed_element(content.element) + self.at(fourier_features(sides, self.frequencies))
        return (
            symbol
            + (stage == Stage.LATTICE) * self.lattice(self.standardise(content.vectors))
            + (stage == Stage.NODE) * (node + self._place(target))
            + (stage == Stage.LEAF) * leaf
        )

    def upcoming(self, target: Target) -> Float[Tensor, "*batch width"]:
        """The target descriptor: which cube comes next, and how many atoms it holds."""
        is_cube = (target.stage >= Stage.NODE)[..., None]
        known = self.level(target.level) + self.count(target.count.clamp(max=self.max_atoms)) + self._place(target)
        return self.stage(target.stage) + is_cube * known

    def middle(self, target: Target) -> Float[Tensor, "*batch 3"]:
        """The middle of a cube in periods: of the torus, or twice the side of a box, whose ends are not neighbours."""
        middle = (deinterleave(target.code, self.grid.depth) + 0.5) * (1 << target.level)[..., None]
        return middle / (self.grid.cells * self._sides) * (target.stage >= Stage.NODE)[..., None]

    def lies(self, target: Target, content: Content) -> Float[Tensor, "*batch 3"]:
        """Where a token that is drawn lies, in periods: an atom where it is, a node in its middle."""
        corner = deinterleave(target.code, self.grid.depth) << target.level[..., None]
        atom = (corner + content.offset / self.grid.steps) / (self.grid.cells * self._sides)
        return torch.where((target.stage == Stage.LEAF)[..., None], atom, self.middle(target))

    @property
    def _sides(self) -> int:
        """Sides of the cube in a period."""
        return 1 if self.grid.periodic else 2

    def _place(self, target: Target) -> Tensor:
        """The middle of a cube, by waves."""
        return self.where(fourier_features(self.middle(target) * self._sides, self.frequencies))


def targets(batch: OctreeBatch) -> Target:
    """What is known of each token of a batch beforehand."""
    return Target(batch.stage, batch.level, batch.code, batch.count)


def contents(batch: OctreeBatch) -> Content:
    """What stands at each position of a batch."""
    tokens = batch.tokens
    return Content(tokens.symbols, tokens.vectors, batch.child_counts, batch.element, batch.offset)


def following(target: Target) -> Target:
    """The same of the position after each; behind the last one a symbol is expected."""

    def moved(known: Tensor) -> Tensor:
        return torch.cat([known[:, 1:], torch.zeros_like(known[:, :1])], dim=1)

    return Target(moved(target.stage), moved(target.level), moved(target.code), moved(target.count))
