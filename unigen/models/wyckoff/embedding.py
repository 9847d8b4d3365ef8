"""Positions of a ``wyckoff`` sequence as vectors: their content, and what is known of the next one."""

from __future__ import annotations

from typing import NamedTuple

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


class ElementVectors(NamedTuple):
    """What elements say at a position, by atomic number (row 0, none, is zero).

    Attributes:
        content: the one that stands there.
        following: the one that the next position places.
        role: the one whose role that takes.
    """

    content: Float[Tensor, "elements width"]
    following: Float[Tensor, "elements width"]
    role: Float[Tensor, "elements width"]


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
        is_lattice, is_site = ((channel == each)[..., None] for each in (Channel.LATTICE, Channel.FRACTIONAL))
        return is_lattice * self.of_lattices(vectors, free) + is_site * self.of_sites(vectors, free)

    def of_lattices(
        self, vectors: Float[Tensor, "*batch 6"], free: Float[Tensor, "*batch 6"]
    ) -> Float[Tensor, "*batch width"]:
        """Where all are lattices."""
        return self.lattice(torch.cat([(vectors - self.typical) / self.spread, free], dim=-1))

    def of_sites(
        self, vectors: Float[Tensor, "*batch 6"], free: Float[Tensor, "*batch 6"]
    ) -> Float[Tensor, "*batch width"]:
        """Where all are orbits."""
        return self.site(torch.cat([fourier_features(vectors[..., :3], self.frequencies), free[..., :3]], dim=-1))


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
        tokens, of = batch.tokens, self.of_elements()
        content = self.content(of, tokens.symbols, tokens.channel, tokens.descriptor)
        content = content + self.drawn(tokens.vectors, batch.free, tokens.channel)
        channel, descriptor, start, free, role = map(
            shifted, (tokens.channel, tokens.descriptor, batch.start, batch.free, batch.role)
        )
        return content + (self.upcoming(of, channel, descriptor, role) + self.start(start, free, channel))

    def of_elements(self) -> ElementVectors:
        """The tables that the others look up: made once for many positions."""
        elements = self.elements()
        return ElementVectors(self.as_content(elements), self.as_next(elements), self.as_role(elements))

    def content(
        self,
        of: ElementVectors,
        symbols: Int[Tensor, "*batch"],
        channel: Int[Tensor, "*batch"],
        descriptor: Int[Tensor, "*batch 3"],
    ) -> Float[Tensor, "*batch width"]:
        """What stands at a position, but for the numbers of a slot."""
        number = self.symbol_element[symbols] + (channel == Channel.FRACTIONAL).long() * descriptor[..., 0]
        return self.symbol(self.symbol_row[symbols]) + of.content[number]

    def upcoming(
        self,
        of: ElementVectors,
        channel: Int[Tensor, "*batch"],
        descriptor: Int[Tensor, "*batch 3"],
        role: Int[Tensor, "*batch"],
    ) -> Float[Tensor, "*batch width"]:
        """The target descriptor: what the next position is about to place, but for the numbers that it starts from."""
        number, index, count = descriptor.unbind(-1)
        described = (count > 0)[..., None]
        index, count = index.clamp(max=self.most), count.clamp(max=self.most)
        amounts = described * (self.next_index(index) + self.next_count(count))
        return self.next_channel(channel) + (of.following[number] + of.role[role]) + amounts


def shifted(row: Tensor) -> Tensor:
    """Each position's successor; zeros after the last."""
    following = torch.zeros_like(row)
    following[:, :-1] = row[:, 1:]
    return following
