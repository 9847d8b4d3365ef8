"""Properties move what a model says, and leave it exactly as it is where none is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.models.small_wyckoff import small_wyckoff, some_items
from unigen import CrystalRequest, UserError
from unigen.models.checkpoint import begin_with, load_model, save_model
from unigen.models.wyckoff.items import collate_items
from unigen.models.wyckoff.network import PROPERTIES, WyckoffModel
from unigen.nn.conditions.properties import PropertyAdapter, property_numbers, value_vector

NAMES = ("density", "band_gap")
VALUES = st.dictionaries(st.integers(0, 1), st.floats(-3, 3), max_size=2)


def adapter(seed: int = 0) -> PropertyAdapter:
    torch.manual_seed(seed)
    made = PropertyAdapter(2, 16)
    nn.init.normal_(made.move[2].weight)
    made.mean.copy_(torch.tensor([1.0, -2.0]))
    return made


def told_model(seed: int = 0) -> WyckoffModel:
    """Hears properties, with random weights where a fresh one has zeros."""
    model = small_wyckoff(seed, properties=NAMES, units=("g/cm^3", "eV"))
    nn.init.normal_(model.adapter.move[2].weight)
    model.adapter.range.copy_(torch.tensor([[1.0, 20.0], [0.0, 9.0]]))
    return model.eval()


@given(VALUES, st.integers(0, 100))
def test_the_move_is_linear_in_its_weight_and_nothing_without_values(values, seed):
    made, h = adapter(), torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(seed))
    once, twice, none = (
        made(h, torch.from_numpy(value_vector(values, weight))[None]) - h for weight in (1.0, 2.0, 0.0)
    )
    torch.testing.assert_close(twice, 2 * once, atol=1e-5, rtol=1e-5)
    assert not none.any()
    assert once.any() == bool(values)


def test_only_what_is_asked_counts():
    made, h = adapter(), torch.randn(1, 16)
    alone = torch.from_numpy(value_vector({0: 2.0}))[None]
    both = torch.from_numpy(value_vector({0: 2.0, 1: 7.0}))[None]
    later = PropertyAdapter(1, 16, first=2)
    torch.nn.init.normal_(later.move[2].weight)
    assert torch.equal(later(h, both), h)  # it hears the third property, and nobody asks for that
    assert (made(h, alone) - made(h, both)).abs().max() > 1e-4
    other = torch.from_numpy(value_vector({0: 2.5}))[None]
    assert (made(h, alone) - made(h, other)).abs().max() > 1e-4


def test_zero_is_a_value_and_not_nothing():
    made, h = adapter(), torch.randn(1, 16)
    zero, nearly = (torch.from_numpy(value_vector({1: value}))[None] for value in (0.0, 1e-6))
    torch.testing.assert_close(made(h, zero), made(h, nearly), atol=1e-4, rtol=1e-4)
    assert (made(h, zero) - h).abs().max() > 1e-3


@settings(max_examples=10)
@given(st.dictionaries(st.integers(0, 1), st.floats(-3, 3), max_size=2), st.floats(-3, 3))
def test_a_property_learned_later_changes_nothing_for_who_does_not_ask_for_it(values, value):
    before = told_model()
    after = WyckoffModel(before.told("hardness", "GPa")).eval()
    assert (after.config.properties, after.config.adapters) == ((*NAMES, "hardness"), (2, 1))
    after.load_state_dict(after.state_dict() | before.state_dict())
    nn.init.normal_(after.added[0].move[2].weight)
    asked = collate_items(some_items(4))
    asked.tokens.vectors[:, 0] = torch.from_numpy(value_vector(values))
    assert torch.equal(before.states(asked), after.states(asked))
    asked.tokens.vectors[:, 0] = torch.from_numpy(value_vector(values | {2: value}))
    assert (before.states(asked) - after.states(asked)).abs().max() > 1e-3
    assert WyckoffModel(after.told("mass", "")).config.adapters == (2, 1, 1)


@settings(max_examples=5)
@given(st.integers(0, 3))
def test_a_model_that_is_asked_nothing_is_the_one_it_was(seed):
    plain, batch = small_wyckoff(seed), collate_items(some_items(4))
    told = plain.joined(told_model(seed + 1), PROPERTIES)
    assert torch.equal(told.states(batch), plain.states(batch))
    asked = collate_items(some_items(4))
    asked.tokens.vectors[:, 0] = torch.from_numpy(value_vector({0: 5.0}))
    assert (told.states(asked) - plain.states(batch)).abs().max() > 1e-3
    for channel_loss, wanted in zip(
        told.losses(batch, torch.Generator().manual_seed(0)).values(),
        plain.losses(batch, torch.Generator().manual_seed(0)).values(),
        strict=True,
    ):
        assert torch.equal(channel_loss, wanted)


def test_it_is_saved_joined_and_begun_with(tmp_path):
    save_model(small_wyckoff(3), tmp_path / "plain")
    save_model(told_model(4), tmp_path / "told")
    joined = load_model(tmp_path / "plain").joined(load_model(tmp_path / "told"), PROPERTIES)
    save_model(joined, tmp_path / "joined")
    again = load_model(tmp_path / "joined")
    assert again.config.properties == NAMES
    assert torch.equal(
        again.backbone.state_dict()["norm.weight"], small_wyckoff(3).backbone.state_dict()["norm.weight"]
    )
    fresh = told_model(5)
    before = fresh.adapter.move[2].weight.clone()
    begin_with(fresh, tmp_path / "plain")
    assert torch.equal(fresh.symbol_head.to_logits.weight, small_wyckoff(3).symbol_head.to_logits.weight)
    assert torch.equal(fresh.adapter.move[2].weight, before)
    with pytest.raises(UserError, match="do not fit the model of this config"):
        begin_with(small_wyckoff(0), tmp_path / "told")
    with pytest.raises(UserError, match="only wyckoff models with properties"):
        joined.joined(small_wyckoff(3), PROPERTIES)


def test_unknown_properties_are_named():
    assert property_numbers({"band_gap": 1.0}, NAMES) == {1: 1.0}
    with pytest.raises(UserError, match="'mass'; wanted one of density, band_gap"):
        property_numbers({"mass": 1.0}, NAMES)
    with pytest.raises(UserError, match="this model knows no properties"):
        property_numbers({"mass": 1.0}, ())
    with pytest.raises(UserError, match="density: not a number"):
        CrystalRequest(properties={"density": float(np.nan)})
