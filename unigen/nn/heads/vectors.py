"""The diffusion head: draws the vector of one slot, given what the backbone knows. Always fp32, under autocast too."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.nn.process.gaussian import GaussianProcess
from unigen.nn.process.torus import TorusProcess
from unigen.shapes import Bool, Float

ExtraFeatures = Callable[[Tensor, Tensor], Tensor]
"""More features of noisy vectors (slots, width) at noise levels (slots,): (slots, extra)."""

Process = GaussianProcess | TorusProcess

_LEVEL_FEATURES, _LEVEL_WIDTH = 32, 64
"""Frequencies of ln sigma, and the width in which they are mixed."""


class EmbeddedLevel(NamedTuple):
    """Noise levels, and what they add to the context of a head.

    Attributes:
        sigma: a number shared by all rows, or one a row.
        embedding: one row for all, or one a row.
    """

    sigma: Float[Tensor, "*levels"]
    embedding: Float[Tensor, "distinct blocks_2_width"]


class ResidualStack(nn.Module):
    """Gated residual blocks, each steered by its own part of ``context``; the only part run at every solver step."""

    def __init__(self, n_features: int, slot_width: int, width: int, blocks: int) -> None:
        super().__init__()
        self.to_hidden = nn.Linear(n_features, width)
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(blocks))
        self.up = nn.ModuleList(nn.Linear(width, 2 * width, bias=False) for _ in range(blocks))
        self.down = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.to_output = nn.Linear(width, slot_width)
        # F = 0 at first: the denoiser begins as c_skip x
        nn.init.zeros_(self.to_output.weight)
        nn.init.zeros_(self.to_output.bias)

    def forward(
        self, features: Float[Tensor, "slots features"], context: Float[Tensor, "slots blocks_2_width"]
    ) -> Float[Tensor, "slots width"]:
        """The network's output F, of unit variance."""
        hidden = self.to_hidden(features)
        parts = context.chunk(len(self.norms), dim=-1)
        for norm, up, down, part in zip(self.norms, self.up, self.down, parts, strict=True):
            gate, value = (up(norm(hidden)) + part).chunk(2, dim=-1)
            hidden = hidden + down(functional.silu(gate) * value)
        return self.to_output(hidden)

    def with_slopes(
        self,
        features: Float[Tensor, "slots features"],
        feature_slopes: Float[Tensor, "slots width own"],
        context: Float[Tensor, "slots blocks_2_width"],
        wanted: Bool[Tensor, "slots width"],
    ) -> tuple[Float[Tensor, "slots width"], Float[Tensor, "slots width"]]:
        """The output F, and ``dF_i / dx_i`` where it is wanted (else 0); features of number i change with x_i alone.

        One forward-mode derivative a wanted number, written out. ``torch.func.jvp`` takes seven times as long for a
        single slot, and importing what it needs takes longer than drawing a crystal.
        """
        slot, number = wanted.nonzero(as_tuple=True)
        hidden = self.to_hidden(features)
        parts = context.chunk(len(self.norms), dim=-1)
        # what each wanted number changes in the hidden state of its slot: (pairs of slot and number, hidden)
        into = self.to_hidden.weight.T.unflatten(0, feature_slopes.shape[1:])
        change = torch.bmm(feature_slopes.transpose(0, 1), into)[number, slot]
        onto = self.to_output.weight
        slopes = torch.zeros_like(change[:, 0])
        for block, (norm, up, down, part) in enumerate(zip(self.norms, self.up, self.down, parts, strict=True)):
            assert isinstance(norm, nn.RMSNorm)
            assert isinstance(down, nn.Linear)
            # y = w n with n = h / rms(h), so dy = w (dh - n <n dh>) / rms(h), where < > is a mean
            scale = torch.rsqrt(hidden.square().mean(-1, keepdim=True) + torch.finfo(hidden.dtype).eps)
            unit = (hidden * scale)[slot]
            along = torch.linalg.vecdot(unit, change).div(unit.shape[-1])[:, None]
            change_of_normed = torch.addcmul(change, unit, along, value=-1.0) * (scale * norm.weight)[slot]
            gate, value = (up(norm(hidden)) + part).chunk(2, dim=-1)
            gate_change, value_change = up(change_of_normed).chunk(2, dim=-1)
            share = torch.sigmoid(gate)
            silu = gate * share
            slope_of_silu = share + silu * (1.0 - share)
            gated_change = value_change * silu[slot] + gate_change * (value * slope_of_silu)[slot]
            hidden = hidden + down(silu * value)
            if block < len(self.norms) - 1:
                change = change + functional.linear(gated_change, down.weight)
            else:  # of what comes out last only number i is wanted, so the last two matrices are applied as one row
                slopes = torch.linalg.vecdot(gated_change, (onto @ down.weight)[number])
        slopes = slopes + torch.linalg.vecdot(change, onto[number])
        return self.to_output(hidden), slopes.new_zeros(wanted.shape).index_put((slot, number), slopes)


class VectorHead(nn.Module):
    """Denoiser ``D(x, sigma; h)`` over one slot: gated residual blocks, conditioned by addition.

    ``context(h)`` is computed once a slot; each solver step then costs only the blocks (so that 20 steps cost less
    than the backbone). Preconditioning is the process's: Karras et al. 2022, table 1, and its form on the torus.

    Args:
        process: noise process of the channel.
        slot_width: numbers in the slot.
        condition_width: width of the backbone's output.
        width: width of the head.
        blocks: residual blocks.
        extra: how many features a caller adds to those of the noisy vector.
    """

    def __init__(
        self, process: Process, slot_width: int, condition_width: int, width: int, blocks: int, extra: int = 0
    ) -> None:
        super().__init__()
        self.process = process
        self.slot_width = slot_width
        self.stack = ResidualStack(process.n_features(slot_width) + extra, slot_width, width, blocks)
        self.to_context = nn.Linear(condition_width, blocks * 2 * width)
        self.to_level = nn.Sequential(
            nn.Linear(2 * _LEVEL_FEATURES, _LEVEL_WIDTH), nn.SiLU(), nn.Linear(_LEVEL_WIDTH, blocks * 2 * width)
        )

    def context(self, h: Float[Tensor, "slots condition"]) -> Float[Tensor, "slots blocks_2_width"]:
        """What the blocks add to their hidden state; independent of x and sigma."""
        with torch.autocast(h.device.type, enabled=False):
            return self.to_context(functional.silu(h.float()))

    def embedded(self, sigma: Float[Tensor, "*levels"]) -> EmbeddedLevel:
        """What `denoise` makes of a level: whoever asks for many vectors at the same levels does it once."""
        with torch.autocast(sigma.device.type, enabled=False):
            return EmbeddedLevel(sigma, self.to_level(_level_features(sigma.reshape(-1))))

    def denoise(
        self,
        x: Float[Tensor, "slots width"],
        sigma: Float[Tensor, "*levels"] | EmbeddedLevel,
        context: Float[Tensor, "slots blocks_2_width"],
        extra_features: ExtraFeatures | None = None,
    ) -> Float[Tensor, "slots width"]:
        """The denoised vector at one level (a number, shared by all rows: the level is embedded once) or one a row."""
        level = sigma if isinstance(sigma, EmbeddedLevel) else self.embedded(sigma)
        levels = level.sigma.expand(len(x))
        return self.process.denoised(x, self._output(x, levels, level.embedding, context, extra_features), levels)

    def denoise_with_slopes(
        self,
        x: Float[Tensor, "slots width"],
        sigma: Float[Tensor, "*levels"],
        context: Float[Tensor, "slots blocks_2_width"],
        free: Float[Tensor, "slots width"] | None = None,
    ) -> tuple[Float[Tensor, "slots width"], Float[Tensor, "slots width"]]:
        """The same, and ``dD_i / dx_i``: how each denoised number follows its own noisy value; no extra features.

        ``free`` is 0 for numbers that stay what they are, whose slope is 1; None: none does.
        """
        levels, free = sigma.expand(len(x)), torch.ones_like(x) if free is None else free
        with torch.autocast(x.device.type, enabled=False):
            steered = context + self.embedded(sigma).embedding
            output, slopes = self.stack.with_slopes(
                self.process.features(x, levels), self.process.feature_slopes(x, levels), steered, free > 0
            )
        # D is a weighted sum of x and F, and so is its derivative
        denoised, slopes = (self.process.denoised(*of, levels) for of in ((x, output), (torch.ones_like(x), slopes)))
        return x + free * (denoised - x), 1.0 + free * (slopes - 1.0)

    def loss(
        self,
        context: Float[Tensor, "slots blocks_2_width"],
        x: Float[Tensor, "slots width"],
        generator: torch.Generator,
        free: Float[Tensor, "slots width"] | None = None,
        extra_features: ExtraFeatures | None = None,
    ) -> Float[Tensor, "slots"]:
        """EDM loss a slot, mean over its numbers: 1 for a head that knows nothing at small sigma.

        ``|F - (x - c_skip (x + n)) / c_out|^2``: Karras et al. 2022, equation 8 with ``lambda = 1 / c_out^2``.

        ``free`` is 0 for numbers that are not drawn (x is 0 there): they get no noise and do not count.
        """
        free = torch.ones_like(x) if free is None else free
        normal = free * torch.randn(x.shape, generator=generator, device=x.device)
        uniform = torch.rand(len(x), generator=generator, device=x.device)
        sigma = self.process.draw_levels(uniform)
        noisy = self.process.add_noise(x, normal, sigma)
        output = self._output(noisy, sigma, self.embedded(sigma).embedding, context, extra_features)
        error = free * (output - self.process.target(x, noisy, sigma)) ** 2
        return error.sum(-1) / free.sum(-1).clamp(min=1.0)

    def _output(
        self, x: Tensor, levels: Tensor, embedding: Tensor, context: Tensor, extra_features: ExtraFeatures | None
    ) -> Tensor:
        """The stack at one level a row; ``embedding`` is that of each, or of one for all."""
        with torch.autocast(x.device.type, enabled=False):
            features = self.process.features(x, levels)
            if extra_features is not None:
                features = torch.cat([features, extra_features(x, levels)], dim=-1)
            return self.stack(features, context + embedding)


def _level_features(sigma: Float[Tensor, "levels"]) -> Float[Tensor, "levels features"]:
    # 0.2 to 4.5 radians a unit of ln sigma, which runs over 8 from sigma_min to sigma_max
    frequency = torch.exp(torch.linspace(-1.5, 1.5, _LEVEL_FEATURES, device=sigma.device))
    phase = sigma.log()[:, None] * frequency
    return torch.cat([phase.sin(), phase.cos()], dim=-1)
