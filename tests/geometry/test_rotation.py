"""Random rotations are rotations, and no direction is preferred."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unigen.geometry.rotation import random_rotation


@given(st.integers(0, 2**31))
def test_it_is_a_rotation(seed):
    turn = random_rotation(np.random.default_rng(seed))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) > 0


def test_every_direction_is_as_likely():
    """Haar: every element has mean 0 and mean square 1/3, and the angle has density (1 - cos a) / pi."""
    rng = np.random.default_rng(0)
    turns = np.array([random_rotation(rng) for _ in range(20_000)])
    np.testing.assert_allclose(turns.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose((turns**2).mean(axis=0), 1 / 3, atol=0.02)
    angle = np.arccos((np.trace(turns, axis1=1, axis2=2) - 1) / 2)
    quantiles = np.quantile(angle, [0.25, 0.5, 0.75])
    np.testing.assert_allclose((quantiles - np.sin(quantiles)) / np.pi, [0.25, 0.5, 0.75], atol=0.02)
