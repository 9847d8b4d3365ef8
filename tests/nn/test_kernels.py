"""Triton kernels against their plain twins: here in Triton's interpreter, on a GPU (marker ``gpu``) compiled.

The interpreter has to be chosen before Triton is imported: ``tests/conftest.py`` does. It runs programs one after the
other, so shapes are small.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unigen.batch import Layout
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.kernels.packed_scan import packed_scan, packed_scan_reference
from unigen.nn.kernels.vector_sampler import sample_vectors, sample_vectors_reference
from unigen.nn.mixers.backbone import build_mixer
from unigen.nn.mixers.pattern import DeltaProductLayer
from unigen.nn.process.gaussian import GaussianProcess
from unigen.nn.process.solvers import karras_levels
from unigen.nn.process.torus import TorusProcess

pytest.importorskip("triton", reason="pip install triton: the kernels' language")
THERE = torch.cuda.is_available()
DEVICES = [
    pytest.param("cpu", marks=pytest.mark.skipif(THERE, reason="compiled where there is a GPU")),
    pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not THERE, reason="needs a CUDA device")]),
]


def scanned(lengths, heads, shared, state, width, erases, seed, dtype=torch.float32, device="cpu"):
    """The arguments of a scan, those with derivatives first."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        drawn = torch.randn(*shape, generator=generator, dtype=dtype)
        return drawn.to(device).requires_grad_()

    tokens = sum(lengths)
    q, k, w = (normal(tokens, heads if not shared else 1, state) for _ in range(3))
    v, log_decay = normal(tokens, heads, width), -normal(tokens, heads).detach().abs()
    boundaries = torch.tensor([0, *lengths]).cumsum(0).to(device)
    return q, k, v, log_decay.requires_grad_(), boundaries, w * 0.3 if erases else None


def gradients(outputs, arguments):
    """Of a sum in which every output has its own weight."""
    weighed = sum((x * torch.cos(torch.arange(x.numel(), device=x.device)).reshape(x.shape)).sum() for x in outputs)
    wanted = [each for each in arguments if each is not None and each.requires_grad]
    return torch.autograd.grad(weighed, wanted)


LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=3)


def recurrence(q, k, v, log_decay, boundaries, erased, chunk):
    """Token by token, as the module's docstring has it."""
    outputs, memories = [], []
    heads = v.shape[1]
    for begin, end in zip(boundaries[:-1].tolist(), boundaries[1:].tolist(), strict=True):
        memory = v.new_zeros(heads, q.shape[-1], v.shape[-1])
        for token in range(begin, end):
            if (token - begin) % chunk == 0:
                met = memory
            u = v[token]
            if erased is not None:
                u = u - torch.einsum("hs,hsw->hw", erased[token].expand(heads, -1), met)
            memory = log_decay[token].exp()[:, None, None] * memory + k[token].expand(heads, -1)[..., None] * u[:, None]
            outputs.append(torch.einsum("hs,hsw->hw", q[token].expand(heads, -1), memory))
        memories.append(memory)
    return torch.stack(outputs), torch.stack(memories)


@settings(deadline=None, max_examples=15)
@given(LENGTHS, st.integers(1, 3), st.booleans(), st.booleans(), st.sampled_from([1, 4, 16]), st.integers(0, 99))
def test_the_plain_scan_is_the_recurrence(lengths, heads, shared, erases, chunk, seed):
    arguments = scanned(lengths, heads, shared, 3, 2, erases, seed, torch.float64)
    found = packed_scan_reference(*arguments, chunk)
    for one, other in zip(found, recurrence(*arguments, chunk), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("device", DEVICES)
@settings(deadline=None, max_examples=8)
@given(LENGTHS, st.integers(1, 2), st.booleans(), st.booleans(), st.sampled_from([3, 16, 20]), st.integers(0, 99))
def test_the_kernel_scans_as_the_plain_one_forward_and_backward(device, lengths, heads, shared, erases, state, seed):
    from unigen.nn.kernels.packed_scan_triton import packed_scan as by_kernel

    arguments = scanned(lengths, heads, shared, state, 5, erases, seed, device=device)
    found, expected = by_kernel(*arguments, 16), packed_scan_reference(*arguments, 16)
    with_derivatives = [*gradients(found, arguments), *gradients(expected, arguments)]
    half = len(with_derivatives) // 2
    pairs = zip([*found, *with_derivatives[:half]], [*expected, *with_derivatives[half:]], strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_sequence_is_scanned_as_alone_and_hears_nothing_of_others():
    """Also the derivative: exactly 0 across sequences."""
    q, k, v, log_decay, boundaries, _ = scanned([7, 20, 3], 2, True, 4, 3, False, 0)
    y, memory = packed_scan(q, k, v, log_decay, boundaries)
    alone = packed_scan(*(x[7:27] for x in (q, k, v, log_decay)), torch.tensor([0, 20]))
    torch.testing.assert_close(y[7:27], alone[0])
    torch.testing.assert_close(memory[1:2], alone[1])
    (grad,) = torch.autograd.grad(y[7:27].sum(), v)
    assert grad[7:27].abs().max() > 0
    assert grad[:7].abs().max() == grad[27:].abs().max() == 0


@pytest.mark.parametrize("mixer", ["ssd", "lightnet", "delta_product", DeltaProductLayer(reflections=2)], ids=str)
def test_a_mixer_gives_by_the_kernel_what_it_gives_without(mixer, monkeypatch):
    """Outputs, state and derivatives; 70 tokens are two chunks, the second not full."""
    torch.manual_seed(0)
    layer = build_mixer(mixer, 16, 2)
    x = torch.randn(2, 70, 16, requires_grad=True)
    layout = Layout.padded(torch.tensor([70, 33]), 70)

    def computed() -> list[torch.Tensor]:
        state = layer.init_state(2, 70, x)
        y = layer(x, layout, state)
        y = y * layout.valid[..., None]  # behind the end anything may stand
        wanted = [x, *layer.parameters()]
        return [y, *state.values(), *torch.autograd.grad(y.square().sum(), wanted)]

    expected, calls = computed(), []
    for module in ("ssd", "lightnet", "delta_product"):
        monkeypatch.setattr(f"unigen.nn.mixers.{module}.by_triton", lambda *_: True)
    monkeypatch.setattr("unigen.nn.kernels.packed_scan.by_triton", lambda *_: not calls.append(1))
    for one, other in zip(computed(), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert calls


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("process", [GaussianProcess(), TorusProcess(frequencies=(1, 2, 5))])
@settings(deadline=None, max_examples=4)
@given(st.integers(1, 20), st.booleans(), st.sampled_from([24, 48]), st.integers(1, 2), st.integers(0, 99))
def test_the_fused_sampler_draws_what_the_solver_draws(device, process, slots, of_each, hidden, blocks, seed):
    """Also with levels of each slot, and with numbers that are not free."""
    from unigen.nn.kernels.vector_sampler_triton import sample_vectors as by_kernel

    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    head = VectorHead(process, 3, 8, hidden, blocks)
    torch.nn.init.normal_(head.stack.to_output.weight, std=0.3)  # at 0 it begins, and would say nothing
    head.to(device)
    highest = process.sigma_max
    if of_each:
        highest = highest * (0.5 + 0.5 * torch.rand(slots, 1, generator=generator))
    levels = karras_levels(4, process.sigma_min, highest).to(device)
    free = (torch.rand(slots, 3, generator=generator) < 0.7).float().to(device)
    x = torch.randn(slots, 3, generator=generator).to(device) * levels[0] * free
    with torch.no_grad():
        context = head.context(torch.randn(slots, 8, generator=generator).to(device))
        found = by_kernel(head, x, levels, context, free, 0.7)
    expected = sample_vectors_reference(head, x, levels, context, free, temperature=0.7)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        sample_vectors(head, x, levels, context, free, temperature=0.7), expected, rtol=1e-4, atol=1e-4
    )
    assert (found[free == 0] == 0).all()
