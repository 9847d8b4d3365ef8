"""Known structures before an octree: each its lattice, then its own octree, in the form in which the octree is written.

A neighbour is told as the model tells what it writes, through the same embedding: of a node its mask and its counts, of
a leaf its element and its place, and of both what is known of them beforehand, as the sequence knows it of the token
that comes next. Atoms alone would be fewer tokens, but every node of the sequence had to count which of them lie in
each of its octants before it could copy anything.

Beside that stand: of a leaf, the element that was there, which says how far the exchange went; of the lattice, how near
the two compositions are, how much the volume had to change and which place on the list it has, which say how far it is
to be trusted; and which of the neighbours that are shown it is.

**The same cube.** All that is known of a token before it is drawn is which cube it is. Attention could learn to find
that cube among all of a neighbour's; it is looked up instead, which takes a comparison: what the first neighbour that
has it as well holds there is told with it, and that none has it where none does. Where places are told in bins, the
place in the same leaf is told digit by digit, as it is drawn. Attention is left with what lies elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unigen.batch import TensorRows
from unigen.models.octree.batch import FACTS, NeighbourBatch, OctreeBatch, Stage
from unigen.models.octree.embedding import OctreeEmbedding, Target, contents, targets
from unigen.models.octree.tokens import OctreeGrid
from unigen.nn.conditions.prompt import Prompt
from unigen.nn.embeddings import ElementEmbedding
from unigen.shapes import Float, Int

MOST_NEIGHBOURS = 8
"""Of a prompt."""

_LATTICE, _NOTHING, _PADDING = -1, -2, -3
"""Keys of what is no cube."""


@dataclass(frozen=True, eq=False)
class Shown(TensorRows):
    """Neighbours as a network reads them.

    Attributes:
        prompt: that stands before the sequences.
        keys: of the cube at each position.
        there: what is told with the same cube of a sequence.
    """

    prompt: Prompt
    keys: Int[Tensor, "batch positions"]
    there: Float[Tensor, "batch positions width"]


class NeighbourPrompt(nn.Module):
    """See the module's docstring.

    Args:
        grid: how space is divided.
        width: of the backbone.
        most: neighbours of a prompt.
        dropout: how often an element's own embedding is hidden.
    """

    def __init__(self, grid: OctreeGrid, width: int, most: int, dropout: float) -> None:
        super().__init__()
        self.grid = grid
        self.was = ElementEmbedding(width, dropout)
        self.place = nn.Embedding(most, width)
        self.facts = nn.Sequential(nn.Linear(FACTS, width), nn.SiLU(), nn.Linear(width, width))
        self.there = nn.Linear(width, width)
        self.nothing = nn.Parameter(torch.zeros(width))
        # of each axis a bin, then of each level below a leaf an octant
        octants = 8 * grid.depth if grid.stops_at_single else 0
        self.digit = nn.Embedding(3 * grid.bins + octants, width) if grid.is_binned else None

    def read(self, embedding: OctreeEmbedding, neighbours: NeighbourBatch) -> Shown:
        """What stands before each sequence.

        Args:
            embedding: of the model.
            neighbours: of each row.
        """
        octrees = neighbours.octrees
        target, content = targets(octrees), contents(octrees)
        is_lattice = (octrees.stage == Stage.LATTICE)[..., None]
        own = embedding.content(target, content)
        own = own + self.was(neighbours.was) + self.place(neighbours.place) + is_lattice * self.facts(neighbours.facts)
        lies = embedding.lies(target, content)
        prompt = Prompt(own + embedding.upcoming(target), neighbours.lengths, torch.stack([lies, lies], dim=-2))
        positions = torch.arange(own.shape[1], device=own.device)
        keys = torch.where(positions < neighbours.lengths[:, None], _keys(target), _PADDING)
        return Shown(prompt, keys, self.there(own + self._digits(octrees)))

    def _digits(self, octrees: OctreeBatch) -> Float[Tensor, "batch positions width"] | float:
        """The place of each leaf in its cube, in digits; nothing where these are drawn as a vector."""
        if self.digit is None:
            return 0.0
        offset, bins = octrees.offset.long(), self.grid.bins
        cell, inside = offset // bins, offset % bins
        told = self.digit(inside + bins * torch.arange(3, device=offset.device)).sum(-2)
        if self.grid.stops_at_single:
            below = torch.arange(self.grid.depth, device=offset.device)
            bits = (cell[..., None, :] >> below[:, None] & 1) << torch.arange(3, device=offset.device)
            there = below < octrees.level[..., None]
            told = told + (self.digit(3 * bins + 8 * below + bits.sum(-1)) * there[..., None]).sum(-2)
        return told * (octrees.stage == Stage.LEAF)[..., None]

    def beside(
        self, target: Target, shown: Shown, row: Int[Tensor, "rows"] | None = None
    ) -> Float[Tensor, "rows tokens width"]:
        """What the first neighbour that has the same cube, or lattice, has there; 0 where no neighbour is shown.

        Args:
            target: what is known of each token.
            shown: what each row is shown.
            row: whose that is, of each row of targets; None: row for row.
        """
        rows = torch.arange(len(target.stage), device=target.stage.device) if row is None else row
        wanted = _keys(target)
        is_there = wanted[..., None] == shown.keys[rows][:, None]
        found, index = is_there.any(-1)[..., None], is_there.to(torch.int8).argmax(-1)
        told = torch.where(found, shown.there[rows[:, None], index], self.nothing)
        is_shown = (shown.prompt.lengths[rows] > 0)[:, None] & (wanted != _NOTHING)
        return told * is_shown[..., None]


def _keys(target: Target) -> Int[Tensor, "*batch"]:
    """Of tokens: equal where they are the same cube."""
    cube = target.level << 40 | target.code  # codes have 36 bits at most
    return torch.where(target.stage >= Stage.NODE, cube, torch.where(target.stage == Stage.LATTICE, _LATTICE, _NOTHING))
