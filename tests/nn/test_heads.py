import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.nn.slopes import with_slopes
from unigen.nn.heads.symbols import SymbolHead
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.process.gaussian import GaussianProcess
from unigen.nn.process.torus import TorusProcess
from unigen.testing import assert_close, assert_periodic


@pytest.fixture(params=["gaussian", "torus"])
def head(request):
    torch.manual_seed(0)
    process = GaussianProcess() if request.param == "gaussian" else TorusProcess()
    head = VectorHead(process, 3, condition_width=8, width=16, blocks=2)
    torch.nn.init.normal_(head.stack.to_output.weight, std=0.3)
    return head


def test_one_level_for_all_equals_one_level_a_row(head):
    x, h = torch.rand(5, 3), torch.randn(5, 8)
    shared = head.denoise(x, torch.tensor(0.1), head.context(h))
    each = head.denoise(x, torch.full((5,), 0.1), head.context(h))
    assert_close(shared, each, "levels")


@pytest.mark.parametrize("shape", [(), (5,)], ids=["shared", "a row"])
def test_a_level_embedded_beforehand_says_the_same(head, shape):
    x, context, sigma = torch.rand(5, 3), head.context(torch.randn(5, 8)), torch.rand(shape) + 0.1
    assert torch.equal(head.denoise(x, head.embedded(sigma), context), head.denoise(x, sigma, context))


def test_without_noise_the_vector_stays(head):
    x = torch.rand(5, 3)
    level = torch.tensor(head.process.sigma_min)
    moved = head.denoise(x, level, head.context(torch.randn(5, 8))) - x
    assert moved.abs().max() < 20 * head.process.sigma_min


@pytest.mark.parametrize("process", [GaussianProcess(), TorusProcess()], ids=["gaussian", "torus"])
@given(seed=st.integers(0, 2**31), level=st.floats(0.005, 0.5), width=st.integers(1, 6), blocks=st.integers(1, 3))
def test_slopes_are_the_derivatives_that_torch_takes(process, seed, level, width, blocks):
    torch.manual_seed(seed)
    head = VectorHead(process, width, condition_width=8, width=16, blocks=blocks).double()
    torch.nn.init.normal_(head.stack.to_output.weight)
    context = head.stack.to_hidden.weight.new_empty(5, blocks * 32).normal_()
    x, free = torch.randn(5, width, dtype=torch.float64), (torch.rand(5, width) < 0.5).double()
    sigma = torch.tensor(level, dtype=torch.float64)
    for mask in (None, free, torch.zeros_like(free)):
        kept = torch.ones_like(free) if mask is None else mask
        reference = with_slopes(lambda y, s, kept=kept: y + kept * (head.denoise(y, s, context) - y))
        for got, wanted in zip(head.denoise_with_slopes(x, sigma, context, mask), reference(x, sigma), strict=True):
            assert_close(got, wanted, "denoised and slopes")


def test_fractional_coordinates_have_no_seam():
    torch.manual_seed(0)
    head = VectorHead(TorusProcess(), 3, condition_width=8, width=16, blocks=2)
    torch.nn.init.normal_(head.stack.to_output.weight)
    context = head.context(torch.randn(4, 8))
    shift = torch.tensor([[1.0, 0.0, -2.0]])
    assert_periodic(lambda x: head.denoise(x, torch.tensor(0.2), context), torch.rand(4, 3), shift)


def test_an_ignorant_head_has_unit_loss():
    head = VectorHead(TorusProcess(), 3, condition_width=8, width=16, blocks=2)
    loss = head.loss(head.context(torch.zeros(20_000, 8)), torch.rand(20_000, 3), torch.Generator().manual_seed(0))
    assert loss.mean().item() == pytest.approx(1.0, abs=0.02)


def test_the_loss_is_a_function_of_the_generator(head):
    context, x = head.context(torch.randn(6, 8)), torch.rand(6, 3)
    one, two = (head.loss(context, x, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)


def test_the_head_learns_a_point():
    torch.manual_seed(0)
    head = VectorHead(TorusProcess(), 3, condition_width=4, width=32, blocks=2)
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor([[0.0, 0.5, 0.25]]).repeat(256, 1)
    for _ in range(150):
        loss = head.loss(head.context(torch.zeros(256, 4)), x, generator).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3


@given(st.integers(0, 2**31), st.floats(0.2, 3.0))
def test_only_legal_symbols_are_drawn(seed, temperature):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    head = SymbolHead(4, 11)
    legal = torch.from_numpy(rng.random((6, 11)) < 0.3)
    legal[:, int(rng.integers(11))] = True
    uniform = torch.from_numpy(rng.choice([0.0, rng.random(), 1 - 2**-53], 6))
    drawn = head.sample(torch.randn(6, 4), legal, uniform, temperature)
    assert legal[torch.arange(6), drawn].all()


def test_symbols_follow_their_probabilities():
    torch.manual_seed(0)
    head = SymbolHead(4, 5)
    h = torch.randn(1, 4).repeat(20_000, 1)
    drawn = head.sample(h, torch.ones(20_000, 5, dtype=torch.bool), torch.rand(20_000), 1.0)
    frequency = torch.bincount(drawn, minlength=5) / 20_000
    assert torch.allclose(frequency, head(h[:1])[0].softmax(-1), atol=0.015)
