"""Principal frames: rotations that turn with the points, and no weight where there are none."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unigen.geometry.frames import principal_frames
from unigen.geometry.rotation import random_rotation


def moments(points: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(points.T @ points)[None]


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(4, 9))
def test_frames_are_rotations_that_turn_with_the_points(seed, count):
    rng = np.random.default_rng(seed)
    points, turn = rng.normal(size=(count, 3)) * [1, 2, 4], random_rotation(rng)
    frames, turned = principal_frames(moments(points)), principal_frames(moments(points @ turn))
    assert torch.allclose(torch.linalg.det(frames.axes), torch.ones(1, 4, dtype=torch.float64))
    assert torch.allclose(frames.weight, turned.weight)
    assert 0 < float(frames.weight[0]) < 1
    # the coordinates in the frames are the same four, perhaps in another order
    seen = {tuple(np.round(points @ axes.numpy(), 6).ravel() + 0.0) for axes in frames.axes[0]}
    also = {tuple(np.round(points @ turn @ axes.numpy(), 6).ravel() + 0.0) for axes in turned.axes[0]}
    distance = [min(np.abs(np.subtract(one, other)).max() for other in also) for one in seen]
    assert max(distance) < 1e-5


def test_what_has_equal_moments_has_no_weight_and_what_comes_near_little():
    cube = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    assert float(principal_frames(moments(cube)).weight) < 1e-12
    stretched = [float(principal_frames(moments(cube * [1, 1 + s, 1 + 2 * s])).weight) for s in (1e-4, 1e-2, 0.5)]
    assert stretched[0] < 1e-4 < stretched[1] < 0.1 < stretched[2]
    assert float(principal_frames(torch.zeros(1, 3, 3)).weight) == 0  # an atom that sees none
