"""Under bf16 autocast the backbone computes in bf16 and the heads in fp32."""

from __future__ import annotations

import pytest
import torch

from unigen.models.words.network import Autoregressive, AutoregressiveConfig
from unigen.tokens.sequence import Channel


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    size = {"mixers": ("attention",), "width": 32, "heads": 2, "head_width": 32, "head_blocks": 1}
    model = Autoregressive(AutoregressiveConfig(**size)).eval()
    for head in (model.lattice_head, model.site_head):
        torch.nn.init.normal_(head.stack.to_output.weight)
    return model


def autocast():
    return torch.autocast("cpu", torch.bfloat16)


def test_the_symbol_head_does_not_round(model):
    h = torch.randn(64, 32)
    with autocast():
        logits = model.symbol_head(h)
        assert model.symbol_head(h.bfloat16()).dtype == torch.float32
        assert torch.nn.functional.linear(h, h).dtype == torch.bfloat16  # autocast is at work
    assert torch.equal(logits, model.symbol_head(h))


@pytest.mark.parametrize("channel", [Channel.LATTICE, Channel.FRACTIONAL])
def test_the_vector_heads_do_not_round(model, channel):
    head = model.head(channel)
    h, x = torch.randn(64, 32), torch.rand(64, head.slot_width)

    def answers():
        context = head.context(h)
        levels = torch.full((64,), 0.1)
        denoised = [head.denoise(x, torch.tensor(0.1), context), head.denoise(x, levels, context)]
        return [context, *denoised, head.loss(context, x, torch.Generator().manual_seed(0))]

    with autocast():
        inside = answers()
    for one, other in zip(inside, answers(), strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)
