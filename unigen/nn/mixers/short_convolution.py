"""What stands before recurrences: every channel's last few values, weighted. Dao and Gu 2024 (Mamba-2), figure 6."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.shapes import Float, Int


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
        # a sum of shifts: the convolution of torch has no fast path for channels that stand last, nor in double
        x = functional.pad(x, (0, 0, self.length - 1, 0))
        tokens = x.shape[1] - self.length + 1
        shifted = [x[:, i : i + tokens] * self.weight[i].to(x.dtype) for i in range(self.length)]
        return functional.silu(torch.stack(shifted).sum(0))

    def step(
        self, x: Float[Tensor, "batch channels"], recent: Float[Tensor, "batch before channels"]
    ) -> tuple[Float[Tensor, "batch channels"], Float[Tensor, "batch before channels"]]:
        """One position, and the memory after it."""
        window = torch.cat([recent, x[:, None].to(recent.dtype)], 1)
        return functional.silu((window * self.weight.to(window.dtype)).sum(1)).to(x.dtype), window[:, 1:]

    def recent(
        self, x: Float[Tensor, "batch tokens channels"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch before channels"]:
        """The memory after the given number of inputs of each row."""
        before = functional.pad(x, (0, 0, self.length - 1, 0))
        place = lengths[:, None] + torch.arange(self.length - 1, device=x.device)
        return before.gather(1, place[..., None].expand(-1, -1, x.shape[-1]))
