"""The autoregressive model: tokens in, a backbone, a categorical head for symbols and diffusion heads for vectors.

Follows UniGenX (Zhang et al. 2025) and MAR (Li et al. 2024): the backbone's output at position t conditions the head
that draws position t + 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unigen.batch import TokenBatch
from unigen.models.words.embedding import TokenEmbedding
from unigen.nn.heads.symbol_scores import start_small, symbol_scores
from unigen.nn.heads.symbols import SymbolHead
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.mixers.backbone import Backbone
from unigen.nn.process.gaussian import GaussianProcess
from unigen.nn.process.torus import TorusProcess
from unigen.shapes import Float
from unigen.tokens.sequence import SLOT_WIDTH, Channel
from unigen.tokens.vocabulary import CRYSTAL_VOCABULARY_SIZE, PAD


@dataclass(frozen=True, kw_only=True)
class AutoregressiveConfig:
    """Size and parts of the model.

    Attributes:
        tokenizer: how structures are written.
        max_atoms: the largest cell.
        mixers: one name a layer.
        width: of the backbone.
        heads: of attention.
        head_width: of the diffusion heads.
        head_blocks: residual blocks of a diffusion head.
        dropout: of the backbone's residual branches.
        element_dropout: how often an element's own embedding is hidden.
    """

    kind: Literal["autoregressive"] = "autoregressive"
    tokenizer: Literal["words"] = "words"
    max_atoms: int = 20
    mixers: tuple[str, ...] = ("attention",) * 6
    width: int = 192
    heads: int = 6
    head_width: int = 256
    head_blocks: int = 3
    dropout: float = 0.05
    element_dropout: float = 0.1


class Autoregressive(nn.Module):
    """See the module's docstring; decoding lives in ``unigen.sample``."""

    def __init__(self, config: AutoregressiveConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = TokenEmbedding(config.width, config.element_dropout)
        self.backbone = Backbone(config.mixers, config.width, config.heads, config.dropout)
        self.symbol_head = SymbolHead(config.width, CRYSTAL_VOCABULARY_SIZE)
        size = {"condition_width": config.width, "width": config.head_width, "blocks": config.head_blocks}
        self.lattice_head = VectorHead(GaussianProcess(), SLOT_WIDTH[Channel.LATTICE], **size)
        self.site_head = VectorHead(TorusProcess(), SLOT_WIDTH[Channel.FRACTIONAL], **size)
        self.apply(start_small)

    def forward(self, batch: TokenBatch) -> Float[Tensor, "batch tokens width"]:
        """Backbone output; position t knows the tokens up to t and the descriptor of t + 1."""
        return self.backbone(self.embedding(batch), batch.layout)

    def slots(self, channel: Channel) -> tuple[VectorHead, Callable[[Tensor], Tensor]]:
        """The head of a vector channel, and the map from stored vectors to the head's coordinates."""
        if channel == Channel.LATTICE:
            return self.lattice_head, self.embedding.standardise
        return self.site_head, lambda vectors: vectors[..., : SLOT_WIDTH[Channel.FRACTIONAL]]

    @property
    def vector_heads(self) -> tuple[VectorHead, ...]:
        """All diffusion heads."""
        return (self.lattice_head, self.site_head)

    def losses(self, batch: TokenBatch, generator: torch.Generator, repeats: int = 4) -> dict[str, Float[Tensor, ""]]:
        """Mean loss of each channel: nats a symbol, EDM loss a number of a slot.

        Args:
            batch: encoded structures.
            generator: draws noise and noise levels.
            repeats: noise levels drawn a slot for one pass of the backbone (MAR, section 3.3).
        """
        before = self(batch)[:, :-1]
        channel = batch.channel[:, 1:]
        is_symbol = (channel == Channel.SYMBOL) & (batch.symbols[:, 1:] != PAD)
        losses = {"symbol": self.symbol_head.loss(before[is_symbol], batch.symbols[:, 1:][is_symbol]).mean()}
        for name, kind in (("lattice", Channel.LATTICE), ("site", Channel.FRACTIONAL)):
            head, coordinates = self.slots(kind)
            here = channel == kind
            context = head.context(before[here]).repeat(repeats, 1)
            x = coordinates(batch.vectors[:, 1:][here]).repeat(repeats, 1)
            losses[name] = head.loss(context, x, generator).sum() / max(len(x), 1)
        return losses

    def symbol_log_likelihoods(self, batch: TokenBatch) -> Float[Tensor, "batch"]:
        """Log probability of the symbols of each sequence, in nats."""
        return symbol_scores(self.symbol_head, self(batch)[:, :-1], batch).sum(1)
