"""Every mixer obeys the same laws; a new one is added to MIXERS."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unigen.batch import Layout
from unigen.errors import UserError
from unigen.nn.mixers.attention import Attention
from unigen.nn.mixers.backbone import Backbone, build_mixer
from unigen.nn.mixers.experts import SparseExperts
from unigen.nn.mixers.interface import TokenMixer
from unigen.nn.mixers.pattern import (
    MIXERS as NAMES,
)
from unigen.nn.mixers.pattern import (
    AttentionLayer,
    DeltaProductLayer,
    RepeatedLayer,
    S5Layer,
    SSDLayer,
    check_pattern,
    mixer_of,
)
from unigen.testing import (
    assert_causal,
    assert_close,
    assert_operator_is_the_layer,
    assert_rows_independent,
    assert_state_can_be_stepped_again,
    assert_state_rows_commute,
    assert_steps_at_once,
    assert_steps_equal_forward,
)

MIXERS = {name: mixer_of(name) for name in NAMES} | {
    "attention of grouped heads": AttentionLayer(kv_heads=1),
    "attention with distances": AttentionLayer(distances=4),
    "two reflections": DeltaProductLayer(reflections=2),
    "three reflections": DeltaProductLayer(reflections=3, convolution=1),
    "a small state": SSDLayer(state_width=3, convolution=2),
    "one block of S5": S5Layer(state_width=8),
}
WIDTH, HEADS = 16, 2
LONG = 150
"""Beyond 128 tokens the matrix is no longer written in one piece; no multiple of a chunk."""
FEW = settings(max_examples=6)
EACH = pytest.mark.parametrize("name", MIXERS)


def made(name: str, dtype: torch.dtype = torch.float64) -> TokenMixer:
    torch.manual_seed(0)
    mixer = build_mixer(MIXERS[name], WIDTH, HEADS).to(dtype)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return mixer


def inputs(batch: int, tokens: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(batch, tokens, WIDTH, dtype=dtype, generator=torch.Generator().manual_seed(tokens))


@EACH
def test_it_is_a_token_mixer(name):
    assert isinstance(made(name), TokenMixer)


@EACH
@FEW
@given(tokens=st.integers(1, 20), share=st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_prefill_and_steps_equal_the_full_forward(name, tokens, share):
    lengths = torch.tensor([1 + int(each * (tokens - 1)) for each in share])
    assert_steps_equal_forward(made(name), inputs(len(share), tokens), lengths)


@EACH
def test_steps_from_nothing_equal_the_full_forward(name):
    assert_steps_equal_forward(made(name), inputs(2, 7), torch.zeros(2, dtype=torch.long))


@EACH
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_long_sequences_are_chunked_and_give_the_same(name, dtype):
    """Recurrent, in chunks and (the shorter row, alone) by one matrix; lengths within, at and beyond chunks."""
    mixer, x = made(name, dtype), inputs(3, LONG, dtype)
    with torch.no_grad():
        assert_steps_equal_forward(mixer, x, torch.tensor([64, LONG - 1, 127]))
    whole = mixer(x, Layout.padded(torch.full((3,), LONG), LONG))
    assert_close(mixer(x[:, :100], Layout.padded(torch.full((3,), 100), 100)), whole[:, :100], "quadratic")


@EACH
@FEW
@given(tokens=st.integers(1, 9))
def test_causal(name, tokens):
    mixer = made(name)
    assert_causal(lambda x: mixer(x, Layout.padded(torch.full((2,), tokens), tokens)), inputs(2, tokens))


@EACH
def test_causal_across_chunks(name):
    mixer, layout = made(name), Layout.padded(torch.tensor([LONG]), LONG)
    x = inputs(1, LONG).requires_grad_()
    out = mixer(x, layout)
    for position in (0, 62, 63, 64, 126, 127, 128, LONG - 2):
        (gradient,) = torch.autograd.grad(out[:, position].sum(), x, retain_graph=True)
        assert not gradient[:, position + 1 :].any()
        assert gradient[:, position].any()


@EACH
@FEW
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_padded_or_packed_each_sequence_is_as_alone(name, lengths):
    assert_rows_independent(made(name), inputs(len(lengths), max(lengths) + 1), torch.tensor(lengths))


@EACH
def test_long_and_short_sequences_packed_are_as_alone(name):
    assert_rows_independent(made(name), inputs(3, LONG), torch.tensor([LONG, 3, 65]))


@EACH
def test_packed_prefill_fills_a_row_of_the_state_for_each_sequence(name):
    mixer, x, lengths = made(name), inputs(2, 6), torch.tensor([5, 3])
    packed, padded = mixer.init_state(2, 6, x), mixer.init_state(2, 6, x)
    mixer(torch.cat([x[0, :5], x[1, :3]])[None], Layout.packed(lengths), packed)
    mixer(x[:, :5], Layout.padded(lengths, 5), padded)
    for state in (packed, padded):
        y, _ = mixer.step(x[:, 5], lengths, state)
        alone = [
            mixer(torch.cat([x[row, :n], x[row, 5:]])[None], Layout.padded(torch.tensor([n + 1]), n + 1))[0, -1]
            for row, n in enumerate((5, 3))
        ]
        assert_close(y, torch.stack(alone), "a step after packed sequences")


@EACH
@FEW
@given(tokens=st.integers(2, 9), rows=st.lists(st.integers(0, 2), min_size=1, max_size=5))
def test_picking_and_repeating_rows_of_the_state(name, tokens, rows):
    assert_state_rows_commute(made(name), inputs(3, tokens), torch.tensor(rows))


@EACH
@FEW
@given(count=st.integers(1, 6), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_several_steps_at_once(name, count, lengths):
    assert_steps_at_once(made(name), inputs(len(lengths), max(lengths) + count), torch.tensor(lengths), count)


@EACH
def test_a_state_can_be_stepped_from_again(name):
    assert_state_can_be_stepped_again(made(name), inputs(3, 7))


@EACH
@FEW
@given(tokens=st.integers(1, 12))
def test_operator_applied_to_the_values_is_the_layer(name, tokens):
    assert_operator_is_the_layer(made(name), inputs(2, tokens))


@EACH
def test_gradients(name):
    mixer, layout = made(name), Layout.padded(torch.tensor([4]), 4)
    weights = tuple(mixer.parameters())
    names = [key for key, _ in mixer.named_parameters()]

    def output(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(mixer, dict(zip(names, values, strict=True)), (x, layout))

    points = (inputs(1, 4).requires_grad_(), *(each.detach().clone().requires_grad_() for each in weights))
    assert torch.autograd.gradcheck(output, points, fast_mode=True)


@pytest.mark.parametrize("name", [name for name in MIXERS if "attention" not in name])  # its memory is written in place
def test_gradients_of_chunks_are_those_of_steps(name):
    mixer, x = made(name), inputs(1, LONG).requires_grad_()
    weight = torch.randn(LONG, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (parallel,) = torch.autograd.grad((mixer(x, Layout.padded(torch.tensor([LONG]), LONG)) * weight).sum(), x)
    state, total = mixer.init_state(1, LONG, x), torch.zeros((), dtype=torch.float64)
    for position in range(LONG):
        y, state = mixer.step(x[:, position], torch.tensor([position]), state)
        total = total + (y * weight[position]).sum()
    (recurrent,) = torch.autograd.grad(total, x)
    assert_close(parallel, recurrent, "gradient through time")


@EACH
def test_under_autocast_it_computes_in_bf16_and_sums_in_single(name):
    mixer, x = made(name, torch.float32), inputs(2, 20, torch.float32)
    layout = Layout.padded(torch.tensor([20, 9]), 20)
    with torch.no_grad():
        expected = mixer(x, layout)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = mixer(x, layout)
    # 8 bits: outputs of order one, each a sum over some hundred rounded products
    assert float((rounded.float() - expected).abs().max()) < 0.05 * max(1.0, float(expected.abs().max()))


# ---- patterns


PATTERN = (
    "ssd",
    AttentionLayer(kv_heads=1),
    RepeatedLayer(mixer="delta_product", times=3),
    "lightnet",
    "s5",
    "para_rnn",
)


def backbone(pattern=PATTERN) -> Backbone:
    torch.manual_seed(0)
    stack = Backbone(pattern, WIDTH, HEADS, 0.0).double().eval()
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return stack


def test_a_backbone_of_all_mixers_steps_as_it_reads():
    stack, x = backbone(), inputs(3, 9)
    whole = stack(x, Layout.padded(torch.full((3,), 9), 9))
    lengths = torch.tensor([5, 2, 7])
    states = stack.init_states(3, 9, x)
    stack(x[:, :7], Layout.padded(lengths, 7), states)
    for offset in range(2):
        at = lengths + offset
        y, states = stack.step(x[torch.arange(3), at], at, states)
        assert_close(y, whole[torch.arange(3), at], "backbone")


def test_a_packed_backbone_is_a_padded_one():
    stack, x, lengths = backbone(), inputs(3, 9), torch.tensor([4, 9, 1])
    padded = stack(x, Layout.padded(lengths, 9))
    valid = Layout.padded(lengths, 9).valid
    assert_close(stack(x[valid][None], Layout.packed(lengths))[0], padded[valid], "packed backbone")


def test_depth_recurrence_is_a_loop_and_once_is_the_block():
    x, layout = inputs(2, 5), Layout.padded(torch.tensor([5, 5]), 5)
    once = backbone((RepeatedLayer(mixer="ssd", times=1),)).blocks[0]
    assert_close(once(x, layout, None), once.block(x, layout, None), "once")
    thrice = backbone((RepeatedLayer(mixer="ssd", times=3),)).blocks[0]
    h = thrice.block(x, layout, None)
    for _ in range(2):
        h = thrice.block(h + thrice.gain * x, layout, None)
    assert_close(thrice(x, layout, None), h, "three times")
    thrice.train()
    drawn = {float(thrice(x, layout, None).sum().detach()) for _ in range(20)}
    assert len(drawn) == 2  # twice or three times


def test_a_token_gets_its_experts_whoever_else_wants_them():
    torch.manual_seed(0)
    layer, x = SparseExperts(WIDTH, 5, 2).double(), inputs(3, 7)
    scores = layer.to_scores(x).sigmoid()
    best = scores.topk(2, -1).indices
    every = torch.stack([expert(x) for expert in layer.experts], -2)
    expected = (scores[..., None] * every).gather(-2, best[..., None].expand(-1, -1, -1, WIDTH)).sum(-2)
    assert_close(layer.eval()(x), expected, "all experts, those of each token picked")
    alone = torch.stack([layer(x[row, at]) for row in range(3) for at in range(7)])
    assert_close(alone, layer(x).flatten(0, 1), "a token alone")
    layer.experts[0].up.weight.grad = None
    layer(x[:1, :1]).sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


def test_experts_that_nobody_wants_are_wanted_more_while_it_learns():
    torch.manual_seed(0)
    layer, x = SparseExperts(WIDTH, 4, 1), inputs(8, 16, torch.float32)
    with torch.no_grad():
        layer.to_scores.weight.mul_(0.1)
        layer.bias[0] = 0.05  # all want the first

    def spread() -> float:
        load = layer.chosen(layer.to_scores(x).sigmoid().flatten(0, 1)).flatten().bincount(minlength=4)
        return float(load.float().std())

    unfair = spread()
    layer.eval()(x)
    assert spread() == unfair
    layer.train()
    for _ in range(100):
        layer(x)
    assert spread() < 0.3 * unfair


def test_padding_wants_no_expert():
    torch.manual_seed(0)
    lengths = torch.tensor([1, 6, 2])
    packed, padded = SparseExperts(WIDTH, 4, 1), SparseExperts(WIDTH, 4, 1)
    padded.load_state_dict(packed.state_dict())
    x, layout = inputs(3, 6, torch.float32), Layout.padded(lengths, 6)
    for _ in range(5):
        rows = padded(x, layout)
        line = packed(x[layout.valid][None], Layout.packed(lengths))
        assert_close(rows[layout.valid], line[0], "the same outputs")
    assert torch.equal(padded.bias, packed.bias)
    assert padded.bias.any()
    assert not rows[~layout.valid].any()


def test_the_names_of_a_pattern_are_checked():
    with pytest.raises(UserError, match=r"unknown mixer; got attentions; wanted one of attention.*did you mean att"):
        check_pattern(("ssd", "attentions"), 2)
    with pytest.raises(UserError, match="unknown mixer; got mamba"):
        RepeatedLayer(mixer="mamba")
    with pytest.raises(UserError, match="kv_heads 2, heads 3"):
        check_pattern((RepeatedLayer(mixer=AttentionLayer(kv_heads=2)),), 3)
    with pytest.raises(UserError, match="reflections: out of range; got 0"):
        DeltaProductLayer(reflections=0)
    with pytest.raises(UserError, match="wanted a multiple of 8"):
        S5Layer(state_width=12)


def test_attention_depends_on_relative_positions_only():
    torch.manual_seed(0)
    mixer = Attention(16, 2).double()
    x = torch.randn(1, 5, 16, dtype=torch.float64)
    here = Layout(torch.arange(5)[None], torch.tensor([5]))
    shifted = Layout(torch.arange(5)[None] + 11, torch.tensor([5]))
    assert_close(mixer(x, here), mixer(x, shifted), "shifted positions")


@pytest.mark.parametrize("name", ["attention", "attention of grouped heads"])
def test_attention_that_looks_ahead_sees_the_whole_sequence_and_no_padding(name):
    """The last token sees as much as ever, the others what stands behind them, too."""
    mixer, x = made(name), torch.randn(2, 7, WIDTH, dtype=torch.float64)
    layout = Layout.padded(torch.tensor([7, 4]), 7)
    ahead = replace(layout, looks_ahead=True)
    causal, whole = mixer(x, layout).detach(), mixer(x, ahead).detach()
    for row, length in enumerate(layout.lengths.tolist()):
        assert_close(whole[row, length - 1], causal[row, length - 1], "the last token")
        assert (whole[row, : length - 1] - causal[row, : length - 1]).abs().amax(-1).min() > 1e-6
        changed = x.clone()
        changed[row, length - 1] += 1.0
        assert (mixer(changed, ahead).detach()[row, 0] - whole[row, 0]).abs().max() > 1e-6
    changed = x.clone()
    changed[1, 4:] += 1.0
    assert_close(mixer(changed, ahead).detach()[1, :4], whole[1, :4], "padding")
