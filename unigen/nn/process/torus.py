"""Noise on fractional coordinates: x_sigma = x + sigma * e on the unit torus, uniform prior.

The EDM form for a torus: ``D = x + s(sigma) F`` where s is the root mean square of the denoising displacement, so that
the network's target has unit variance at every level (for small sigma s = sigma and F predicts the noise).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from unigen.geometry.torus import denoising_displacement, displacement_scale, wrap
from unigen.shapes import Float

_TABLE = 256
"""Levels at which s(sigma) is tabulated, 2.6 % apart."""


@dataclass(frozen=True, kw_only=True)
class TorusProcess:
    """Noise on coordinates of period 1.

    Attributes:
        sigma_min: smallest level, fractional units (0.003 is about 0.02 Angstrom).
        sigma_max: largest level; at 0.5 the wrapped normal is uniform to 1.5 %.
        frequencies: integer Fourier frequencies of the features; the highest turns once in 1/16 of the cell.
    """

    sigma_min: float = 0.003
    sigma_max: float = 0.5
    frequencies: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 16)

    _log_scale: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        low, high = self._table_range()
        levels = torch.exp(torch.linspace(low, high, _TABLE))
        object.__setattr__(self, "_log_scale", displacement_scale(levels).log())

    def scale(self, sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots"]:
        """s(sigma), linear interpolation of its logarithm."""
        low, high = self._table_range()
        position = (sigma.log() - low) / (high - low) * (_TABLE - 1)
        left = position.floor().clamp(0, _TABLE - 2)
        table = self._log_scale.to(sigma.device)
        start, end = table[left.long()], table[left.long() + 1]
        return (start + (position - left) * (end - start)).exp()

    def _table_range(self) -> tuple[float, float]:
        """Logarithms of the tabulated levels: a factor of two beyond those in use."""
        return math.log(self.sigma_min / 2), math.log(self.sigma_max * 2)

    def draw_levels(self, uniform: Float[Tensor, "slots"]) -> Float[Tensor, "slots"]:
        """Training noise levels, uniform in ln sigma."""
        low, high = math.log(self.sigma_min), math.log(self.sigma_max)
        return (low + (high - low) * uniform).exp()

    def prior(self, normal: Float[Tensor, "slots width"]) -> Float[Tensor, "slots width"]:
        """Uniform on the torus, from standard normal numbers."""
        return torch.special.ndtr(normal)

    def prior_log_prob(self, x: Float[Tensor, "slots width"]) -> Float[Tensor, "slots"]:
        """Zero: the uniform density of a unit cell."""
        return x.new_zeros(len(x))

    def add_noise(self, x: Tensor, normal: Tensor, sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots width"]:
        """The noisy vector; any representative, since all that follows is periodic."""
        return x + sigma[:, None] * normal

    def features(self, x: Tensor, sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots features"]:
        """Sines and cosines of the coordinates; sigma is given to the network separately."""
        del sigma
        return fourier_features(x, torch.tensor(self.frequencies, device=x.device, dtype=x.dtype))

    def feature_slopes(self, x: Tensor, sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots width own"]:
        """How the features of each coordinate change with it; none has a part in those of another."""
        del sigma
        turns = (2.0 * math.pi) * torch.tensor(self.frequencies, device=x.device, dtype=x.dtype)
        phase = x[..., None] * turns
        return torch.cat([turns * phase.cos(), -turns * phase.sin()], dim=-1)

    def n_features(self, width: int) -> int:
        """Length of ``features``."""
        return 2 * width * len(self.frequencies)

    def denoised(self, x: Tensor, output: Tensor, sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots width"]:
        """``D = x + s(sigma) F``, continuous in x (not wrapped), so that solvers may take differences."""
        return x + self.scale(sigma)[:, None] * output

    def target(self, x: Tensor, noisy: Tensor, sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots width"]:
        """The unit-variance network output: the wrapped normal's score, which has less variance than the noise."""
        step = denoising_displacement(wrap(noisy - x), sigma[:, None].expand_as(x))
        return step / self.scale(sigma)[:, None]


def fourier_features(x: Float[Tensor, "*batch width"], frequencies: Tensor) -> Float[Tensor, "*batch features"]:
    """``sin(2 pi n x), cos(2 pi n x)`` for each integer frequency n: exactly periodic. features = 2 width len(n)."""
    phase = (2.0 * math.pi) * x[..., None] * frequencies
    return torch.cat([phase.sin(), phase.cos()], dim=-1).flatten(-2)
