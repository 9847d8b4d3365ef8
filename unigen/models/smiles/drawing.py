"""SMILES in, molecules in space out: planned, drawn in one batch, put back in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from unigen.models.smiles.batch import collate_molecules
from unigen.models.smiles.decoding import Fixed, draw_positions
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.tokens import MoleculeSequence, plan
from unigen.molecules.molecule import Molecule
from unigen.smiles.reader import read_smiles
from unigen.smiles.text import smiles_text


@dataclass(frozen=True, eq=False)
class Writing:
    """What is to be drawn in space.

    Attributes:
        symbols: a Kekule SMILES, without BEGIN and END.
        values: properties asked for, by their number in the model.
        rng: its own random numbers.
        fixed: positions in Angstrom of atoms, by their place in the molecule, that are kept.
    """

    symbols: Sequence[int]
    values: Mapping[int, float]
    rng: np.random.Generator
    fixed: Mapping[int, np.ndarray] = field(default_factory=dict)


def draw_molecules(model: MoleculeModel, writings: Sequence[Writing], settings: MoleculeSettings) -> list[Molecule]:
    """One conformer of each SMILES, its heavy atoms in the order of the text, then the hydrogens of each.

    Args:
        model: in evaluation mode.
        writings: what to draw.
        settings: how to draw.

    Raises:
        UserError: a SMILES that cannot be read.
    """
    found = [read_smiles(one.symbols) for one in writings]
    plans = [
        plan(np.array(one.symbols), read.atom, read.skeleton, one.values)
        for one, read in zip(writings, found, strict=True)
    ]
    order = sorted(range(len(plans)), key=lambda row: -len(plans[row].numbers))
    device = next(model.parameters()).device
    batch = collate_molecules([plans[row] for row in order]).to(device)
    normal = np.zeros(batch.positions.shape, dtype=np.float32)
    for place, row in enumerate(order):
        atoms = len(plans[row].numbers)
        normal[place, :atoms] = writings[row].rng.standard_normal((atoms, 3), dtype=np.float32)
    unasked = None
    if settings.guidance != 1.0 and any(one.values for one in writings):
        bare = [plan(np.array(writings[row].symbols), found[row].atom, found[row].skeleton) for row in order]
        unasked = collate_molecules(bare).to(device)
    fixed = _fixed([writings[row] for row in order], normal.shape, device)
    drawn = draw_positions(model, batch, torch.from_numpy(normal).to(device), settings, unasked, fixed).cpu().numpy()
    positions = dict(zip(order, drawn, strict=True))
    return [
        molecule_of_plan(one, positions[row][: len(one.numbers)], smiles_text(writings[row].symbols))
        for row, one in enumerate(plans)
    ]


def _fixed(writings: Sequence[Writing], shape: tuple[int, ...], device: torch.device) -> Fixed | None:
    if not any(one.fixed for one in writings):
        return None
    positions, which = np.zeros(shape, dtype=np.float32), np.zeros(shape[:2], dtype=bool)
    for row, one in enumerate(writings):
        for atom, place in one.fixed.items():
            positions[row, atom], which[row, atom] = place, True
    return Fixed(torch.from_numpy(positions).to(device), torch.from_numpy(which).to(device))


def molecule_of_plan(one: MoleculeSequence, positions: np.ndarray, text: str) -> Molecule:
    """A planned molecule with positions (atoms, 3) in Angstrom; ``text`` is its SMILES."""
    first, second = np.nonzero(np.triu(one.order))
    bonds = np.column_stack([first, second, one.order[first, second]])
    return Molecule(one.numbers, positions.astype(np.float64), bonds, one.charges, smiles=text)
