"""Spherical harmonics by what defines them: the addition theorem."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from unigen.geometry.harmonics import COMPONENTS, real_harmonics


def directions(seed: int, count: int) -> torch.Tensor:
    drawn = torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 3)))
    return drawn / drawn.norm(dim=-1, keepdim=True)


@given(st.integers(0, 2**31))
def test_the_product_of_a_degree_is_legendres_polynomial_of_the_angle(seed):
    points = directions(seed, 6)
    cosine = points @ points.T
    legendre = (torch.ones_like(cosine), cosine, (3 * cosine**2 - 1) / 2)
    for degree, wanted in zip(real_harmonics(points).split(COMPONENTS, -1), legendre, strict=True):
        torch.testing.assert_close(degree @ degree.T, wanted, atol=1e-12, rtol=0)


def test_the_first_degree_is_the_direction():
    points = directions(0, 5)
    torch.testing.assert_close(real_harmonics(points)[:, 1:4], points)
    assert sum(COMPONENTS) == real_harmonics(points).shape[-1]
