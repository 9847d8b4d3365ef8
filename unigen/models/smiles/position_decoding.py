"""All positions of a batch of molecules, one cached step of the backbone an atom, each held against those before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor

from unigen.batch import Layout
from unigen.geometry.local_frame import LocalFrames
from unigen.models.smiles.batch import MoleculeBatch
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.placement_checks import WRONG_SIDE, PlacementChecks
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.springs import Springs
from unigen.models.smiles.stereo_hints import against_stereo
from unigen.nn.heads.vectors import EmbeddedLevel, VectorHead
from unigen.nn.mixers.backbone import first_rows
from unigen.nn.process.solvers import SOLVERS, Denoiser, karras_levels
from unigen.shapes import Bool, Float, Int


@dataclass(frozen=True, eq=False)
class FixedAtoms:
    """Atoms that stay where they are.

    Attributes:
        positions: Angstrom; any number where ``mask`` is False.
        mask: which atoms.
    """

    positions: Float[Tensor, "batch atoms 3"]
    mask: Bool[Tensor, "batch atoms"]


@torch.no_grad()
def draw_positions(
    model: MoleculeModel,
    plans: MoleculeBatch,
    normal: Float[Tensor, "batch atoms candidates 3"],
    settings: MoleculeSettings,
    unconditional: MoleculeBatch | None = None,
    fixed: FixedAtoms | None = None,
    checks: PlacementChecks | None = None,
) -> Float[Tensor, "batch atoms 3"]:
    """Cartesian positions in Angstrom of all atoms, the first atom at the origin unless it is fixed.

    With guidance w the denoiser is ``w D(x | properties) + (1 - w) D(x)`` (Ho and Salimans 2022, equation 6, with their
    weight w - 1).

    Args:
        model: in evaluation mode.
        plans: molecules without positions, **most atoms first**, so that rows still open are always the first ones.
        normal: standard normal numbers of the candidates for each atom.
        settings: how to draw.
        unconditional: the same plans without properties, for guidance.
        fixed: atoms that stay where they are; every other atom is placed from those of lower index.
        checks: what candidates are held against; without, the first one is taken.
    """
    num_atoms = plans.num_atoms
    assert bool((num_atoms[:-1] >= num_atoms[1:]).all()), "molecules must come with most atoms first"
    positions = torch.zeros_like(normal[:, :, 0]) if fixed is None else fixed.positions * fixed.mask[..., None]
    guidance = 1.0 if unconditional is None else settings.guidance
    branches = [_GuidanceBranch(model, plans, positions, guidance)]
    if unconditional is not None:
        branches.append(_GuidanceBranch(model, unconditional, positions, 1.0 - guidance))

    levels = solver_levels(model.atom_head, settings)  # the same for every atom
    warmer = settings.warmer()

    for atom in range(1, int(num_atoms.max())):
        active = int((num_atoms > atom).sum())
        for branch in branches:
            branch.advance(atom, active)
        frames = branches[0].frames

        def draw(
            rows: Int[Tensor, "slots"],
            numbers: Float[Tensor, "slots 3"],
            how: MoleculeSettings = settings,
            frames: LocalFrames = frames,
        ) -> Tensor:
            denoise = _denoiser([branch.rows(rows) for branch in branches])
            return draw_vectors(model.atom_head, denoise, numbers, frames.free[rows, 0], how, levels)

        drawn = torch.arange(active, device=positions.device)
        if fixed is not None:
            drawn = (~fixed.mask[:active, atom]).nonzero()[:, 0]
        vectors = torch.zeros_like(positions[:active, 0])
        if len(drawn):
            vectors = vectors.index_copy(0, drawn, draw(drawn, normal[drawn, atom, 0]))
            if checks is not None:
                again = partial(draw, how=warmer)
                stands = None if fixed is None else fixed.mask
                vectors = _first_sound(
                    vectors, drawn, again, normal[:active, atom], branches[0], checks, positions, atom, stands
                )
        placed = frames.place(vectors[:, None])[:, 0]
        if fixed is not None:
            placed = torch.where(fixed.mask[:active, atom, None], fixed.positions[:active, atom], placed)
        positions[:active, atom] = placed
        for branch in branches:
            branch.record(placed)
    return positions


def _first_sound(
    vectors: Float[Tensor, "active 3"],
    rows: Int[Tensor, "slots"],
    draw: Callable[[Int[Tensor, "slots"], Float[Tensor, "slots 3"]], Float[Tensor, "slots 3"]],
    normal: Float[Tensor, "active candidates 3"],
    branch: _GuidanceBranch,
    checks: PlacementChecks,
    positions: Float[Tensor, "batch atoms 3"],
    atom: int,
    fixed: Bool[Tensor, "batch atoms"] | None,
) -> Float[Tensor, "active 3"]:
    """The vectors, and where one is wrong in place of it the first candidate that is not, or else the least wrong.

    Args:
        vectors: the first candidates.
        rows: which may be changed.
        draw: other candidates for some rows.
        normal: the random numbers of all candidates.
        branch: that has the frames.
        checks: of the molecules.
        positions: of the atoms that stand.
        atom: which is placed.
        fixed: atoms that stand from the start.
    """

    def badness(rows: Int[Tensor, "slots"], vectors: Float[Tensor, "slots 3"]) -> Float[Tensor, "slots"]:
        placed, against = branch.placed(rows, vectors)
        return checks.badness(atom, rows, placed, positions, fixed) + WRONG_SIDE * against

    others = normal.shape[1] - 1
    bad = badness(rows, vectors[rows])
    rows, bad = rows[bad > 0], bad[bad > 0]
    if not len(rows) or not others:
        return vectors
    # all at once: a batch of a few rows costs what one row does
    several = rows.repeat_interleave(others)
    drawn = draw(several, normal[rows, 1:].flatten(0, 1))
    all_bad = torch.cat([bad[:, None], badness(several, drawn).unflatten(0, (-1, others))], 1)
    candidates = torch.cat([vectors[rows][:, None], drawn.unflatten(0, (-1, others))], 1)
    return vectors.index_copy(0, rows, candidates[torch.arange(len(rows)), all_bad.argmin(1)])


def _denoiser(branches: Sequence[_DenoisedRows]) -> Denoiser:
    def denoise(x: Tensor, level: EmbeddedLevel) -> Tensor:
        return torch.stack([branch.denoised(x, level) for branch in branches]).sum(0)

    return denoise


@dataclass(frozen=True, eq=False)
class _DenoisedRows:
    """Slots of one branch.

    Attributes:
        head: of the atoms.
        weight: of the denoised vectors in the sum over branches.
        context: of the slots.
        springs: of the slots.
    """

    head: VectorHead
    weight: float
    context: Float[Tensor, "slots width"]
    springs: Springs

    def denoised(self, x: Float[Tensor, "slots 3"], level: EmbeddedLevel) -> Float[Tensor, "slots 3"]:
        """The denoised vector, times the weight."""
        return self.weight * self.head.denoise(x, level, self.context, self.springs.pulls)


class _GuidanceBranch:
    """The molecules read with or without properties: cached states of the backbone, and a denoiser of the next atom.

    Args:
        model: in evaluation mode.
        plans: what is read.
        positions: of the placed atoms; written by the caller.
        weight: of its denoised vectors in the sum over branches.
    """

    frames: LocalFrames

    def __init__(
        self, model: MoleculeModel, plans: MoleculeBatch, positions: Float[Tensor, "batch atoms 3"], weight: float
    ) -> None:
        self.model, self.weight = model, weight
        self.plans = replace(plans, positions=positions)
        self.atoms = model.embedding.atoms(plans)
        self.vectors = torch.zeros_like(positions[:, 0])
        # Prefill: examples, properties and SMILES up to END, at which the first atom is announced.
        first_slot = plans.slot[:, 0]
        longest = int(first_slot.max())
        x = model.embedding.written(plans.tokens, plans.atom_labels)[:, :longest]
        first_atom = torch.zeros_like(first_slot)[:, None]
        announced, _ = model.upcoming(self.atoms, self.plans, model.frames(self.plans, first_atom), first_atom)
        x = x.scatter_add(1, (first_slot - 1)[:, None, None].expand(-1, 1, x.shape[-1]), announced)
        self.states = model.backbone.init_states(len(plans), plans.tokens.symbols.shape[1], x)
        model.backbone(x, Layout.padded(first_slot, longest), self.states)

    def advance(self, atom: int, active: int) -> None:
        """Read the slot of the atom before this one, in the first rows, which are those that have both."""
        model, rows = self.model, self.plans.select(slice(active))
        self.states = first_rows(self.states, active)
        previous, following = (torch.full((active, 1), index, device=self.vectors.device) for index in (atom - 1, atom))
        self.frames, self._rows, self._following = model.frames(rows, following), rows, following
        atoms = self.atoms[:active]
        upcoming, self.springs = model.upcoming(atoms, rows, self.frames, following)
        x = model.embedding.placed(atoms, self.vectors[:active, None], previous) + upcoming
        slot, tokens = rows.slot[:, atom - 1, None], rows.tokens
        slot_tokens = replace(
            tokens,
            symbols=tokens.symbols.gather(1, slot),
            vectors=tokens.vectors.gather(1, slot[..., None].expand(-1, -1, tokens.vectors.shape[-1])),
            channel=tokens.channel.gather(1, slot),
            descriptor=tokens.descriptor.gather(1, slot[..., None].expand(-1, -1, tokens.descriptor.shape[-1])),
        )
        written = model.embedding.written(slot_tokens, rows.atom_labels.gather(1, slot))[:, 0]
        h, self.states = model.backbone.step(written + x[:, 0], slot[:, 0], self.states)
        self.context = model.atom_head.context(h)

    def rows(self, rows: Int[Tensor, "slots"]) -> _DenoisedRows:
        """The slots of these rows, which may be named several times."""
        return _DenoisedRows(self.model.atom_head, self.weight, self.context[rows], self.springs.of(rows))

    def placed(
        self, rows: Int[Tensor, "slots"], vectors: Float[Tensor, "slots 3"]
    ) -> tuple[Float[Tensor, "slots 3"], Bool[Tensor, "slots"]]:
        """Where vectors in the frames of these rows lead, and whether the SMILES asks for another side."""
        frames = LocalFrames(*(getattr(self.frames, each.name)[rows] for each in fields(self.frames)))
        against = against_stereo(self._rows.select(rows), frames, self._following[rows], vectors[:, None])
        return frames.place(vectors[:, None])[:, 0], against[:, 0]

    def record(self, placed: Float[Tensor, "slots 3"]) -> None:
        """Where the atom was placed; as in training, distances and angles that alone are free are positive."""
        self.vectors = self.frames.local(placed[:, None])[:, 0]


def draw_vectors(
    head: VectorHead,
    denoise: Denoiser,
    normal: Float[Tensor, "slots 3"],
    free: Float[Tensor, "slots 3"],
    settings: MoleculeSettings,
    levels: Sequence[EmbeddedLevel],
) -> Float[Tensor, "slots 3"]:
    """Vectors in the atoms' frames from one ODE a slot; numbers that are not free stay 0. See ``solver_levels``."""
    sigmas = torch.stack([level.sigma for level in levels])

    def denoise_free(x: Tensor, level: EmbeddedLevel) -> Tensor:
        return x + free * (denoise(x, level) - x)

    return SOLVERS[settings.solver](
        denoise_free, head.process.prior(normal) * free, sigmas, settings.temperature, levels
    )


def solver_levels(head: VectorHead, settings: MoleculeSettings) -> list[EmbeddedLevel]:
    """The noise levels of the solver's steps, embedded one by one: together they would be rounded otherwise."""
    device = head.to_context.weight.device
    levels = karras_levels(settings.steps, head.process.sigma_min, head.process.sigma_max).to(device)
    return [head.embedded(level) for level in levels]
