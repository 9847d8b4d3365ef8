"""Positions of a ``wyckoff`` sequence as vectors: their content, and what is known of the next one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unigen.models.wyckoff.batch import WyckoffBatch
from unigen.nn.embeddings import ElementTable
from unigen.nn.process.torus import fourier_features
from unigen.shapes import Float, Int
from unigen.tokens.sequence import CRYSTAL_CHANNELS, Channel
from unigen.tokens.vocabulary import CRYSTAL_VOCABULARY_SIZE, MAX_COUNT, count_symbol, element_of

# Of Fourier features of fractional coordinates: 2, 3, 4, 6, 8 and 12 are the denominators of the translations of space
# groups and of special positions.
_FREQUENCIES = (1, 2, 3, 4, 6, 8, 12, 16)
_SITE_FEATURES = 2 * 3 * len(_FREQUENCIES)  # sine and cosine, three coordinates
_TYPICAL = ((1.9,) * 3 + (1.6,) * 3, (0.4,) * 3 + (0.25,) * 3)  # ln Angstrom, radians: mean and spread of cells


class Slots(nn.Module):
    """Numbers of lattices and orbits as vectors."""

    typical: Tensor
    spread: Tensor
    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lattice = nn.Sequential(nn.Linear(12, width), nn.SiLU(), nn.Linear(width, width))
        self.site = nn.Sequential(nn.Linear(_SITE_FEATURES + 3, width), nn.SiLU(), nn.Linear(width, width))
        self.register_buffer("typical", torch.tensor(_TYPICAL[0]), persistent=False)
        self.register_buffer("spread", torch.tensor(_TYPICAL[1]), persistent=False)
        self.register_buffer("frequencies", torch.tensor(_FREQUENCIES, dtype=torch.float32), persistent=False)

    def forward(
        self, vectors: Float[Tensor, "*batch 6"], free: Float[Tensor, "*batch 6"], channel: Int[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch width"]:
        """Zero at positions that are no slot; numbers go in beside a mask of those that are free."""
        lattice = self.lattice(torch.cat([(vectors - self.typical) / self.spread, free], dim=-1))
        site = self.site(torch.cat([fourier_features(vectors[..., :3], self.frequencies), free[..., :3]], dim=-1))
        return (channel == Channel.LATTICE)[..., None] * lattice + (channel == Channel.FRACTIONAL)[..., None] * site


class WyckoffEmbedding(nn.Module):
    """Content of a position plus the target descriptor of the next one.

    Counts beyond the largest cell that it is trained on are read as the largest it saw: their own vectors are noise.

    Args:
        width: of the vectors.
        dropout: how often an element's own vector is hidden, in training.
        max_atoms: of the largest cell in training.
    """

    symbol_element: Tensor
    symbol_row: Tensor

    def __init__(self, width: int, dropout: float, max_atoms: int) -> None:
        super().__init__()
        self.most = min(max_atoms, MAX_COUNT)
        self.symbol = nn.Embedding(CRYSTAL_VOCABULARY_SIZE, width)
        self.elements = ElementTable(width, dropout)
        self.as_content, self.as_next, self.as_role = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.next_channel = nn.Embedding(CRYSTAL_CHANNELS, width)
        self.next_index = nn.Embedding(MAX_COUNT + 1, width)
        self.next_count = nn.Embedding(MAX_COUNT + 1, width)
        self.drawn, self.start = Slots(width), Slots(width)
        elements = [element_of(symbol) or 0 for symbol in range(CRYSTAL_VOCABULARY_SIZE)]
        self.register_buffer("symbol_element", torch.tensor(elements), persistent=False)
        rows = torch.arange(CRYSTAL_VOCABULARY_SIZE)
        rows[count_symbol(self.most) : count_symbol(MAX_COUNT) + 1] = count_symbol(self.most)
        self.register_buffer("symbol_row", rows, persistent=False)

    def forward(self, batch: WyckoffBatch) -> Float[Tensor, "batch tokens width"]:
        """The whole batch; the last position of a row knows no next one."""
        tokens, elements = batch.tokens, self.elements()
        content = self.content(elements, tokens.symbols, tokens.vectors, batch.free, tokens.channel, tokens.descriptor)
        rows = (tokens.channel, tokens.descriptor, batch.start, batch.free, batch.role)
        return content + self.upcoming(elements, *(_shifted(row) for row in rows))

    def content(
        self, elements: Tensor, symbols: Tensor, vectors: Tensor, free: Tensor, channel: Tensor, descriptor: Tensor
    ) -> Tensor:
        """What stands at a position; ``elements`` are vectors by atomic number, the rest share their leading axes."""
        is_slot = (channel == Channel.FRACTIONAL).long()
        number = self.symbol_element[symbols] + is_slot * descriptor[..., 0]
        return (
            self.symbol(self.symbol_row[symbols])
            + self.as_content(elements)[number]
            + self.drawn(vectors, free, channel)
        )

    def upcoming(
        self, elements: Tensor, channel: Tensor, descriptor: Tensor, start: Tensor, free: Tensor, role: Tensor
    ) -> Tensor:
        """The target descriptor: what the next position is about to place, and from what it starts."""
        number, index, count = descriptor.unbind(-1)
        described = (count > 0)[..., None]
        index, count = index.clamp(max=self.most), count.clamp(max=self.most)
        amounts = described * (self.next_index(index) + self.next_count(count))
        element = self.as_next(elements)[number] + self.as_role(elements)[role]
        return self.next_channel(channel) + element + amounts + self.start(start, free, channel)


def _shifted(row: Tensor) -> Tensor:
    """Each position's successor; zeros after the last."""
    following = torch.zeros_like(row)
    following[:, :-1] = row[:, 1:]
    return following
