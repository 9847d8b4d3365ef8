"""Drawing the free parameters of planned crystals in a batch: the plan read once, then one cached step an orbit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from unigen.models.wyckoff.batch import WyckoffBatch
from unigen.models.wyckoff.cached_decoder import CachedDecoder, PlanReading
from unigen.models.wyckoff.network import WyckoffModel
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.models.wyckoff.tokens import WyckoffSequence
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.kernels.vector_sampler import sample_vectors
from unigen.nn.process.solvers import karras_levels, log_likelihood
from unigen.shapes import Float
from unigen.symmetry.crystal_systems import complete_lattice, crystal_system
from unigen.tokens.sequence import Channel

_NOISE_AT_DISTANCE = {Channel.LATTICE: (2.0, 10.0, 6.0), Channel.FRACTIONAL: (0.03, 0.3, 0.2)}
"""Noise level a slot starts from when it follows a neighbour at chemical distance d: ``min(a + b d, c)`` for (a, b, c).

Nine of ten training displacements lie below it (largest shift of a crystal: .01 at d = .02, .05 at .2, .35 beyond)."""

_COPIED_SHARE = 0.6
"""Share of the solver steps that the shorter way from a neighbour takes: of the full way's levels, 40 to 75 % lie
below the ones that it starts from, so steps are about as dense on both."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Standard normal numbers of every slot, drawn beforehand a row, so that no row depends on its batch."""

    lattice: Float[Tensor, "batch 6"]
    sites: Float[Tensor, "batch slots 3"]


@torch.no_grad()
def draw_parameters(
    decoder: CachedDecoder, plan: PlanReading, groups: list[int], noise: Noise, settings: WyckoffSettings
) -> tuple[Float[Tensor, "batch tokens 6"], Float[Tensor, "batch tokens width"]]:
    """The vectors of all slots, and what the network knew before each of them (zeros elsewhere).

    Args:
        decoder: of the model.
        plan: read by it: all following a neighbour or none of them, **most slots first**, vectors zero.
        groups: space group of each row.
        noise: random numbers, row by row.
        settings: how to draw.
    """
    model, plans, reading = decoder.model, plan.plans, plan.reading
    vectors, lattice_at = plans.tokens.vectors.clone(), reading.position
    slots = plans.lengths - lattice_at - 1
    assert bool((slots[:-1] >= slots[1:]).all()), "rows must come with most slots first"
    standing = [int((slots > slot).sum()) for slot in range(int(slots[0]) if len(slots) else 0)]
    rows = torch.arange(len(plans), device=vectors.device)
    known = reading.h.new_zeros(*vectors.shape[:2], reading.h.shape[1])
    known[rows, lattice_at] = reading.h
    drawn = _draw(model, plans, Channel.LATTICE, reading.h, noise.lattice, (rows, lattice_at), settings)
    vectors[rows, lattice_at] = _complete(drawn, groups)
    channel = Channel.LATTICE
    for slot, count in enumerate(standing):
        rows = rows[:count]
        reading = reading.first(count)
        reading = decoder.write_slots(plan, reading, channel, vectors[rows, reading.position])
        channel, target = Channel.FRACTIONAL, (rows, reading.position)
        known[target] = reading.h
        vectors[target] = _draw(model, plans, channel, reading.h, noise.sites[:count, slot], target, settings)
    return vectors, known


def _draw(
    model: WyckoffModel,
    plans: WyckoffBatch,
    channel: Channel,
    h: Tensor,
    normal: Tensor,
    target: tuple[Tensor, Tensor],
    settings: WyckoffSettings,
) -> Float[Tensor, "slots 6"]:
    """Stored vectors from one ODE a slot; numbers that are not free stay what they start from.

    ``target`` are row and position of each slot. A neighbour is trusted: its numbers are blurred only as much as
    neighbours at its distance differ, and the solver takes the shorter way from there.
    """
    head = model.head(channel)
    width = head.slot_width
    start, free = plans.start[target].clone(), plans.free[target][:, :width]
    copied = bool(plans.followed[0] >= 0)
    steps = settings.steps
    highest: float | Float[Tensor, "slots 1"] = head.process.sigma_max
    if copied:
        distance = plans.neighbours.distance[target[0], plans.followed[target[0]]]
        least, slope, most = _NOISE_AT_DISTANCE[channel]
        highest = (least + slope * distance).clamp(max=most)[:, None]
        steps = max(2, round(_COPIED_SHARE * steps))  # dpm2m needs two to be of second order
    levels = karras_levels(steps, head.process.sigma_min, highest).to(h.device)
    x = normal * levels[0] if copied or channel == Channel.LATTICE else head.process.prior(normal)
    displacement = sample_vectors(
        head, x * free, levels, head.context(h), free, temperature=settings.temperature, solver=settings.solver
    )
    if channel == Channel.LATTICE:
        return start + displacement * model.units[int(copied)]
    start[:, :width] = (start[:, :width] + displacement) % 1.0
    return start


def _complete(lattice: Float[Tensor, "batch 6"], groups: list[int]) -> Float[Tensor, "batch 6"]:
    """Numbers that the crystal system copies from others, or fixes."""
    six = lattice.double().cpu().numpy()
    systems = np.array([crystal_system(group) for group in groups])
    for system in np.unique(systems):
        of_system = systems == system
        six[of_system] = complete_lattice(str(system), six[of_system])
    return torch.from_numpy(six).to(lattice)


@torch.no_grad()
def slot_log_likelihoods(
    model: WyckoffModel,
    batch: WyckoffBatch,
    steps: int,
    known: Float[Tensor, "batch tokens width"] | None = None,
) -> Float[Tensor, "batch"]:
    """Log density of all free numbers of complete crystals, in the heads' units (displacements).

    Args:
        model: in evaluation mode.
        batch: with their vectors.
        steps: of the solver.
        known: what the network knew before each slot, as `draw_parameters` tells; None: it reads the crystals again.
    """
    before = model.states(batch)[:, :-1] if known is None else known[:, 1:]
    total = torch.zeros(before.shape[:2], device=before.device)
    for channel in (Channel.LATTICE, Channel.FRACTIONAL):
        is_slot = batch.tokens.channel[:, 1:] == channel
        if not is_slot.any():
            continue
        head = model.head(channel)
        x, free = model.displacements(batch, channel, is_slot)
        levels = karras_levels(steps, head.process.sigma_min, head.process.sigma_max).to(x.device)
        denoise = partial(head.denoise_with_slopes, context=head.context(before[is_slot]), free=free)
        total[is_slot] = log_likelihood(denoise, x, levels, partial(_prior, head, free))
    return total.sum(1)


def _prior(head: VectorHead, free: Tensor, end: Tensor) -> Float[Tensor, "slots"]:
    """The prior's log density of the free numbers alone."""
    fixed = head.process.prior_log_prob(torch.zeros_like(end[:1])) / end.shape[1]
    return head.process.prior_log_prob(end * free) - fixed * (1.0 - free).sum(-1)


def with_vectors(plan: WyckoffSequence, vectors: Float[np.ndarray, "tokens 6"]) -> WyckoffSequence:
    """The plan with its numbers filled in."""
    return replace(plan, tokens=replace(plan.tokens, vectors=vectors[: len(plan)]))
