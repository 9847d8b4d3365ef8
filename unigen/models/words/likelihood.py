"""How probable a structure is under the model: exact, symbols and vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unigen.batch import TokenBatch
from unigen.models.words.network import Autoregressive
from unigen.nn.heads.symbol_scores import symbol_scores
from unigen.nn.process.schedule import karras_levels
from unigen.nn.process.solvers import log_likelihood
from unigen.shapes import Float
from unigen.tokens.sequence import Channel


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


@torch.no_grad()
def log_likelihoods(model: Autoregressive, batch: TokenBatch, steps: int = 12) -> Likelihoods:
    """Score encoded structures with one pass of the backbone and one ODE a slot.

    Args:
        model: in evaluation mode for a reproducible score.
        batch: encoded structures.
        steps: Heun steps of each slot's ODE.
    """
    before = model(batch)[:, :-1]
    channel = batch.channel[:, 1:]
    scores = torch.zeros(channel.shape, device=before.device)
    for kind in (Channel.LATTICE, Channel.FRACTIONAL):
        here = channel == kind
        if here.any():
            scores[here] = slot_log_likelihood(model, kind, before[here], batch.vectors[:, 1:][here], steps)
    return Likelihoods(
        symbols=symbol_scores(model.symbol_head, before, batch).sum(1),
        lattice=(scores * (channel == Channel.LATTICE)).sum(1),
        sites=(scores * (channel == Channel.FRACTIONAL)).sum(1),
        n_sites=int((channel == Channel.FRACTIONAL).sum()),
    )


def slot_log_likelihood(
    model: Autoregressive, kind: Channel, h: Float[Tensor, "slots width"], vectors: Float[Tensor, "slots 6"], steps: int
) -> Float[Tensor, "slots"]:
    """Log density of given vectors in slots of one channel."""
    head, coordinates = model.slots(kind)
    context = head.context(h)
    levels = karras_levels(steps, head.process.sigma_min, head.process.sigma_max).to(h.device)
    return log_likelihood(
        lambda x, sigma: head.denoise(x, sigma, context), coordinates(vectors), levels, head.process.prior_log_prob
    )
