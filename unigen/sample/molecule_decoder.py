"""Drawing the positions of molecules whose graphs are known, in a batch: one cached step an atom."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unigen.batch import Layout, MoleculeBatch
from unigen.mixers.interface import State
from unigen.models.molecule import MoleculeModel
from unigen.models.springs import Springs
from unigen.process.schedule import karras_levels
from unigen.sample.decoder import DecodeSettings
from unigen.sample.solvers import dpm_solver_2m, heun
from unigen.shapes import Float


@torch.no_grad()
def draw_positions(
    model: MoleculeModel, plans: MoleculeBatch, normal: Float[Tensor, "batch atoms 3"], settings: DecodeSettings
) -> Float[Tensor, "batch atoms 3"]:
    """Cartesian positions in Angstrom of all atoms, the first atom at the origin.

    Args:
        model: in evaluation mode.
        plans: molecules without positions, **most atoms first**, so that rows still open are always the first ones.
        normal: standard normal numbers, row by row.
        settings: how to draw.
    """
    atoms = plans.atoms
    assert bool((atoms[:-1] >= atoms[1:]).all()), "molecules must come with most atoms first"
    plans = replace(plans, positions=torch.zeros_like(normal))
    embedded = model.embedding.atoms(plans)
    states = _read(model, plans, embedded)
    vectors = torch.zeros_like(normal[:, 0])
    for atom in range(int(atoms.max()) - 1):
        active = torch.arange(int((atoms > atom + 1).sum()), device=normal.device)
        rows = plans.select(active)
        states = [{name: tensor[: len(active)] for name, tensor in state.items()} for state in states]
        here, following = (torch.full((len(active), 1), index, device=normal.device) for index in (atom, atom + 1))
        frames = model.frames(rows, following)
        known = embedded[: len(active)]
        x = model.embedding.placed(known, vectors[: len(active), None], here)
        upcoming, springs = model.upcoming(known, rows, frames, following)
        x = x + upcoming
        h, states = model.backbone.step(_slots(model, rows, atom) + x[:, 0], rows.slot[:, atom], states)
        drawn = _draw(model, h, normal[: len(active), atom + 1], frames.free[:, 0], settings, springs)
        placed = frames.place(drawn[:, None])
        plans.positions[: len(active), atom + 1] = placed[:, 0]
        vectors = frames.local(placed)[:, 0]  # as in training: distances and angles that alone are free are positive
    return plans.positions


def _read(model: MoleculeModel, plans: MoleculeBatch, atoms: Float[Tensor, "batch atoms width"]) -> list[State]:
    """The backbone's memory of properties and SMILES, with the first atom about to come."""
    first = plans.slot[:, 0]
    longest = int(first.max())
    x = model.embedding.written(plans.tokens, plans.names)[:, :longest]
    none = torch.zeros_like(first)[:, None]
    before = (first - 1)[:, None, None].expand(-1, 1, x.shape[-1])
    x = x.scatter_add(1, before, model.upcoming(atoms, plans, model.frames(plans, none), none)[0])
    states = model.backbone.init_states(len(plans), plans.tokens.symbols.shape[1], x)
    model.backbone(x, Layout.padded(first, longest), states)
    return states


def _slots(model: MoleculeModel, rows: MoleculeBatch, atom: int) -> Float[Tensor, "batch width"]:
    """What the sequence says at the slot of one atom."""
    at = rows.slot[:, atom, None]
    tokens = rows.tokens
    here = replace(
        tokens,
        symbols=tokens.symbols.gather(1, at),
        vectors=tokens.vectors.gather(1, at[..., None].expand(-1, -1, tokens.vectors.shape[-1])),
        channel=tokens.channel.gather(1, at),
        descriptor=tokens.descriptor.gather(1, at[..., None].expand(-1, -1, tokens.descriptor.shape[-1])),
    )
    return model.embedding.written(here, rows.names.gather(1, at))[:, 0]


def _draw(
    model: MoleculeModel,
    h: Float[Tensor, "slots width"],
    normal: Float[Tensor, "slots 3"],
    free: Float[Tensor, "slots 3"],
    settings: DecodeSettings,
    springs: Springs,
) -> Float[Tensor, "slots 3"]:
    """Vectors in the atoms' frames from one ODE a slot; numbers that are not free stay 0."""
    head, context = model.atom_head, model.atom_head.context(h)
    levels = karras_levels(settings.steps, head.process.sigma_min, head.process.sigma_max).to(h.device)
    solve = {"dpm2m": dpm_solver_2m, "heun": heun}[settings.solver]
    start = head.process.prior(normal) * free
    return solve(
        lambda x, sigma: x + free * (head.denoise(x, sigma, context, springs.pulls) - x),
        start,
        levels,
        settings.temperature,
    )
