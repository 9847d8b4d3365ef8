"""Euclidean noise: ``x_sigma = x + sigma e``, with EDM's preconditioning for data of unit variance.

``D(x, sigma) = c_skip x + c_out F(c_in x, sigma)`` with ``c_skip = 1 / (sigma^2 + 1)``,
``c_out = sigma / sqrt(sigma^2 + 1)`` and ``c_in = 1 / sqrt(sigma^2 + 1)``: Karras et al. 2022, equation 7 and table 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unigen.shapes import Float


@dataclass(frozen=True, kw_only=True)
class GaussianProcess:
    """Noise on standardised numbers (unit variance).

    Attributes:
        sigma_min: smallest level; the sampler stops there.
        sigma_max: largest level; the prior is a normal of this width.
        log_mean: mean of ln sigma in training (EDM: -1.2, for images).
        log_std: standard deviation of ln sigma in training (EDM: 1.2).
    """

    sigma_min: float = 0.005
    sigma_max: float = 20.0
    log_mean: float = -1.0
    log_std: float = 1.4

    def draw_levels(self, uniform: Float[Tensor, "slots"]) -> Float[Tensor, "slots"]:
        """Training noise levels from uniform numbers in (0, 1)."""
        # Clamped where fp32 would give infinity: levels beyond 3.9 standard deviations are not drawn.
        normal = math.sqrt(2.0) * torch.erfinv((2.0 * uniform - 1.0).clamp(-0.9999, 0.9999))
        return (self.log_mean + self.log_std * normal).exp()

    def prior(self, normal: Float[Tensor, "slots width"]) -> Float[Tensor, "slots width"]:
        """The starting point of the sampler, from standard normal numbers."""
        return self.sigma_max * normal

    def prior_log_prob(self, x: Float[Tensor, "slots width"]) -> Float[Tensor, "slots"]:
        """Log density of the prior, with unit data variance added: what sigma_max leaves of the data."""
        variance = self.sigma_max**2 + 1.0
        return (-(x**2) / (2.0 * variance) - 0.5 * math.log(2.0 * math.pi * variance)).sum(-1)

    def add_noise(self, x: Tensor, normal: Tensor, sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots width"]:
        """The noisy vector."""
        return x + sigma[:, None] * normal

    def features(self, x: Tensor, sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots features"]:
        """What the network sees: ``c_in x``."""
        return x / (sigma[:, None] ** 2 + 1.0).sqrt()

    def feature_slopes(self, x: Tensor, sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots width own"]:
        """How the features of each number change with it; none has a part in those of another."""
        return (1.0 / (sigma[:, None, None] ** 2 + 1.0).sqrt()).expand(*x.shape, 1)

    def n_features(self, width: int) -> int:
        """Length of ``features``."""
        return width

    def denoised(self, x: Tensor, output: Tensor, sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots width"]:
        """``D = c_skip x + c_out F``."""
        variance = sigma[:, None] ** 2 + 1.0
        return x / variance + sigma[:, None] / variance.sqrt() * output

    def target(self, x: Tensor, noisy: Tensor, sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots width"]:
        """The unit-variance network output that would denoise exactly."""
        variance = sigma[:, None] ** 2 + 1.0
        return (x - noisy / variance) * variance.sqrt() / sigma[:, None]
