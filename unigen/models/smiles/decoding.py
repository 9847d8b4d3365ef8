"""Drawing the positions of molecules whose graphs are known, in a batch: one cached step an atom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from unigen.batch import Layout
from unigen.geometry.local_frame import LocalFrames
from unigen.models.smiles.batch import MoleculeBatch
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.settings import MoleculeSettings
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.mixers.interface import State
from unigen.nn.process.schedule import karras_levels
from unigen.nn.process.solvers import Denoiser, dpm_solver_2m, heun
from unigen.shapes import Bool, Float


@dataclass(frozen=True, eq=False)
class Fixed:
    """Atoms that have their places already.

    Attributes:
        positions: Angstrom, (batch, atoms, 3); any number where ``which`` is False.
        which: (batch, atoms).
    """

    positions: Float[Tensor, "batch atoms 3"]
    which: Bool[Tensor, "batch atoms"]


@torch.no_grad()
def draw_positions(
    model: MoleculeModel,
    plans: MoleculeBatch,
    normal: Float[Tensor, "batch atoms 3"],
    settings: MoleculeSettings,
    unasked: MoleculeBatch | None = None,
    fixed: Fixed | None = None,
) -> Float[Tensor, "batch atoms 3"]:
    """Cartesian positions in Angstrom of all atoms, the first atom at the origin unless it is fixed.

    Args:
        model: in evaluation mode.
        plans: molecules without positions, **most atoms first**, so that rows still open are always the first ones.
        normal: standard normal numbers, row by row.
        settings: how to draw.
        unasked: the same plans without properties, for guidance.
        fixed: atoms that stay where they are; every other atom is placed from those of lower index.
    """
    atoms = plans.atoms
    assert bool((atoms[:-1] >= atoms[1:]).all()), "molecules must come with most atoms first"
    positions = torch.zeros_like(normal) if fixed is None else fixed.positions * fixed.which[..., None]
    voices = [_Voice(model, plans, positions, settings.guidance if unasked is not None else 1.0)]
    if unasked is not None:
        voices.append(_Voice(model, unasked, positions, 1.0 - settings.guidance))
    for atom in range(1, int(atoms.max())):
        active = int((atoms > atom).sum())
        for voice in voices:
            voice.look(atom, active)
        frames = voices[0].frames
        drawn = draw_vectors(model.atom_head, partial(_say, voices), normal[:active, atom], frames.free[:, 0], settings)
        placed = frames.place(drawn[:, None])[:, 0]
        if fixed is not None:
            placed = torch.where(fixed.which[:active, atom, None], fixed.positions[:active, atom], placed)
        positions[:active, atom] = placed
        for voice in voices:
            voice.remember(placed)
    return positions


def _say(voices: Sequence[_Voice], x: Tensor, sigma: Tensor) -> Tensor:
    """What all voices say together."""
    return torch.stack([voice.says(x, sigma) for voice in voices]).sum(0)


class _Voice:
    """One reading of the molecules, with or without properties: its memory, and what it says of the atom to come.

    Args:
        model: in evaluation mode.
        plans: what is read.
        positions: of the atoms that stand; written by the caller.
        weight: of what it says among all voices.
    """

    frames: LocalFrames

    def __init__(
        self, model: MoleculeModel, plans: MoleculeBatch, positions: Float[Tensor, "batch atoms 3"], weight: float
    ) -> None:
        self.model, self.weight = model, weight
        self.plans = replace(plans, positions=positions)
        self.atoms = model.embedding.atoms(plans)
        self.states = _read(model, self.plans, self.atoms)
        self.vectors = torch.zeros_like(positions[:, 0])

    def look(self, atom: int, active: int) -> None:
        """Before an atom of the first rows, which are those that have it."""
        model, rows = self.model, self.plans.select(torch.arange(active, device=self.vectors.device))
        self.states = [{name: tensor[:active] for name, tensor in state.items()} for state in self.states]
        here, following = (torch.full((active, 1), index, device=self.vectors.device) for index in (atom - 1, atom))
        self.frames = model.frames(rows, following)
        known = self.atoms[:active]
        upcoming, self.springs = model.upcoming(known, rows, self.frames, following)
        x = model.embedding.placed(known, self.vectors[:active, None], here) + upcoming
        h, self.states = model.backbone.step(
            _slots(model, rows, atom - 1) + x[:, 0], rows.slot[:, atom - 1], self.states
        )
        self.context = model.atom_head.context(h)

    def says(self, x: Float[Tensor, "slots 3"], sigma: Float[Tensor, ""]) -> Float[Tensor, "slots 3"]:
        """The denoised vector, times the weight."""
        return self.weight * self.model.atom_head.denoise(x, sigma, self.context, self.springs.pulls)

    def remember(self, placed: Float[Tensor, "slots 3"]) -> None:
        """Where the atom was placed; as in training, distances and angles that alone are free are positive."""
        self.vectors = self.frames.local(placed[:, None])[:, 0]


def draw_vectors(
    head: VectorHead,
    denoise: Denoiser,
    normal: Float[Tensor, "slots 3"],
    free: Float[Tensor, "slots 3"],
    settings: MoleculeSettings,
) -> Float[Tensor, "slots 3"]:
    """Vectors in the atoms' frames from one ODE a slot; numbers that are not free stay 0."""
    levels = karras_levels(settings.steps, head.process.sigma_min, head.process.sigma_max).to(normal.device)
    solve = {"dpm2m": dpm_solver_2m, "heun": heun}[settings.solver]

    def move(x: Tensor, sigma: Tensor) -> Tensor:
        return x + free * (denoise(x, sigma) - x)

    return solve(move, head.process.prior(normal) * free, levels, settings.temperature)


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
