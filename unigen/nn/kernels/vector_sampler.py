"""All solver steps of a diffusion head at once: what every slot of a structure costs, on a GPU in one launch.

A head is small (a few residual blocks of some hundred numbers) and is asked for some fourteen steps a slot, so that on
a GPU a slot is hundreds of launches that each compute next to nothing. The Triton twin keeps a few slots and their
hidden states on the chip from the first step to the last.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from unigen.nn.heads.vectors import EmbeddedLevel, VectorHead
from unigen.nn.kernels.dispatch import by_triton
from unigen.nn.process.solvers import SOLVERS
from unigen.shapes import Float


def sample_vectors(
    head: VectorHead,
    x: Float[Tensor, "slots width"],
    levels: Float[Tensor, "levels *rows"],
    context: Float[Tensor, "slots blocks_2_width"],
    free: Float[Tensor, "slots width"] | None = None,
    *,
    temperature: float = 1.0,
    solver: Literal["dpm2m", "heun"] = "dpm2m",
) -> Float[Tensor, "slots width"]:
    """The end of the probability-flow ODE, by a head without extra features; nothing is differentiated.

    Args:
        head: in evaluation mode.
        x: noisy vectors at the first level.
        levels: decreasing noise levels, one for all slots or (levels, slots, 1).
        context: ``head.context`` of each slot.
        free: 0 for numbers that stay what they are; None: none does.
        temperature: see `unigen.nn.process.solvers.tempered`.
        solver: of `unigen.nn.process.solvers`; the kernel is of the first.
    """
    with torch.no_grad():
        if solver == "dpm2m" and by_triton(x, context):
            from unigen.nn.kernels.vector_sampler_triton import sample_vectors as by_kernel

            return by_kernel(head, x, levels, context, torch.ones_like(x) if free is None else free, temperature)
        return sample_vectors_reference(head, x, levels, context, free, temperature=temperature, solver=solver)


def sample_vectors_reference(
    head: VectorHead,
    x: Float[Tensor, "slots width"],
    levels: Float[Tensor, "levels *rows"],
    context: Float[Tensor, "slots blocks_2_width"],
    free: Float[Tensor, "slots width"] | None = None,
    *,
    temperature: float = 1.0,
    solver: Literal["dpm2m", "heun"] = "dpm2m",
) -> Float[Tensor, "slots width"]:
    """The same in plain torch."""
    told = [head.embedded(level.reshape(-1)) for level in levels]

    def denoise(x: Tensor, level: EmbeddedLevel) -> Tensor:
        denoised = head.denoise(x, level, context)
        return denoised if free is None else x + free * (denoised - x)

    return SOLVERS[solver](denoise, x, levels, temperature, told)
