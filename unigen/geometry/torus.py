"""The unit torus of fractional coordinates: wrapping, the wrapped normal distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from unigen.shapes import Float

_IMAGES = 3  # wrapped sums over -3..3: the next image weighs e^-24 at sigma 0.5, the largest level used


def wrap(difference: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Shortest representative of a difference on the torus, in [-0.5, 0.5)."""
    return difference - torch.floor(difference + 0.5)


def denoising_displacement(
    difference: Float[Tensor, "*batch"], sigma: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    r"""``sigma^2 grad log N_wrapped(difference; 0, sigma)``: the expected step back to the mean.

    Args:
        difference: noisy minus clean coordinate, any representative.
        sigma: noise level in fractional units, broadcast against ``difference``.

    Equals ``-wrap(difference)`` for small sigma and tends to 0 for large sigma, where the torus forgets the mean.
    Source: Jiao et al., DiffCSP, 2023, equation 5 (score of the wrapped normal).
    """
    images = torch.arange(-_IMAGES, _IMAGES + 1, device=difference.device, dtype=difference.dtype)
    shifted = wrap(difference)[..., None] + images
    weights = torch.softmax(-(shifted**2) / (2.0 * sigma[..., None] ** 2), dim=-1)
    return -(weights * shifted).sum(dim=-1)


def displacement_scale(sigma: Float[Tensor, "levels"]) -> Float[Tensor, "levels"]:
    """Root mean square of ``denoising_displacement`` under its own noise, by quadrature over one period.

    Below sigma 0.04 it is sigma itself: half a period is then more than twelve sigma away.
    """
    points = 401  # sixteen within the smallest sigma of 0.04, of a smooth periodic integrand
    grid = (torch.arange(points, dtype=torch.float64) + 0.5) / points - 0.5
    images = torch.arange(-_IMAGES, _IMAGES + 1, dtype=torch.float64)
    level = sigma.double()[:, None, None]
    density = torch.exp(-((grid[None, :, None] + images) ** 2) / (2.0 * level**2)).sum(-1)
    step = denoising_displacement(grid[None, :].expand(len(sigma), -1), sigma.double()[:, None].expand(-1, points))
    wrapped = ((density * step**2).sum(-1) / density.sum(-1)).sqrt()
    return torch.where(sigma < 0.04, sigma, wrapped.to(sigma.dtype))
