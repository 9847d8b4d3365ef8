"""From tokens to the backbone's input: what stands here, and what is about to come."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unigen.batch import TokenBatch
from unigen.nn.embeddings import ElementEmbedding
from unigen.nn.process.torus import fourier_features
from unigen.shapes import Float, Int
from unigen.tokens.sequence import CRYSTAL_CHANNELS, SLOT_WIDTH, Channel
from unigen.tokens.vocabulary import CRYSTAL_VOCABULARY_SIZE, MAX_COUNT, element_of

_FREQUENCIES = (1, 2, 3, 4, 5, 6, 8, 12)


class TokenEmbedding(nn.Module):
    """Content of a position plus the target descriptor of the next one."""

    frequencies: Tensor
    lattice_mean: Tensor
    lattice_std: Tensor
    symbol_element: Tensor

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.symbol = nn.Embedding(CRYSTAL_VOCABULARY_SIZE, width)
        self.element = ElementEmbedding(width, dropout)
        self.placed_element = ElementEmbedding(width, dropout)
        self.next_element = ElementEmbedding(width, dropout)
        self.next_channel = nn.Embedding(CRYSTAL_CHANNELS, width)
        self.next_index = nn.Embedding(MAX_COUNT + 1, width)
        self.next_count = nn.Embedding(MAX_COUNT + 1, width)
        self.lattice = nn.Sequential(nn.Linear(SLOT_WIDTH[Channel.LATTICE], width), nn.SiLU(), nn.Linear(width, width))
        n_features = 2 * SLOT_WIDTH[Channel.FRACTIONAL] * len(_FREQUENCIES)
        self.site = nn.Sequential(nn.Linear(n_features, width), nn.SiLU(), nn.Linear(width, width))
        self.register_buffer("frequencies", torch.tensor(_FREQUENCIES, dtype=torch.float32), persistent=False)
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

    def forward(self, batch: TokenBatch) -> Float[Tensor, "batch tokens width"]:
        """The whole batch; the last position of a row knows no next one."""
        following = torch.zeros_like(batch.descriptor)
        following[:, :-1] = batch.descriptor[:, 1:]
        next_channel = torch.zeros_like(batch.channel)
        next_channel[:, :-1] = batch.channel[:, 1:]
        content = self.content(batch.symbols, batch.vectors, batch.channel, batch.descriptor)
        return content + self.upcoming(next_channel, following)

    def content(self, symbols: Tensor, vectors: Tensor, channel: Tensor, descriptor: Tensor) -> Tensor:
        """What stands at a position; all arguments share their leading axes."""
        total = self.symbol(symbols) + self.element(self.symbol_element[symbols])
        is_site = (channel == Channel.FRACTIONAL)[..., None]
        site = self.site(fourier_features(vectors[..., :3], self.frequencies)) + self.placed_element(descriptor[..., 0])
        is_lattice = (channel == Channel.LATTICE)[..., None]
        return total + is_site * site + is_lattice * self.lattice(self.standardise(vectors))

    def upcoming(self, channel: Int[Tensor, "*batch"], descriptor: Int[Tensor, "*batch 3"]) -> Tensor:
        """The target descriptor: what the next position is about to place."""
        number, index, count = descriptor.unbind(-1)
        known = (count > 0)[..., None]
        return (
            self.next_channel(channel)
            + self.next_element(number)
            + known * (self.next_index(index) + self.next_count(count))
        )
