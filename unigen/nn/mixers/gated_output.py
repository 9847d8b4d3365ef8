"""What stands behind recurrences: a gate, a norm and a linear layer. Dao and Gu 2024 (Mamba-2), section 7.1."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from unigen.shapes import Float


class GatedOutput(nn.Module):
    """``W_out RMSNorm(y * silu(W_gate x))``: the norm holds the size of a state that sums over any number of tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_gate = nn.Linear(width, width, bias=False)
        self.norm = nn.RMSNorm(width)
        self.to_out = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Float[Tensor, "*batch width"], mixed: Float[Tensor, "*batch heads head_width"]
    ) -> Float[Tensor, "*batch width"]:
        """Position by position."""
        return self.to_out(self.norm(mixed.flatten(-2).to(x.dtype) * functional.silu(self.to_gate(x))))
