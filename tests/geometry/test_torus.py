import torch
from hypothesis import given
from hypothesis import strategies as st

from unigen.geometry.torus import denoising_displacement, displacement_scale, wrap

points = st.floats(-3.0, 3.0)
levels = st.floats(0.003, 0.5)


@given(points)
def test_wrapping_is_the_shortest_representative(x):
    wrapped = wrap(torch.tensor([x], dtype=torch.float64)).item()
    assert -0.5 <= wrapped < 0.5
    assert abs((wrapped - x) - round(wrapped - x)) < 1e-12


@given(points, levels, st.integers(-2, 2))
def test_displacement_is_the_score_of_the_wrapped_normal(x, sigma, shift):
    point = torch.tensor([x], dtype=torch.float64, requires_grad=True)
    images = torch.arange(-40, 41, dtype=torch.float64)
    log_density = torch.logsumexp(-((point[:, None] + images) ** 2) / (2 * sigma**2), dim=1)
    (score,) = torch.autograd.grad(log_density.sum(), point)
    level = torch.tensor([sigma], dtype=torch.float64)
    ours = denoising_displacement(point.detach() + shift, level)
    assert abs(ours.item() - sigma**2 * score.item()) < 1e-7


def test_displacement_limits():
    x = torch.linspace(-0.4, 0.4, 9, dtype=torch.float64)
    assert torch.allclose(denoising_displacement(x, torch.full_like(x, 1e-3)), -x)
    assert denoising_displacement(x, torch.full_like(x, 0.5)).abs().max() < 0.05


def test_scale_is_sigma_for_small_noise_and_vanishes_for_large():
    scale = displacement_scale(torch.tensor([0.003, 0.01, 0.05, 0.5]))
    assert torch.allclose(scale[:3], torch.tensor([0.003, 0.01, 0.05]), rtol=2e-2)
    assert scale[3] < 0.05
