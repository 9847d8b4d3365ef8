"""Springs pull towards their rest lengths, alike in every frame, and say nothing where no atom stands."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from unigen.geometry.rotation import random_rotation
from unigen.models.smiles.springs import PULLS, SPRINGS, Springs

SEEDS = st.integers(0, 2**31)
SIGMA = torch.tensor([0.05, 0.5])


def springs(seed: int, neighbours: int = 3) -> Springs:
    generator = torch.Generator().manual_seed(seed)
    ends = 2 * torch.randn(2, neighbours, 3, generator=generator)
    lengths = 1 + 2 * torch.rand(2, neighbours, SPRINGS, generator=generator)
    return Springs(ends, lengths, torch.rand(2, neighbours, SPRINGS, generator=generator))


@given(SEEDS, SEEDS)
def test_pulls_turn_with_the_frame(seed, turn):
    one = springs(seed)
    rotation = torch.from_numpy(random_rotation(np.random.default_rng(turn))).float()
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(turn))
    turned = Springs(one.ends @ rotation, one.lengths, one.strengths)
    there = turned.pulls(x @ rotation, SIGMA).unflatten(-1, (SPRINGS, 3))
    assert there.flatten(1).shape == (2, PULLS)
    torch.testing.assert_close(there, one.pulls(x, SIGMA).unflatten(-1, (SPRINGS, 3)) @ rotation, atol=1e-4, rtol=0)


@given(SEEDS)
def test_a_single_spring_pulls_to_its_length(seed):
    one = springs(seed, neighbours=1)
    x = one.ends[:, 0] + torch.tensor([[0.4, 0.0, 0.0], [4.5, 0.0, 0.0]])
    pull = one.pulls(x, SIGMA).unflatten(-1, (SPRINGS, 3))[..., 0]
    assert (pull[0] > 0).all()  # too near: pushed away
    assert (pull[1] < 0).all()
    at_rest = one.ends[:, 0] + torch.tensor([1.0, 0, 0]) * one.lengths[:, 0, :1]
    assert one.pulls(at_rest, SIGMA).unflatten(-1, (SPRINGS, 3))[:, 0].abs().max() < 1e-3


def test_springs_of_no_strength_and_slots_left_out():
    one = springs(0)
    none = Springs(one.ends, one.lengths, torch.zeros_like(one.strengths))
    assert not none.pulls(torch.ones(2, 3), SIGMA).any()
    second = one.of(torch.tensor([False, True]))
    torch.testing.assert_close(second.pulls(torch.ones(1, 3), SIGMA[1:]), one.pulls(torch.ones(2, 3), SIGMA)[1:])
    twice = one.repeated(2).pulls(torch.ones(4, 3), SIGMA.repeat(2))
    torch.testing.assert_close(twice, one.pulls(torch.ones(2, 3), SIGMA).repeat(2, 1))
