"""Laws that models must obey, as assertions for your own tests: they raise AssertionError saying what differs.

Those of mixers and of functions come first, then those that every family of models obeys: tested on each entry
of ``unigen.models.families.FAMILIES`` by ``tests/models/test_families.py``. Tolerances by dtype are in ``TOLERANCE``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unigen.batch import Layout
from unigen.models.checkpoint import load_model, save_model
from unigen.models.generator import Candidate, Generator, Job
from unigen.models.interface import Batch, Network
from unigen.models.training_set import TrainingSet
from unigen.nn.mixers.interface import State, TokenMixer

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 3e-2}
"""Largest absolute difference between two ways of computing numbers of order one: 1,000 roundings of single precision
and 4 of bfloat16; double precision is there to show formulas that differ."""


def assert_close(actual: Tensor, expected: Tensor, what: str) -> None:
    """Equal within the dtype's tolerance."""
    worst = (actual - expected).abs().max().item() if actual.numel() else 0.0
    assert worst <= TOLERANCE[actual.dtype], f"{what}: differ by {worst:.3g}, allowed {TOLERANCE[actual.dtype]:.0e}"


def assert_causal(f: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """No output of ``f: (batch, tokens, width) -> same`` depends on a later input (exactly, by the Jacobian)."""
    x = x.detach().requires_grad_()
    out = f(x)
    for position in range(x.shape[1]):
        (gradient,) = torch.autograd.grad(out[:, position].sum(), x, retain_graph=True)
        later = gradient[:, position + 1 :].abs().sum().item()
        assert later == 0.0, f"position {position} depends on later ones (gradient {later:.3g})"


def assert_steps_equal_forward(mixer: TokenMixer, x: Tensor, lengths: Tensor) -> None:
    """Prefill of ``lengths`` positions of each row, then one step each up to the end, gives the full forward's outputs.

    Rows step at different places of one batch; no row hears of what lies beyond its own.
    """
    batch, tokens, _ = x.shape
    rows = torch.arange(batch)
    expected = mixer.forward(x, Layout.padded(torch.full((batch,), tokens), tokens))
    state = mixer.init_state(batch, tokens, x)
    longest = int(lengths.max())
    if longest:
        prefilled = mixer.forward(x[:, :longest], Layout.padded(lengths, longest), state)
        for row, length in enumerate(lengths.tolist()):
            assert_close(prefilled[row, :length], expected[row, :length], f"row {row}: prefill of {length}")
    position = lengths.clone()
    while bool((position < tokens).any()):
        open_rows = position < tokens
        rows, position = rows[open_rows], position[open_rows]
        state = {name: tensor[open_rows] for name, tensor in state.items()}
        y, state = mixer.step(x[rows, position], position, state)
        assert_close(y, expected[rows, position], f"steps at {position.tolist()}")
        position = position + 1


def assert_rows_independent(mixer: TokenMixer, x: Tensor, lengths: Tensor) -> None:
    """Each sequence of a batch, right-padded or packed, gives what it gives alone, and has no gradient in another."""
    together = mixer.forward(x, Layout.padded(lengths, x.shape[1]))
    one_row = (
        torch.cat([x[row, :length] for row, length in enumerate(lengths.tolist())])[None].detach().requires_grad_()
    )
    layout = Layout.packed(lengths)
    packed = mixer.forward(one_row, layout)
    bounds = layout.cu_seqlens.tolist()
    for row, (start, end) in enumerate(pairwise(bounds)):
        length = end - start
        alone = mixer.forward(x[row : row + 1, :length], Layout.padded(lengths[row : row + 1], length))
        assert_close(together[row, :length], alone[0], f"sequence {row}")
        assert_close(packed[0, start:end], alone[0], f"packed sequence {row}")
        (gradient,) = torch.autograd.grad(packed[0, start:end].square().sum(), one_row, retain_graph=True)
        others = torch.cat([gradient[0, :start], gradient[0, end:]])
        assert not bool(others.any()), f"sequence {row} has a gradient in another ({others.abs().max().item():.3g})"


def assert_state_rows_commute(mixer: TokenMixer, x: Tensor, rows: Tensor) -> None:
    """Picking or repeating rows of the state, then stepping, equals stepping, then picking."""
    batch, tokens, _ = x.shape
    position = torch.full((batch,), tokens - 1)
    stepped, _ = mixer.step(x[:, -1], position, _prefilled(mixer, x))
    picked = {name: tensor[rows].clone() for name, tensor in _prefilled(mixer, x).items()}
    restepped, _ = mixer.step(x[rows, -1], position[rows], picked)
    assert_close(restepped, stepped[rows], "picked rows")


def assert_state_can_be_stepped_again(mixer: TokenMixer, x: Tensor) -> None:
    """Going back to an earlier state and writing something else there gives what a fresh state gives."""
    batch, tokens, _ = x.shape
    position = torch.full((batch,), tokens - 1)
    earlier = _prefilled(mixer, x)
    _, later = mixer.step(-x[:, -1], position, earlier)
    mixer.step(x[:, 0], position + 1, later)
    again, _ = mixer.step(x[:, -1], position, earlier)
    expected, _ = mixer.step(x[:, -1], position, _prefilled(mixer, x))
    assert_close(again, expected, "a state that was stepped from before")


def assert_steps_at_once(mixer: TokenMixer, x: Tensor, lengths: Tensor, count: int) -> None:
    """``steps`` of so many positions, behind a prefill of ``lengths`` of each row, gives what the full forward does.

    Where a mixer rewinds, the state behind them can be stepped from at each earlier position, with something else.
    """
    batch, tokens, _ = x.shape
    assert int(lengths.max()) + count <= tokens, "no room for so many steps"
    at = lengths[:, None] + torch.arange(count)
    rows = torch.arange(batch)[:, None]
    expected = mixer.forward(x, Layout.padded(torch.full((batch,), tokens), tokens))[rows, at]
    state = mixer.init_state(batch, tokens, x)
    longest = max(int(lengths.max()), 1)
    mixer.forward(x[:, :longest], Layout.padded(lengths, longest), state)
    if mixer.rewinds:
        _, state = mixer.steps(-x[rows, at], lengths, state)
        for index in range(count):
            y, state = mixer.steps(x[rows, at[:, index:]], at[:, index], state)
            assert_close(y, expected[:, index:], f"stepped again from {at[:, index].tolist()}")
    else:
        y, _ = mixer.steps(x[rows, at], lengths, state)
        assert_close(y, expected, f"{count} steps from {lengths.tolist()}")


def _prefilled(mixer: TokenMixer, x: Tensor) -> State:
    """The state after all positions but the last."""
    batch, tokens, _ = x.shape
    state = mixer.init_state(batch, tokens + 1, x)
    mixer.forward(x[:, :-1], Layout.padded(torch.full((batch,), tokens - 1), tokens - 1), state)
    return state


def assert_operator_is_the_layer(mixer: TokenMixer, x: Tensor) -> None:
    """``operator`` applied to ``values`` is the layer before its gate, and no output takes from a later source."""
    layout = Layout.padded(torch.full((len(x),), x.shape[1]), x.shape[1])
    values, operator = mixer.values(x, layout), mixer.operator(x, layout)
    each = values.shape[2] // x.shape[1]
    later = operator.unflatten(-1, (-1, each)).movedim(-1, 2).triu(1)
    assert not bool(later.any()), "an output takes from a later source"
    mixed = (operator @ values).transpose(1, 2)
    assert_close(mixer.output(x, mixed), mixer.forward(x, layout), "operator")


def assert_periodic(f: Callable[[Tensor], Tensor], x: Tensor, shift: Tensor) -> None:
    """``f(x + shift) == f(x) + shift`` for integer shifts: f moves points of the unit torus."""
    assert_close(f(x + shift), f(x) + shift, "integer shift")


SAME_DRAW = 1e-3
"""Angstrom, cell units; largest difference of one draw in two batches. Rounding grows along an ODE: a thousand times
``TOLERANCE`` in single precision would still be no other structure."""


def assert_encodes(training_set: TrainingSet, batch_size: int = 4) -> None:
    """Rows become items and items batches; validation shows the same ones, encoded the same way, every time."""
    assert len(training_set.train), "nothing to train on"
    assert len(training_set.train.num_atoms) == len(training_set.train), "a length a row"
    rows = range(min(batch_size, len(training_set.train)))
    rng = np.random.default_rng(0)
    batch = training_set.collate([training_set.encode(row, training_set.train[row], rng) for row in rows])
    assert len(batch) == len(rows), f"{len(rows)} items make a batch of {len(batch)}"
    assert int(batch.lengths.min()) > 0, "an empty row"
    first, second = (training_set.val_batches(batch_size, 2, seed=1) for _ in range(2))
    assert len(first) == len(second) > 0
    for batch, repeated in zip(first, second, strict=True):
        _assert_equal(batch, repeated, "validation batches")


def assert_rows_of_a_batch_are_as_alone(network: Network, training_set: TrainingSet, rows: int = 3) -> None:
    """Padding says nothing: a row picked out of a batch has the losses that it has when it is collated alone."""
    network.eval()
    rng = np.random.default_rng(0)
    items = [training_set.encode(row, training_set.train[row], rng) for row in range(rows)]
    together = training_set.collate(items)
    assert isinstance(together, Batch), "no batch"
    for row, item in enumerate(items):
        picked = network.losses(together.select(torch.tensor([row])), torch.Generator().manual_seed(row))
        alone = network.losses(training_set.collate([item]), torch.Generator().manual_seed(row))
        assert picked.keys() == alone.keys()
        for name, loss in alone.items():
            scale = loss.detach().abs().clamp(min=1.0)
            assert_close(picked[name].detach() / scale, loss.detach() / scale, f"row {row}: {name}")


def assert_learns(network: Network, batch: Batch) -> None:
    """Every loss is finite, and together they have a finite gradient in every parameter."""
    network.train()
    losses = network.losses(batch, torch.Generator().manual_seed(0))
    assert losses, "no loss"
    for name, loss in losses.items():
        assert loss.ndim == 0, f"{name} is no number"
        assert bool(torch.isfinite(loss)), f"{name} is {loss.item()}"
    network.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    without_gradient = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert not without_gradient, f"no gradient in {', '.join(without_gradient)}"
    infinite = [name for name, p in network.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    assert not infinite, f"no finite gradient in {', '.join(infinite)}"
    network.eval()


def assert_validates(network: Network, batches: list[Batch]) -> None:
    """Numbers under the same names for every batch, the one that is shown among them; none changes the network."""
    network.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        validated = [network.validated(batch, torch.Generator().manual_seed(0)) for batch in batches]
    names = list(validated[0])
    assert names, "nothing is validated"
    assert all(list(numbers) == names for numbers in validated), "other names in another batch"
    assert all(name.startswith("val_") for name in names), f"names that do not begin with val_: {names}"
    assert network.headline in ("", *names), f"{network.headline} is not among {names}"
    assert all(value.ndim == 0 for numbers in validated for value in numbers.values())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), f"validation changes {name}"


def assert_comes_back_bit_by_bit(network: Network, folder: Path) -> None:
    """Saved and loaded, a network has the same config and weights; saved again, it gives the same bytes."""
    save_model(network, folder / "once")
    loaded = load_model(folder / "once")
    assert type(loaded) is type(network)
    assert loaded.config == network.config
    expected, actual = network.state_dict(), loaded.state_dict()
    assert list(actual) == list(expected), "other tensors"
    for name, tensor in expected.items():
        assert torch.equal(actual[name], tensor), f"{name} differs"
    save_model(loaded, folder / "twice")
    for path in (folder / "once").iterdir():
        assert path.read_bytes() == (folder / "twice" / path.name).read_bytes(), f"{path.name} differs"


def assert_draws_the_same_in_any_batch(generator: Generator, jobs: list[Job]) -> None:
    """One candidate a job, in order; a candidate depends on its job alone."""
    together = generator.draw(jobs)
    assert len(together) == len(jobs), f"{len(jobs)} jobs, {len(together)} candidates"
    for index, job in enumerate(jobs):
        (alone,) = generator.draw([job])
        _assert_same_candidate(alone, together[index], f"job {index}")
    for index, candidate in enumerate(reversed(generator.draw(jobs[::-1]))):
        _assert_same_candidate(candidate, together[index], f"job {index} in another order")


def _assert_same_candidate(actual: Candidate, expected: Candidate, what: str) -> None:
    assert (actual.structure is None) == (expected.structure is None), f"{what}: {actual.reason or expected.reason}"
    if expected.structure is None or actual.structure is None:
        assert actual.reason == expected.reason, f"{what}: {actual.reason} in place of {expected.reason}"
        return
    assert np.array_equal(actual.structure.numbers, expected.structure.numbers), f"{what}: other atoms"
    for name, periodic in (("positions", False), ("lattice", False), ("frac_coords", True)):
        if hasattr(expected.structure, name) and not (name == "positions" and hasattr(expected.structure, "lattice")):
            gap = np.asarray(getattr(actual.structure, name)) - np.asarray(getattr(expected.structure, name))
            gap = gap - np.round(gap) if periodic else gap
            assert np.abs(gap).max() <= SAME_DRAW, f"{what}: {name} differ by {np.abs(gap).max():.3g}"


def _assert_equal(actual: object, expected: object, what: str) -> None:
    """Containers of tensors, compared bit by bit."""
    for name, part in vars(expected).items():
        other = getattr(actual, name)
        if isinstance(part, Tensor):
            assert torch.equal(torch.nan_to_num(other), torch.nan_to_num(part)), f"{what}: {name} differ"
        elif part is None:
            assert other is None, f"{what}: {name} is there, and should not be"
        else:
            _assert_equal(other, part, f"{what}: {name}")
