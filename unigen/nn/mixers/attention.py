"""Softmax attention with rotary positions."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.batch import Layout
from unigen.nn.mixers.interface import State
from unigen.shapes import Float, Int

_BASE = 1000.0
_TABLE = 256
"""Positions in the smallest table of angles; larger ones are multiples of it. Few sequences are longer."""


def rotate(
    x: Float[Tensor, "batch heads tokens head_width"], position: Int[Tensor, "batch tokens"], base: float = _BASE
) -> Float[Tensor, "batch heads tokens head_width"]:
    """Rotary embedding: ``(u_i, v_i) -> R(position * base^(-i/half)) (u_i, v_i)``, halves u, v of each head.

    Su et al. 2021 (RoFormer), equation 34, with i-th components of both halves as pairs. Their base is
    10,000; with 1,000 the slowest pair of a head of width 32 turns by half a radian in 300 tokens.
    """
    cos, sin = _turns(position, x.shape[-1] // 2, x.dtype, base)
    return _turned(x, cos[:, None], sin[:, None])


def _turns(position: Int[Tensor, "*at"], half: int, dtype: torch.dtype, base: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of all angles at some positions, (*at, half)."""
    # bf16 has 8 bits: angles of positions beyond 256 would be off by a radian
    precise = torch.promote_types(dtype, torch.float32)
    frequency = base ** (-torch.arange(half, device=position.device, dtype=precise) / half)
    angle = position[..., None] * frequency
    return angle.cos().to(dtype), angle.sin().to(dtype)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


@lru_cache(maxsize=8)  # of one model on one device there is one table, or two
def _table_of_turns(length: int, half: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the first positions: stepping, every layer would compute a few of them anew."""
    with torch.inference_mode(mode=False):  # what is kept must serve callers of any mode
        return _turns(torch.arange(length, device=device), half, dtype, _BASE)


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
        nearest, farthest = map(int, torch.stack(position.aminmax()).tolist())
        reach = farthest + 1
        qkv = self.to_qkv(x).unflatten(-1, (3, self.heads, -1))
        cos, sin = _table_of_turns(-(-reach // _TABLE) * _TABLE, qkv.shape[-1] // 2, qkv.dtype, x.device)
        q, k = _turned(qkv[:, :2], cos[position][:, None, None], sin[position][:, None, None]).unbind(1)
        rows, mask = torch.arange(len(x), device=x.device), None
        state["keys"][rows, :, position] = k
        state["values"][rows, :, position] = qkv[:, 2]
        if nearest < farthest:
            mask = (torch.arange(reach, device=x.device) <= position[:, None])[:, None, None]
        mixed = functional.scaled_dot_product_attention(
            q[:, :, None], state["keys"][:, :, :reach], state["values"][:, :, :reach], attn_mask=mask
        )
        return self.to_out(mixed.flatten(1)), state

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
