"""State-space duality: a linear recurrence with one decay a head and token, and its matrix form (Mamba-2).

    S_t = a_t S_(t-1) + k_t (dt_t v_t)^T        a_t = exp(-exp(A) dt_t), dt_t = softplus(W x_t + b)
    y_t = S_t^T q_t + D v_t                     y = (Q K^T * exp(segsum(log a))) (dt V) + D V

Dao and Gu 2024, "Transformers are SSMs", equations 2, 16 and listing 1; q, k are their C, B, shared by all heads.

| equation | code        | shape                         |
|----------|-------------|-------------------------------|
| q, k     | q, k        | (batch, tokens, state_width)  |
| v, dt v  | v, driven   | (batch, tokens, heads, width) |
| log a    | log_decay   | (batch, tokens, heads)        |
| S        | memory      | (batch, heads, state, width)  |
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
from unigen.shapes import Float, Int

QUADRATIC, CHUNK = 128, 64
"""Tokens up to which the whole matrix is written, and tokens of a chunk beyond: on a CPU one matrix product of 128 rows
takes less than two chunks and what is carried between them."""


def decay_parameters(heads: int) -> tuple[nn.Parameter, nn.Parameter]:
    """``b`` and ``A`` of ``log a = -exp(A) softplus(. + b)``, each (heads,): as Mamba-2 begins.

    Steps from 0.001 to 0.1 and rates from 1 to 16, which remember one token to a thousand.
    """
    step = torch.logspace(-3, -1, heads)
    inverse_of_softplus = step + torch.log(-torch.expm1(-step))
    return nn.Parameter(inverse_of_softplus), nn.Parameter(torch.linspace(1.0, 16.0, heads).log())


def decaying_attention(
    q: Float[Tensor, "batch tokens state"],
    k: Float[Tensor, "batch tokens state"],
    v: Float[Tensor, "batch tokens heads width"],
    log_decay: Float[Tensor, "batch tokens heads"],
    chunk: int,
) -> tuple[Float[Tensor, "batch tokens heads width"], Float[Tensor, "batch heads state width"]]:
    """``y_t = S_t^T q_t`` at all t, and the last S. Within a chunk by the matrix, between chunks by the state."""
    if by_triton(q, v):
        return scan_rows(q[:, :, None], k[:, :, None], v, log_decay)
    tokens = v.shape[1]
    missing = -tokens % chunk
    q, k, log_decay = (functional.pad(tensor, (0, 0, 0, missing)) for tensor in (q, k, log_decay))
    v = functional.pad(v, (0, 0, 0, 0, 0, missing))
    q, k, v, log_decay = (tensor.unflatten(1, (-1, chunk)) for tensor in (q, k, v, log_decay))
    v, log_decay = v.transpose(2, 3), log_decay.transpose(2, 3)  # (batch, chunks, heads, chunk, ...)

    weights = (q @ k.transpose(-1, -2))[:, :, None] * segment_sums(log_decay).exp()
    y = weights @ v
    total = log_decay.cumsum(-1)
    to_end = (total[..., -1:] - total).exp()  # what is left of each token at the end of its chunk
    written = k.transpose(-1, -2)[:, :, None] @ (to_end[..., None] * v)  # (batch, chunks, heads, state, width)
    if written.shape[1] == 1:
        return y.transpose(2, 3).flatten(1, 2)[:, :tokens], written[:, 0]
    # the state after each chunk: chunks decay as tokens do
    between = segment_sums(total[..., -1].transpose(1, 2)).exp()  # (batch, heads, chunks, chunks)
    after = (between @ written.transpose(1, 2).flatten(3)).unflatten(3, written.shape[3:])
    before = functional.pad(after[:, :, :-1], (0, 0, 0, 0, 1, 0)).transpose(1, 2)
    y = y + total.exp()[..., None] * (q[:, :, None] @ before)
    return y.transpose(2, 3).flatten(1, 2)[:, :tokens], after[:, :, -1]


class SSD(TokenMixer):
    """See the module's docstring.

    The state holds S, (batch, heads, state_width, head_width), and the last inputs of the convolution.

    Args:
        width: of the layer.
        heads: with a decay each.
        state_width: numbers of the state for each number of a value.
        convolution: tokens of the convolution before q, k and v.
    """

    def __init__(self, width: int, heads: int, state_width: int = 64, convolution: int = 4) -> None:
        super().__init__()
        self.heads, self.state_width = heads, state_width
        self.to_qkv = nn.Linear(width, 2 * state_width + width, bias=False)
        self.convolution = ShortConvolution(2 * state_width + width, convolution)
        self.to_step = nn.Linear(width, heads, bias=False)
        self.step_bias, self.log_rate = decay_parameters(heads)
        self.skip = nn.Parameter(torch.ones(heads))
        self.gated = GatedOutput(width)

    def mix(self, x: Float[Tensor, "batch tokens width"], layout: Layout, state: State | None) -> Tensor:
        """See TokenMixer."""
        qkv, step = self.to_qkv(x), self.to_step(x)
        with torch.autocast(x.device.type, enabled=False):
            q, k, v, dt, log_decay = self._parts(self.convolution(qkv), step)
            if state is not None:  # padding neither decays nor writes: the state is that of each row's end
                dt, log_decay = dt * layout.valid[..., None], log_decay * layout.valid[..., None]
            chunk = x.shape[1] if x.shape[1] <= QUADRATIC else CHUNK
            mixed, memory = decaying_attention(q, k, dt[..., None] * v, log_decay, chunk)
            mixed = mixed + self.skip[:, None] * v
            if state is not None:
                state["memory"] = memory
                state["recent"] = self.convolution.recent(qkv, layout.lengths)
        return self.output(x, mixed)

    def step(
        self, x: Float[Tensor, "batch width"], position: Int[Tensor, "batch"], state: State
    ) -> tuple[Float[Tensor, "batch width"], State]:
        """See TokenMixer."""
        del position
        convolved, recent = self.convolution.step(self.to_qkv(x), state["recent"])
        q, k, v, dt, log_decay = self._parts(convolved, self.to_step(x))
        driven = k[:, None, :, None] * (dt[..., None] * v)[:, :, None]
        memory = log_decay.exp()[..., None, None] * state["memory"] + driven
        mixed = (q[:, None, None] @ memory)[:, :, 0] + self.skip[:, None] * v
        return self.output(x, mixed), {"memory": memory, "recent": recent}

    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """See TokenMixer."""
        del max_len
        (empty,) = precise(like.new_zeros(batch, self.heads, self.state_width, like.shape[-1] // self.heads))
        return {"memory": empty, "recent": like.new_zeros(batch, self.convolution.length - 1, self.to_qkv.out_features)}

    def values(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer."""
        del layout
        return self._parts(self.convolution(self.to_qkv(x)), self.to_step(x))[2].transpose(1, 2)

    def operator(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer."""
        del layout
        q, k, _, dt, log_decay = self._parts(self.convolution(self.to_qkv(x)), self.to_step(x))
        decay = segment_sums(log_decay.transpose(1, 2)).exp()
        skip = self.skip[:, None, None] * torch.eye(x.shape[1], dtype=decay.dtype, device=x.device)
        return (q @ k.transpose(-1, -2))[:, None] * decay * dt.transpose(1, 2)[:, :, None] + skip

    def output(self, x: Float[Tensor, "*batch width"], mixed: Tensor) -> Float[Tensor, "*batch width"]:
        """See TokenMixer."""
        return self.gated(x, mixed)

    def _parts(self, qkv: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """q, k, v by heads, dt and the logarithm of the decay."""
        qkv, step = precise(qkv, step)
        q, k, v = qkv.split([self.state_width, self.state_width, self.gated.to_out.in_features], -1)
        dt = functional.softplus(step + self.step_bias)
        return q * self.state_width**-0.5, k, v.unflatten(-1, (self.heads, -1)), dt, -self.log_rate.exp() * dt
