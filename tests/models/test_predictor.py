"""A property of a molecule: the same wherever and however it lies, and of two molecules what physics says."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.models.small_molecules import molecules
from tests.models.small_predictor import POOLINGS, SIZES, batch, items, small_predictor
from unigen.errors import UserError
from unigen.geometry.rotation import random_rotation
from unigen.models.checkpoint import load_model, save_model
from unigen.models.error_bars import ERROR_BARS
from unigen.models.predictor.batch import PropertyBatch, collate_properties
from unigen.models.predictor.network import PredictorConfig, PropertyNetwork
from unigen.molecules.molecule import Molecule
from unigen.nn.encoders.surroundings import surroundings
from unigen.testing import assert_close

SEEDS = st.integers(0, 2**31)
NAMES = list(POOLINGS)


@torch.no_grad()
def predicted(batch: PropertyBatch) -> Tensor:
    return small_predictor()(batch.numbers, batch.positions)


@torch.no_grad()
def relative(molecule: Molecule) -> dict[str, float]:
    """What the network adds to the baseline, by property."""
    one = batch((molecule,))
    return dict(zip(NAMES, small_predictor().relative(one.numbers, one.positions)[0].tolist(), strict=True))


def joined(molecule: Molecule, other: Molecule, shift: float) -> Molecule:
    places = np.vstack([molecule.positions, other.positions + shift])
    return Molecule(np.concatenate([molecule.numbers, other.numbers]), places)


def line(numbers: list[int], places: list[float]) -> Molecule:
    return Molecule(np.array(numbers), np.outer(places, [0.6, 0.0, 0.8]))


@settings(max_examples=20)
@given(SEEDS, st.booleans())
def test_a_turned_mirrored_and_moved_molecule_has_the_same_properties(seed, mirror):
    rng = np.random.default_rng(seed)
    turn = random_rotation(rng) * (-1 if mirror else 1)
    one = batch()
    moved = one.positions @ torch.from_numpy(turn) + torch.from_numpy(rng.normal(size=3) * 10)
    assert_close(predicted(replace(one, positions=moved)), predicted(one), "moved")


@settings(max_examples=20)
@given(SEEDS)
def test_the_order_of_the_atoms_and_what_stands_beside_a_molecule_say_nothing(seed):
    rng = np.random.default_rng(seed)
    alone = torch.cat([predicted(batch((each,))) for each in molecules()])
    shuffled = [each.selected(rng.permutation(len(each))) for each in molecules()]
    assert_close(predicted(batch(tuple(shuffled))), alone, "shuffled, padded")


def test_padding_says_nothing_wherever_it_lies():
    one = batch()
    longer = PropertyBatch(
        torch.nn.functional.pad(one.numbers, (0, 3)),
        torch.nn.functional.pad(one.positions, (0, 0, 0, 3), value=0.7),
        one.values,
    )
    assert_close(predicted(longer), predicted(one), "more padding")


def test_moving_one_atom_changes_every_property():
    one = molecules()[0]
    places = one.positions.copy()
    places[0] += 0.1
    before, after = relative(one), relative(replace(one, positions=places))
    assert all(abs(before[name] - after[name]) > 1e-6 for name in NAMES)


def test_two_molecules_far_apart_have_the_properties_of_two_molecules():
    one, other = molecules()[0], molecules()[4]
    mine, its, both = relative(one), relative(other), relative(joined(one, other, 100.0))
    for name in ("alpha", "Cv"):
        assert both[name] == pytest.approx(mine[name] + its[name], abs=1e-9)
    twice = relative(joined(one, one, 100.0))
    assert twice["gap"] == pytest.approx(mine["gap"], abs=1e-9)
    assert twice["mu"] == pytest.approx(2 * mine["mu"], rel=1e-4)  # parallel moments add up


def test_a_molecule_with_a_centre_has_no_dipole_moment():
    carbon_dioxide = line([8, 6, 8], [-1.16, 0.0, 1.16])
    acetylene = line([1, 6, 6, 1], [-1.66, -0.6, 0.6, 1.66])
    carbon_monoxide = line([6, 8], [0.0, 1.13])
    smallest = relative(carbon_dioxide)["mu"]
    assert smallest == pytest.approx(1e-3, rel=1e-3)
    assert relative(acetylene)["mu"] == pytest.approx(smallest, rel=1e-3)
    assert relative(carbon_monoxide)["mu"] > 3 * smallest


def test_atoms_beyond_the_cutoff_are_not_seen_and_those_near_it_hardly():
    def at(distance: float) -> float:
        return relative(line([8, 6], [0.0, distance]))["alpha"]

    assert at(6.001) == at(50.0)
    assert at(5.999) == pytest.approx(at(6.001), abs=1e-6)
    assert abs(at(3.0) - at(6.001)) > 1e-3


def test_atoms_on_top_of_each_other_give_numbers_and_gradients():
    one = batch((line([6, 6, 1], [0.0, 0.0, 1.0]),))
    places = one.positions.clone().requires_grad_()
    values = small_predictor()(one.numbers, places)
    (gradient,) = torch.autograd.grad(values.sum(), places)
    assert torch.isfinite(values).all()
    assert torch.isfinite(gradient).all()


def test_the_surroundings_are_sums_over_atoms_with_distance_and_direction():
    one = batch((line([8, 6, 1], [0.0, 1.2, 2.3]),))
    around = surroundings(one.numbers, one.positions, radial=4, cutoff=6.0)
    said = torch.eye(3, dtype=torch.float64)[None]
    zero, first = around.density(said, 0).view(3, 4, 3), around.density(said, 1).view(3, 3, 4, 3)
    assert (zero.diagonal(dim1=0, dim2=2) == 0).all()  # nobody hears himself
    torch.testing.assert_close(zero, zero.transpose(0, 2))
    direction = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    torch.testing.assert_close(first[0, :, :, 1], direction[:, None] * zero[0, :, 1])
    arrows = direction[None, None, :, None].expand(1, 3, 3, 1)
    torch.testing.assert_close(around.divergence(arrows)[0, 0], zero[0, :, 1:].sum(-1))
    torch.testing.assert_close(around.carried(arrows)[0, 0].view(3, 4), direction[:, None] * zero[0].sum(-1))


def test_unknown_values_are_no_error():
    one = batch()
    values = one.values.clone()
    values[1:, 0] = torch.nan
    values[:, 1] = torch.nan
    found = small_predictor().errors(replace(one, values=values))
    assert float(found["alpha"].detach()) == pytest.approx(float((predicted(one)[0, 0] - values[0, 0]).abs()))
    assert float(found["gap"].detach()) == 0
    losses = small_predictor().losses(one)
    for place, name in enumerate(NAMES):
        whole = float((predicted(one)[:, place] - one.values[:, place]).abs().mean() / small_predictor().scale[place])
        assert float(losses[name].detach()) == pytest.approx(whole)


def test_what_is_not_a_number_is_no_unknown_value():
    network = PropertyNetwork(small_predictor().config).double()
    torch.nn.init.constant_(network.elements.weight, torch.nan)
    assert torch.isnan(torch.stack(list(network.losses(batch()).values()))).all()


def test_the_loss_reaches_every_parameter():
    network = PropertyNetwork(small_predictor().config).double()
    torch.stack(list(network.losses(batch()).values())).sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_error_bars_teach_the_features_nothing():
    """Alone they are all that is trained; together with the values these learn what they learn without them."""
    torch.manual_seed(0)
    plain = deepcopy(small_predictor())
    told = PropertyNetwork(PredictorConfig(kind="predictor", properties=POOLINGS, error_bars=True, **SIZES)).double()
    told.load_state_dict(plain.state_dict(), strict=False)
    alone = told.losses(batch(), only=ERROR_BARS)
    assert [*alone] == [ERROR_BARS]
    alone[ERROR_BARS].backward()
    reached = {name.partition(".")[0] for name, each in told.named_parameters() if each.grad is not None}
    assert reached == {"spread"}
    assert {*told.trained_alone(ERROR_BARS).parameters()} == {*told.spread.parameters()}
    together, without = told.losses(batch()), plain.losses(batch())
    torch.stack(list(together.values())).sum().backward()
    torch.stack(list(without.values())).sum().backward()
    learned = dict(told.named_parameters())
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(learned[name].grad, parameter.grad, rtol=0, atol=1e-12)
    with pytest.raises(UserError, match="only: this model has no error bars; set model"):
        plain.trained_alone(ERROR_BARS)
    with pytest.raises(UserError, match="only: this model has no part for reranker"):
        told.trained_alone("reranker")


def test_properties_come_in_the_order_of_the_config():
    swapped = dict(reversed(POOLINGS.items()))
    network = PropertyNetwork(replace(small_predictor().config, properties=swapped)).double().eval()
    network.load_state_dict(small_predictor().state_dict())
    one = batch()
    got = network.relative(one.numbers, one.positions)[:, [list(swapped).index(name) for name in NAMES]]
    wanted = small_predictor().relative(one.numbers, one.positions)
    # the weights of the first sum are now those of Cv
    torch.testing.assert_close(got, wanted[:, [NAMES.index(name) for name in ("Cv", "gap", "mu", "alpha")]])


def test_it_is_saved_and_read(tmp_path):
    network = deepcopy(small_predictor()).float()
    save_model(network, tmp_path / "model", dtype="bf16")
    again = load_model(tmp_path / "model")
    assert isinstance(again.config, PredictorConfig)
    assert again.config == network.config
    for name, tensor in network.named_buffers():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_a_batch_counts_atoms():
    one = collate_properties(items())
    assert one.lengths.tolist() == [len(each) for each in molecules()]
    assert len(one.select(torch.tensor([1, 0]))) == 2
