"""Noise levels visited by a solver."""

from __future__ import annotations

import torch
from torch import Tensor

from unigen.shapes import Float


def karras_levels(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Float[Tensor, "levels"]:
    """``steps + 1`` decreasing levels from sigma_max to sigma_min. Karras et al. 2022 (EDM), equation 5."""
    ramp = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64)
    low, high = sigma_min ** (1.0 / rho), sigma_max ** (1.0 / rho)
    return ((high + ramp * (low - high)) ** rho).float()
