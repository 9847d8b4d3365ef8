"""Attention among neighbours, told where each lies in frames of the atom that looks.

    e_ij = mean over the frames F of atom i of  phi(radial(r_ij), w_i F^T r_ij / |r_ij|)
    a_ij = f(r_ij) exp(q_i . (k_j + e_ij)) / (1 + sum_j f(r_ij) exp(q_i . (k_j + e_ij)))
    x_i <- x_i + sum_j a_ij (v_j + e_ij),  then a feed-forward layer

Frame averaging (Puny et al. 2022; Duval et al. 2023, FAENet) with frames of every atom's own surroundings in place of
one of the whole: a crystal has no axes of its own, and symmetric molecules none that are unique. An atom whose
surroundings have none either (w = 0) is told distances alone. Training draws one of the four frames of each atom;
otherwise all are averaged, exactly. No frame is a reflection: mirror images are told apart.

Atoms and pairs may also be told where they stand in the graph of bonds (``spectral.py``), which no sum over neighbours
sees as a whole: a ring, say, or how far the ends of a chain are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.elements import SYMBOLS
from unigen.geometry.frames import Frames, principal_frames
from unigen.nn.encoders.graphs import AtomGraphs, Encoder, sum_by
from unigen.nn.encoders.radial import RadialFunctions, envelope
from unigen.nn.encoders.spectral import SpectralPositions
from unigen.shapes import Float, Int

_LARGEST = 20.0
"""Of the logarithm of an attention weight: single precision holds its exponential and sums of it."""


class NeighbourAttention(nn.Module):
    """See the module's docstring.

    Args:
        width: of atoms and pairs.
        heads: of attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.of_pair = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(
        self,
        x: Float[Tensor, "atoms width"],
        pairs: Int[Tensor, "2 pairs"],
        e: Float[Tensor, "pairs width"],
        weight: Float[Tensor, "pairs"],
    ) -> Float[Tensor, "atoms width"]:
        """Updated atoms; ``weight`` is f."""
        looking, seen = pairs
        y = self.norm(x)
        key, value = (self.key_value(y)[seen] + self.of_pair(e)).unflatten(-1, (self.heads, -1)).chunk(2, -1)
        query = self.query(y).unflatten(-1, (self.heads, -1))[looking]
        logits = (query * key).sum(-1) / key.shape[-1] ** 0.5
        share = weight[:, None] * logits.clamp(max=_LARGEST).exp()
        total = sum_by(share[..., None] * value, looking, len(x)) / (1 + sum_by(share, looking, len(x)))[..., None]
        x = x + self.out(total.flatten(1))
        return x + self.feed(self.feed_norm(x))


class FrameAveragingEncoder(Encoder):
    """See the module's docstring.

    Args:
        width: of atoms and pairs.
        layers: of attention.
        heads: of attention.
        radial: functions of the distance.
        cutoff: Angstrom.
        positional: functions of the spectrum that atoms are told; 0: none.
    """

    def __init__(self, width: int, layers: int, heads: int, radial: int, cutoff: float, positional: int = 0) -> None:
        super().__init__()
        self.width, self.cutoff = width, cutoff
        self.elements = nn.Embedding(len(SYMBOLS), width)
        self.radial = RadialFunctions(radial, cutoff)
        self.of_distance, self.of_direction = nn.Linear(radial, width), nn.Linear(3, width, bias=False)
        self.of_place = nn.Linear(width, width)
        self.layers = nn.ModuleList(NeighbourAttention(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        # last: all else begins as it does without
        self.positions = SpectralPositions(positional, width, cutoff / 2) if positional else None

    def of_atoms(self, graphs: AtomGraphs) -> Float[Tensor, "atoms width"]:
        """See Encoder."""
        separation = graphs.separation
        distance = separation.norm(dim=-1)
        weight = envelope(distance, self.cutoff)
        direction = separation / distance.clamp(min=torch.finfo(distance.dtype).tiny)[:, None]
        looking = graphs.pairs[0]
        outer = weight[:, None, None] * direction[:, :, None] * direction[:, None]
        frames = principal_frames(sum_by(outer, looking, len(graphs.numbers)))
        e = self.of_pairs(distance, direction, frames, looking)
        x = self.elements(graphs.numbers)
        if self.positions is not None:
            told = self.positions(graphs, distance)
            x, e = x + told.atoms, e + told.pairs
        for layer in self.layers:
            x = layer(x, graphs.pairs, e, weight)
        return self.norm(x)

    def of_pairs(
        self,
        distance: Float[Tensor, "pairs"],
        direction: Float[Tensor, "pairs 3"],
        frames: Frames,
        looking: Int[Tensor, "pairs"],
    ) -> Float[Tensor, "pairs width"]:
        """What every pair is told, averaged over the frames of the atom that looks."""
        axes = frames.axes
        if self.training:  # one of the four, drawn for each atom: the average is right, and four times as cheap
            drawn = torch.randint(axes.shape[1], (len(axes),), device=axes.device)
            axes = axes[torch.arange(len(axes), device=axes.device), drawn][:, None]
        seen = torch.einsum("pi,pkij->pkj", direction, axes[looking]) * frames.weight[looking, None, None]
        told = functional.silu(self.of_distance(self.radial(distance))[:, None] + self.of_direction(seen))
        return self.of_place(told.mean(1))
