"""Every mixer obeys the same laws; a new one is added to MIXERS."""

import pytest
import torch

from unigen.batch import Layout
from unigen.nn.mixers.attention import Attention
from unigen.nn.mixers.interface import TokenMixer
from unigen.testing import (
    assert_causal,
    assert_close,
    assert_rows_independent,
    assert_state_rows_commute,
    assert_steps_equal_forward,
)

MIXERS = {"attention": lambda: Attention(16, 2)}
TOKENS = 7


@pytest.fixture(params=MIXERS)
def mixer(request):
    torch.manual_seed(0)
    return MIXERS[request.param]().double()


@pytest.fixture
def x():
    return torch.randn(3, TOKENS, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_it_is_a_token_mixer(mixer):
    assert isinstance(mixer, TokenMixer)


@pytest.mark.parametrize("prefix", [0, 1, 4, TOKENS - 1])
def test_prefill_and_steps_equal_the_full_forward(mixer, x, prefix):
    assert_steps_equal_forward(mixer, x, prefix)


def test_rows_at_different_positions_step_as_if_alone(mixer, x):
    """Prompts of different length in one batch: what lies in the cache beyond a row's own position is not seen."""
    lengths = torch.tensor([2, 5, 4])
    state = mixer.init_state(3, TOKENS, x)
    mixer.forward(x[:, :5], Layout.padded(lengths, 5), state)
    rows = torch.arange(3)
    stepped, _ = mixer.step(x[rows, lengths], lengths, state)
    whole = mixer.forward(x, Layout.padded(lengths + 1, TOKENS))
    assert_close(stepped, whole[rows, lengths], "ragged step")


def test_causal(mixer, x):
    assert_causal(lambda value: mixer.forward(value, Layout.padded(torch.full((3,), TOKENS), TOKENS)), x)


def test_padding_and_neighbours_change_nothing(mixer, x):
    assert_rows_independent(mixer, x, torch.tensor([7, 3, 5]))


def test_state_rows(mixer, x):
    assert_state_rows_commute(mixer, x, torch.tensor([2, 0, 0]))


def test_operator_applied_to_the_values_is_the_layer(x):
    torch.manual_seed(0)
    mixer = Attention(16, 2).double()
    layout = Layout.padded(torch.full((3,), TOKENS), TOKENS)
    weights = mixer.operator(x, layout)
    values = mixer.to_qkv(x).chunk(3, dim=-1)[2].unflatten(-1, (2, -1)).transpose(1, 2)
    assert_close(weights.sum(-1), torch.ones(3, 2, TOKENS, dtype=torch.float64), "rows sum to one")
    assert_close(mixer.to_out((weights @ values).transpose(1, 2).flatten(2)), mixer(x, layout), "operator")


def test_gradients(mixer, x):
    layout = Layout.padded(torch.full((1,), 3), 3)
    point = x[:1, :3].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda value: mixer.forward(value, layout), point)


def test_attention_depends_on_relative_positions_only():
    torch.manual_seed(0)
    mixer = Attention(16, 2).double()
    x = torch.randn(1, 5, 16, dtype=torch.float64)
    here = Layout(torch.arange(5)[None], torch.tensor([5]))
    shifted = Layout(torch.arange(5)[None] + 11, torch.tensor([5]))
    assert_close(mixer(x, here), mixer(x, shifted), "shifted positions")
