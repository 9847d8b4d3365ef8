"""Softmax attention with rotary positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.batch import Layout
from unigen.nn.mixers.interface import State
from unigen.shapes import Float, Int


def rotate(
    x: Float[Tensor, "batch heads tokens head_width"], position: Int[Tensor, "batch tokens"], base: float = 1000.0
) -> Float[Tensor, "batch heads tokens head_width"]:
    """Rotary embedding: ``(u_i, v_i) -> R(position * base^(-i/half)) (u_i, v_i)``, halves u, v of each head.

    Su et al. 2021 (RoFormer), equation 34, with i-th components of both halves as pairs. Their base is
    10,000; with 1,000 the slowest pair of a head of width 32 turns by half a radian in 300 tokens.
    """
    half = x.shape[-1] // 2
    # bf16 has 8 bits: angles of positions beyond 256 would be off by a radian
    precise = torch.promote_types(x.dtype, torch.float32)
    frequency = base ** (-torch.arange(half, device=x.device, dtype=precise) / half)
    angle = position[:, None, :, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class Attention(nn.Module):
    """``W = softmax(q k^T / sqrt(d))``, causal. Vaswani et al. 2017, equation 1.

    The state holds rotated keys and values, (batch, heads, max_len, head_width), written in place.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ValueError(f"attention: width {width} must be a multiple of twice the heads ({heads})")
        self.heads = heads
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], layout: Layout, state: State | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """See TokenMixer."""
        q, k, v = self._project(x, layout.position)
        if state is not None:
            state["keys"][:, :, : x.shape[1]] = k
            state["values"][:, :, : x.shape[1]] = v
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.to_out(mixed.transpose(1, 2).flatten(2))

    def step(
        self, x: Float[Tensor, "batch width"], position: Int[Tensor, "batch"], state: State
    ) -> tuple[Float[Tensor, "batch width"], State]:
        """See TokenMixer; keys beyond a row's position are masked, so rows may stand at different places."""
        q, k, v = self._project(x[:, None], position[:, None])
        rows = torch.arange(len(x), device=x.device)
        state["keys"][rows, :, position] = k[:, :, 0]
        state["values"][rows, :, position] = v[:, :, 0]
        reach = int(position.max()) + 1
        seen = torch.arange(reach, device=x.device) <= position[:, None]
        mixed = functional.scaled_dot_product_attention(
            q, state["keys"][:, :, :reach], state["values"][:, :, :reach], attn_mask=seen[:, None, None]
        )
        return self.to_out(mixed[:, :, 0].flatten(1)), state

    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """See TokenMixer."""
        shape = (batch, self.heads, max_len, self.to_out.in_features // self.heads)
        return {"keys": like.new_zeros(shape), "values": like.new_zeros(shape)}

    def operator(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer."""
        q, k, _ = self._project(x, layout.position)
        logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        return logits.masked_fill(future, float("-inf")).softmax(-1)

    def _project(self, x: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.to_qkv(x).chunk(3, dim=-1))
        return rotate(q, position), rotate(k, position), v
