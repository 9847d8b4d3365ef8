"""On data with a known score the solvers and the likelihood are exact up to their order."""

import math

import pytest
import torch

from tests.nn.slopes import with_slopes
from unigen.nn.process.gaussian import GaussianProcess
from unigen.nn.process.solvers import dpm_solver_2m, heun, karras_levels, log_likelihood
from unigen.nn.process.torus import TorusProcess

MEAN, STD = 0.3, 0.7


def denoise_normal(x, sigma):
    """The exact denoiser of N(MEAN, STD^2)."""
    return (STD**2 * x + sigma**2 * MEAN) / (STD**2 + sigma**2)


@pytest.mark.parametrize(("solver", "steps"), [(heun, 20), (dpm_solver_2m, 40)])
def test_samples_of_a_normal_have_its_mean_and_spread(solver, steps):
    process = GaussianProcess()
    levels = karras_levels(steps, process.sigma_min, process.sigma_max)
    start = process.prior(torch.randn(50_000, 2, generator=torch.Generator().manual_seed(0)))
    x = solver(denoise_normal, start, levels)
    assert x.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert x.std().item() == pytest.approx(STD, rel=0.02)


@pytest.mark.parametrize("solver", [heun, dpm_solver_2m])
def test_a_denoiser_is_told_of_levels_what_is_wanted(solver):
    process = GaussianProcess()
    levels = karras_levels(8, process.sigma_min, process.sigma_max)
    start = process.prior(torch.randn(10, 2, generator=torch.Generator().manual_seed(0)))
    squares = [("its square", sigma**2) for sigma in levels]
    told = solver(lambda x, level: denoise_normal(x, level[1].sqrt()), start, levels, 0.7, squares)
    torch.testing.assert_close(told, solver(denoise_normal, start, levels, 0.7))


@pytest.mark.parametrize("solver", [heun, dpm_solver_2m])
def test_the_error_falls_as_the_square_of_the_step(solver):
    process = GaussianProcess(sigma_max=5.0)
    start = torch.linspace(-5, 5, 21)[:, None].double()
    variance = torch.tensor(process.sigma_max**2 + STD**2, dtype=torch.float64)
    end_variance = process.sigma_min**2 + STD**2
    exact = denoise_normal(MEAN + (start - MEAN) * (end_variance / variance).sqrt(), torch.tensor(process.sigma_min))
    errors = []
    for steps in (20, 40, 80):
        levels = karras_levels(steps, process.sigma_min, process.sigma_max).double()
        errors.append((solver(denoise_normal, start, levels) - exact).abs().max().item())
    assert errors[0] / errors[1] > 3
    assert errors[1] / errors[2] > 3


@pytest.mark.parametrize("solver", [heun, dpm_solver_2m])
def test_a_low_temperature_narrows_a_mode_and_keeps_its_place(solver):
    process = GaussianProcess()
    levels = karras_levels(80, process.sigma_min, process.sigma_max)
    start = process.prior(torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0)))
    spread = [solver(denoise_normal, start, levels, temperature).std().item() for temperature in (1.0, 0.8, 0.5)]
    assert spread[0] > spread[1] > spread[2]
    assert solver(denoise_normal, start, levels, 0.5).mean().item() == pytest.approx(MEAN, abs=0.03)


def test_the_likelihood_of_a_normal_is_its_density():
    process = GaussianProcess(sigma_max=50.0)
    x = torch.tensor([[0.3, 0.3], [1.0, -0.5], [2.0, 0.0]])
    levels = karras_levels(150, process.sigma_min, process.sigma_max)
    got = log_likelihood(with_slopes(denoise_normal), x, levels, process.prior_log_prob)
    wanted = (-((x - MEAN) ** 2) / (2 * STD**2) - 0.5 * math.log(2 * math.pi * STD**2)).sum(-1)
    assert torch.allclose(got, wanted, atol=0.02)


def test_the_likelihood_on_the_torus_integrates_to_one():
    """A denoiser that knows one point; the density over a grid sums to one and is uniform where it knows nothing."""
    process = TorusProcess()
    levels = karras_levels(40, process.sigma_min, process.sigma_max)
    grid = ((torch.arange(400) + 0.5) / 400)[:, None]
    flat = log_likelihood(with_slopes(lambda x, sigma: x), grid, levels, process.prior_log_prob)
    assert flat.abs().max() < 1e-4

    def denoise(x, sigma):
        """A wrapped normal of width 0.1 around 0.4."""
        from unigen.geometry.torus import denoising_displacement

        wide = (sigma**2 + 0.1**2).sqrt()
        return x + sigma**2 / wide**2 * denoising_displacement(x - 0.4, wide.expand_as(x))

    density = log_likelihood(with_slopes(denoise), grid, levels, process.prior_log_prob).exp()
    assert density.mean().item() == pytest.approx(1.0, abs=0.03)
    assert grid[density.argmax()].item() == pytest.approx(0.4, abs=0.01)
