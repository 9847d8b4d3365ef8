"""The autoregressive model: tokens in, a backbone, a categorical head for symbols and diffusion heads for vectors.

Follows UniGenX (Zhang et al. 2025) and MAR (Li et al. 2024): the backbone's output at position t conditions the head
that draws position t + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from unigen.batch import TokenBatch
from unigen.config import check_ranges
from unigen.models.interface import ALL, SHARES, CrystalNetwork, check_backbone
from unigen.models.words.embedding import TokenEmbedding
from unigen.nn.heads.symbols import start_small, symbol_scores
from unigen.nn.mixers.pattern import Layer
from unigen.nn.process.solvers import karras_levels, log_likelihood
from unigen.shapes import Float
from unigen.tokens.sequence import SLOT_WIDTH, Channel
from unigen.tokens.vocabulary import PAD

CELLS = (1, 10_000)
"""Range of the atoms of a cell: sequences of more do not fit any memory, since attention sees all pairs."""


@dataclass(frozen=True, kw_only=True)
class AutoregressiveConfig:
    """Size and parts of the model.

    Attributes:
        tokenizer: how structures are written.
        max_atoms: the largest cell.
        mixers: of each layer; see ``nn/mixers/pattern.py``.
        width: of the backbone.
        heads: of attention.
        head_width: of the diffusion heads.
        head_blocks: residual blocks of a diffusion head.
        dropout: of the backbone's residual branches.
        element_dropout: how often an element's own embedding is hidden.

    Raises:
        UserError: a value out of its range.
    """

    kind: Literal["autoregressive"] = "autoregressive"
    tokenizer: Literal["words"] = "words"
    max_atoms: int = 20
    mixers: tuple[Layer, ...] = ("attention",) * 6
    width: int = 192
    heads: int = 6
    head_width: int = 256
    head_blocks: int = 3
    dropout: float = 0.05
    element_dropout: float = 0.1

    def __post_init__(self) -> None:
        check_backbone(self)
        check_ranges(self, max_atoms=CELLS, element_dropout=SHARES)


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """Log probabilities of each structure of a batch, in nats.

    Attributes:
        symbols: of the composition.
        lattice: density of the lattice slot, in standardised numbers.
        sites: density of all sites, in fractional coordinates, given all before.
        n_sites: site slots in the batch.
    """

    symbols: Float[Tensor, "batch"]
    lattice: Float[Tensor, "batch"]
    sites: Float[Tensor, "batch"]
    n_sites: int

    @property
    def total(self) -> Float[Tensor, "batch"]:
        """Composition, lattice and sites together."""
        return self.symbols + self.lattice + self.sites


class Autoregressive(CrystalNetwork):
    """See the module's docstring; decoding lives in ``decoding.py``."""

    embedding: TokenEmbedding
    headline = "val_loss_site"

    def __init__(self, config: AutoregressiveConfig) -> None:
        super().__init__(config, TokenEmbedding(config.width, config.element_dropout))
        self.apply(start_small)

    def forward(self, batch: TokenBatch) -> Float[Tensor, "batch tokens width"]:
        """Backbone output; position t knows the tokens up to t and the descriptor of t + 1."""
        return self.backbone(self.embedding(batch), batch.layout)

    def coordinates(self, channel: Channel, vectors: Float[Tensor, "*slots 6"]) -> Float[Tensor, "*slots width"]:
        """Stored vectors as the numbers that the channel's head draws."""
        if channel == Channel.LATTICE:
            return self.embedding.standardise(vectors)
        return vectors[..., : SLOT_WIDTH[Channel.FRACTIONAL]]

    def losses(
        self, batch: TokenBatch, generator: torch.Generator, repeats: int = 4, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Mean loss of each channel: nats a symbol, EDM loss a number of a slot.

        Args:
            batch: encoded structures.
            generator: draws noise and noise levels.
            repeats: noise levels drawn a slot for one pass of the backbone (MAR, section 3.3).
            only: no part is trained alone.
        """
        del only
        before = self(batch)[:, :-1]
        channel = batch.channel[:, 1:]
        is_symbol = (channel == Channel.SYMBOL) & (batch.symbols[:, 1:] != PAD)
        losses = {"symbol": self.symbol_head.loss(before[is_symbol], batch.symbols[:, 1:][is_symbol]).mean()}
        for name, (slot_channel, head) in self.heads_by_loss().items():
            is_slot = channel == slot_channel
            context = head.context(before[is_slot]).repeat(repeats, 1)
            x = self.coordinates(slot_channel, batch.vectors[:, 1:][is_slot]).repeat(repeats, 1)
            losses[name] = head.loss(context, x, generator).sum() / max(len(x), 1)
        return losses

    def validated(self, batch: TokenBatch, generator: torch.Generator, only: str = ALL) -> dict[str, Float[Tensor, ""]]:
        """Exact likelihoods in nats a symbol, a lattice and a site, and the losses of the heads."""
        losses = self.losses(batch, generator, only=only)
        with torch.compiler.set_stance("force_eager"):  # forward-mode derivatives do not compile
            likelihood = self.log_likelihoods(batch, steps=12)
        return {
            "val_nll_symbol": losses["symbol"],
            "val_nll_lattice": -likelihood.lattice.mean(),
            "val_nll_site": -likelihood.sites.sum() / max(likelihood.n_sites, 1),
            "val_loss_lattice": losses["lattice"],
            "val_loss_site": losses["site"],
        }

    @torch.no_grad()
    def log_likelihoods(self, batch: TokenBatch, steps: int = 12) -> Likelihoods:
        """Score encoded structures with one pass of the backbone and one ODE a slot.

        In evaluation mode the score is reproducible.

        Args:
            batch: encoded structures.
            steps: Heun steps of each slot's ODE.
        """
        before = self(batch)[:, :-1]
        channel = batch.channel[:, 1:]
        scores = torch.zeros(channel.shape, device=before.device)
        for slot_channel, _ in self.heads_by_loss().values():
            is_slot = channel == slot_channel
            if is_slot.any():
                vectors = batch.vectors[:, 1:][is_slot]
                scores[is_slot] = self.slot_log_likelihood(slot_channel, before[is_slot], vectors, steps)
        return Likelihoods(
            symbols=symbol_scores(self.symbol_head, before, batch).sum(1),
            lattice=(scores * (channel == Channel.LATTICE)).sum(1),
            sites=(scores * (channel == Channel.FRACTIONAL)).sum(1),
            n_sites=int((channel == Channel.FRACTIONAL).sum()),
        )

    def slot_log_likelihood(
        self, channel: Channel, h: Float[Tensor, "slots width"], vectors: Float[Tensor, "slots 6"], steps: int
    ) -> Float[Tensor, "slots"]:
        """Log density of given vectors in slots of one channel."""
        head = self.head(channel)
        context = head.context(h)
        levels = karras_levels(steps, head.process.sigma_min, head.process.sigma_max).to(h.device)
        return log_likelihood(
            partial(head.denoise_with_slopes, context=context),
            self.coordinates(channel, vectors),
            levels,
            head.process.prior_log_prob,
        )
