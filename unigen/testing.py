"""Laws that models must obey, as assertions for your own tests: they raise AssertionError saying what differs.

Tolerances by dtype are in ``TOLERANCE``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unigen.batch import Layout
from unigen.nn.mixers.interface import TokenMixer

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 3e-2}
"""Largest absolute difference between two ways of computing numbers of order one."""


def assert_close(got: Tensor, wanted: Tensor, what: str) -> None:
    """Equal within the dtype's tolerance."""
    worst = (got - wanted).abs().max().item() if got.numel() else 0.0
    assert worst <= TOLERANCE[got.dtype], f"{what}: differ by {worst:.3g}, allowed {TOLERANCE[got.dtype]:.0e}"


def assert_causal(f: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """No output of ``f: (batch, tokens, width) -> same`` depends on a later input (exactly, by the Jacobian)."""
    x = x.detach().requires_grad_()
    out = f(x)
    for position in range(x.shape[1]):
        (gradient,) = torch.autograd.grad(out[:, position].sum(), x, retain_graph=True)
        later = gradient[:, position + 1 :].abs().sum().item()
        assert later == 0.0, f"position {position} depends on later ones (gradient {later:.3g})"


def assert_steps_equal_forward(mixer: TokenMixer, x: Tensor, prefix: int) -> None:
    """Prefill of ``prefix`` positions, then one step each, gives the full forward's outputs."""
    batch, tokens, _ = x.shape
    lengths = torch.full((batch,), tokens)
    wanted = mixer.forward(x, Layout.padded(lengths, tokens))
    state = mixer.init_state(batch, tokens, x)
    outputs = []
    if prefix:
        outputs = [mixer.forward(x[:, :prefix], Layout.padded(lengths, prefix), state)]
    for position in range(prefix, tokens):
        y, state = mixer.step(x[:, position], torch.full((batch,), position), state)
        outputs.append(y[:, None])
    assert_close(torch.cat(outputs, dim=1), wanted, f"prefill {prefix} then steps")


def assert_rows_independent(mixer: TokenMixer, x: Tensor, lengths: Tensor) -> None:
    """Each right-padded sequence of a batch gives what it gives alone."""
    together = mixer.forward(x, Layout.padded(lengths, x.shape[1]))
    for row, length in enumerate(lengths.tolist()):
        alone = mixer.forward(x[row : row + 1, :length], Layout.padded(lengths[row : row + 1], length))
        assert_close(together[row, :length], alone[0], f"sequence {row}")


def assert_state_rows_commute(mixer: TokenMixer, x: Tensor, rows: Tensor) -> None:
    """Picking rows of the state, then stepping, equals stepping, then picking."""
    batch, tokens, _ = x.shape
    position = torch.full((batch,), tokens - 1)

    def prefilled() -> dict[str, Tensor]:
        state = mixer.init_state(batch, tokens, x)
        mixer.forward(x[:, :-1], Layout.padded(position, tokens - 1), state)
        return state

    stepped, _ = mixer.step(x[:, -1], position, prefilled())
    picked = {name: tensor[rows].clone() for name, tensor in prefilled().items()}
    restepped, _ = mixer.step(x[rows, -1], position[rows], picked)
    assert_close(restepped, stepped[rows], "picked rows")


def assert_periodic(f: Callable[[Tensor], Tensor], x: Tensor, shift: Tensor) -> None:
    """``f(x + shift) == f(x) + shift`` for integer shifts: f moves points of the unit torus."""
    assert_close(f(x + shift), f(x) + shift, "integer shift")
