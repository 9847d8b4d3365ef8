"""The Triton twin of `unigen.nn.kernels.packed_scan`, forward and backward. Imported only where it runs.

Symbols as there; U are the values less what is erased, Y the outputs, and ``grad_`` before a name the derivative of the
loss by it. The backward pass takes the chunks from the last to the first, with the states that the forward pass met at
their beginnings:

    dU = W^T dY + t (K dS')           dS = E dS' + Q^T (e dY) - w^T dU         W = (Q K^T) L, L_ij = a_i ... a_(j+1)
    dQ = (dW L) K + e (dY S^T)        dK = (dW L)^T Q + (t U) dS'^T            dW = dY U^T
    d total: row sums of dW W less its column sums; e dY.(Q S) where e is read, and so on, then summed up backwards

e and t are the decays from the chunk's beginning and to its end, E that of the whole chunk.

Kernels are compiled from their text: ``no_type_check`` keeps the checks of tests out of them.
"""

from __future__ import annotations

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

SMALLEST = 16
"""Of each side of a product of tiles."""


@triton.jit
@no_type_check
def _chunk(
    q_ptr,
    k_ptr,
    v_ptr,
    decay_ptr,
    erased_ptr,
    begin,
    end,
    head,
    heads,
    shared,
    state,
    width,
    CHUNK: tl.constexpr,
    STATE: tl.constexpr,
    WIDTH: tl.constexpr,
    ERASES: tl.constexpr,
):
    """Tiles of a chunk: q, k, what is erased, v, sums of log a, and which tokens are there."""
    rows = begin + tl.arange(0, CHUNK)
    there = rows < end
    states, widths = tl.arange(0, STATE), tl.arange(0, WIDTH)
    group = tl.where(shared == 1, 0, head)
    at_states = (rows[:, None] * shared + group) * state + states[None, :]
    mask_states = there[:, None] & (states[None, :] < state)
    q = tl.load(q_ptr + at_states, mask=mask_states, other=0.0)
    k = tl.load(k_ptr + at_states, mask=mask_states, other=0.0)
    w = tl.load(erased_ptr + at_states, mask=mask_states, other=0.0) if ERASES else q
    at_widths = (rows[:, None] * heads + head) * width + widths[None, :]
    mask_widths = there[:, None] & (widths[None, :] < width)
    v = tl.load(v_ptr + at_widths, mask=mask_widths, other=0.0)
    total = tl.cumsum(tl.load(decay_ptr + rows * heads + head, mask=there, other=0.0), 0)
    return q, k, w, v, total, rows, mask_states, mask_widths, at_widths


@triton.jit
@no_type_check
def _decays(total, CHUNK: tl.constexpr):
    """L of a chunk, the decay to its end, and that of the whole."""
    places = tl.arange(0, CHUNK)
    before = places[:, None] >= places[None, :]
    between = tl.exp(tl.where(before, total[:, None] - total[None, :], -float("inf")))
    last = tl.sum(tl.where(places == CHUNK - 1, total, 0.0), 0)
    return between, tl.exp(last - total), tl.exp(last)


@triton.jit
@no_type_check
def _forward(
    q_ptr,
    k_ptr,
    v_ptr,
    decay_ptr,
    erased_ptr,
    bounds_ptr,
    first_chunk_ptr,
    y_ptr,
    starts_ptr,
    memory_ptr,
    heads,
    shared,
    state,
    width,
    CHUNK: tl.constexpr,
    STATE: tl.constexpr,
    WIDTH: tl.constexpr,
    ERASES: tl.constexpr,
):
    sequence, head = tl.program_id(0), tl.program_id(1)
    begin, end = tl.load(bounds_ptr + sequence), tl.load(bounds_ptr + sequence + 1)
    number = tl.load(first_chunk_ptr + sequence)
    states, widths = tl.arange(0, STATE), tl.arange(0, WIDTH)
    at_memory = states[:, None] * width + widths[None, :]
    mask_memory = (states[:, None] < state) & (widths[None, :] < width)
    memory = tl.zeros((STATE, WIDTH), dtype=tl.float32)
    while begin < end:
        q, k, w, v, total, _rows, _mask_states, mask_widths, at_widths = _chunk(
            q_ptr, k_ptr, v_ptr, decay_ptr, erased_ptr, begin, end, head, heads, shared, state, width,
            CHUNK, STATE, WIDTH, ERASES,
        )  # fmt: skip
        between, to_end, whole = _decays(total, CHUNK)
        tl.store(starts_ptr + (number * heads + head) * state * width + at_memory, memory, mask=mask_memory)
        u = v - tl.dot(w, memory, input_precision="ieee") if ERASES else v
        weights = tl.dot(q, tl.trans(k), input_precision="ieee") * between
        y = tl.dot(weights, u, input_precision="ieee")
        y += tl.exp(total)[:, None] * tl.dot(q, memory, input_precision="ieee")
        tl.store(y_ptr + at_widths, y, mask=mask_widths)
        memory = whole * memory + tl.dot(tl.trans(k), to_end[:, None] * u, input_precision="ieee")
        begin += CHUNK
        number += 1
    tl.store(memory_ptr + (sequence * heads + head) * state * width + at_memory, memory, mask=mask_memory)


@triton.jit
@no_type_check
def _backward(
    q_ptr,
    k_ptr,
    v_ptr,
    decay_ptr,
    erased_ptr,
    bounds_ptr,
    first_chunk_ptr,
    starts_ptr,
    grad_y_ptr,
    grad_memory_ptr,
    grad_q_ptr,
    grad_k_ptr,
    grad_v_ptr,
    grad_decay_ptr,
    grad_erased_ptr,
    heads,
    shared,
    state,
    width,
    CHUNK: tl.constexpr,
    STATE: tl.constexpr,
    WIDTH: tl.constexpr,
    ERASES: tl.constexpr,
):
    sequence, head = tl.program_id(0), tl.program_id(1)
    first, end = tl.load(bounds_ptr + sequence), tl.load(bounds_ptr + sequence + 1)
    chunks = tl.cdiv(end - first, CHUNK)
    states, widths, places = tl.arange(0, STATE), tl.arange(0, WIDTH), tl.arange(0, CHUNK)
    at_memory = states[:, None] * width + widths[None, :]
    mask_memory = (states[:, None] < state) & (widths[None, :] < width)
    grad_memory = tl.load(
        grad_memory_ptr + (sequence * heads + head) * state * width + at_memory, mask=mask_memory, other=0.0
    )
    index = chunks - 1
    while index >= 0:
        q, k, w, v, total, rows, mask_states, mask_widths, at_widths = _chunk(
            q_ptr, k_ptr, v_ptr, decay_ptr, erased_ptr, first + index * CHUNK, end, head, heads, shared, state, width,
            CHUNK, STATE, WIDTH, ERASES,
        )  # fmt: skip
        between, to_end, whole = _decays(total, CHUNK)
        number = tl.load(first_chunk_ptr + sequence) + index
        memory = tl.load(starts_ptr + (number * heads + head) * state * width + at_memory, mask=mask_memory, other=0.0)
        grad_y = tl.load(grad_y_ptr + at_widths, mask=mask_widths, other=0.0)
        u = v - tl.dot(w, memory, input_precision="ieee") if ERASES else v
        from_start = tl.exp(total)
        products = tl.dot(q, tl.trans(k), input_precision="ieee")
        weights = products * between
        read = tl.dot(grad_y, tl.trans(memory), input_precision="ieee")  # dY S^T
        written = tl.dot(k, grad_memory, input_precision="ieee")  # K dS'

        grad_u = tl.dot(tl.trans(weights), grad_y, input_precision="ieee") + to_end[:, None] * written
        of_products = tl.dot(grad_y, tl.trans(u), input_precision="ieee") * between
        grad_q = tl.dot(of_products, k, input_precision="ieee") + from_start[:, None] * read
        grad_k = tl.dot(tl.trans(of_products), q, input_precision="ieee")
        grad_k += to_end[:, None] * tl.dot(u, tl.trans(grad_memory), input_precision="ieee")

        # the sums of log a: of L by row and column, of e and t by token, of E and t at the last
        by_pair = of_products * products
        kept = to_end * tl.sum(u * written, 1)
        grad_total = tl.sum(by_pair, 1) - tl.sum(by_pair, 0) + from_start * tl.sum(read * q, 1) - kept
        at_last = tl.sum(kept, 0) + whole * tl.sum(tl.sum(grad_memory * memory, 1), 0)
        grad_total += tl.where(places == CHUNK - 1, at_last, 0.0)
        # a decay counts in all sums from its token on
        grad_decay = tl.sum(grad_total, 0) - tl.cumsum(grad_total, 0) + grad_total

        grad_memory = whole * grad_memory + tl.dot(tl.trans(q), from_start[:, None] * grad_y, input_precision="ieee")
        # heads that share q, k and w have their own derivatives, summed up afterwards
        at_states = (rows[:, None] * heads + head) * state + states[None, :]
        if ERASES:
            grad_memory -= tl.dot(tl.trans(w), grad_u, input_precision="ieee")
            grad_w = -tl.dot(grad_u, tl.trans(memory), input_precision="ieee")
            tl.store(grad_erased_ptr + at_states, grad_w, mask=mask_states)
        tl.store(grad_q_ptr + at_states, grad_q, mask=mask_states)
        tl.store(grad_k_ptr + at_states, grad_k, mask=mask_states)
        tl.store(grad_v_ptr + at_widths, grad_u, mask=mask_widths)
        tl.store(grad_decay_ptr + rows * heads + head, grad_decay, mask=rows < end)
        index -= 1


class _PackedScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, log_decay, boundaries, erased, chunk):  # type: ignore[no-untyped-def]
        erases = erased is not None
        erased = erased if erases else q
        q, k, v, log_decay, erased = (each.contiguous().float() for each in (q, k, v, log_decay, erased))
        (_, shared, state), (_, heads, width) = q.shape, v.shape
        chunks = torch.div(boundaries.diff() + chunk - 1, chunk, rounding_mode="floor")
        first_chunk = torch.cat([chunks.new_zeros(1), chunks.cumsum(0)])
        starts = v.new_empty(int(first_chunk[-1]), heads, state, width)
        y, memory = torch.empty_like(v), v.new_empty(len(chunks), heads, state, width)
        tiles = {"CHUNK": chunk, "STATE": _tile(state), "WIDTH": _tile(width), "ERASES": erases}
        _forward[(len(chunks), heads)](
            q, k, v, log_decay, erased, boundaries, first_chunk, y, starts, memory, heads, shared, state, width, **tiles
        )
        ctx.save_for_backward(q, k, v, log_decay, erased, boundaries, first_chunk, starts)
        ctx.tiles = tiles
        return y, memory

    @staticmethod
    def backward(ctx, grad_y, grad_memory):  # type: ignore[no-untyped-def]
        q, k, v, log_decay, erased, boundaries, first_chunk, starts = ctx.saved_tensors
        (tokens, shared, state), (_, heads, width) = q.shape, v.shape
        by_head = [q.new_empty(tokens, heads, state) for _ in range(3)]
        grad_v, grad_decay = torch.empty_like(v), torch.empty_like(log_decay)
        _backward[(len(boundaries) - 1, heads)](
            q, k, v, log_decay, erased, boundaries, first_chunk, starts, grad_y.contiguous(), grad_memory.contiguous(),
            by_head[0], by_head[1], grad_v, grad_decay, by_head[2], heads, shared, state, width, **ctx.tiles,
        )  # fmt: skip
        grad_q, grad_k, grad_erased = (each if shared > 1 else each.sum(1, keepdim=True) for each in by_head)
        return grad_q, grad_k, grad_v, grad_decay, None, grad_erased if ctx.tiles["ERASES"] else None, None


def _tile(size: int) -> int:
    return max(SMALLEST, triton.next_power_of_2(size))


def packed_scan(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, boundaries: Tensor, erased: Tensor | None, chunk: int
) -> tuple[Tensor, Tensor]:
    """See `unigen.nn.kernels.packed_scan.packed_scan`; ``chunk`` is a power of two, 16 at least."""
    return _PackedScan.apply(q, k, v, log_decay, boundaries, erased, chunk)  # type: ignore[no-any-return]
