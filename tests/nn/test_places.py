"""Attention over tokens that lie in space: what is cached is what is seen at once, and only differences count."""

from dataclasses import replace

import pytest
import torch

from unigen.batch import Layout
from unigen.nn.mixers.backbone import Backbone
from unigen.nn.mixers.pattern import AttentionLayer, RepeatedLayer
from unigen.testing import assert_close

PATTERNS = [("attention",), ("ssd", AttentionLayer(kv_heads=1), RepeatedLayer(mixer="attention", times=2))]


def stack_of(mixers):
    torch.manual_seed(0)
    return Backbone(mixers, 32, 2, 0.0).double().eval()


def tokens_in_space(batch=2, tokens=7):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, tokens, 32, dtype=torch.float64, generator=generator)
    places = torch.rand(batch, tokens, 2, 3, dtype=torch.float64, generator=generator)
    return x, replace(Layout.padded(torch.full((batch,), tokens), tokens), places=places)


@pytest.mark.parametrize("mixers", PATTERNS, ids=["attention", "mixed"])
def test_steps_are_the_forward(mixers):
    stack, (x, layout) = stack_of(mixers), tokens_in_space()
    expected = stack(x, layout)
    assert (stack(x, replace(layout, places=None)) - expected).abs().max() > 1e-3  # places say something
    states = stack.init_states(len(x), x.shape[1], x)
    prefix = replace(Layout.padded(torch.full((2,), 3), 3), places=layout.places[:, :3])
    stack(x[:, :3], prefix, states)
    for token in range(3, x.shape[1]):
        h, states = stack.step(x[:, token], torch.full((2,), token), states, layout.places[:, token])
        assert_close(h, expected[:, token], f"step {token}")
    states = stack.init_states(len(x), x.shape[1], x)
    stack(x[:, :3], prefix, states)
    h, _ = stack.steps(x[:, 3:], torch.full((2,), 3), states, layout.places[:, 3:])
    assert_close(h, expected[:, 3:], "all steps at once")


@pytest.mark.parametrize("mixers", PATTERNS, ids=["attention", "mixed"])
def test_only_differences_of_places_count_and_periods_do_not(mixers):
    stack, (x, layout) = stack_of(mixers), tokens_in_space()
    expected = stack(x, layout)
    moved = replace(layout, places=layout.places + torch.tensor([0.3, -0.7, 0.15], dtype=torch.float64))
    assert_close(stack(x, moved), expected, "all moved")
    shifts = torch.randint(-5, 6, layout.places.shape, generator=torch.Generator().manual_seed(2))
    assert_close(stack(x, replace(layout, places=layout.places + shifts)), expected, "each by whole periods")
