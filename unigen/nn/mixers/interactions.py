"""Every mixer seen as one operator, ``y_i = sum_j W_ij v_j``, and what can be measured of it on a backbone as it is.

With values v = V_h x of head h the interaction of two tokens is a matrix, ``W_ij = sum_h A^h_ij V_h`` ("How many heads
make an SSM?": attention and state-space layers in one frame). All W_ij of a layer span as many dimensions as the
numbers A^h_ij, a row a head, have rank: the interaction rank. A linear state space of state size k has rank k, whatever
number of inputs and outputs it is written with.

| quantity         | equation                                                                               |
|------------------|----------------------------------------------------------------------------------------|
| rank             | singular values above ``tolerance`` times the largest                                  |
| effective rank   | exp(-sum p ln p), p the singular values' shares (Roy and Vetterli 2007, equation 5)    |
| moved            | ||A^h v^h||^2, and the shares of the heads                                             |
| effective heads  | exp(-sum p ln p) of these shares                                                       |
| distance         | sum |A^h_ij| (i - j) / sum |A^h_ij|                                                    |
| profile          | mean of |A^h_ij| at i - j = d, of heads whose weights sum to one a token on average    |
| gradient         | ||dh_i / dx_j||_F / sqrt(width) at i - j = d, root of the mean square; 1 for identity  |
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from unigen.batch import Layout
from unigen.nn.mixers.backbone import Backbone
from unigen.nn.mixers.block import Block
from unigen.nn.mixers.depth_recurrence import DepthRecurrence
from unigen.nn.mixers.interface import TokenMixer
from unigen.shapes import Float

TOLERANCE = 1e-3
"""Of a rank, as a share of the largest singular value: what is smaller is below the rounding of bf16 (a 256th), in
which models are trained and passed on."""

OUTPUTS = 16
"""Positions of a sequence whose gradients are taken, evenly spread, the last among them: each is a row of a batch."""


@dataclass(frozen=True, eq=False)
class Interaction:
    """What one layer did in one sequence.

    Attributes:
        layer: its place in the backbone, from 0.
        turn: of a repeated layer, from 0.
        operator: A, (heads, tokens, sources), real or complex.
        moved: v, (heads, sources, head_width).
    """

    layer: int
    turn: int
    operator: Tensor
    moved: Tensor

    @property
    def heads(self) -> Tensor:
        """A by source tokens, (heads, tokens, tokens, each): some mixers have several sources a token."""
        return self.operator.unflatten(-1, (self.operator.shape[1], -1))

    @property
    def shares(self) -> Float[Tensor, "heads"]:
        """Of what is moved, head by head."""
        mixed = self.operator @ self.moved.to(self.operator.dtype)
        moved = mixed.abs().square().sum((1, 2))
        return moved / moved.sum().clamp(min=torch.finfo(moved.dtype).tiny)


@dataclass(frozen=True)
class LayerView:
    """One layer, as means over sequences; see the table of the module.

    Attributes:
        layer: its place in the backbone, from 1.
        turn: of a repeated layer, from 1.
        mixer: its kind.
        heads: how many.
        rank: of all heads together.
        effective_rank: of all heads together.
        head_rank: mean over heads of the rank of the matrix (tokens, tokens) of one head.
        head_effective_rank: likewise.
        effective_heads: between 1 and the number of heads.
        distance: mean over heads, in tokens.
        uniform_distance: what it would be were every earlier token and the token itself as important.
        shares: of what is moved, head by head.
        distances: head by head.
        head_ranks: head by head.
        head_effective_ranks: head by head.
        profile: by distance, from 0.
    """

    layer: int
    turn: int
    mixer: str
    heads: int
    rank: float
    effective_rank: float
    head_rank: float
    head_effective_rank: float
    effective_heads: float
    distance: float
    uniform_distance: float
    shares: tuple[float, ...]
    distances: tuple[float, ...]
    head_ranks: tuple[float, ...]
    head_effective_ranks: tuple[float, ...]
    profile: tuple[float, ...]

    @property
    def name(self) -> str:
        """Its number, and of a repeated layer the turn: ``3``, ``4.2``."""
        return f"{self.layer}" if self.turn == 0 else f"{self.layer}.{self.turn}"


def precise_copy(backbone: Backbone) -> Backbone:
    """The backbone in double precision, in evaluation mode: a rank is no matter of rounding."""
    return copy.deepcopy(backbone).double().eval()


@torch.no_grad()
def interactions(backbone: Backbone, x: Float[Tensor, "tokens width"]) -> list[Interaction]:
    """What every layer does with one sequence, in order; repeated layers once a turn.

    Args:
        backbone: as `precise_copy` gives it.
        x: what it reads.
    """
    seen: list[tuple[int, TokenMixer, Tensor]] = []
    hooks = []
    for layer, each in enumerate(backbone.blocks):
        block = each.block if isinstance(each, DepthRecurrence) else each
        assert isinstance(block, Block)
        hooks.append(block.mixer_norm.register_forward_hook(partial(_keep, seen, layer, block.mixer)))
    layout = Layout.padded(torch.tensor([len(x)], device=x.device), len(x))
    try:
        backbone(x[None], layout)
    finally:
        for hook in hooks:
            hook.remove()
    found: list[Interaction] = []
    for layer, mixer, read in seen:
        turn = sum(other.layer == layer for other in found)
        found.append(Interaction(layer, turn, mixer.operator(read, layout)[0], mixer.values(read, layout)[0]))
    return found


def _keep(seen: list, layer: int, mixer: TokenMixer, _norm: nn.Module, _args: tuple, read: Tensor) -> None:
    seen.append((layer, mixer, read))


def effective_count(shares: Float[Tensor, "*rows parts"]) -> Float[Tensor, "*rows"]:
    """Exp of the entropy of shares, which need not sum to one: k for k equal ones; 1 where there is nothing.

    Example:
        >>> effective_count(torch.tensor([2.0, 2.0, 0.0]))
        tensor(2.)
    """
    p = shares / shares.sum(-1, keepdim=True).clamp(min=torch.finfo(shares.dtype).tiny)
    return torch.special.entr(p).sum(-1).exp()


def ranks(matrices: Tensor, tolerance: float = TOLERANCE) -> tuple[Tensor, Tensor]:
    """Numerical and effective rank of matrices, (*rows, m, n), real or complex."""
    singular = torch.linalg.svdvals(matrices)
    return (singular > tolerance * singular[..., :1]).sum(-1), effective_count(singular)


def stacked_ranks(interaction: Interaction, tolerance: float = TOLERANCE) -> tuple[int, float]:
    """Numerical and effective rank of all heads together: how many heads would do.

    Each head's row is as large as what it moves, so that one that moves nothing counts for nothing.
    """
    a = interaction.heads
    tokens, each = a.shape[1], a.shape[3]
    v = interaction.moved.unflatten(1, (tokens, each))
    size = v.abs().square().sum(-1).mean(1).sqrt()  # (heads, each)
    earlier = torch.ones(tokens, tokens, dtype=torch.bool, device=a.device).tril()
    rows = (a * size[:, None, None]).movedim(-1, 1)[:, :, earlier].flatten(0, 1)
    rank, effective = ranks(rows, tolerance)
    return int(rank), float(effective)


def gradient_squares(
    backbone: Backbone, x: Float[Tensor, "tokens width"], seed: int
) -> tuple[Float[Tensor, "tokens"], Float[Tensor, "tokens"]]:
    """Sums of ``||dh_i / dx_j||_F^2 / width`` over pairs at every distance, and how many pairs there were.

    A random vector u of signs an output: E ||J^T u||^2 = ||J||_F^2 (Hutchinson 1989). It is the same in every batch.

    Args:
        backbone: as `precise_copy` gives it.
        x: what it reads.
        seed: of u.
    """
    tokens, width = x.shape
    outputs = torch.linspace(0, tokens - 1, min(tokens, OUTPUTS)).round().long().to(x.device)
    signs = torch.randint(0, 2, (len(outputs), width), generator=torch.Generator().manual_seed(seed))
    rows = x.expand(len(outputs), -1, -1).clone().requires_grad_()
    layout = Layout.padded(torch.full((len(outputs),), tokens, device=x.device), tokens)
    h = backbone(rows, layout)[torch.arange(len(outputs)), outputs]
    (slope,) = torch.autograd.grad((h * (2.0 * signs - 1.0).to(h)).sum(), rows)
    squares = slope.square().sum(-1) / width
    lag = outputs[:, None] - torch.arange(tokens, device=x.device)
    total, count = squares.new_zeros(tokens), squares.new_zeros(tokens)
    total.index_add_(0, lag[lag >= 0], squares[lag >= 0])
    count.index_add_(0, lag[lag >= 0], torch.ones_like(squares[lag >= 0]))
    return total, count


class UnifiedView:
    """Gathers what is measured of one backbone, sequence by sequence.

    Args:
        backbone: any.
        kinds: of its mixers, layer by layer, as ``pattern.kind_of`` says them.
        tolerance: of ranks.
        seed: of the gradient's random vectors.
    """

    def __init__(self, backbone: Backbone, kinds: Sequence[str], tolerance: float = TOLERANCE, seed: int = 0) -> None:
        self.backbone = precise_copy(backbone)
        self.kinds, self.tolerance, self.seed = tuple(kinds), tolerance, seed
        self._layers: list[list[dict[str, Tensor]]] = []
        self._squares: list[tuple[Tensor, Tensor]] = []
        self._turns: list[tuple[int, int]] = []

    def add(self, x: Float[Tensor, "tokens width"]) -> list[Interaction]:
        """Measure one sequence.

        Args:
            x: what the backbone reads, without padding.

        Returns:
            What every layer did, in order.
        """
        x = x.detach().double()
        found = interactions(self.backbone, x)
        self._layers.append([self._measured(each) for each in found])
        self._turns = [(each.layer, each.turn) for each in found]
        self._squares.append(gradient_squares(self.backbone, x, self.seed))
        return found

    @property
    def gradient(self) -> tuple[float, ...]:
        """By distance, from 0."""
        total, count = (_by_distance([each[part] for each in self._squares]) for part in (0, 1))
        return tuple((total / count).sqrt().tolist())

    @property
    def pairs(self) -> tuple[int, ...]:
        """How many pairs of tokens there were at each distance of ``gradient``."""
        return tuple(int(each) for each in _by_distance([count for _, count in self._squares]))

    @property
    def layers(self) -> tuple[LayerView, ...]:
        """All layers in order."""
        last = [layer for layer, turn in self._turns if turn]
        return tuple(
            self._view(layer, turn + 1 if layer in last else 0, [sequence[place] for sequence in self._layers])
            for place, (layer, turn) in enumerate(self._turns)
        )

    def _measured(self, each: Interaction) -> dict[str, Tensor]:
        a = each.operator
        weight = each.heads.abs().sum(-1)  # (heads, tokens, tokens)
        tokens = weight.shape[1]
        place = torch.arange(tokens, device=weight.device)
        lag = place[:, None] - place
        total = weight.sum((1, 2)).clamp(min=torch.finfo(weight.dtype).tiny)
        rank, effective = ranks(a, self.tolerance)
        together = stacked_ranks(each, self.tolerance)
        profile = weight.new_zeros(tokens)
        mean = (weight * (tokens / total)[:, None, None]).mean(0)
        profile.index_add_(0, lag[lag >= 0], mean[lag >= 0])
        return {
            "rank": weight.new_tensor(float(together[0])),
            "effective_rank": weight.new_tensor(together[1]),
            "effective_heads": effective_count(each.shares),
            "shares": each.shares,
            "head_ranks": rank.to(weight.dtype),
            "head_effective_ranks": effective,
            "distances": (weight * lag).sum((1, 2)) / total,
            "uniform_distance": weight.new_tensor((tokens - 1) / 4),  # the mean of i / 2 over all i
            "profile": profile,
            "pairs": torch.arange(tokens, 0, -1, device=weight.device, dtype=weight.dtype),
        }

    def _view(self, layer: int, turn: int, measured: list[dict[str, Tensor]]) -> LayerView:
        mean = {
            name: torch.stack([each[name] for each in measured]).mean(0)
            for name in measured[0]
            if name not in ("profile", "pairs")
        }
        profile, pairs = (_by_distance([each[name] for each in measured]) for name in ("profile", "pairs"))
        return LayerView(
            layer=layer + 1,
            turn=turn,
            mixer=self.kinds[layer],
            heads=len(mean["shares"]),
            rank=float(mean["rank"]),
            effective_rank=float(mean["effective_rank"]),
            head_rank=float(mean["head_ranks"].mean()),
            head_effective_rank=float(mean["head_effective_ranks"].mean()),
            effective_heads=float(mean["effective_heads"]),
            distance=float(mean["distances"].mean()),
            uniform_distance=float(mean["uniform_distance"]),
            profile=tuple((profile / pairs).tolist()),
            **{
                name: tuple(mean[name].tolist())
                for name in ("shares", "distances", "head_ranks", "head_effective_ranks")
            },
        )


def _by_distance(parts: Sequence[Tensor]) -> Tensor:
    """The sum of curves of several lengths."""
    total = parts[0].new_zeros(max(map(len, parts)))
    for part in parts:
        total[: len(part)] += part
    return total
