"""SMILES in, molecules in space out: planned, drawn in one batch, put back in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from unigen.data.molecule import Molecule
from unigen.models.molecule import MoleculeModel
from unigen.sample.decoder import DecodeSettings
from unigen.sample.molecule_decoder import draw_positions
from unigen.tokens.collate import collate_molecules
from unigen.tokens.molecule import MoleculeSequence, plan
from unigen.tokens.smiles_reader import read_smiles
from unigen.tokens.smiles_text import smiles_text


def draw_molecules(
    model: MoleculeModel,
    smiles: Sequence[Sequence[int]],
    values: Sequence[Mapping[int, float]],
    rngs: Sequence[np.random.Generator],
    settings: DecodeSettings,
) -> list[Molecule]:
    """One conformer of each SMILES, its heavy atoms in the order of the text, then the hydrogens of each.

    Args:
        model: in evaluation mode.
        smiles: symbols of Kekule SMILES, without BEGIN and END.
        values: properties asked for in each row, by their number in the model.
        rngs: each row's own random numbers.
        settings: how to draw.

    Raises:
        UserError: a SMILES that cannot be read.
    """
    plans = []
    for symbols, asked in zip(smiles, values, strict=True):
        found = read_smiles(symbols)
        plans.append(plan(np.array(symbols), found.atom, found.skeleton, asked))
    order = sorted(range(len(plans)), key=lambda row: -len(plans[row].numbers))
    batch = collate_molecules([plans[row] for row in order]).to(next(model.parameters()).device)
    normal = np.zeros(batch.positions.shape, dtype=np.float32)
    for place, row in enumerate(order):
        atoms = len(plans[row].numbers)
        normal[place, :atoms] = rngs[row].standard_normal((atoms, 3), dtype=np.float32)
    drawn = draw_positions(model, batch, torch.from_numpy(normal).to(batch.positions.device), settings).cpu().numpy()
    positions = dict(zip(order, drawn, strict=True))
    return [
        _molecule(one, positions[row][: len(one.numbers)], smiles_text(smiles[row])) for row, one in enumerate(plans)
    ]


def _molecule(one: MoleculeSequence, positions: np.ndarray, text: str) -> Molecule:
    first, second = np.nonzero(np.triu(one.order))
    bonds = np.column_stack([first, second, one.order[first, second]])
    return Molecule(one.numbers, positions.astype(np.float64), bonds, one.charges, smiles=text)
