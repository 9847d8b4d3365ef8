"""What stands before recurrences: every channel's last few values, weighted. Dao and Gu 2024 (Mamba-2), figure 6."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from unigen.shapes import Float, Int


class _Convolution(torch.autograd.Function):
    """``y_t = sum_i w_i x_(t - i)``. In place, which autograd would not do: a third of its time, half of conv1d's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        y = x * weight[0]
        for lag in range(1, min(len(weight), x.shape[1])):
            y[:, lag:].addcmul_(x[:, :-lag], weight[lag])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        of_x, of_weight = gradient * weight[0], torch.zeros_like(weight)
        of_weight[0] = (gradient * x).sum((0, 1))
        for lag in range(1, min(len(weight), x.shape[1])):
            of_x[:, :-lag].addcmul_(gradient[:, lag:], weight[lag])
            of_weight[lag] = (gradient[:, lag:] * x[:, :-lag]).sum((0, 1))
        return of_x, of_weight


class ShortConvolution(nn.Module):
    """``y_t = silu(sum_i w_i x_(t - i))``, causal, channel by channel; i < ``length``.

    The memory of a step is the last ``length - 1`` inputs, (batch, length - 1, channels).
    """

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.length = length
        self.weight = nn.Parameter(torch.empty(length, channels))
        nn.init.uniform_(self.weight, -(length**-0.5), length**-0.5)  # as torch begins a convolution of this fan-in

    def forward(self, x: Float[Tensor, "batch tokens channels"]) -> Float[Tensor, "batch tokens channels"]:
        """All positions."""
        return functional.silu(_Convolution.apply(x, self.weight.to(x.dtype)))

    def step(
        self, x: Float[Tensor, "batch channels"], recent: Float[Tensor, "batch before channels"]
    ) -> tuple[Float[Tensor, "batch channels"], Float[Tensor, "batch before channels"]]:
        """One position, and the memory after it."""
        window = torch.cat([recent, x[:, None].to(recent.dtype)], 1)
        weighted = window * self.weight.flip(0).to(window.dtype)
        return functional.silu(weighted.sum(1)).to(x.dtype), window[:, 1:]

    def recent(
        self, x: Float[Tensor, "batch tokens channels"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch before channels"]:
        """The memory after the given number of inputs of each row."""
        before = functional.pad(x, (0, 0, self.length - 1, 0))
        place = lengths[:, None] + torch.arange(self.length - 1, device=x.device)
        return before.gather(1, place[..., None].expand(-1, -1, x.shape[-1]))
