"""Softmax attention with rotary positions."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.batch import Layout
from unigen.nn.mixers.interface import State, TokenMixer
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


def _turns_in_space(
    position: Int[Tensor, "*at"], place: Float[Tensor, "*at 3"], half: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """The same of tokens that have a place: a quarter of the pairs for each axis, the others for the position.

    Axial rotary positions (Heo et al. 2024, RoPE for vision, in three dimensions): of an axis pair j turns ``2^j``
    times a period, a whole number, so logits depend on the difference of two places alone and are exactly periodic.
    """
    each = half // 4
    precise = torch.promote_types(dtype, torch.float32)
    cos, sin = _turns(position, half - 3 * each, precise, _BASE)
    turns = 2.0 ** torch.arange(each, device=place.device, dtype=precise)
    angle = (2.0 * math.pi * place.to(precise)[..., None] * turns).flatten(-2)
    return torch.cat([cos, angle.cos()], -1).to(dtype), torch.cat([sin, angle.sin()], -1).to(dtype)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


@lru_cache(maxsize=8)  # of one model on one device there is one table, or two
def _table_of_turns(length: int, half: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the first positions: stepping, every layer would compute a few of them anew."""
    with torch.inference_mode(mode=False):  # what is kept must serve callers of any mode
        return _turns(torch.arange(length, device=device), half, dtype, _BASE)


class Attention(TokenMixer):
    """``W = softmax(q k^T / sqrt(d))``, causal, or of the whole sequence. Vaswani et al. 2017, equation 1.

    The state holds rotated keys and values, (batch, kv_heads, max_len, head_width), written in place.

    Args:
        width: of the layer.
        heads: of queries.
        kv_heads: of keys and values, each read by as many queries (Ainslie et al. 2023); None: one a query.
        distances: so many learned vectors r of how far back a token lies, the last for all beyond, added to the logits
            as ``q_i . r_(i - j)`` (Huang et al. 2018, Music Transformer, equation 3); none by default.
    """

    rewinds = True

    def __init__(self, width: int, heads: int, kv_heads: int | None = None, distances: int = 0) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ValueError(f"attention: width {width} must be a multiple of twice the heads ({heads})")
        self.heads, self.kv_heads = heads, kv_heads or heads
        self.to_qkv = nn.Linear(width, width + 2 * self.kv_heads * (width // heads), bias=False)
        self.to_out = nn.Linear(width, width, bias=False)
        # zeros: it begins as attention without them
        self.relative = nn.Parameter(torch.zeros(heads, distances, width // heads)) if distances else None

    def mix(self, x: Float[Tensor, "batch tokens width"], layout: Layout, state: State | None) -> Tensor:
        """See TokenMixer."""
        q, k, v = self._project(x, layout)
        if state is not None:
            state["keys"][:, :, : x.shape[1]] = k
            state["values"][:, :, : x.shape[1]] = v
        if layout.looks_ahead:
            assert self.relative is None, "learned distances are of tokens that lie back"
            assert not layout.is_packed
            seen = layout.valid[:, None, None]  # so is padding told what stands there, but nobody looks at it
            mixed = functional.scaled_dot_product_attention(q, *self._shared(k, v), attn_mask=seen)
        elif self.relative is None:
            mixed = functional.scaled_dot_product_attention(q, *self._shared(k, v), is_causal=True)
        else:
            place = torch.arange(x.shape[1], device=x.device)
            lag = place[:, None] - place
            bias = self._of_distance(q, lag.expand(len(x), -1, -1)).masked_fill(lag < 0, -math.inf)
            mixed = functional.scaled_dot_product_attention(q, *self._shared(k, v), attn_mask=bias)
        return self.output(x, mixed.transpose(1, 2))

    def step(
        self, x: Float[Tensor, "batch width"], position: Int[Tensor, "batch"], state: State
    ) -> tuple[Float[Tensor, "batch width"], State]:
        """See TokenMixer; keys beyond a row's position are masked, so rows may stand at different places."""
        y, state = self.steps(x[:, None], position, state)
        return y[:, 0], state

    def steps(
        self,
        x: Float[Tensor, "batch tokens width"],
        position: Int[Tensor, "batch"],
        state: State,
        places: Float[Tensor, "batch tokens 2 3"] | None = None,
    ) -> tuple[Float[Tensor, "batch tokens width"], State]:
        """See TokenMixer, at once: queries are turned by where a token looks from, keys by where it lies."""
        nearest, farthest = map(int, torch.stack(position.aminmax()).tolist())
        count, reach = x.shape[1], farthest + x.shape[1]
        at = position[:, None] + torch.arange(count, device=x.device)
        qkv = self.to_qkv(x).unflatten(-1, (self.heads + 2 * self.kv_heads, -1))
        half, to_turn = qkv.shape[-1] // 2, qkv[..., : -self.kv_heads, :]
        if places is None:
            cos, sin = _table_of_turns(-(-reach // _TABLE) * _TABLE, half, qkv.dtype, x.device)
            turned = _turned(to_turn, cos[at][..., None, :], sin[at][..., None, :])
        else:
            looks, lies = (_turns_in_space(at, place, half, qkv.dtype) for place in places.unbind(-2))
            parts = to_turn.split([self.heads, self.kv_heads], -2)
            turned = torch.cat(
                [
                    _turned(part, cos[..., None, :], sin[..., None, :])
                    for part, (cos, sin) in zip(parts, (looks, lies), strict=True)
                ],
                -2,
            )
        q = turned[..., : self.heads, :].transpose(1, 2)
        rows, mask = torch.arange(len(x), device=x.device)[:, None], None
        state["keys"][rows, :, at] = turned[..., self.heads :, :]
        state["values"][rows, :, at] = qkv[..., -self.kv_heads :, :]
        if nearest < farthest or count > 1:
            mask = (torch.arange(reach, device=x.device) <= at[..., None])[:, None]
        if self.relative is not None:
            lag = at[..., None] - torch.arange(reach, device=x.device)
            mask = self._of_distance(q, lag).masked_fill(lag[:, None] < 0, -math.inf)
        k, v = self._shared(state["keys"][:, :, :reach], state["values"][:, :, :reach])
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.output(x, mixed.transpose(1, 2)), state

    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """See TokenMixer."""
        shape = (batch, self.kv_heads, max_len, self.to_out.in_features // self.heads)
        return {"keys": like.new_zeros(shape), "values": like.new_zeros(shape)}

    def values(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer."""
        _, k, v = self._project(x, layout)
        return self._shared(k, v)[1]

    def operator(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer."""
        q, k, v = self._project(x, layout)
        logits = q @ self._shared(k, v)[0].transpose(-1, -2) / q.shape[-1] ** 0.5
        place = torch.arange(x.shape[1], device=x.device)
        lag = place[:, None] - place
        if self.relative is not None:
            logits = logits + self._of_distance(q, lag.expand(len(x), -1, -1))
        return logits.masked_fill(lag < 0, -math.inf).softmax(-1)

    def output(self, x: Float[Tensor, "*batch width"], mixed: Tensor) -> Float[Tensor, "*batch width"]:
        """See TokenMixer: no gate."""
        del x
        return self.to_out(mixed.flatten(-2))

    def _project(self, x: Tensor, layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
        width = self.to_out.in_features
        kv_width = self.kv_heads * (width // self.heads)
        q, k, v = (
            part.unflatten(-1, (-1, width // self.heads)).transpose(1, 2)
            for part in self.to_qkv(x).split([width, kv_width, kv_width], -1)
        )
        if layout.places is None:
            return rotate(q, layout.position), rotate(k, layout.position), v
        half = width // self.heads // 2
        position, places = layout.position[:, None], layout.places[:, None].unbind(-2)
        looks, lies = (_turns_in_space(position, place, half, q.dtype) for place in places)
        return _turned(q, *looks), _turned(k, *lies), v

    def _shared(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, repeated for the queries that share them."""
        each = self.heads // self.kv_heads
        return (k, v) if each == 1 else (k.repeat_interleave(each, 1), v.repeat_interleave(each, 1))

    def _of_distance(self, q: Tensor, lag: Int[Tensor, "batch queries keys"]) -> Tensor:
        """What distance adds to the logits, (batch, heads, queries, keys)."""
        assert self.relative is not None
        by_distance = q @ self.relative.transpose(-1, -2) * q.shape[-1] ** -0.5
        index = lag.clamp(0, self.relative.shape[1] - 1)[:, None].expand(-1, self.heads, -1, -1)
        return by_distance.gather(-1, index)
