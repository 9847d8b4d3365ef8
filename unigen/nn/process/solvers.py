"""Solvers of the probability-flow ODE ``dx/dsigma = (x - D(x, sigma)) / sigma`` as plain functions.

``denoise(x, sigma) -> D`` takes ``x (slots, width)`` and one level for all rows, or one a row: (slots, 1). Levels
decrease and end at a positive sigma_min. Where ``told`` is given, ``denoise`` is told this of each level in place of
the level itself: what a network makes of levels need not be made anew for every vector. On a torus x and D are
continuous representatives, so the same formulas hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from unigen.shapes import Float

Denoiser = Callable[[Tensor, Any], Tensor]
"""``(x, level) -> D``; the level as a number, one a row, or as the caller of the solver tells it."""

DenoiserWithSlopes = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""``(x, sigma) -> D, dD_i / dx_i``: also how each denoised number follows its own noisy one, both (slots, width)."""


def karras_levels(
    steps: int, sigma_min: float, sigma_max: float | Float[Tensor, "*rows"], rho: float = 7.0
) -> Float[Tensor, "levels *rows"]:
    """``sigma_i = (sigma_max^(1/rho) + i/steps (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho``, ``i = 0 ... steps``.

    Karras et al. 2022 (EDM), equation 5, and rho as there: larger ones shorten the steps near sigma_min. Rows that
    start from different levels have different ones all the way, but the last.
    """
    highest = torch.as_tensor(sigma_max, dtype=torch.float64)  # a power of 7 makes rounding 7 times larger
    ramp = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64, device=highest.device)
    ramp = ramp.reshape(-1, *[1] * highest.ndim)
    low, high = sigma_min ** (1.0 / rho), highest ** (1.0 / rho)
    return ((high + ramp * (low - high)) ** rho).float()


def heun(
    denoise: Denoiser,
    x: Float[Tensor, "slots width"],
    levels: Float[Tensor, "levels *rows"],
    temperature: float = 1.0,
    told: Sequence[Any] | None = None,
) -> Tensor:
    """Second order, two evaluations a step. Karras et al. 2022 (EDM), algorithm 1; ends with D at the last level."""
    clock, known = tempered(levels, temperature), levels if told is None else told
    for step in range(len(levels) - 1):
        slope = (x - denoise(x, known[step])) / clock[step]
        width = clock[step + 1] - clock[step]
        trial = x + width * slope
        x = x + width * 0.5 * (slope + (trial - denoise(trial, known[step + 1])) / clock[step + 1])
    return denoise(x, known[-1])


def dpm_solver_2m(
    denoise: Denoiser,
    x: Float[Tensor, "slots width"],
    levels: Float[Tensor, "levels *rows"],
    temperature: float = 1.0,
    told: Sequence[Any] | None = None,
) -> Tensor:
    """Second order multistep, one evaluation a step. Lu et al. 2022 (DPM-Solver++), algorithm 2, with alpha = 1.

    In ``t = -ln sigma``: ``x' = (sigma'/sigma) x - (sigma'/sigma - 1) D``, D extrapolated from the last two.
    """
    times, known = -tempered(levels, temperature).log(), levels if told is None else told
    previous: Tensor | None = None
    for step in range(len(levels) - 1):
        denoised = denoise(x, known[step])
        width = times[step + 1] - times[step]
        blend = denoised
        if previous is not None:
            blend = denoised + width / (2.0 * (times[step] - times[step - 1])) * (denoised - previous)
        x = torch.exp(-width) * x - torch.expm1(-width) * blend
        previous = denoised
    return denoise(x, known[-1])


SOLVERS = {"dpm2m": dpm_solver_2m, "heun": heun}
"""By the names that settings give them."""


def tempered(levels: Float[Tensor, "levels *rows"], temperature: float) -> Float[Tensor, "levels *rows"]:
    """The clock s(sigma) of ``dx/ds = (x - D) / s``: sigma above 1, ``sigma^(1/temperature)`` below.

    At temperature 1 the plain ODE. Below 1 the score is followed for longer at the levels that resolve the data, so
    that samples move towards the modes of their neighbourhood, while the choice among far modes stays as it was.
    """
    # 1: vectors have unit variance, so above it the noise drowns the data and the prior must not be changed
    return torch.where(levels < 1.0, levels ** (1.0 / temperature), levels)


def log_likelihood(
    denoise: DenoiserWithSlopes,
    x: Float[Tensor, "slots width"],
    levels: Float[Tensor, "levels"],
    prior_log_prob: Callable[[Tensor], Tensor],
) -> Float[Tensor, "slots"]:
    """Exact log density of x under the flow, by integrating the ODE and its divergence upwards (Heun).

    ``log p(x) = log p_prior(x_T) + int div((x - D) / sigma) dsigma``. Song et al. 2021, equation 39; the divergence is
    exact: ``sum_i (1 - dD_i / dx_i) / sigma``. ``x`` is taken as a point at the smallest level.
    """
    total = x.new_zeros(len(x))
    rising = levels.flip(0)
    slope, divergence = _slope_and_divergence(denoise, x, rising[0])
    for now, after in pairwise(rising):
        trial_slope, trial_divergence = _slope_and_divergence(denoise, x + (after - now) * slope, after)
        x = x + (after - now) * 0.5 * (slope + trial_slope)
        total = total + (after - now) * 0.5 * (divergence + trial_divergence)
        slope, divergence = trial_slope, trial_divergence
    return total + prior_log_prob(x)


def _slope_and_divergence(denoise: DenoiserWithSlopes, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    denoised, own_slope = denoise(x, sigma)
    return (x - denoised) / sigma, (1.0 - own_slope).sum(-1) / sigma
