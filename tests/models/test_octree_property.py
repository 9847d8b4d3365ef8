"""Properties by the backbone of an octree model: sides, pre-training, and what stands behind a token."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.models.small_molecules import molecules
from unigen.errors import UserError
from unigen.geometry.rotation import random_rotation
from unigen.models.checkpoint import begin_with, save_model
from unigen.models.octree.network import OctreeModel, OctreeMoleculeConfig
from unigen.models.octree.property import (
    OctreePropertyConfig,
    OctreePropertyNetwork,
    SeenMolecule,
    collate_seen,
    sides_of,
)

SIZES = OctreeMoleculeConfig(
    max_atoms=24, mixers=("attention",) * 2, width=32, heads=2, head_width=16, dropout=0.0, element_dropout=0.0
)
CONFIG = OctreePropertyConfig(
    kind="octree-property",
    properties={"gap": "attention", "Cv": "sum", "mu": "monoid"},
    units={"gap": "eV", "Cv": "cal/(mol K)", "mu": "D"},
    octree=SIZES,
)
SOME = [molecule for molecule in molecules() if 3 < len(molecule) <= 24]


def network_of(config: OctreePropertyConfig) -> OctreePropertyNetwork:
    torch.manual_seed(0)
    network = OctreePropertyNetwork(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return network


@torch.no_grad()
def told(network, some) -> np.ndarray:
    return network.every_property(some).values.numpy()


def unlike_axes(molecule) -> bool:
    """Whether no two principal moments are near each other: else axes are arbitrary."""
    centred = molecule.positions.astype(np.float64) - molecule.positions.mean(0)
    moments = np.linalg.eigvalsh(centred.T @ centred)
    return bool(np.diff(moments).min() > 0.02 * moments.sum())


@pytest.mark.parametrize("looks_ahead", [True, False])
def test_a_molecule_that_is_turned_moved_or_reordered_is_told_the_same_where_it_has_axes(looks_ahead):
    """Up to places in bins of 0.01 Angstrom, which rounding may move by one; seen from one side it is another."""
    network = network_of(replace(CONFIG, looks_ahead=looks_ahead))
    rng = np.random.default_rng(0)
    some = [molecule for molecule in SOME if unlike_axes(molecule)]
    assert len(some) > 3
    turned = []
    for molecule in some:
        order = rng.permutation(len(molecule))
        positions = molecule.positions.astype(np.float64) @ random_rotation(rng) + rng.normal(size=3)
        turned.append(type(molecule)(molecule.numbers[order], positions[order]))
    before = told(network, some)
    assert np.abs(told(network, turned) - before).max() < 0.02 * np.abs(before).max()

    def one_side(of):
        items = [SeenMolecule(sides_of(each)[:1], np.zeros(3, dtype=np.float32)) for each in of]
        with torch.no_grad():
            return network(collate_seen(network.grid, items)).values.numpy()

    sides = [np.stack([side.coords for side in sides_of(each)]) for each in (some[0], turned[0])]
    distances = [np.linalg.norm(each[:, :, None] - each[:, None], axis=-1) for each in sides]
    assert all(np.allclose(each, each[:1]) for each in distances)
    assert np.abs(one_side(some) - before).max() > 1e-4


def test_a_token_knows_what_stands_behind_it_where_it_looks_ahead():
    molecule = SOME[0]
    ahead, before = network_of(CONFIG), network_of(replace(CONFIG, looks_ahead=False))
    batch = ahead.read([molecule])
    last = replace(batch.octrees, element=batch.octrees.element.clone())
    last.element[torch.arange(len(last)), last.lengths - 1] = 9
    changed = replace(batch, octrees=last)
    masked = torch.zeros_like(last.stage, dtype=torch.bool)
    for network, given in ((ahead, masked), (before, None)):
        first = network.hidden(batch.octrees, given)[:, 0] - network.hidden(changed.octrees, given)[:, 0]
        assert bool((first != 0).any()) == (given is not None)


@pytest.mark.parametrize("masked", [0.0, 0.5])
def test_it_begins_with_what_an_octree_model_has_learned(masked, tmp_path):
    torch.manual_seed(1)
    octree = OctreeModel(replace(SIZES, masked=masked))
    octree.seen[[1, 92]] = True
    save_model(octree, tmp_path / "octree")
    network = network_of(CONFIG)
    network.seen[[1, 6]] = True
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    begin_with(network, tmp_path / "octree")
    for name, tensor in network.state_dict().items():
        of_octree = name.startswith(("embedding.", "backbone."))
        assert torch.equal(tensor, octree.state_dict()[name] if of_octree else fresh[name]), name
    save_model(network, tmp_path / "predictor")
    again = network_of(CONFIG)
    begin_with(again, tmp_path / "predictor")
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in again.state_dict().items())
    with pytest.raises(UserError, match=r"start_from: \d+ tensors do not fit the model of this config"):
        begin_with(network_of(replace(CONFIG, octree=replace(SIZES, width=16))), tmp_path / "octree")


def test_what_it_cannot_read_is_refused():
    large = type(SOME[0])(np.full(25, 6), 1.5 * np.arange(75.0).reshape(25, 3))
    with pytest.raises(UserError, match="more atoms than the model is trained on; got 25; wanted <= 24"):
        told(network_of(CONFIG), [large])
    with pytest.raises(UserError, match="not all can see what stands behind a token; got ssd"):
        replace(CONFIG, octree=replace(SIZES, mixers=("ssd", "attention")))
    assert not replace(CONFIG, looks_ahead=False, octree=replace(SIZES, mixers=("ssd", "attention"))).looks_ahead
