"""Noise levels visited by a solver."""

from __future__ import annotations

import torch
from torch import Tensor

from unigen.shapes import Float


def karras_levels(
    steps: int, sigma_min: float, sigma_max: float | Float[Tensor, "*rows"], rho: float = 7.0
) -> Float[Tensor, "levels *rows"]:
    """``steps + 1`` decreasing levels from sigma_max to sigma_min. Karras et al. 2022 (EDM), equation 5.

    Rows that start from different levels have different ones all the way, but the last.
    """
    highest = torch.as_tensor(sigma_max, dtype=torch.float64)
    ramp = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64, device=highest.device)
    ramp = ramp.reshape(-1, *[1] * highest.ndim)
    low, high = sigma_min ** (1.0 / rho), highest ** (1.0 / rho)
    return ((high + ramp * (low - high)) ** rho).float()
