"""The gated delta rule with several corrections a token: products of reflections, which track states.

    S <- a_t S                                             the decay a_t = exp(-exp(A) softplus(W x_t + b))
    S <- S + b_j k_j (v_j - S^T k_j)^T, j = 1 .. n         |k_j| = 1, b_j = 2 sigmoid(.): eigenvalues in (-1, 1)
    y_t = S^T q_t

Yang et al. 2024, "Gated Delta Networks", equation 10; Siems et al. 2025, "DeltaProduct", equation 3; Grazzi et al.
2024, on negative eigenvalues: with b <= 1 no such layer tells odd from even.

In parallel (the WY form, Yang et al. 2024, "Parallelizing linear transformers with the delta rule", section 3.2):
within a chunk, with g the sums of log a, the corrections u_i = b_i (v_i - (a S)^T k_i) solve one triangular system,

    u_i + sum_(j < i) b_i exp(g_i - g_j) (k_i . k_j) u_j = b_i v_i - b_i exp(g_i) S_0^T k_i

| equation | code        | shape                                        |
|----------|-------------|----------------------------------------------|
| k, v, b  | k, v, beta  | (batch, heads, tokens * n, ...), n a token   |
| q        | q           | (batch, heads, tokens, state)                |
| log a    | log_decay   | (batch, heads, tokens)                       |
| S        | memory      | (batch, heads, state, width)                 |
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.batch import Layout
from unigen.nn.kernels.dispatch import by_triton
from unigen.nn.kernels.packed_scan import scan_rows, segment_sums
from unigen.nn.mixers.gated_output import GatedOutput
from unigen.nn.mixers.interface import State, TokenMixer, precise
from unigen.nn.mixers.short_convolution import ShortConvolution
from unigen.nn.mixers.ssd import decay_parameters
from unigen.shapes import Float, Int

CHUNK = 64
"""Corrections of a chunk: the triangular system costs its square for each, the state between chunks its inverse."""


def _solved(q: Tensor, k: Tensor, beta: Tensor, log_decay: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The corrections of chunks for some right-hand sides, how outputs read them, and how the next chunk does."""
    count = k.shape[-2] // q.shape[-2]
    sums = segment_sums(log_decay)
    # a token decays before its corrections, so these stand at the same time and see those before them
    decay = sums.exp().repeat_interleave(count, -1)
    among = decay.repeat_interleave(count, -2)
    lower = (beta[..., None] * among * (k @ k.transpose(-1, -2))).tril(-1)
    corrections = torch.linalg.solve_triangular(lower, beta[..., None] * right, upper=False, unitriangular=True)
    return corrections, decay * (q @ k.transpose(-1, -2)), decay[..., -1, :]


def delta_product(
    q: Float[Tensor, "batch heads tokens state"],
    k: Float[Tensor, "batch heads sources state"],
    v: Float[Tensor, "batch heads sources width"],
    beta: Float[Tensor, "batch heads sources"],
    log_decay: Float[Tensor, "batch heads tokens"],
    chunk: int = CHUNK,
) -> tuple[Float[Tensor, "batch heads tokens width"], Float[Tensor, "batch heads state width"]]:
    """Outputs of all tokens and the last state, from an empty one; ``chunk`` corrections at a time."""
    tokens, count = q.shape[2], k.shape[2] // q.shape[2]
    by_kernel = by_triton(q, v) and chunk % count == 0
    # whole tokens in a chunk, and no more than there are; a kernel's chunks are all of one size
    size = chunk // count if by_kernel else min(max(chunk // count, 1), tokens)
    missing = -tokens % size

    def chunked(x: Tensor, each: int) -> Tensor:
        padding = (0, missing * each) if x.ndim == 3 else (0, 0, 0, missing * each)
        return functional.pad(x, padding).unflatten(2, (-1, size * each))

    q, log_decay, k, v, beta = chunked(q, 1), chunked(log_decay, 1), *(chunked(x, count) for x in (k, v, beta))
    from_start = log_decay.cumsum(-1).exp()
    seen = from_start.repeat_interleave(count, -1)[..., None] * k
    # both right-hand sides at once: b v, and what the state before the chunk takes from it
    corrections, reads, to_end = _solved(q, k, beta, log_decay, torch.cat([v, seen], -1))
    written, erased = corrections.split([v.shape[-1], k.shape[-1]], -1)
    if by_kernel:
        y, memory = _carried_by_kernel(q, k, written, erased, log_decay)
        return y[:, :, :tokens], memory
    kept = (to_end[..., None] * k).transpose(-1, -2)
    memory, before = v.new_zeros(*k.shape[:2], k.shape[-1], v.shape[-1]), []
    for index in range(q.shape[2]):  # over chunks, not tokens
        before.append(memory)
        u = written[:, :, index] - erased[:, :, index] @ memory
        memory = from_start[:, :, index, -1, None, None] * memory + kept[:, :, index] @ u
    start = torch.stack(before, 2)
    y = reads @ (written - erased @ start) + from_start[..., None] * (q @ start)
    return y.flatten(2, 3)[:, :, :tokens], memory


def _carried_by_kernel(
    q: Tensor, k: Tensor, written: Tensor, erased: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor]:
    """From chunk to chunk by `scan_rows`, whose tokens are corrections: the first decays, the last is read."""
    count = k.shape[3] // q.shape[3]
    reading, decay = torch.zeros_like(k), torch.zeros_like(k[..., 0])
    reading[..., count - 1 :: count, :] = q
    decay[..., ::count] = log_decay
    chunk = k.shape[3]
    reading, k, written, decay, erased = (x.flatten(2, 3).transpose(1, 2) for x in (reading, k, written, decay, erased))
    y, memory = scan_rows(reading, k, written, decay, erased, chunk)
    return y[:, count - 1 :: count].transpose(1, 2), memory


class DeltaProduct(TokenMixer):
    """See the module's docstring.

    The state holds S, (batch, heads, head_width, head_width), and the last inputs of the convolution.

    Args:
        width: of the layer.
        heads: with a state each.
        reflections: n, corrections a token; two compose any rotation of a plane, n any of n dimensions.
        convolution: tokens of the convolution before q, k and v.
    """

    def __init__(self, width: int, heads: int, reflections: int = 1, convolution: int = 4) -> None:
        super().__init__()
        self.heads, self.reflections = heads, reflections
        self.to_qkv = nn.Linear(width, (1 + 2 * reflections) * width, bias=False)
        self.convolution = ShortConvolution((1 + 2 * reflections) * width, convolution)
        self.to_rates = nn.Linear(width, (1 + reflections) * heads, bias=False)
        self.step_bias, self.log_rate = decay_parameters(heads)
        self.gated = GatedOutput(width)

    def mix(self, x: Float[Tensor, "batch tokens width"], layout: Layout, state: State | None) -> Tensor:
        """See TokenMixer."""
        qkv, rates = self.to_qkv(x), self.to_rates(x)
        with torch.autocast(x.device.type, enabled=False):
            q, k, v, beta, log_decay = self._parts(self.convolution(qkv), rates)
            if state is not None:  # padding neither decays nor corrects: the state is that of each row's end
                beta = beta * layout.valid.repeat_interleave(self.reflections, 1)[:, None]
                log_decay = log_decay * layout.valid[:, None]
            mixed, memory = delta_product(q, k, v, beta, log_decay)
            if state is not None:
                state["memory"] = memory
                state["recent"] = self.convolution.recent(qkv, layout.lengths)
        return self.output(x, mixed.transpose(1, 2))

    def step(
        self, x: Float[Tensor, "batch width"], position: Int[Tensor, "batch"], state: State
    ) -> tuple[Float[Tensor, "batch width"], State]:
        """See TokenMixer."""
        del position
        convolved, recent = self.convolution.step(self.to_qkv(x), state["recent"])
        q, k, v, beta, log_decay = self._parts(convolved[:, None], self.to_rates(x)[:, None])
        memory = log_decay.exp()[..., None] * state["memory"]
        for j in range(self.reflections):
            error = v[:, :, j, None] - k[:, :, j, None] @ memory
            memory = memory + beta[:, :, j, None, None] * k[:, :, j, :, None] * error
        return self.output(x, (q @ memory)[:, :, 0]), {"memory": memory, "recent": recent}

    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """See TokenMixer."""
        del max_len
        head_width = like.shape[-1] // self.heads
        (empty,) = precise(like.new_zeros(batch, self.heads, head_width, head_width))
        return {"memory": empty, "recent": like.new_zeros(batch, self.convolution.length - 1, self.to_qkv.out_features)}

    def values(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer: as many sources a token as there are reflections."""
        del layout
        return self._parts(self.convolution(self.to_qkv(x)), self.to_rates(x))[2]

    def operator(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer: the same system with the identity in the place of the values."""
        del layout
        q, k, _, beta, log_decay = self._parts(self.convolution(self.to_qkv(x)), self.to_rates(x))
        identity = torch.eye(k.shape[2], dtype=k.dtype, device=k.device).expand(*k.shape[:2], -1, -1)
        corrections, reads, _ = _solved(q, k, beta, log_decay, identity)
        return reads @ corrections

    def output(self, x: Float[Tensor, "*batch width"], mixed: Tensor) -> Float[Tensor, "*batch width"]:
        """See TokenMixer."""
        return self.gated(x, mixed)

    def _parts(self, qkv: Tensor, rates: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """q, k, v, b and the logarithm of the decay, by heads; corrections of a token one after the other."""
        qkv, rates = precise(qkv, rates)
        parts = qkv.unflatten(-1, (1 + 2 * self.reflections, self.heads, -1))
        q = functional.normalize(parts[:, :, 0], dim=-1).transpose(1, 2)
        # (batch, tokens, n, heads, head_width) to (batch, heads, tokens * n, head_width)
        k, v = (x.flatten(1, 2).transpose(1, 2) for x in parts[:, :, 1:].chunk(2, 2))
        beta, step = rates.split([self.reflections * self.heads, self.heads], -1)
        beta = 2.0 * beta.unflatten(-1, (self.reflections, self.heads)).flatten(1, 2).transpose(1, 2).sigmoid()
        log_decay = -self.log_rate.exp() * functional.softplus(step + self.step_bias)
        return q, functional.normalize(k, dim=-1), v, beta, log_decay.transpose(1, 2)
