"""Drawing the numbers of planned crystals in a batch: the plan read once, then one cached step an orbit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from unigen.batch import Layout
from unigen.models.wyckoff.batch import WyckoffBatch
from unigen.models.wyckoff.network import WyckoffModel
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.models.wyckoff.tokens import WyckoffSequence
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.process.schedule import karras_levels
from unigen.nn.process.solvers import Denoiser, dpm_solver_2m, heun, log_likelihood
from unigen.shapes import Float, Int
from unigen.symmetry.crystal_systems import complete_lattice, crystal_system
from unigen.tokens.sequence import Channel

_TRUST = {Channel.LATTICE: (2.0, 10.0, 6.0), Channel.FRACTIONAL: (0.03, 0.3, 0.2)}
"""Noise level a slot starts from when it follows a neighbour at chemical distance d: ``min(a + b d, c)`` for (a, b, c).

Nine of ten training displacements lie below it (largest shift of a crystal: .01 at d = .02, .05 at .2, .35 beyond)."""

_COPIED_SHARE = 0.6
"""Share of the solver steps that the shorter way from a neighbour takes."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Standard normal numbers of every slot, drawn beforehand a row, so that no row depends on its batch."""

    lattice: Float[Tensor, "batch 6"]
    sites: Float[Tensor, "batch slots 3"]


@torch.no_grad()
def draw_numbers(
    model: WyckoffModel, plans: WyckoffBatch, groups: list[int], noise: Noise, settings: WyckoffSettings
) -> Float[Tensor, "batch tokens 6"]:
    """The vectors of all slots.

    Args:
        model: in evaluation mode.
        plans: all following a neighbour or none of them, **most slots first**, vectors zero.
        groups: space group of each row.
        noise: random numbers, row by row.
        settings: how to draw.
    """
    device = plans.tokens.vectors.device
    vectors = plans.tokens.vectors.clone()
    rows = torch.arange(len(plans), device=device)
    lattice_at = (plans.tokens.channel == Channel.LATTICE).to(torch.int8).argmax(1)
    slots = plans.lengths - lattice_at - 1
    assert bool((slots[:-1] >= slots[1:]).all()), "rows must come with most slots first"
    h, states = _read(model, plans, lattice_at)
    drawn = _draw(model, plans, Channel.LATTICE, h, noise.lattice, (rows, lattice_at), settings)
    vectors[rows, lattice_at] = _complete(drawn, groups)
    elements = model.embedding.elements()
    for slot in range(int(slots[0]) if len(slots) else 0):
        active = rows[: int((slots > slot).sum())]
        states = [{name: tensor[: len(active)] for name, tensor in state.items()} for state in states]
        here = lattice_at[: len(active)] + slot
        h, states = model.backbone.step(_input_at(model, elements, plans, vectors, active, here), here, states)
        h = model.told(h, plans.tokens.vectors[active, 0])
        normal = noise.sites[: len(active), slot]
        vectors[active, here + 1] = _draw(model, plans, Channel.FRACTIONAL, h, normal, (active, here + 1), settings)
    return vectors


def _read(model: WyckoffModel, plans: WyckoffBatch, lattice_at: Int[Tensor, "batch"]) -> tuple[Tensor, list]:
    """Backbone output before each lattice slot, and the states after it."""
    longest = int(lattice_at.max())
    x = model.inputs(plans)[:, :longest]
    states = model.backbone.init_states(len(plans), plans.tokens.symbols.shape[1], x)
    h = model.backbone(x, Layout.padded(plans.lengths, longest), states)
    h = h[torch.arange(len(plans), device=h.device), lattice_at - 1]
    return model.told(h, plans.tokens.vectors[:, 0]), states


def _input_at(
    model: WyckoffModel, elements: Tensor, plans: WyckoffBatch, vectors: Tensor, rows: Tensor, here: Tensor
) -> Tensor:
    tokens, after = plans.tokens, here + 1
    content = model.embedding.content(
        elements,
        tokens.symbols[rows, here],
        vectors[rows, here],
        plans.free[rows, here],
        tokens.channel[rows, here],
        tokens.descriptor[rows, here],
    )
    return content + model.embedding.upcoming(
        elements,
        tokens.channel[rows, after],
        tokens.descriptor[rows, after],
        plans.start[rows, after],
        plans.free[rows, after],
        plans.role[rows, after],
    )


def _draw(
    model: WyckoffModel,
    plans: WyckoffBatch,
    channel: Channel,
    h: Tensor,
    normal: Tensor,
    place: tuple[Tensor, Tensor],
    settings: WyckoffSettings,
) -> Float[Tensor, "slots 6"]:
    """Stored vectors from one ODE a slot; numbers that are not free stay what they start from."""
    head = model.head(channel)
    width = head.slot_width
    start, free = plans.start[place].clone(), plans.free[place][:, :width]
    copied = bool(plans.followed[0] >= 0)
    distance = plans.neighbours.distance[place[0], plans.followed[place[0]]] if copied else None
    levels = _levels(head, channel, distance, settings.steps).to(h.device)
    x = normal * levels[0] if copied or channel == Channel.LATTICE else head.process.prior(normal)
    solve = {"dpm2m": dpm_solver_2m, "heun": heun}[settings.solver]
    moved = solve(_only(free, head, head.context(h)), x * free, levels, settings.temperature)
    if channel == Channel.LATTICE:
        return start + moved * model.units[int(copied)]
    start[:, :width] = (start[:, :width] + moved) % 1.0
    return start


def _levels(
    head: VectorHead, channel: Channel, distance: Float[Tensor, "slots"] | None, steps: int
) -> Float[Tensor, "levels *rows"]:
    """A neighbour is trusted: its numbers are blurred only as much as neighbours at its distance differ."""
    if distance is None:
        return karras_levels(steps, head.process.sigma_min, head.process.sigma_max)
    least, slope, most = _TRUST[channel]
    highest = (least + slope * distance).clamp(max=most)[:, None]
    return karras_levels(max(2, round(_COPIED_SHARE * steps)), head.process.sigma_min, highest)


def _only(free: Float[Tensor, "slots width"], head: VectorHead, context: Tensor) -> Denoiser:
    """A denoiser that leaves fixed numbers where they are; levels are one for all rows, or one a row."""
    return lambda x, sigma: x + free * (head.denoise(x, sigma.reshape(-1), context) - x)


def _complete(lattice: Float[Tensor, "batch 6"], groups: list[int]) -> Float[Tensor, "batch 6"]:
    """Numbers that the crystal system copies from others, or fixes."""
    six = lattice.double().cpu().numpy()
    systems = np.array([crystal_system(group) for group in groups])
    for system in np.unique(systems):
        of_system = systems == system
        six[of_system] = complete_lattice(str(system), six[of_system])
    return torch.from_numpy(six).to(lattice)


@torch.no_grad()
def slot_log_likelihoods(model: WyckoffModel, batch: WyckoffBatch, steps: int) -> Float[Tensor, "batch"]:
    """Log density of all free numbers of complete crystals, in the heads' units (displacements)."""
    before = model.states(batch)[:, :-1]
    total = torch.zeros(before.shape[:2], device=before.device)
    for channel in (Channel.LATTICE, Channel.FRACTIONAL):
        here = batch.tokens.channel[:, 1:] == channel
        if not here.any():
            continue
        head = model.head(channel)
        x, free = model.displacements(batch, channel, here)
        levels = karras_levels(steps, head.process.sigma_min, head.process.sigma_max).to(x.device)
        denoise = _only(free, head, head.context(before[here]))
        total[here] = log_likelihood(denoise, x, levels, partial(_prior, head, free))
    return total.sum(1)


def _prior(head: VectorHead, free: Tensor, end: Tensor) -> Float[Tensor, "slots"]:
    """The prior's log density of the free numbers alone."""
    fixed = head.process.prior_log_prob(torch.zeros_like(end[:1])) / end.shape[1]
    return head.process.prior_log_prob(end * free) - fixed * (1.0 - free).sum(-1)


def with_vectors(plan: WyckoffSequence, vectors: Float[np.ndarray, "tokens 6"]) -> WyckoffSequence:
    """The plan with its numbers filled in."""
    return replace(plan, tokens=replace(plan.tokens, vectors=vectors[: len(plan)]))
