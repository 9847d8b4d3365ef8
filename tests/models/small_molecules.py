"""Real small molecules as sequences, and a small model of them."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from tests.models.small_model import ATTENTION
from unigen.models.smiles.batch import MoleculeBatch, collate_molecules
from unigen.models.smiles.embedding import CHARGES
from unigen.models.smiles.network import MoleculeConfig, MoleculeModel
from unigen.models.smiles.tokens import MoleculeSequence, encode
from unigen.molecules.molecule import Molecule
from unigen.nn.mixers.pattern import Layer

SMILES = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "C",
    "C#N",
    "C#CC#C",
    "C[C@H](N)C(=O)O",
    "F/C=C/Cl",
    "C1CC2CC1C2",
    "[NH3+]CC([O-])=O",
)
SIZES = {"max_atoms": 24, "width": 32, "heads": 2, "head_width": 32, "head_blocks": 2, "context_width": 16}


@cache
def molecules() -> tuple[Molecule, ...]:
    """With 3D by ETKDG."""
    return tuple(Molecule.from_smiles(smiles, seed=1) for smiles in SMILES)


def sequences(seed: int = 0, *, stereo: bool = True) -> list[MoleculeSequence]:
    """Each molecule once, every second one with a property."""
    rng = np.random.default_rng(seed)
    asked = [{1: 0.5 * place} if place % 2 else {} for place in range(len(SMILES))]
    return [encode(molecule, rng, values, stereo=stereo) for molecule, values in zip(molecules(), asked, strict=True)]


def batch(seed: int = 0) -> MoleculeBatch:
    """All of them, most atoms first."""
    return collate_molecules(sorted(sequences(seed), key=lambda one: -len(one.numbers)))


@cache
def small_molecule_model(
    seed: int = 0, frame: str = "local", layout: str = "graph-first", mixers: tuple[Layer, ...] = ATTENTION
) -> MoleculeModel:
    """Untrained, its heads not zero, in evaluation mode."""
    torch.manual_seed(seed)
    model = MoleculeModel(
        MoleculeConfig(mixers=mixers, properties=("gap",), units=("hartree",), frame=frame, layout=layout, **SIZES)
    )
    for number, charge in ((1, 0), (6, 0), (7, 0), (7, 1), (8, 0), (8, -1), (9, 0), (17, 0)):
        model.atoms_seen[number, charge + CHARGES] = 100
    model.most_heavy.fill_(9)
    model.embedding.property_range[1] = torch.tensor([0.1, 0.6])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return model.eval()
