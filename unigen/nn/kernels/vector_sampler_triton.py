"""The Triton twin of `unigen.nn.kernels.vector_sampler`. Imported only where it runs.

One program draws a few slots, from the first step to the last. Vectors have at most six numbers, so their features are
added to the hidden state one by one; the blocks are products of tiles, a tile of the gate and its value at a time.

Kernels are compiled from their text: ``no_type_check`` keeps the checks of tests out of them.
"""

from __future__ import annotations

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from unigen.nn.heads.vectors import VectorHead
from unigen.nn.process.solvers import tempered
from unigen.nn.process.torus import TorusProcess

SLOTS, COLUMNS = 16, 32
"""Of a program, the least that a product of tiles takes; and of the gate at a time: with 256 hidden numbers a tile of
weights is 32 KB, of which a GPU holds several."""


@triton.jit
@no_type_check
def _denoised(
    x,
    free,
    at_level,
    c_in,
    c_skip,
    c_out,
    context,
    embeddings,
    in_ptr,
    in_bias_ptr,
    norm_ptr,
    up_ptr,
    down_ptr,
    down_bias_ptr,
    out_ptr,
    out_bias_ptr,
    frequencies_ptr,
    rows,
    there,
    columns,
    hidden_width,
    eps,
    WIDTH: tl.constexpr,
    HIDDEN: tl.constexpr,
    BLOCKS: tl.constexpr,
    FREQUENCIES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """D of some slots at one level; ``at_level`` is where a slot's embedding of it begins."""
    units = tl.arange(0, HIDDEN)
    is_unit = units < hidden_width
    features: tl.constexpr = 2 * WIDTH * FREQUENCIES if FREQUENCIES > 0 else WIDTH
    hidden = tl.zeros((x.shape[0], HIDDEN), dtype=tl.float32) + tl.load(in_bias_ptr + units, mask=is_unit, other=0.0)
    for number in range(WIDTH):
        own = tl.sum(tl.where(columns[None, :] == number, x, 0.0), 1)
        if FREQUENCIES > 0:
            for turn in range(FREQUENCIES):
                phase = 6.283185307179586 * own * tl.load(frequencies_ptr + turn)
                first = number * 2 * FREQUENCIES + turn
                sine = tl.load(in_ptr + units * features + first, mask=is_unit, other=0.0)
                cosine = tl.load(in_ptr + units * features + first + FREQUENCIES, mask=is_unit, other=0.0)
                hidden += tl.sin(phase)[:, None] * sine[None, :] + tl.cos(phase)[:, None] * cosine[None, :]
        else:
            weight = tl.load(in_ptr + units * features + number, mask=is_unit, other=0.0)
            hidden += (c_in * own)[:, None] * weight[None, :]
    for block in range(BLOCKS):
        mean = tl.sum(hidden * hidden, 1) / hidden_width
        normed = hidden * tl.rsqrt(mean + eps)[:, None]
        normed *= tl.load(norm_ptr + block * hidden_width + units, mask=is_unit, other=0.0)[None, :]
        change = tl.zeros(hidden.shape, dtype=tl.float32)
        change += tl.load(down_bias_ptr + block * hidden_width + units, mask=is_unit, other=0.0)[None, :]
        for start in range(0, HIDDEN, COLUMNS):
            some = start + tl.arange(0, COLUMNS)
            is_some = some < hidden_width
            mask_up = is_unit[:, None] & is_some[None, :]
            up = up_ptr + block * 2 * hidden_width * hidden_width + some[None, :] * hidden_width + units[:, None]
            gate = tl.dot(normed, tl.load(up, mask=mask_up, other=0.0), input_precision="ieee")
            beside = up + hidden_width * hidden_width
            value = tl.dot(normed, tl.load(beside, mask=mask_up, other=0.0), input_precision="ieee")
            part = (2 * block) * hidden_width + some[None, :]
            mask_part = there[:, None] & is_some[None, :]
            steers = context + rows[:, None] * (2 * BLOCKS * hidden_width) + part
            levels = embeddings + at_level[:, None] * (2 * BLOCKS * hidden_width) + part
            gate += tl.load(steers, mask=mask_part, other=0.0) + tl.load(levels, mask=mask_part, other=0.0)
            value += tl.load(steers + hidden_width, mask=mask_part, other=0.0)
            value += tl.load(levels + hidden_width, mask=mask_part, other=0.0)
            gated = gate * tl.sigmoid(gate) * value
            down = down_ptr + block * hidden_width * hidden_width + units[None, :] * hidden_width + some[:, None]
            mask_down = is_some[:, None] & is_unit[None, :]
            change += tl.dot(gated, tl.load(down, mask=mask_down, other=0.0), input_precision="ieee")
        hidden += change
    is_number = columns < WIDTH
    onto = tl.load(
        out_ptr + columns[None, :] * hidden_width + units[:, None],
        mask=is_number[None, :] & is_unit[:, None],
        other=0.0,
    )
    output = tl.dot(hidden, onto, input_precision="ieee")
    output += tl.load(out_bias_ptr + columns, mask=is_number, other=0.0)[None, :]
    denoised = c_skip[:, None] * x + c_out[:, None] * output
    return x + free * (denoised - x)


@triton.jit
@no_type_check
def _sample(
    x_ptr,
    free_ptr,
    scales_ptr,
    clock_ptr,
    context,
    embeddings,
    result_ptr,
    in_ptr,
    in_bias_ptr,
    norm_ptr,
    up_ptr,
    down_ptr,
    down_bias_ptr,
    out_ptr,
    out_bias_ptr,
    frequencies_ptr,
    slots,
    kinds,
    levels,
    hidden_width,
    eps,
    WIDTH: tl.constexpr,
    HIDDEN: tl.constexpr,
    BLOCKS: tl.constexpr,
    FREQUENCIES: tl.constexpr,
    SLOTS: tl.constexpr,
    PADDED: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    rows, columns = tl.program_id(0) * SLOTS + tl.arange(0, SLOTS), tl.arange(0, PADDED)
    there = rows < slots
    mask = there[:, None] & (columns[None, :] < WIDTH)
    x = tl.load(x_ptr + rows[:, None] * WIDTH + columns[None, :], mask=mask, other=0.0)
    free = tl.load(free_ptr + rows[:, None] * WIDTH + columns[None, :], mask=mask, other=0.0)
    kind = tl.where(kinds == 1, 0, rows)  # levels of all slots, or of each
    previous = x
    time = tl.zeros((SLOTS,), dtype=tl.float32)
    earlier = time
    for step in range(levels):
        at_level = step * kinds + kind
        scales = scales_ptr + at_level * 3
        c_in = tl.load(scales, mask=there, other=0.0)
        c_skip, c_out = tl.load(scales + 1, mask=there, other=0.0), tl.load(scales + 2, mask=there, other=0.0)
        denoised = _denoised(
            x, free, at_level, c_in, c_skip, c_out, context, embeddings,
            in_ptr, in_bias_ptr, norm_ptr, up_ptr, down_ptr, down_bias_ptr, out_ptr, out_bias_ptr, frequencies_ptr,
            rows, there, columns, hidden_width, eps,
            WIDTH, HIDDEN, BLOCKS, FREQUENCIES, COLUMNS,
        )  # fmt: skip
        time = tl.load(clock_ptr + at_level, mask=there, other=0.0)
        if step == levels - 1:
            x = denoised
        else:
            width = tl.load(clock_ptr + at_level + kinds, mask=there, other=0.0) - time
            gap = tl.where(time == earlier, 1.0, time - earlier)  # of slots that are not there all times are 0
            share = tl.where(step == 0, 0.0, width / (2.0 * gap))
            blend = denoised + share[:, None] * (denoised - previous)
            kept = tl.exp(-width)
            x = kept[:, None] * x + (1.0 - kept)[:, None] * blend
        previous = denoised
        earlier = time
    tl.store(result_ptr + rows[:, None] * WIDTH + columns[None, :], x, mask=mask)


def sample_vectors(
    head: VectorHead, x: Tensor, levels: Tensor, context: Tensor, free: Tensor, temperature: float
) -> Tensor:
    """See `unigen.nn.kernels.vector_sampler.sample_vectors`."""
    stack, process = head.stack, head.process
    blocks, hidden_width = len(stack.norms), stack.to_hidden.out_features
    flat = levels.reshape(len(levels), -1)  # (levels, 1 or slots)
    embedded = head.embedded(flat).embedding
    sigma = flat.reshape(-1)
    # D = c_skip x + c_out F and features(x) = c_in x, asked of the process itself at 0 and 1
    one, zero = sigma.new_ones(len(sigma), 1), sigma.new_zeros(len(sigma), 1)
    c_in = one if isinstance(process, TorusProcess) else process.features(one, sigma)
    scales = torch.cat([c_in, process.denoised(one, zero, sigma), process.denoised(zero, one, sigma)], 1)
    frequencies = torch.tensor(
        process.frequencies if isinstance(process, TorusProcess) else (), device=x.device, dtype=torch.float32
    )
    result = torch.empty_like(x, memory_format=torch.contiguous_format)
    norms, up, down, down_bias = (
        torch.stack([layer.get_parameter(name) for layer in layers])
        for layers, name in (
            (stack.norms, "weight"),
            (stack.up, "weight"),
            (stack.down, "weight"),
            (stack.down, "bias"),
        )
    )
    tensors = (
        *(x, free, scales, -tempered(flat, temperature).log(), context, embedded, result),
        *(stack.to_hidden.weight, stack.to_hidden.bias, norms, up, down, down_bias),
        *(stack.to_output.weight, stack.to_output.bias, frequencies),
    )
    _sample[(triton.cdiv(len(x), SLOTS),)](
        *(tensor.contiguous() for tensor in tensors),
        len(x), flat.shape[1], len(flat), hidden_width, torch.finfo(torch.float32).eps,
        WIDTH=x.shape[1], HIDDEN=max(COLUMNS, triton.next_power_of_2(hidden_width)), BLOCKS=blocks,
        FREQUENCIES=len(frequencies), SLOTS=SLOTS, PADDED=16, COLUMNS=COLUMNS,
    )  # fmt: skip
    return result
