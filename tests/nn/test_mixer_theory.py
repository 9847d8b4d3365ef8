"""What mixers can compute and what they cannot: state tracking, heads, memory of the start, gradients over distance."""

from __future__ import annotations

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unigen.batch import Layout
from unigen.nn.mixers.backbone import build_mixer
from unigen.nn.mixers.delta_product import delta_product
from unigen.nn.mixers.lightnet import additive_attention
from unigen.nn.mixers.linear_scan import linear_scan
from unigen.nn.mixers.para_rnn import ParaRNN
from unigen.nn.mixers.s5 import BLOCK, S5, hippo, perturbed_then_diagonalised
from unigen.testing import assert_close


def double(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# ---- state tracking


def test_one_reflection_a_token_counts_512_bits():
    """S starts with one write of 1, and each set bit flips its sign: eigenvalue 1 - 2 = -1."""
    bits = torch.randint(0, 2, (8, 512), generator=torch.Generator().manual_seed(0)).double()
    ones = torch.ones(8, 1, 513, 1, dtype=torch.float64)
    v = torch.zeros_like(ones)
    v[:, :, 0] = 1.0
    beta = torch.cat([torch.ones(8, 1, 1, dtype=torch.float64), 2.0 * bits[:, None]], 2)  # 1 writes, 2 flips, 0 keeps
    y, _ = delta_product(ones, ones, v, beta, torch.zeros(8, 1, 513, dtype=torch.float64))
    parity = 1.0 - 2.0 * (bits.cumsum(1) % 2)
    assert torch.equal(y[:, 0, 1:, 0], parity)


@given(st.floats(0.0, 1.0), st.integers(0, 2**31))
@settings(max_examples=10)
def test_without_negative_eigenvalues_the_sign_never_turns(most, seed):
    """With b <= 1 each set bit multiplies by 1 - b >= 0: odd and even are told apart by nothing but size."""
    bits = torch.randint(0, 2, (1, 1, 64), generator=torch.Generator().manual_seed(seed)).double()
    ones, beta = torch.ones(1, 1, 65, 1, dtype=torch.float64), torch.cat([torch.ones(1, 1, 1).double(), most * bits], 2)
    v = torch.zeros_like(ones)
    v[:, :, 0] = 1.0
    y, _ = delta_product(ones, ones, v, beta, torch.zeros(1, 1, 65, dtype=torch.float64))
    assert (y >= -1e-12).all()


def swaps(permutation: tuple[int, ...]) -> list[tuple[int, int]]:
    """At most two transpositions whose product, the first applied first, is a permutation of three."""
    now, found = list(range(3)), []
    for place in range(3):
        other = now.index(permutation[place])
        if other != place:
            now[place], now[other] = now[other], now[place]
            found.append((place, other))
    return found


def test_two_reflections_a_token_solve_the_word_problem_of_s3():
    """512 permutations of three things, one layer. A swap is the reflection across e_i - e_j, and each word is two."""
    group, length = list(permutations(range(3))), 512
    words = np.random.default_rng(0).integers(0, 6, (4, length))
    k, beta = torch.zeros(4, 3 + length, 2, 3).double(), torch.zeros(4, 3 + length, 2).double()
    v = torch.zeros(4, 3 + length, 2, 3).double()
    k[..., 0] = 1.0  # any unit vector where nothing is done
    for start in range(3):  # write the identity matrix
        k[:, start, 0] = v[:, start, 0] = torch.eye(3).double()[start]
        beta[:, start, 0] = 1.0
    expected = torch.zeros(4, length, 3, 3).double()
    for row, word in enumerate(words):
        now = np.eye(3)
        for at, letter in enumerate(word):
            for turn, (one, other) in enumerate(swaps(group[letter])):
                k[row, 3 + at, turn] = torch.tensor([0.0 if i not in (one, other) else 1.0 for i in range(3)])
                k[row, 3 + at, turn, other] = -1.0
                beta[row, 3 + at, turn] = 2.0
            now = np.eye(3)[list(group[letter])] @ now
            expected[row, at] = torch.from_numpy(now)
    k = torch.nn.functional.normalize(k, dim=-1)
    for axis in range(3):
        q = torch.eye(3).double()[axis].expand(4, 1, 3 + length, 3)
        y, _ = delta_product(
            q,
            k.flatten(1, 2)[:, None],
            v.flatten(1, 2)[:, None],
            beta.flatten(1)[:, None],
            q.new_zeros(4, 1, 3 + length),
        )
        assert_close(y[:, 0, 3:], expected[:, :, axis], f"row {axis} of the product so far")


# ---- heads


def test_a_linear_state_space_of_rank_k_is_k_heads_and_no_fewer():
    """Lag operators C A^n B span k dimensions: fewer heads, each a number a pair times a fixed matrix, miss some."""
    size, width, tokens = 4, 8, 24
    a = torch.diag(torch.tensor([0.95, 0.7, -0.5, 0.2]).double())
    b, c = double(size, width), double(width, size, seed=1)
    lags = torch.stack([c @ torch.linalg.matrix_power(a, lag) @ b for lag in range(tokens)])
    interaction = torch.stack([lags[i - j] for i in range(tokens) for j in range(i + 1)]).flatten(1)
    _, singular, heads = torch.linalg.svd(interaction, full_matrices=False)
    assert int((singular > 1e-10 * singular[0]).sum()) == size
    for count, enough in ((size, True), (size - 1, False)):
        rebuilt = interaction @ heads[:count].T @ heads[:count]
        missing = float((rebuilt - interaction).norm() / interaction.norm())
        assert missing < 1e-13 if enough else missing > 0.01


def test_the_heads_of_s5_are_its_states():
    """Its operator is one number a state and pair, and rank counts them (complex ones come in pairs)."""
    torch.manual_seed(0)
    mixer = S5(16, state_width=BLOCK).double()
    with torch.no_grad():
        mixer.log_step.fill_(-1.0)  # the short steps it begins with make all states alike over so few tokens
    weights = mixer.operator(double(1, 32, 16), Layout.padded(torch.tensor([32]), 32))[0]
    at = torch.arange(32)
    by_lag = weights[:, at, torch.zeros_like(at)]
    assert torch.linalg.matrix_rank(by_lag, rtol=1e-10) == BLOCK


def test_attention_has_paths_without_distance_and_a_stable_state_space_has_not():
    """The largest Jacobian of the last output to an input, by lag: attention's does not fade, that of ssd does."""
    tokens, far = 400, {}
    x = 0.3 * double(1, tokens, 16)
    for name in ("attention", "ssd"):
        torch.manual_seed(0)
        mixer = build_mixer(name, 16, 2).double()
        if name == "ssd":  # one decay for all, a thousandth after 200 tokens: what stability means
            with torch.no_grad():
                mixer.log_rate.fill_(0.0)
                mixer.to_step.weight.zero_()
                mixer.step_bias.fill_(math.log(math.expm1(math.log(1000) / 200)))
        jacobian = torch.autograd.functional.jacobian(
            lambda x, mixer=mixer: mixer(x, Layout.padded(torch.tensor([tokens]), tokens))[0, -1], x
        )
        by_lag = jacobian[:, 0].norm(dim=(0, 2)).flip(0)
        far[name] = float(by_lag[300:].mean() / by_lag[10:60].mean())
    assert far["attention"] > 0.5
    assert far["ssd"] < 0.01


# ---- lightnet


def test_weights_of_lightnet_keys_sum_to_one_and_order_does_not_matter():
    q, k, v = double(1, 2, 20, 4), 3 * double(1, 2, 20, 4, seed=1), double(1, 2, 20, 4, seed=2)
    ones = torch.ones_like(v)
    assert_close(additive_attention(q, k, ones, 8)[..., 0], q.sum(-1), "a mean of ones is one, for each channel")
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    mixed = additive_attention(q, k, v, 8)[:, :, -1]
    q = q[:, :, -1:].expand_as(q)
    assert_close(additive_attention(q, k[:, :, order], v[:, :, order], 8)[:, :, -1], mixed, "another order of the past")


# ---- s5


def transfer(a: np.ndarray, b: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """(s - A)^-1 B at s = i frequency."""
    return np.stack([np.linalg.solve(1j * each * np.eye(len(a)) - a, b) for each in frequency])


def test_the_error_of_the_perturbed_start_is_linear_and_that_of_the_normal_part_is_not_small():
    frequency = np.concatenate([[0.0], np.logspace(-3, 4, 200)])
    a, b = hippo(BLOCK)
    exact = transfer(a, b, frequency)
    largest = np.linalg.norm(exact, axis=1).max()
    errors = []
    for epsilon in (1e-1, 1e-2, 1e-3):
        values, vectors = perturbed_then_diagonalised(a, epsilon, seed=0)
        assert (values.real < 0).all()
        inputs = np.linalg.solve(vectors, b)
        found = (inputs / (1j * frequency[:, None] - values)) @ vectors.T
        errors.append(np.linalg.norm(found - exact, axis=1).max() / largest)
    assert errors[1] < 5e-3
    np.testing.assert_allclose(np.log10(errors[:-1]) - np.log10(errors[1:]), 1.0, atol=0.1)
    # S4D and S5 take the normal part of A and all or half of B
    half = np.sqrt(np.arange(BLOCK) + 0.5)
    normal = a + np.outer(half, half)
    for share in (1.0, 0.5):
        assert np.linalg.norm(transfer(normal, share * b, frequency) - exact, axis=1).max() / largest > 1.0


def test_s5_is_a_convolution():
    torch.manual_seed(0)
    mixer, x = S5(16).double(), double(2, 50, 16)
    layout = Layout.padded(torch.tensor([50, 50]), 50)
    values = mixer.values(x, layout)[..., 0]
    kernel = mixer.operator(x, layout)[:, :, :, 0]
    spectrum = torch.fft.fft(kernel, n=100) * torch.fft.fft(values, n=100)
    convolved = torch.fft.ifft(spectrum)[..., :50].transpose(1, 2)[..., None]
    assert_close(mixer.output(x, convolved), mixer(x, layout), "convolution")


# ---- scans and Newton


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(0, 2**31), st.booleans())
def test_the_scan_is_the_loop(tokens, seed, is_complex):
    a, b = double(2, tokens, 3, seed=seed).tanh(), double(2, tokens, 3, seed=seed + 1)
    if is_complex:
        a, b = torch.polar(a.abs(), 3 * b), torch.complex(b, a)
    a.requires_grad_()
    hidden, expected = torch.zeros_like(b[:, 0]), []
    for t in range(tokens):
        hidden = a[:, t] * hidden + b[:, t]
        expected.append(hidden)
    looped = torch.stack(expected, 1)
    gap = (linear_scan(a, b) - looped).abs()
    assert_close(gap, torch.zeros_like(gap), "scan")
    weight = torch.randn(looped.shape, dtype=looped.dtype, generator=torch.Generator().manual_seed(1))
    ours, loops = (
        torch.autograd.grad((out * weight).abs().square().sum(), a)[0] for out in (linear_scan(a, b), looped)
    )
    gap = (ours - loops).abs() / loops.abs().max().clamp(min=1.0)
    assert_close(gap, torch.zeros_like(gap), "gradient")


def test_newton_converges_quadratically_and_its_gradient_is_that_of_the_loop():
    torch.manual_seed(0)
    unit = ParaRNN(16).double()
    x = double(2, 200, 16).requires_grad_()
    state, looped = unit.init_state(2, 200, x), []
    for t in range(200):
        _, state = unit.step(x[:, t], torch.full((2,), t), state)
        looped.append(state["hidden"])
    exact = torch.stack(looped, 1)
    gates, guess, errors = unit.to_gates(x), torch.zeros_like(exact), []
    for _ in range(6):
        guess = unit.newton_step(gates, guess)
        errors.append(float((guess - exact).abs().max().detach()))
    assert errors[-1] < 1e-12
    late = [(now, after) for now, after in pairwise(errors) if 1e-7 < now < 0.1]
    assert late
    assert all(after < 10 * now**2 for now, after in late)
    weight = double(2, 200, 16, seed=3)
    inputs = [x, *unit.to_gates.parameters(), unit.recurrent]
    ours = torch.autograd.grad((unit.solve(gates) * weight).sum(), inputs, retain_graph=True)
    for one, other in zip(ours, torch.autograd.grad((exact * weight).sum(), inputs), strict=True):
        scale = max(1.0, float(other.abs().max()))
        assert_close(one / scale, other / scale, "gradient through time")


def test_newton_meets_units_that_switch():
    """Large recurrent weights: slopes beyond one, where no guess is near. The first wrong token is mended each time."""
    torch.manual_seed(0)
    unit = ParaRNN(8).double()
    with torch.no_grad():
        unit.recurrent.mul_(20.0)
        unit.to_gates.weight.mul_(5.0)
    x = double(1, 60, 8)
    state, looped = unit.init_state(1, 60, x), []
    for t in range(60):
        _, state = unit.step(x[:, t], torch.tensor([t]), state)
        looped.append(state["hidden"])
    assert_close(unit.solve(unit.to_gates(x)), torch.stack(looped, 1), "solution")


@pytest.mark.parametrize("name", ["ssd", "delta_product", "lightnet", "s5", "para_rnn"])
def test_no_layer_forgets_how_large_it_may_be(name):
    """After 4,000 tokens outputs are of the size that they had after 100: what is summed is normed or decays."""
    torch.manual_seed(0)
    mixer = build_mixer(name, 32, 4)
    with torch.no_grad():
        x = torch.randn(1, 4000, 32, generator=torch.Generator().manual_seed(0))
        y = mixer(x, Layout.padded(torch.tensor([4000]), 4000))
    assert 0.5 < float(y[:, -100:].std() / y[:, 50:150].std()) < 2.0
