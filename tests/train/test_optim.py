"""Laws of the schedule, and what is decayed."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unigen.models.words.network import Autoregressive, AutoregressiveConfig
from unigen.train.continuation import retune
from unigen.train.optim import build_optimizer, schedule
from unigen.train.settings import OptimConfig

steps = st.integers(20, 5000)
warmups = st.integers(0, 15)
kinds = st.sampled_from(["cosine", "wsd"])


@given(steps, warmups, kinds)
def test_the_factor_rises_to_one_then_falls_to_zero(max_steps, warmup, kind):
    factor = schedule(OptimConfig(schedule=kind, warmup_steps=warmup, decay_fraction=0.2), max_steps)
    values = [factor(step) for step in range(max_steps + 1)]
    rise, fall = values[:warmup], values[warmup:]
    assert rise == pytest.approx([(step + 1) / warmup for step in range(warmup)])
    assert max(values) == pytest.approx(1.0, abs=0.02)
    assert all(before >= after for before, after in pairwise(fall))
    assert values[-1] == pytest.approx(0.0, abs=1e-12)
    assert all(0.0 < value <= 1.0 for value in values[:-1])  # the step before the last still learns


@given(steps)
def test_half_way_through_the_cosine_the_factor_is_a_half(max_steps):
    factor = schedule(OptimConfig(schedule="cosine", warmup_steps=0), 2 * max_steps)
    assert factor(max_steps) == pytest.approx(0.5)


@given(steps, st.floats(0.1, 0.5))
def test_wsd_is_constant_then_linear(max_steps, fraction):
    factor = schedule(OptimConfig(schedule="wsd", warmup_steps=0, decay_fraction=fraction), max_steps)
    decay = int(fraction * max_steps)
    assert all(factor(step) == 1.0 for step in range(max_steps - decay + 1))
    assert factor(max_steps - 1) == pytest.approx(1 / decay)
    longer = schedule(OptimConfig(schedule="wsd", warmup_steps=0, decay_fraction=fraction), 10 * max_steps)
    assert all(factor(step) == longer(step) for step in range(max_steps - decay))  # so a run can be prolonged


@pytest.fixture(scope="module")
def model():
    size = {"mixers": ("attention",), "width": 16, "heads": 2, "head_width": 16, "head_blocks": 1}
    return Autoregressive(AutoregressiveConfig(**size))


def test_matrices_decay_and_nothing_else_does(model):
    decayed, kept = build_optimizer(model, OptimConfig(weight_decay=0.1)).param_groups
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    modules = dict(model.named_modules())
    in_group = {id(parameter) for parameter in decayed["params"]} | {id(parameter) for parameter in kept["params"]}
    assert in_group == set(names)
    for parameter in kept["params"]:
        owner = modules[names[id(parameter)].rpartition(".")[0]]
        assert parameter.ndim == 1 or isinstance(owner, torch.nn.Embedding)
    for parameter in decayed["params"]:
        assert parameter.ndim == 2


def test_a_checkpoint_takes_new_settings_and_the_old_ones_change_nothing(model):
    optim = OptimConfig(warmup_steps=0)
    optimizer = build_optimizer(model, optim)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(optim, 10))
    for _ in range(3):
        optimizer.step()
        scheduler.step()

    def after_retune(lr, **changes):
        checkpoint = {"optimizer_states": [optimizer.state_dict()], "lr_schedulers": [scheduler.state_dict()]}
        retune(checkpoint, OptimConfig(warmup_steps=0, lr=lr, **changes), 10)
        return checkpoint

    same = after_retune(optim.lr)
    assert same["optimizer_states"][0]["param_groups"] == optimizer.state_dict()["param_groups"]
    assert same["lr_schedulers"][0] == scheduler.state_dict()
    half = after_retune(optim.lr / 2, weight_decay=0.5)["optimizer_states"][0]["param_groups"]
    assert [group["lr"] for group in half] == pytest.approx([group["lr"] / 2 for group in optimizer.param_groups])
    assert [group["weight_decay"] for group in half] == [0.5, 0.0]
