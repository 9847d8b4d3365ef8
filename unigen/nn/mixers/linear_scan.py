"""``h_t = a_t h_(t-1) + b_t``, number by number, for all t in log2(T) passes over the sequence.

Hillis and Steele 1986: pass p combines each position with the one 2^p before it. Blelloch's scan has less work and
twice the passes; here a pass is one vectorised product, and the passes are what takes time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def linear_scan(a: Tensor, b: Tensor) -> Tensor:
    """States of all positions along axis 1, from zero; a and b of one shape, real or complex."""
    hidden: Tensor = _LinearScan.apply(a, b)
    return hidden


def _scanned(a: Tensor, b: Tensor) -> Tensor:
    reach = 1
    while reach < b.shape[1]:
        b = torch.cat([b[:, :reach], torch.addcmul(b[:, reach:], a[:, reach:], b[:, :-reach])], 1)
        a = torch.cat([a[:, :reach], a[:, reach:] * a[:, :-reach]], 1)
        reach *= 2
    return b


class _LinearScan(torch.autograd.Function):
    """The gradient is the same scan from the end; autograd through the passes would keep each of them."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        hidden = _scanned(a, b)
        ctx.save_for_backward(a, hidden)
        return hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        a, hidden = ctx.saved_tensors
        # g_t = dL/dh_t + conj(a_(t+1)) g_(t+1)
        following = torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], 1).conj().resolve_conj()
        g = _scanned(following.flip(1), gradient.flip(1)).flip(1)
        before = torch.cat([torch.zeros_like(hidden[:, :1]), hidden[:, :-1]], 1)
        return g * before.conj(), g
