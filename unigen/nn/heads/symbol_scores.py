"""What both models do alike: score given symbols, and start with small embeddings."""

from __future__ import annotations

import torch
from torch import nn

from unigen.batch import TokenBatch
from unigen.nn.heads.symbols import SymbolHead
from unigen.shapes import Float
from unigen.tokens.sequence import Channel
from unigen.tokens.vocabulary import PAD


def symbol_scores(
    head: SymbolHead, before: Float[torch.Tensor, "batch steps width"], batch: TokenBatch
) -> Float[torch.Tensor, "batch steps"]:
    """Log probability of each symbol but the first, in nats; 0 where no symbol stands.

    Args:
        head: draws symbols.
        before: backbone output at all positions but the last.
        batch: the sequences it was computed from.
    """
    symbols = batch.symbols[:, 1:]
    here = (batch.channel[:, 1:] == Channel.SYMBOL) & (symbols != PAD)
    scores = torch.zeros(symbols.shape, device=before.device)
    scores[here] = -head.loss(before[here], symbols[here])
    return scores


def start_small(module: nn.Module) -> None:
    """For ``nn.Module.apply``: embeddings begin with a standard deviation of 0.05."""
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.05)
