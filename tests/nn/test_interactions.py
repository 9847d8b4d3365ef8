"""The unified view: what is measured of layers is what their equations say."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unigen.nn.mixers.backbone import Backbone
from unigen.nn.mixers.interactions import (
    Interaction,
    UnifiedView,
    effective_count,
    gradient_squares,
    interactions,
    precise_copy,
    stacked_ranks,
)
from unigen.nn.mixers.pattern import MIXERS, AttentionLayer, DeltaProductLayer, RepeatedLayer, S5Layer, kind_of
from unigen.testing import assert_close

WIDTH, HEADS = 16, 2


def double(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def backbone(*layers, width: int = WIDTH) -> Backbone:
    torch.manual_seed(0)
    return Backbone(layers, width, HEADS, 0.0).double().eval()


def viewed(model: Backbone, *layers, lengths=(7, 12), **options) -> UnifiedView:
    view = UnifiedView(model, [kind_of(layer) for layer in layers], **options)
    for seed, length in enumerate(lengths):
        view.add(double(length, WIDTH, seed=seed))
    return view


@settings(max_examples=10)
@given(st.integers(1, 5), st.integers(0, 2**31), st.integers(2, 6))
def test_a_linear_state_space_of_size_k_has_rank_k(size, seed, width):
    """Written as a head for every pair of input and output, it needs no more than its state is long."""
    a = torch.linspace(-0.9, 0.95, size, dtype=torch.float64)
    b, c = double(size, width, seed=seed), double(width, size, seed=seed + 1)
    lags = torch.stack([c @ torch.diag(a**lag) @ b for lag in range(24)])
    at = torch.arange(24)
    operator = lags[(at[:, None] - at).clamp(min=0)].flatten(2).movedim(-1, 0).tril()
    written = Interaction(0, 0, operator, torch.ones(width**2, 24, 1, dtype=torch.float64))
    rank, effective = stacked_ranks(written, 1e-9)
    assert rank == min(size, width**2)
    assert 1.0 <= effective <= size + 1e-9


def test_s5_has_as_many_heads_as_states():
    layer = S5Layer(state_width=8)
    model = backbone(layer)
    with torch.no_grad():
        model.blocks[0].mixer.log_step.fill_(-1.0)  # its own short steps make all states alike over so few tokens
    (found,) = viewed(model, layer, lengths=(32,), tolerance=1e-10).layers
    assert found.rank == found.heads == 8


@pytest.mark.parametrize("name", MIXERS)
def test_what_holds_of_every_mixer(name):
    repeated = RepeatedLayer(mixer=name, times=2)
    view = viewed(backbone(name, repeated), name, repeated)
    assert [(each.name, each.mixer) for each in view.layers] == [("1", name), ("2.1", name), ("2.2", name)]
    for layer in view.layers:
        assert 1.0 <= layer.effective_heads <= layer.heads + 1e-9
        assert 1.0 <= layer.effective_rank <= layer.heads + 1e-9
        assert 1 <= layer.rank <= layer.heads
        assert math.isclose(sum(layer.shares), 1.0, rel_tol=1e-9)
        assert min(layer.distances) >= 0.0
        assert max(layer.distances) <= 11.0
        assert max(layer.head_ranks) <= 12.0
        assert min(layer.profile) >= 0.0
        # each head's weights sum to one a token, over both sequences
        assert math.isclose(sum(p * n for p, n in zip(layer.profile, pairs_of(7, 12), strict=True)), 19.0, rel_tol=1e-9)
    assert len(view.gradient) == len(view.pairs) == 12


def pairs_of(*lengths: int) -> list[int]:
    return [sum(max(length - lag, 0) for length in lengths) for lag in range(max(lengths))]


def test_operators_are_those_of_the_layers_inside_the_network():
    """Put in the place of a layer, what its operator gives of its values ends in the same output of all layers."""
    layers = ("ssd", RepeatedLayer(mixer="attention", times=2), DeltaProductLayer(reflections=2), "attention")
    model, x = precise_copy(backbone(*layers)), double(9, WIDTH)
    found = interactions(model, x)
    assert [(each.layer, each.turn) for each in found] == [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0)]
    assert found[3].heads.shape == (HEADS, 9, 9, 2)
    for each in found:
        assert torch.equal(each.heads.movedim(-1, 1).triu(1).count_nonzero(), torch.tensor(0))
    h, block = x, model.blocks[0]
    read = block.mixer_norm(h)
    h = h + block.mixer.output(read, (found[0].operator @ found[0].moved).transpose(0, 1))
    expected = block(x[None], layout_of(9), None)[0]
    assert_close(h + block.feed_forward(block.feed_forward_norm(h)), expected, "first layer")


def layout_of(tokens: int):
    from unigen.batch import Layout

    return Layout.padded(torch.tensor([tokens]), tokens)


def test_uniform_attention_looks_a_quarter_back():
    layer = AttentionLayer()
    model = backbone(layer)
    with torch.no_grad():
        model.blocks[0].mixer.to_qkv.weight[: 2 * WIDTH] = 0.0
    (found,) = viewed(model, layer, lengths=(13,)).layers
    assert math.isclose(found.distance, found.uniform_distance)
    assert found.uniform_distance == 3.0
    assert found.rank == 1.0  # all heads alike


def test_counts():
    for count in (1, 3, 8):
        assert_close(effective_count(torch.ones(count).double()), torch.tensor(count).double(), "equal shares")
    assert effective_count(torch.zeros(3)) == 1.0


def test_the_gradient_is_the_size_of_the_jacobian():
    model, x = backbone("attention", "ssd", width=8), double(5, 8)
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x[None], layout_of(5))[0], x)
    squares = jacobian.square().sum((1, 3)) / 8
    exact = torch.stack([squares.diagonal(-lag).sum() for lag in range(5)])
    drawn = [gradient_squares(model, x, seed) for seed in range(300)]
    assert all(count.tolist() == [5, 4, 3, 2, 1] for _, count in drawn)
    mean = torch.stack([total for total, _ in drawn]).mean(0)
    assert torch.allclose(mean, exact, rtol=0.15)  # 300 draws: their mean is off by some 5 %
    nothing = backbone(width=8)
    assert gradient_squares(nothing, x, 0)[0][1:].abs().max() == 0.0


def test_gradients_of_a_stable_state_space_fade_and_those_of_attention_need_not():
    far = {}
    for name in ("attention", "ssd"):
        model = backbone(name)
        if name == "ssd":  # a decay of a thousandth after 100 tokens: what stability means
            with torch.no_grad():
                model.blocks[0].mixer.log_rate.fill_(0.0)
                model.blocks[0].mixer.to_step.weight.zero_()
                model.blocks[0].mixer.step_bias.fill_(math.log(math.expm1(math.log(1000) / 100)))
        view = UnifiedView(model, [name])
        view.add(0.3 * double(200, WIDTH))
        curve = torch.tensor(view.gradient)
        far[name] = float(curve[150:].mean() / curve[5:30].mean())
    assert far["attention"] > 0.3
    assert far["ssd"] < 0.02
