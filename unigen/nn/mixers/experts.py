"""A sparse mixture of experts in the place of a feed-forward layer: many weights, few of them for each token.

    s = sigmoid(W x);  y = sum_(e in top-k of s + b) s_e E_e(x)

Dropless (Gale et al. 2023, MegaBlocks): a token always gets its k experts, however many others want them, so it gives
in a batch what it gives alone. The bias b only chooses: in training it falls for experts that have more than their
share and rises for the others, in place of a loss for balance (Wang et al. 2024, "Auxiliary-loss-free load balancing
strategy for mixture-of-experts", algorithm 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unigen.batch import Layout
from unigen.nn.mixers.block import FeedForward
from unigen.nn.mixers.interface import precise
from unigen.shapes import Float, Int

RATE = 1e-3
"""Step of the bias, as the source has it: a thousandth of what s can differ by."""


class SparseExperts(nn.Module):
    """See the module's docstring.

    Args:
        width: of the layer.
        experts: gated feed-forward layers, each so narrow that those of a token have the weights of a usual one.
        active: k.
    """

    bias: Tensor

    def __init__(self, width: int, experts: int, active: int) -> None:
        super().__init__()
        self.active = active
        self.to_scores = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(FeedForward(width, active) for _ in range(experts))
        self.register_buffer("bias", torch.zeros(experts))

    def forward(self, x: Float[Tensor, "*batch width"], layout: Layout | None = None) -> Float[Tensor, "*batch width"]:
        """Position by position; those of no sequence want no expert and give zeros."""
        is_token = x.new_ones(x.shape[:-1], dtype=torch.bool)
        if layout is not None and not layout.is_packed:
            is_token = layout.valid
        tokens = x[is_token]
        (scores,) = precise(self.to_scores(tokens).sigmoid())
        chosen = self.chosen(scores)
        if self.training and scores.requires_grad:  # not where another part of the network is trained alone
            self._balance(chosen)
        of_expert, order = chosen.flatten().sort(stable=True)
        counts = of_expert.bincount(minlength=len(self.experts)).tolist()
        # tokens of one expert lie together; one that nobody wants works on none and has a gradient of zero
        groups = (order // self.active).split(counts)
        y = torch.zeros_like(tokens)
        for number, (expert, rows) in enumerate(zip(self.experts, groups, strict=True)):
            weighted = scores[rows, number, None] * expert(tokens[rows])
            y = y.index_add(0, rows, weighted.to(y.dtype))
        return torch.zeros_like(x).masked_scatter(is_token[..., None], y)

    def chosen(self, scores: Float[Tensor, "tokens experts"]) -> Int[Tensor, "tokens active"]:
        """The experts of each token."""
        return (scores.detach() + self.bias).topk(self.active, -1).indices

    @torch.no_grad()
    def _balance(self, chosen: Int[Tensor, "tokens active"]) -> None:
        load = chosen.flatten().bincount(minlength=len(self.experts)).float()
        self.bias += RATE * (load.mean() - load).sign()
