"""The recurrence that ssd, delta_product and lightnet share, over sequences of any lengths laid end to end.

    S_t = a_t S_(t-1) + k_t u_t^T        u_t = v_t - S_c^T w_t        y_t = S_t^T q_t

with one decay a_t a head, S = 0 before each sequence, and S_c the state where the chunk of t begins. Without ``erased``
(w) that is ssd, and with no decay lightnet, whose keys are normalised before; with it, of delta_product after the
triangular system of each chunk is solved (`unigen.nn.mixers.delta_product`: v are its ``written``).

| equation | code      | shape                                                                 |
|----------|-----------|-----------------------------------------------------------------------|
| q, k, w  | q, k, erased | (tokens, heads or 1, state): 1 shares them among all heads          |
| v        | v         | (tokens, heads, width)                                                |
| log a    | log_decay | (tokens, heads), at most 0                                            |
| S        | memory    | (sequences, heads, state, width)                                      |

A chunk is a matrix product, what is carried between chunks the state: Dao and Gu 2024, "Transformers are SSMs",
listing 1. One program of the Triton twin walks through the chunks of one sequence and head.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unigen.nn.kernels.dispatch import by_triton
from unigen.shapes import Float, Int

CHUNK = 64
"""Tokens of a chunk: four tiles of a tensor core a side, and the states between chunks fit a GPU's memory."""


def segment_sums(log_decay: Float[Tensor, "*batch tokens"]) -> Float[Tensor, "*batch tokens sources"]:
    """``log (a_i ... a_(j+1))`` for output i and source j, minus infinity for later sources."""
    total = log_decay.cumsum(-1)
    future = torch.ones(total.shape[-1], total.shape[-1], dtype=torch.bool, device=total.device).triu(1)
    return (total[..., :, None] - total[..., None, :]).masked_fill(future, -torch.inf)


def packed_scan(
    q: Float[Tensor, "tokens shared state"],
    k: Float[Tensor, "tokens shared state"],
    v: Float[Tensor, "tokens heads width"],
    log_decay: Float[Tensor, "tokens heads"],
    boundaries: Int[Tensor, "sequences_and_one"],
    erased: Float[Tensor, "tokens shared state"] | None = None,
    chunk: int = CHUNK,
) -> tuple[Float[Tensor, "tokens heads width"], Float[Tensor, "sequences heads state width"]]:
    """Outputs of all tokens and the last state of each sequence; see the module's docstring.

    Args:
        q: what reads.
        k: where is written.
        v: what is written.
        log_decay: of the state before a token writes.
        boundaries: where each sequence begins, and the end of the last: 0, ..., tokens; none is empty.
        erased: what a chunk's tokens take of the state that it begins with.
        chunk: tokens at a time; ``erased`` belongs to chunks of this size, counted from each sequence's beginning.
    """
    if by_triton(q, k, v, log_decay):
        from unigen.nn.kernels.packed_scan_triton import packed_scan as by_kernel

        return by_kernel(q, k, v, log_decay, boundaries, erased, chunk)
    return packed_scan_reference(q, k, v, log_decay, boundaries, erased, chunk)


def scan_rows(
    q: Float[Tensor, "batch tokens shared state"],
    k: Float[Tensor, "batch tokens shared state"],
    v: Float[Tensor, "batch tokens heads width"],
    log_decay: Float[Tensor, "batch tokens heads"],
    erased: Float[Tensor, "batch tokens shared state"] | None = None,
    chunk: int = CHUNK,
) -> tuple[Float[Tensor, "batch tokens heads width"], Float[Tensor, "batch heads state width"]]:
    """`packed_scan` of sequences of one length, a row each."""
    boundaries = torch.arange(0, v.shape[0] * v.shape[1] + 1, v.shape[1], device=v.device)
    y, memory = packed_scan(
        *(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), log_decay.flatten(0, 1)),
        boundaries,
        None if erased is None else erased.flatten(0, 1),
        chunk,
    )
    return y.unflatten(0, v.shape[:2]), memory


def packed_scan_reference(
    q: Float[Tensor, "tokens shared state"],
    k: Float[Tensor, "tokens shared state"],
    v: Float[Tensor, "tokens heads width"],
    log_decay: Float[Tensor, "tokens heads"],
    boundaries: Int[Tensor, "sequences_and_one"],
    erased: Float[Tensor, "tokens shared state"] | None = None,
    chunk: int = CHUNK,
) -> tuple[Float[Tensor, "tokens heads width"], Float[Tensor, "sequences heads state width"]]:
    """The same in plain torch, all sequences side by side, chunk after chunk."""
    lengths = boundaries.diff()
    places = torch.arange(int(lengths.max()), device=v.device)
    there = places < lengths[:, None]  # (sequences, longest)
    rows = (boundaries[:-1, None] + places).clamp(max=len(v) - 1)

    def side_by_side(x: Tensor) -> Tensor:  # what is not there neither decays nor writes
        x = torch.where(there.reshape(*there.shape, *[1] * (x.ndim - 1)), x[rows], 0.0)
        padded = functional.pad(x, [0, 0] * (x.ndim - 2) + [0, -x.shape[1] % chunk])
        return padded.unflatten(1, (-1, chunk)).movedim(3, 1)  # (sequences, heads, chunks, chunk, ...)

    q, k, v = side_by_side(q), side_by_side(k), side_by_side(v)
    log_decay = side_by_side(log_decay)
    total = log_decay.cumsum(-1)
    takes = None if erased is None else side_by_side(erased)
    weights = (q @ k.transpose(-1, -2)) * segment_sums(log_decay).exp()
    from_start, to_end = total.exp(), (total[..., -1:] - total).exp()
    memory = v.new_zeros(*v.shape[:2], q.shape[-1], v.shape[-1])
    outputs = []
    for index in range(v.shape[2]):
        u = v[:, :, index] if takes is None else v[:, :, index] - takes[:, :, index] @ memory
        y = weights[:, :, index] @ u + from_start[:, :, index, :, None] * (q[:, :, index] @ memory)
        kept = k[:, :, index].transpose(-1, -2) @ (to_end[:, :, index, :, None] * u)
        memory = from_start[:, :, index, -1, None, None] * memory + kept
        outputs.append(y)
    y = torch.stack(outputs, 2).movedim(1, 3).flatten(1, 2)  # (sequences, longest, heads, width)
    return y[:, : len(places)][there], memory
