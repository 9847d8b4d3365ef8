"""Several small numbers that belong together, drawn one after the other by one light head. Always fp32."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.shapes import Bool, Float, Int


class DigitHead(nn.Module):
    """``logits_d = W_d silu(W h + e_d + sum_{i < d} E_i[digit_i])``: each digit given h and the digits before it.

    What is left of a place once the backbone has said where it is costs no tokens that way (the inner head of Uni-3DAR,
    Lu et al. 2025, with sums in place of a second transformer).

    Args:
        condition_width: of h.
        width: of the hidden layer.
        sizes: values that each digit has; a caller masks those that its digit does not have.
    """

    def __init__(self, condition_width: int, width: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.most = max(sizes)
        self.to_hidden = nn.Linear(condition_width, width)
        self.place = nn.Embedding(len(sizes), width)
        self.written = nn.Embedding(len(sizes) * self.most, width)
        self.weight = nn.Parameter(torch.empty(len(sizes), width, self.most))
        nn.init.normal_(self.weight, std=width**-0.5)
        self.bias = nn.Parameter(torch.zeros(len(sizes), self.most))

    def hidden(self, h: Float[Tensor, "slots condition"]) -> Float[Tensor, "slots width"]:
        """What all digits share."""
        with torch.autocast(h.device.type, enabled=False):
            return self.to_hidden(h.float())

    def forward(
        self,
        h: Float[Tensor, "slots condition"],
        digits: Int[Tensor, "slots digits"],
        there: Bool[Tensor, "slots digits"],
    ) -> Float[Tensor, "slots digits most"]:
        """Logits of all digits, each given those before it.

        Args:
            h: backbone output.
            digits: their values.
            there: which of them are written; the others say nothing to those behind.
        """
        index = torch.arange(digits.shape[1], device=digits.device)
        with torch.autocast(h.device.type, enabled=False):
            each = self.written(index * self.most + digits) * there[..., None]
            # not cumsum - each: what is subtracted again leaves its rounding behind
            before = functional.pad(each[:, :-1].cumsum(1), (0, 0, 1, 0))
            inner = functional.silu(self.hidden(h)[:, None] + self.place.weight + before)
            return torch.einsum("sdw,dwm->sdm", inner, self.weight) + self.bias

    def step(
        self, hidden: Float[Tensor, "slots width"], before: Float[Tensor, "slots width"], digit: int
    ) -> Float[Tensor, "slots most"]:
        """Logits of one digit, from ``hidden(h)`` and the sum of ``tell`` of the digits that are written."""
        with torch.autocast(hidden.device.type, enabled=False):
            inner = functional.silu(hidden + self.place.weight[digit] + before)
            return inner @ self.weight[digit] + self.bias[digit]

    def tell(self, digit: int, value: Int[Tensor, "slots"]) -> Float[Tensor, "slots width"]:
        """What a digit that is written says to those behind."""
        return self.written(digit * self.most + value)
