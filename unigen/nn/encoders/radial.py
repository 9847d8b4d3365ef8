"""A distance as many numbers, and how much a pair at that distance counts."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unigen.shapes import Float


class RadialFunctions(nn.Module):
    """``sqrt(2) sin(n pi r / c) / r`` for n = 1, 2, ...: Gasteiger et al. 2020 (DimeNet), equation 7, times sqrt(c).

    Args:
        count: how many.
        cutoff: c, Angstrom.
    """

    frequencies: Tensor

    def __init__(self, count: int, cutoff: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", math.pi / cutoff * torch.arange(1, count + 1), persistent=False)

    def forward(self, distance: Float[Tensor, "pairs"]) -> Float[Tensor, "pairs count"]:
        """Of each pair, with about unit variance."""
        nearest = distance.clamp(min=_NEAREST)[:, None]
        return math.sqrt(2) * torch.sin(self.frequencies * nearest) / nearest


_NEAREST = 0.1
"""Angstrom; nearer atoms count as so far apart: structures that were drawn may have atoms on top of each other."""


def envelope(distance: Float[Tensor, "pairs"], cutoff: float) -> Float[Tensor, "pairs"]:
    """One at no distance, zero from the cutoff on, where two derivatives vanish, too.

    So an atom that comes into sight changes nothing at once. Gasteiger et al. 2020, equation 8, with p = 6.
    """
    x = (distance / cutoff).clamp(max=1.0)
    return 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
