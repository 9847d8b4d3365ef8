import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unigen.geometry.torus import wrap
from unigen.nn.process.gaussian import GaussianProcess
from unigen.nn.process.solvers import karras_levels
from unigen.nn.process.torus import TorusProcess, fourier_features

seeds = st.integers(0, 2**31)


@given(seeds, st.floats(0.01, 15.0))
def test_the_exact_network_output_denoises_exactly(seed, level):
    process, generator = GaussianProcess(), torch.Generator().manual_seed(seed)
    x, normal = (torch.randn(5, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    sigma = torch.full((5,), level, dtype=torch.float64)
    noisy = process.add_noise(x, normal, sigma)
    assert torch.allclose(process.denoised(noisy, process.target(x, noisy, sigma), sigma), x, atol=1e-8)


@given(seeds, st.floats(0.003, 0.05))
def test_on_the_torus_little_noise_is_removed_exactly_up_to_whole_cells(seed, level):
    process, generator = TorusProcess(), torch.Generator().manual_seed(seed)
    x = torch.rand(5, 3, generator=generator, dtype=torch.float64)
    sigma = torch.full((5,), level, dtype=torch.float64)
    noisy = process.add_noise(x, torch.randn(5, 3, generator=generator, dtype=torch.float64), sigma) + 2.0
    back = process.denoised(noisy, process.target(x, noisy, sigma), sigma)
    assert wrap(back - x).abs().max() < 1e-6


@pytest.mark.parametrize("process", [GaussianProcess(), TorusProcess()], ids=["gaussian", "torus"])
def test_targets_have_unit_variance_at_every_level(process):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40_000, 1, generator=generator)
    for level in (0.004, 0.03, 0.2, 0.45):
        sigma = torch.full((len(x),), level)
        noisy = process.add_noise(x, torch.randn(x.shape, generator=generator), sigma)
        assert process.target(x, noisy, sigma).square().mean().sqrt() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("process", [GaussianProcess(), TorusProcess()], ids=["gaussian", "torus"])
def test_levels_and_prior(process):
    drawn = process.draw_levels(torch.rand(10_000, generator=torch.Generator().manual_seed(0)))
    assert torch.isfinite(drawn).all()
    assert (drawn > 0).all()
    start = process.prior(torch.randn(50_000, 1, generator=torch.Generator().manual_seed(1)))
    if isinstance(process, TorusProcess):
        assert start.min() >= 0
        assert start.max() <= 1
        assert start.std() == pytest.approx(12**-0.5, rel=0.02)
        assert process.prior_log_prob(start).abs().max() == 0
    else:
        assert start.std() == pytest.approx(process.sigma_max, rel=0.02)


def test_karras_levels_fall_from_largest_to_smallest():
    levels = karras_levels(14, 0.003, 0.5)
    assert len(levels) == 15
    assert (levels.diff() < 0).all()
    assert levels[0].item() == pytest.approx(0.5)
    assert levels[-1].item() == pytest.approx(0.003)


@given(st.floats(-3.0, 3.0), st.integers(-3, 3))
def test_features_are_periodic(x, shift):
    frequencies = torch.tensor([1.0, 5.0, 16.0], dtype=torch.float64)
    here, there = (torch.tensor([[value]], dtype=torch.float64) for value in (x, x + shift))
    assert torch.allclose(fourier_features(here, frequencies), fourier_features(there, frequencies), atol=1e-9)
    assert fourier_features(here, frequencies).shape == (1, 6)
    assert math.isclose(fourier_features(here, frequencies).square().sum().item(), 3.0, rel_tol=1e-9)
