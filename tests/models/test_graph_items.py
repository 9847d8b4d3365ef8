"""SMILES without positions in training: the same text as of a placed molecule, no atom placed, others left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.small_molecules import SIZES, SMILES, sequences
from tests.molecules.real_molecules import nci_smiles
from unigen.data.build import build_dataset
from unigen.data.smiles_build import build_smiles_table
from unigen.errors import UserError
from unigen.models.families import open_training_set
from unigen.models.octree.network import OctreeMoleculeConfig
from unigen.models.smiles.batch import collate_molecules
from unigen.models.smiles.items import GraphItems
from unigen.models.smiles.network import MoleculeConfig, MoleculeModel
from unigen.models.smiles.tokens import encode_graph
from unigen.models.training_set import DataConfig
from unigen.molecules.descriptors import computed
from unigen.molecules.rdkit_smiles import canonical_smiles, kekule_smiles, parse_smiles
from unigen.smiles.reader import read_smiles
from unigen.smiles.text import smiles_symbols, smiles_text
from unigen.tokens.sequence import Channel
from unigen.tokens.vocabulary import END

LISTED = [*SMILES, *nci_smiles(40)]
TOLD = ("logP", "weight", "gap")


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """``listed``: SMILES with positions and without."""
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    path = tmp_path / "listed.smi"
    path.write_text("\n".join(LISTED) + "\n")
    build_smiles_table("listed", (str(path),), largest_fragment=True, workers=1)
    path.write_text("\n".join(SMILES) + "\n")
    build_dataset("placed", (str(path),), workers=1)


def config(**changes) -> MoleculeConfig:
    sizes = SIZES | {"max_atoms": 60} | changes
    return MoleculeConfig(mixers=("attention",), properties=TOLD, units=("1", "g/mol", "eV"), **sizes)


def graphs(seed: int, *, hydrogens: str = "implied"):
    rng = np.random.default_rng(seed)
    skeletons = [read_smiles(smiles_symbols(kekule_smiles(smiles))).skeleton for smiles in SMILES]
    return [encode_graph(skeleton, rng, {1: 2.5}, hydrogens=hydrogens) for skeleton in skeletons]


@given(st.integers(0, 2**31))
def test_the_text_is_the_molecule_with_its_stereo(seed):
    for smiles, sequence in zip(SMILES, graphs(seed), strict=True):
        symbols = sequence.tokens.symbols
        assert symbols[-1] == END
        assert canonical_smiles(smiles_text(symbols[2:-1].tolist())) == canonical_smiles(smiles)
        assert sequence.tokens.vectors[0, 0] == 2.5
        assert sequence.tokens.channel[0] == Channel.PROPERTY
        assert len(sequence.numbers) == len(sequence.slot) == 0


@settings(max_examples=5)
@given(st.integers(0, 2**31), st.sampled_from(["implied", "written"]))
def test_tokens_know_their_atoms_as_in_a_placed_molecule(seed, hydrogens):
    for sequence in graphs(seed, hydrogens=hydrogens):
        atoms = sequence.token_atom[sequence.token_atom >= 0]
        assert sorted({*atoms.tolist()}) == list(range(atoms.max() + 1))


def test_a_graph_teaches_its_text_alone_and_leaves_placed_molecules_as_they_are():
    torch.manual_seed(0)
    model = MoleculeModel(config()).eval()
    placed, written = sequences(1), graphs(1)

    def losses(rows):
        return model.losses(collate_molecules(rows), torch.Generator().manual_seed(0))

    alone, both, graphs_alone = losses(placed), losses([*placed, *written]), losses(written)
    torch.testing.assert_close(both["site"], alone["site"])
    assert graphs_alone["site"] == 0
    counts = [sum(len(row.tokens) - len(row.slot) - 1 for row in rows) for rows in (placed, written)]
    told = [sum((row.tokens.channel == Channel.PROPERTY).sum() for row in rows) for rows in (placed, written)]
    symbols = [count - asked for count, asked in zip(counts, told, strict=True)]
    mean = (alone["symbol"] * symbols[0] + graphs_alone["symbol"] * symbols[1]) / sum(symbols)
    torch.testing.assert_close(both["symbol"], mean)
    graphs_alone["symbol"].backward()
    assert model.symbol_head.to_logits.weight.grad.abs().sum() > 0
    assert all(p.grad is None or not p.grad.any() for p in model.atom_head.parameters())


def test_values_told_are_those_of_the_graph(tables):
    items = GraphItems("listed:train", config())
    rng = np.random.default_rng(0)
    seen = set()
    for place in range(len(items)):
        sequence = items.encode(place, items[place], rng)
        told = sequence.tokens.channel == Channel.PROPERTY
        values = computed(parse_smiles(items[place]), ["logP", "weight"])
        for number, value in zip(sequence.tokens.descriptor[told, 0], sequence.tokens.vectors[told, 0], strict=True):
            seen.add(int(number))
            assert value == pytest.approx(values[TOLD[number - 1]], rel=1e-5)
    assert seen == {1, 2}  # nobody computes the gap of a graph


def test_a_share_of_what_is_shown_is_without_positions(tables):
    data = DataConfig(
        train="placed:train", val="placed:train", some_properties=True, smiles="listed:train", smiles_share=0.5
    )
    opened = open_training_set(data, config())
    rng = np.random.default_rng(0)
    items = [opened.encode(place, opened.train[place], rng) for place in range(len(opened.train))]
    placed = sum(len(item.slot) > 0 for item in items)
    assert 0.3 < placed / len(items) < 0.7
    assert all(len(opened.encode_val(row, opened.val[row], rng).slot) for row in range(3))
    batch = opened.collate(items[-8:])
    losses = MoleculeModel(config()).losses(batch, torch.Generator().manual_seed(0))
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_who_writes_no_smiles_says_so(tables):
    data = DataConfig(train="placed:train", val="placed:train", smiles="listed")
    with pytest.raises(UserError, match=r"data.smiles: this family writes no SMILES.*got octree.*molecule or joint"):
        open_training_set(data, OctreeMoleculeConfig())
    with pytest.raises(UserError, match=r"each atom is placed when it is written.*atoms-first"):
        open_training_set(replace(data, some_properties=True), config(layout="atoms-first"))
    with pytest.raises(UserError, match=r"no molecule fits the model.*<= 2 atoms"):
        GraphItems("listed", config(max_atoms=2))
