"""SMILES in, molecules in space out: all positions of a batch of molecules, one cached step of the backbone an atom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from unigen.batch import Layout
from unigen.geometry.local_frame import LocalFrames
from unigen.models.smiles.batch import MoleculeBatch, collate_molecules
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.tokens import Example, MoleculeSequence, plan
from unigen.molecules.molecule import Molecule
from unigen.nn.heads.vectors import EmbeddedLevel, VectorHead
from unigen.nn.mixers.backbone import first_rows
from unigen.nn.process.solvers import SOLVERS, Denoiser, karras_levels
from unigen.shapes import Bool, Float
from unigen.smiles.reader import read_smiles
from unigen.smiles.text import smiles_text


@dataclass(frozen=True, eq=False)
class WrittenMolecule:
    """A molecule that is written and not yet placed.

    Attributes:
        symbols: a Kekule SMILES, without BEGIN and END.
        values: properties asked for, by their number in the model.
        rng: its own random numbers.
        fixed: positions in Angstrom of atoms that stay where they are, by their number in the molecule.
        examples: known molecules with nearby values.
    """

    symbols: Sequence[int]
    values: Mapping[int, float]
    rng: np.random.Generator
    fixed: Mapping[int, np.ndarray] = field(default_factory=dict)
    examples: Sequence[Example] = ()


@dataclass(frozen=True, eq=False)
class FixedAtoms:
    """Atoms that stay where they are.

    Attributes:
        positions: Angstrom; any number where ``mask`` is False.
        mask: which atoms.
    """

    positions: Float[Tensor, "batch atoms 3"]
    mask: Bool[Tensor, "batch atoms"]


def draw_conformers(
    model: MoleculeModel, molecules: Sequence[WrittenMolecule], settings: MoleculeSettings
) -> list[Molecule]:
    """One conformer of each SMILES, its heavy atoms in the order of the text, then the hydrogens of each.

    Args:
        model: in evaluation mode.
        molecules: what to draw.
        settings: how to draw.

    Raises:
        UserError: a SMILES that cannot be read.
    """
    graphs = [read_smiles(molecule.symbols) for molecule in molecules]
    plans = [
        plan(
            np.array(molecule.symbols),
            graph.atom,
            graph.skeleton,
            molecule.values,
            hydrogens=model.config.hydrogens,
            examples=molecule.examples,
        )
        for molecule, graph in zip(molecules, graphs, strict=True)
    ]
    order = sorted(range(len(plans)), key=lambda index: -len(plans[index].numbers))
    device = next(model.parameters()).device
    batch = collate_molecules([plans[index] for index in order]).to(device)
    normal = np.zeros(batch.positions.shape, dtype=np.float32)
    fixed_positions, fixed_mask = np.zeros_like(normal), np.zeros(normal.shape[:2], dtype=bool)
    for row, index in enumerate(order):
        atoms = len(plans[index].numbers)
        normal[row, :atoms] = molecules[index].rng.standard_normal((atoms, 3), dtype=np.float32)
        for atom, position in molecules[index].fixed.items():
            fixed_positions[row, atom], fixed_mask[row, atom] = position, True
    unconditional = None
    if settings.guidance != 1.0 and any(molecule.values for molecule in molecules):
        read = [(np.array(molecules[n].symbols), graphs[n].atom, graphs[n].skeleton) for n in order]
        bare = [plan(*parts, hydrogens=model.config.hydrogens) for parts in read]
        unconditional = collate_molecules(bare).to(device)
    fixed = None
    if fixed_mask.any():
        fixed = FixedAtoms(torch.from_numpy(fixed_positions).to(device), torch.from_numpy(fixed_mask).to(device))
    drawn = draw_positions(model, batch, torch.from_numpy(normal).to(device), settings, unconditional, fixed)
    positions = dict(zip(order, drawn.cpu().numpy(), strict=True))
    return [
        molecule_of_plan(planned, positions[index][: len(planned.numbers)], smiles_text(molecules[index].symbols))
        for index, planned in enumerate(plans)
    ]


def molecule_of_plan(planned: MoleculeSequence, positions: Float[np.ndarray, "atoms 3"], smiles: str) -> Molecule:
    """A planned molecule with its positions in Angstrom."""
    first, second = np.nonzero(np.triu(planned.bond_order))
    bonds = np.column_stack([first, second, planned.bond_order[first, second]])
    return Molecule(planned.numbers, positions.astype(np.float64), bonds, planned.charges, smiles=smiles)


@torch.no_grad()
def draw_positions(
    model: MoleculeModel,
    plans: MoleculeBatch,
    normal: Float[Tensor, "batch atoms 3"],
    settings: MoleculeSettings,
    unconditional: MoleculeBatch | None = None,
    fixed: FixedAtoms | None = None,
) -> Float[Tensor, "batch atoms 3"]:
    """Cartesian positions in Angstrom of all atoms, the first atom at the origin unless it is fixed.

    With guidance w the denoiser is ``w D(x | properties) + (1 - w) D(x)`` (Ho and Salimans 2022, equation 6, with their
    weight w - 1).

    Args:
        model: in evaluation mode.
        plans: molecules without positions, **most atoms first**, so that rows still open are always the first ones.
        normal: standard normal numbers, row by row.
        settings: how to draw.
        unconditional: the same plans without properties, for guidance.
        fixed: atoms that stay where they are; every other atom is placed from those of lower index.
    """
    num_atoms = plans.num_atoms
    assert bool((num_atoms[:-1] >= num_atoms[1:]).all()), "molecules must come with most atoms first"
    positions = torch.zeros_like(normal) if fixed is None else fixed.positions * fixed.mask[..., None]
    guidance = 1.0 if unconditional is None else settings.guidance
    branches = [_GuidanceBranch(model, plans, positions, guidance)]
    if unconditional is not None:
        branches.append(_GuidanceBranch(model, unconditional, positions, 1.0 - guidance))

    def denoise(x: Tensor, level: EmbeddedLevel) -> Tensor:
        return torch.stack([branch.denoised(x, level) for branch in branches]).sum(0)

    levels = solver_levels(model.atom_head, settings)  # the same for every atom

    for atom in range(1, int(num_atoms.max())):
        active = int((num_atoms > atom).sum())
        for branch in branches:
            branch.advance(atom, active)
        frames = branches[0].frames
        vectors = draw_vectors(model.atom_head, denoise, normal[:active, atom], frames.free[:, 0], settings, levels)
        placed = frames.place(vectors[:, None])[:, 0]
        if fixed is not None:
            placed = torch.where(fixed.mask[:active, atom, None], fixed.positions[:active, atom], placed)
        positions[:active, atom] = placed
        for branch in branches:
            branch.record(placed)
    return positions


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
        model, rows = self.model, self.plans.select(torch.arange(active, device=self.vectors.device))
        self.states = first_rows(self.states, active)
        previous, following = (torch.full((active, 1), index, device=self.vectors.device) for index in (atom - 1, atom))
        self.frames = model.frames(rows, following)
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

    def denoised(self, x: Float[Tensor, "slots 3"], level: EmbeddedLevel) -> Float[Tensor, "slots 3"]:
        """The denoised vector, times the weight."""
        return self.weight * self.model.atom_head.denoise(x, level, self.context, self.springs.pulls)

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
