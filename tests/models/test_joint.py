"""One backbone, owned once: the joint model is its two halves, and what is learnt of one changes the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.crystals.real_crystals import prototypes
from tests.models.small_molecules import SIZES, small_molecule_model
from tests.models.small_molecules import batch as molecule_batch
from unigen.errors import UserError
from unigen.models.checkpoint import load_model, save_model
from unigen.models.joint.batch import JointBatch
from unigen.models.joint.network import JointConfig, JointModel
from unigen.models.smiles.network import MoleculeConfig
from unigen.models.words.network import AutoregressiveConfig
from unigen.models.words.tokens import WordsTokenizer
from unigen.tokens.sequence import collate

CRYSTAL = AutoregressiveConfig(width=32, heads=2, mixers=("attention",) * 2, head_width=16, head_blocks=1, dropout=0.0)
MOLECULE = MoleculeConfig(mixers=("attention",) * 2, properties=("gap",), units=("hartree",), **SIZES)


def joint(seed: int = 0) -> JointModel:
    torch.manual_seed(seed)
    return JointModel(JointConfig(kind="joint", crystal=CRYSTAL, molecule=MOLECULE))


def batches() -> JointBatch:
    tokenizer, rng = WordsTokenizer(CRYSTAL.max_atoms), np.random.default_rng(0)
    crystals = [crystal for found in prototypes(40) if len(crystal := found.reduced()) <= CRYSTAL.max_atoms]
    molecules = molecule_batch()
    return JointBatch(collate([tokenizer.encode(crystal, rng) for crystal in crystals[: len(molecules)]]), molecules)


def test_the_backbone_and_the_elements_are_there_once():
    model = joint()
    names = [name for name, _ in model.named_parameters()]
    assert not [name for name in names if name.startswith(("molecule.backbone", "molecule.embedding.element."))]
    assert model.molecule.backbone is model.crystal.backbone is model.backbone
    alone = sum(p.numel() for p in small_molecule_model().parameters())
    assert sum(p.numel() for p in model.parameters()) < alone + sum(p.numel() for p in model.crystal.parameters())


def test_losses_are_those_of_the_halves():
    model, batch = joint().eval(), batches()
    losses = model.losses(batch, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    crystal = model.crystal.losses(batch.crystals, generator)
    molecule = model.molecule.losses(batch.molecules, generator)
    assert {name: float(loss) for name, loss in losses.items()} == {
        f"{kind}_{name}": float(loss)
        for kind, part in (("crystal", crystal), ("molecule", molecule))
        for name, loss in part.items()
    }


def test_a_crystal_teaches_the_backbone_of_molecules():
    model, batch = joint(), batches()
    before = model.molecule.eval().losses(batch.molecules, torch.Generator().manual_seed(0))["symbol"].item()
    model.crystal.losses(batch.crystals, torch.Generator().manual_seed(0))["symbol"].backward()
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.sub_(0.5 * parameter.grad)
    after = model.molecule.losses(batch.molecules, torch.Generator().manual_seed(0))["symbol"].item()
    assert after != before


def test_it_is_saved_and_read_and_moves_as_one(tmp_path):
    save_model(joint(1), tmp_path / "joint")
    again = load_model(tmp_path / "joint")
    for name, tensor in joint(1).state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert again.molecule.backbone is again.crystal.backbone
    assert not again.molecule.training
    assert again.double().molecule.embedding.element.own.weight.dtype == torch.float64


def test_halves_of_different_size_are_refused():
    with pytest.raises(UserError, match=r"crystal\.width and molecule\.width differ; got 64 and 32"):
        JointConfig(
            kind="joint", crystal=AutoregressiveConfig(width=64, heads=2, mixers=CRYSTAL.mixers), molecule=MOLECULE
        )
