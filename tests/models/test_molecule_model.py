"""The model of molecules sees no rotation, no atom that is not placed yet, and no other row of its batch."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.small_molecules import batch, sequences, small_molecule_model
from unigen.geometry.rotation import random_rotation
from unigen.models.checkpoint import load_model, save_model
from unigen.models.smiles.batch import MoleculeBatch, collate_molecules

SEEDS = st.integers(0, 2**31)


@torch.no_grad()
def outputs(batch: MoleculeBatch, frame: str = "local") -> torch.Tensor:
    """Backbone output of whole molecules."""
    model = small_molecule_model(frame=frame)
    frames = model.frames(batch, everyone(batch))
    return model.states(batch, frames.local(batch.positions), frames)[0]


def everyone(batch: MoleculeBatch) -> torch.Tensor:
    return torch.arange(batch.numbers.shape[1]).expand(len(batch), -1)


def turned(batch: MoleculeBatch, seed: int) -> MoleculeBatch:
    rotation = torch.from_numpy(random_rotation(np.random.default_rng(seed))).float()
    return replace(batch, positions=batch.positions @ rotation + torch.tensor([3.0, -1.0, 2.0]))


@settings(max_examples=10)
@given(SEEDS, SEEDS)
def test_a_turned_molecule_gives_the_same_outputs(seed, turn):
    one = batch(seed)
    torch.testing.assert_close(outputs(turned(one, turn)), outputs(one), atol=2e-3, rtol=0)


def test_fixed_axes_see_the_rotation():
    gap = outputs(turned(batch(), 1), "fixed") - outputs(batch(), "fixed")
    assert gap.abs().max() > 0.05


def test_a_mirror_image_is_another_molecule():
    one = batch()
    mirrored = replace(one, positions=one.positions * torch.tensor([1.0, 1.0, -1.0]))
    assert (outputs(mirrored) - outputs(one)).abs().max() > 0.05


@settings(max_examples=10)
@given(SEEDS, st.integers(0, 20))
def test_nothing_before_a_slot_knows_where_its_atom_is(seed, atom):
    one = batch(seed)
    moved = one.positions.clone()
    moved[:, atom:] += torch.randn(moved[:, atom:].shape, generator=torch.Generator().manual_seed(seed))
    before, after = outputs(one), outputs(replace(one, positions=moved))
    for row in range(len(one)):
        if atom < int(one.atoms[row]):
            slot = int(one.slot[row, atom])
            torch.testing.assert_close(before[row, :slot], after[row, :slot], atol=1e-5, rtol=0)
            if atom and int(one.atoms[row]) > 2:
                assert (before[row, slot:] - after[row, slot:]).abs().max() > 1e-4


def test_symbols_know_nothing_of_the_graph_that_follows():
    """Output before the slots is that of the written symbols alone."""
    one = batch()
    with torch.no_grad():
        written = small_molecule_model()(one.tokens, one.names)
    whole = outputs(one)
    for row, first in enumerate(one.slot[:, 0].tolist()):
        torch.testing.assert_close(written[row, : first - 1], whole[row, : first - 1], atol=1e-5, rtol=0)


def test_a_row_knows_nothing_of_its_batch():
    together = outputs(batch())
    for row, sequence in enumerate(sorted(sequences(), key=lambda one: -len(one.numbers))):
        alone = outputs(collate_molecules([sequence]))[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, atol=1e-4, rtol=0)


def test_losses_are_finite_and_reach_every_parameter():
    model = small_molecule_model(seed=1).train()
    losses = model.losses(batch(), torch.Generator().manual_seed(0))
    torch.stack(list(losses.values())).sum().backward()
    unreached = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    model.eval()
    assert unreached == []
    assert set(losses) == {"symbol", "site"}


def test_the_blur_is_for_training_only():
    model, one = small_molecule_model(), batch()
    loss = [float(model.losses(one, torch.Generator().manual_seed(0))["site"].detach()) for _ in range(2)]
    assert loss[0] == loss[1]
    quiet = float(model.losses(turned(one, 3), torch.Generator().manual_seed(0))["site"].detach())
    assert quiet == pytest.approx(loss[0], rel=1e-3)


def test_it_is_saved_and_read(tmp_path):
    model = small_molecule_model()
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_a_batch_is_selected_row_by_row():
    one = batch()
    some = one.select(torch.tensor([2, 0]))
    for field in fields(one):
        if field.name != "tokens":
            assert torch.equal(getattr(some, field.name)[1], getattr(one, field.name)[0])
    assert some.atoms.tolist() == [int(one.atoms[2]), int(one.atoms[0])]
