"""Linear attention whose keys are a running softmax over all tokens so far, channel by channel; no decay.

    z_t = logaddexp(z_(t-1), k_t)
    S_t = exp(z_(t-1) - z_t) S_(t-1) + exp(k_t - z_t) v_t^T        y_t = S_t^T q_t

Qin et al. 2024, "You only scan once", equations 8 to 10 (additive recurrence). In parallel exp(z_t) S_t is a plain
sum, ``y_t = (q_t exp(-z_t)) . sum_(j <= t) exp(k_j) v_j^T``. For that keys are bounded, which the source does not do:
exp(10) more or less says that a token counts or does not, and no sum overflows. Its rotary positions over several axes
are left out: a sequence has one axis, and a softmax over keys has no phase to turn.

| equation | code   | shape                                  |
|----------|--------|----------------------------------------|
| q, k, v  | q, k, v| (batch, heads, tokens, head_width)     |
| z        | total  | (batch, heads, tokens, head_width)     |
| S        | memory | (batch, heads, head_width, head_width) |
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.batch import Layout
from unigen.nn.kernels.dispatch import by_triton
from unigen.nn.kernels.packed_scan import scan_rows
from unigen.nn.mixers.gated_output import GatedOutput
from unigen.nn.mixers.interface import State, TokenMixer, precise
from unigen.nn.mixers.short_convolution import ShortConvolution
from unigen.shapes import Float, Int

BOUND = 10.0
QUADRATIC, CHUNK = 128, 64  # as of ssd


def additive_attention(
    q: Float[Tensor, "batch heads tokens state"],
    k: Float[Tensor, "batch heads tokens state"],
    v: Float[Tensor, "batch heads tokens width"],
    chunk: int,
) -> Float[Tensor, "batch heads tokens width"]:
    """Outputs of all tokens; within a chunk by the matrix, between chunks by a sum."""
    tokens = q.shape[2]
    missing = -tokens % chunk
    k = k.exp()
    q = q / k.cumsum(2)  # exp(z): keys are bounded, so this needs no logarithms
    if by_triton(q, v):
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return scan_rows(q, k, v, torch.zeros_like(v[..., 0]))[0].transpose(1, 2)
    q, k, v = (functional.pad(x, (0, 0, 0, missing)).unflatten(2, (-1, chunk)) for x in (q, k, v))
    y = (q @ k.transpose(-1, -2)).tril() @ v
    if q.shape[2] > 1:
        written = k.transpose(-1, -2) @ v
        y = y + q @ functional.pad(written.cumsum(2)[:, :, :-1], (0, 0, 0, 0, 1, 0))  # of the chunks before
    return y.flatten(2, 3)[:, :, :tokens]


class LightNet(TokenMixer):
    """See the module's docstring.

    The state holds z, S and the last inputs of the convolution.

    Args:
        width: of the layer.
        heads: as of attention.
        convolution: tokens of the convolution before q, k and v.
    """

    def __init__(self, width: int, heads: int, convolution: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.convolution = ShortConvolution(3 * width, convolution)
        self.gated = GatedOutput(width)

    def mix(self, x: Float[Tensor, "batch tokens width"], layout: Layout, state: State | None) -> Tensor:
        """See TokenMixer."""
        qkv = self.to_qkv(x)
        with torch.autocast(x.device.type, enabled=False):
            q, k, v = self._parts(self.convolution(qkv))
            mixed = additive_attention(q, k, v, x.shape[1] if x.shape[1] <= QUADRATIC else CHUNK)
            if state is not None:
                counts = k.masked_fill(~layout.valid[:, None, :, None], -torch.inf)
                state["total"] = counts.logsumexp(2)
                state["memory"] = (counts - state["total"][:, :, None]).exp().transpose(-1, -2) @ v
                state["recent"] = self.convolution.recent(qkv, layout.lengths)
        return self.output(x, mixed.transpose(1, 2))

    def step(
        self, x: Float[Tensor, "batch width"], position: Int[Tensor, "batch"], state: State
    ) -> tuple[Float[Tensor, "batch width"], State]:
        """See TokenMixer."""
        del position
        convolved, recent = self.convolution.step(self.to_qkv(x), state["recent"])
        q, k, v = self._parts(convolved[:, None])
        k = k[:, :, 0]
        total = torch.logaddexp(state["total"], k)
        kept, new = (state["total"] - total).exp()[..., None], (k - total).exp()[..., None]
        memory = kept * state["memory"] + new * v
        return self.output(x, (q @ memory)[:, :, 0]), {"total": total, "memory": memory, "recent": recent}

    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """See TokenMixer."""
        del max_len
        head_width = like.shape[-1] // self.heads
        memory, total = precise(
            like.new_zeros(batch, self.heads, head_width, head_width),
            like.new_full((batch, self.heads, head_width), -torch.inf),
        )
        recent = like.new_zeros(batch, self.convolution.length - 1, self.to_qkv.out_features)
        return {"total": total, "memory": memory, "recent": recent}

    def values(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer."""
        del layout
        return self._parts(self.convolution(self.to_qkv(x)))[2]

    def operator(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer."""
        del layout
        q, k, _ = self._parts(self.convolution(self.to_qkv(x)))
        return ((q / k.exp().cumsum(2)) @ k.exp().transpose(-1, -2)).tril()

    def output(self, x: Float[Tensor, "*batch width"], mixed: Tensor) -> Float[Tensor, "*batch width"]:
        """See TokenMixer."""
        return self.gated(x, mixed)

    def _parts(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, bounded keys and values, by heads."""
        (qkv,) = precise(qkv)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in qkv.chunk(3, -1))
        return q * q.shape[-1] ** -0.5, BOUND * (k / BOUND).tanh(), v
