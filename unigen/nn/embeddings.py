"""Elements as vectors: what is known of their likes helps where an element is rare."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from unigen.element_similarity import DESCRIPTORS, descriptors
from unigen.elements import SYMBOLS, period_and_group
from unigen.shapes import Float, Int


class ElementEmbedding(nn.Module):
    """An element as the sum of its own, its row's and its column's vector; index 0 (no element) is zero.

    The element's own vector is dropped at random in training, so that rare elements lean on their neighbours.
    """

    periods: Tensor
    groups: Tensor

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        places = [(0, 0)] + [period_and_group(number) for number in range(1, len(SYMBOLS))]
        self.register_buffer("periods", torch.tensor([period for period, _ in places]), persistent=False)
        self.register_buffer("groups", torch.tensor([group for _, group in places]), persistent=False)
        self.own = nn.Embedding(len(SYMBOLS), width)
        self.period = nn.Embedding(8, width)
        self.group = nn.Embedding(19, width)
        self.dropout = dropout

    def forward(self, numbers: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch width"]:
        """Vectors of atomic numbers."""
        own = self.own(numbers)
        if self.training and self.dropout:
            own = own * (torch.rand(numbers.shape, device=own.device) >= self.dropout)[..., None]
        total = own + self.period(self.periods[numbers]) + self.group(self.groups[numbers])
        return total * (numbers > 0)[..., None]


class ElementTable(nn.Module):
    """One vector an element: its own, its row's, its column's, and a map of its descriptors; row 0 (none) is zero.

    In training an element's own vector is hidden at random, for a whole batch, and its descriptors are blurred, so
    that rare elements lean on their likes.

    Args:
        width: of the vectors.
        dropout: how often an element's own vector is hidden.
        blur: standard deviation of the noise on the descriptors (which have standard deviation 1).
    """

    places: Tensor
    known: Tensor

    def __init__(self, width: int, dropout: float, blur: float = 0.05) -> None:
        super().__init__()
        places = [(0, 0)] + [period_and_group(number) for number in range(1, len(SYMBOLS))]
        self.register_buffer("places", torch.tensor(places), persistent=False)
        known = np.nan_to_num(descriptors()).astype(np.float32)
        self.register_buffer("known", torch.from_numpy(known), persistent=False)
        self.own = nn.Embedding(len(SYMBOLS), width)
        self.period = nn.Embedding(8, width)
        self.group = nn.Embedding(19, width)
        self.described = nn.Linear(len(DESCRIPTORS), width)
        self.dropout, self.blur = dropout, blur

    def forward(self) -> Float[Tensor, "elements width"]:
        """Vectors by atomic number."""
        own, known = self.own.weight, self.known
        if self.training:
            own = own * (torch.rand(len(own), 1, device=own.device) >= self.dropout)
            known = known + self.blur * torch.randn_like(known)
        total = own + self.period(self.places[:, 0]) + self.group(self.places[:, 1]) + self.described(known)
        return total * (torch.arange(len(total), device=total.device) > 0)[:, None]
