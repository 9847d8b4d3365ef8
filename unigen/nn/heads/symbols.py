"""The categorical head. Always fp32, under autocast too."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.batch import TokenBatch
from unigen.shapes import Bool, Float, Int
from unigen.tokens.sequence import Channel
from unigen.tokens.vocabulary import PAD


class SymbolHead(nn.Module):
    """``logits = W h``: which symbol comes next."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.to_logits = nn.Linear(width, vocabulary)

    def forward(self, h: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch vocabulary"]:
        """Unnormalised log probabilities, in fp32."""
        with torch.autocast(h.device.type, enabled=False):
            return self.to_logits(h.float())

    def loss(self, h: Float[Tensor, "tokens width"], target: Int[Tensor, "tokens"]) -> Float[Tensor, "tokens"]:
        """Negative log-likelihood in nats."""
        return functional.cross_entropy(self(h), target, reduction="none")

    def sample(
        self,
        h: Float[Tensor, "batch width"],
        legal: Bool[Tensor, "batch vocabulary"],
        uniform: Float[Tensor, "batch"],
        temperature: float = 1.0,
    ) -> Int[Tensor, "batch"]:
        """Draw by inverse cumulative distribution among the legal symbols.

        Args:
            h: backbone output.
            legal: mask, at least one True a row.
            uniform: one number in [0, 1) a row: the draw is a function of it alone.
            temperature: divides the logits.
        """
        return draw_symbols(self(h) / temperature, legal, uniform)


def draw_symbols(
    logits: Float[Tensor, "batch vocabulary"], legal: Bool[Tensor, "batch vocabulary"], uniform: Float[Tensor, "batch"]
) -> Int[Tensor, "batch"]:
    """Draw by inverse cumulative distribution among the legal symbols; arguments as those of ``SymbolHead.sample``."""
    # double: the sum over the vocabulary ends at 1 to 16 digits, not to 7
    cumulative = logits.masked_fill(~legal, float("-inf")).double().softmax(-1).cumsum(-1)
    drawn = torch.searchsorted(cumulative, uniform.double()[:, None] * cumulative[:, -1:], right=True)
    # rounding may still lead past the last symbol that has a probability
    last_legal = legal.shape[1] - 1 - legal.flip(1).to(torch.int8).argmax(1)
    return torch.minimum(drawn[:, 0], last_legal)


def symbol_scores(
    head: SymbolHead, before: Float[Tensor, "batch steps width"], batch: TokenBatch
) -> Float[Tensor, "batch steps"]:
    """Log probability of each symbol but the first, in nats; 0 where no symbol stands.

    Args:
        head: draws symbols.
        before: backbone output at all positions but the last.
        batch: the sequences it was computed from.
    """
    symbols = batch.symbols[:, 1:]
    is_symbol = (batch.channel[:, 1:] == Channel.SYMBOL) & (symbols != PAD)
    scores = torch.zeros(symbols.shape, device=before.device)
    scores[is_symbol] = -head.loss(before[is_symbol], symbols[is_symbol])
    return scores


def start_small(module: nn.Module) -> None:
    """For ``nn.Module.apply``: embeddings begin with a standard deviation of 0.05.

    Several of them are added to one token's vector; torch's own would begin with 1.
    """
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.05)
