"""SMILES in, molecules in space out; what has gone wrong is taken back to where it did, and drawn on from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unigen.models.smiles.batch import MoleculeBatch, collate_molecules
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.placement_checks import PlacementChecks
from unigen.models.smiles.position_decoding import FixedAtoms, draw_positions
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.stereo_hints import against_stereo
from unigen.models.smiles.tokens import Example, MoleculeSequence, plan
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_graph import mol_of_graph
from unigen.molecules.settling import settled
from unigen.molecules.turning import AskedStereo, turned
from unigen.shapes import Bool, Float, Int
from unigen.smiles.reader import read_smiles
from unigen.smiles.text import smiles_text

_STEPS_BACK = (2, 6, 14, 30)
"""Atoms before the first wrong one from which a molecule is drawn anew, at the first, second, ... repair, and then
from the shortest again: its neighbours, its ring, the ring before it, the part before that."""


@dataclass(frozen=True, eq=False)
class WrittenMolecule:
    """A molecule that is written and not yet placed.

    Attributes:
        symbols: a Kekule SMILES, without BEGIN and END.
        values: properties asked for, by their number in the model.
        rng: its own random numbers.
        fixed: positions in Angstrom of atoms that stay where they are, by their number in the molecule.
        examples: known molecules with nearby values.
        settle: whether it may be mended as a whole, or is rather drawn again if it is wrong.
    """

    symbols: Sequence[int]
    values: Mapping[int, float]
    rng: np.random.Generator
    fixed: Mapping[int, np.ndarray] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    settle: bool = True


class DrawnConformer(NamedTuple):
    """A molecule in space.

    Attributes:
        molecule: as drawn.
        repairs: how often it was taken back to where it had gone wrong.
        settled: a harmonic pass has moved its atoms, since it was still wrong.
    """

    molecule: Molecule
    repairs: int = 0
    settled: bool = False


def draw_conformers(
    model: MoleculeModel, molecules: Sequence[WrittenMolecule], settings: MoleculeSettings
) -> list[DrawnConformer]:
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
    shape = tuple(batch.positions.shape)
    checked = settings.draws_per_atom > 1 or settings.repairs > 0
    checks = PlacementChecks.of([plans[index] for index in order], shape[1], device) if checked else None
    rngs = [molecules[index].rng for index in order]
    fixed_positions, fixed_mask = np.zeros(shape, dtype=np.float32), np.zeros(shape[:2], dtype=bool)
    for row, index in enumerate(order):
        for atom, position in molecules[index].fixed.items():
            fixed_positions[row, atom], fixed_mask[row, atom] = position, True
    unconditional = None
    if settings.guidance != 1.0 and any(molecule.values for molecule in molecules):
        read = [(np.array(molecules[n].symbols), graphs[n].atom, graphs[n].skeleton) for n in order]
        bare = [plan(*parts, hydrogens=model.config.hydrogens) for parts in read]
        unconditional = collate_molecules(bare).to(device)
    fixed = FixedAtoms(torch.from_numpy(fixed_positions).to(device), torch.from_numpy(fixed_mask).to(device))

    def draw(rows: Int[Tensor, "chosen"], kept: FixedAtoms, how: MoleculeSettings) -> Float[Tensor, "chosen atoms 3"]:
        chosen = batch.select(rows)
        normal = _normal_numbers(chosen, [rngs[row] for row in rows.tolist()], settings.draws_per_atom)
        return draw_positions(
            model,
            chosen,
            normal.to(device),
            how,
            None if unconditional is None else unconditional.select(rows),
            kept if bool(kept.mask.any()) else None,
            None if checks is None else checks.select(rows),
        )

    drawn = draw(torch.arange(len(order), device=device), fixed, settings)
    taken_back = torch.zeros(len(order), dtype=torch.int64, device=device)
    if checks is not None:
        again = partial(draw, how=settings.warmer())
        drawn, taken_back = _repaired(model, batch, drawn, checks, fixed, again, settings.repairs)
    wrong = torch.zeros_like(taken_back, dtype=torch.bool)
    if checks is not None and settings.settle:
        wrong = _first_fault(model, batch, drawn, checks)[0] < batch.num_atoms
    found = {}
    columns = (drawn.cpu().numpy(), taken_back.tolist(), wrong.tolist(), fixed_mask)
    for index, positions, repairs, is_wrong, is_fixed in zip(order, *columns, strict=True):
        text, atoms = smiles_text(molecules[index].symbols), len(plans[index].numbers)
        molecule = molecule_of_plan(plans[index], positions[:atoms], text)
        settle = is_wrong and molecules[index].settle
        if settle:
            molecule = _settled(molecule, plans[index], is_fixed[:atoms])
        found[index] = DrawnConformer(molecule, repairs, settle)
    return [found[index] for index in range(len(plans))]


def _settled(molecule: Molecule, planned: MoleculeSequence, fixed: Bool[np.ndarray, "atoms"]) -> Molecule:
    """What is on the wrong side turned, then a harmonic pass over all of it."""
    asked = AskedStereo(planned.chirality, planned.cis_trans)
    positions = turned(molecule.numbers, molecule.bonds, molecule.positions, asked, fixed)
    mol = mol_of_graph(molecule.numbers, molecule.charges, molecule.bonds)
    return replace(molecule, positions=settled(mol, positions, fixed, asked.cis_trans))


def _normal_numbers(
    batch: MoleculeBatch, rngs: Sequence[np.random.Generator], candidates: int
) -> Float[Tensor, "batch atoms candidates 3"]:
    """Standard normal numbers of every candidate for every atom, each molecule's from its own generator."""
    normal = np.zeros((*batch.positions.shape[:2], candidates, 3), dtype=np.float32)
    for row, (atoms, rng) in enumerate(zip(batch.num_atoms.tolist(), rngs, strict=True)):
        normal[row, :atoms, 0] = rng.standard_normal((atoms, 3), dtype=np.float32)
        normal[row, :atoms, 1:] = rng.standard_normal((atoms, candidates - 1, 3), dtype=np.float32)
    return torch.from_numpy(normal)


def _first_fault(
    model: MoleculeModel, batch: MoleculeBatch, positions: Float[Tensor, "batch atoms 3"], checks: PlacementChecks
) -> tuple[Int[Tensor, "batch"], Int[Tensor, "batch"]]:
    """The first atom of a wrong distance, or on a side that the SMILES does not ask for; see PlacementChecks."""
    first, other = checks.first_fault(positions)
    placed = replace(batch, positions=positions)
    chosen = torch.arange(positions.shape[1], device=positions.device).expand(len(batch), -1)
    frames = model.frames(placed, chosen)
    wrong = against_stereo(placed, frames, chosen, frames.local(positions)) & (batch.numbers > 0)
    on_wrong_side = torch.where(wrong.any(1), wrong.long().argmax(1), positions.shape[1])
    return torch.minimum(first, on_wrong_side), torch.where(on_wrong_side < first, 0, other)


def _repaired(
    model: MoleculeModel,
    batch: MoleculeBatch,
    positions: Float[Tensor, "batch atoms 3"],
    checks: PlacementChecks,
    fixed: FixedAtoms,
    draw: Callable[[Int[Tensor, "chosen"], FixedAtoms], Float[Tensor, "chosen atoms 3"]],
    repairs: int,
) -> tuple[Float[Tensor, "batch atoms 3"], Int[Tensor, "batch"]]:
    """The molecules that have gone wrong drawn anew from a little before the first atom that has, each time earlier.

    Also how often each was.

    Args:
        model: that draws them.
        batch: the molecules.
        positions: as drawn at first; a row that gets no better stays as it is.
        checks: of the same molecules.
        fixed: atoms that stay where they are whatever is wrong with them.
        draw: these rows with these atoms fixed.
        repairs: how often at most.
    """
    index = torch.arange(positions.shape[1], device=positions.device)
    # what is wrong with a hydrogen is as a rule where the atom stands that it is bonded to
    heavy = torch.where(batch.numbers == 1, batch.bond_order.argmax(-1), index)
    taken_back = torch.zeros(len(positions), dtype=torch.int64, device=positions.device)
    for repair in range(repairs):
        fault, other = _first_fault(model, batch, positions, checks)
        rows = (fault < batch.num_atoms).nonzero()[:, 0]
        if not len(rows):
            break
        taken_back[rows] += 1
        wrong = torch.stack([fault, other], 1)[rows]
        if repair:
            wrong = heavy[rows].gather(1, wrong)
        # of a distance to an atom that is fixed, the other one is drawn anew
        wrong = torch.where(fixed.mask[rows].gather(1, wrong), 0, wrong)
        start = wrong.amax(1) - _STEPS_BACK[repair % len(_STEPS_BACK)]
        kept = fixed.mask[rows] | (index < start.clamp(min=1)[:, None])
        where = torch.where(fixed.mask[rows][..., None], fixed.positions[rows], positions[rows])
        again = draw(rows, FixedAtoms(where, kept))
        better = _first_fault(model, batch.select(rows), again, checks.select(rows))[0] > fault[rows]
        positions = positions.index_copy(0, rows[better], again[better])
    return positions, taken_back


def molecule_of_plan(planned: MoleculeSequence, positions: Float[np.ndarray, "atoms 3"], smiles: str) -> Molecule:
    """A planned molecule with its positions in Angstrom."""
    return Molecule(planned.numbers, positions.astype(np.float64), planned.bonds, planned.charges, smiles=smiles)
