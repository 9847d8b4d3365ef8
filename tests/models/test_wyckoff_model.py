"""The wyckoff model: batches change nothing, nothing leaks from what comes later, fixed numbers are left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.models.small_wyckoff import batch_of, rows_of, small_wyckoff, some_items
from unigen.batch import TokenBatch
from unigen.errors import UserError
from unigen.models.cell_choice import prompt_batch
from unigen.models.checkpoint import CONFIG, WEIGHTS, load_model, save_model
from unigen.models.words.network import AutoregressiveConfig
from unigen.models.wyckoff.batch import WyckoffBatch
from unigen.models.wyckoff.numbers import slot_log_likelihoods
from unigen.testing import assert_close
from unigen.tokens.composition import composition_symbols
from unigen.tokens.sequence import Channel

ITEMS = some_items()


@pytest.fixture(scope="module")
def batch() -> WyckoffBatch:
    return batch_of(ITEMS)


@pytest.fixture(scope="module")
def model():
    return small_wyckoff()


def with_tokens(batch: WyckoffBatch, **changes: torch.Tensor) -> WyckoffBatch:
    return replace(batch, tokens=replace(batch.tokens, **changes))


def test_the_examples_are_worth_it(batch):
    assert (batch.followed >= 0).any()
    assert (batch.followed < 0).any()
    assert len(set(batch.lengths.tolist())) > 2
    sites = batch.tokens.channel == Channel.FRACTIONAL
    assert 0 < batch.free[sites][:, :3].mean() < 1


@torch.no_grad()
def test_each_crystal_alone_equals_itself_in_the_batch(model, batch):
    together, scores = model.states(batch), slot_log_likelihoods(model, batch, 3)
    for row, item in enumerate(ITEMS):
        alone = batch_of([item])
        length = int(batch.lengths[row])
        assert_close(model.states(alone)[0], together[row, :length], f"states {row}")
        torch.testing.assert_close(slot_log_likelihoods(model, alone, 3)[0], scores[row], atol=2e-3, rtol=1e-3)


@torch.no_grad()
def test_no_state_depends_on_later_tokens_but_through_what_is_said_of_the_next(model, batch):
    """Content (symbols, vectors) at t changes no state before t; starts, freedom and descriptors none before t - 1."""
    states = model.states(batch)
    for row, length in enumerate(batch.lengths.tolist()):
        for at in {length - 1, length // 2, 2}:
            changes = {}
            for name, change in (("vectors", 0.3), ("symbols", 1)):
                changes[name] = getattr(batch.tokens, name).clone()
                changes[name][row, at:] += change
            changes["symbols"][row, at:] %= 100
            content = model.states(with_tokens(batch, **changes))
            assert torch.equal(content[row, :at], states[row, :at])
            assert not torch.equal(content[row, at], states[row, at])
            told = replace(batch, start=batch.start.clone(), free=batch.free.clone(), role=batch.role.clone())
            descriptor = batch.tokens.descriptor.clone()
            for part in (told.start, told.free, told.role, descriptor):
                part[row, at:] += 1
            before = model.states(with_tokens(told, descriptor=descriptor))
            assert torch.equal(before[row, : at - 1], states[row, : at - 1])
            others = [other for other in range(len(batch)) if other != row]
            assert torch.equal(before[others], states[others])


@torch.no_grad()
def test_the_vector_at_a_slot_is_drawn_from_a_state_that_does_not_know_it(model, batch):
    """All vectors of a crystal changed at once: the state from which its first slot is drawn stays."""
    states = model.states(batch)
    changed = model.states(with_tokens(batch, vectors=batch.tokens.vectors + 0.1))
    for row in range(len(batch)):
        lattice = int((batch.tokens.channel[row] == Channel.LATTICE).int().argmax())
        assert torch.equal(changed[row, :lattice], states[row, :lattice])


@torch.no_grad()
def test_whole_cells_added_to_coordinates_change_nothing(model, batch):
    sites = batch.tokens.channel == Channel.FRACTIONAL
    vectors, start = batch.tokens.vectors.clone(), batch.start.clone()
    vectors[sites] += torch.tensor([1.0, -2.0, 3.0, 0, 0, 0])
    start[sites] += torch.tensor([-1.0, 0.0, 2.0, 0, 0, 0])
    moved = replace(with_tokens(batch, vectors=vectors), start=start)
    assert_close(model.states(moved), model.states(batch), "states")
    here = batch.tokens.channel[:, 1:] == Channel.FRACTIONAL
    one, other = (model.displacements(b, Channel.FRACTIONAL, here)[0] for b in (moved, batch))
    difference = one - other
    assert_close(difference - difference.round(), torch.zeros_like(one), "displacements")


@torch.no_grad()
def test_the_neighbour_is_told_behind_the_composition_and_not_before(model, batch):
    other = model.states(replace(batch, followed=torch.where(batch.followed >= 0, batch.followed + 1, -1)))
    states = model.states(batch)
    for row, followed in enumerate(batch.followed.tolist()):
        marker = 2 * len(ITEMS[row].lesson.shortlist.elements) + 2
        assert torch.equal(other[row, :marker], states[row, :marker])
        assert torch.equal(other[row, marker:], states[row, marker:]) == (followed < 0)


@torch.no_grad()
def test_a_composition_is_as_probable_alone_as_in_front_of_its_crystal(model, batch):
    for row, item in enumerate(ITEMS):
        shortlist = item.lesson.shortlist
        counts = dict(zip(shortlist.elements.tolist(), shortlist.counts.tolist(), strict=True))
        prompt = composition_symbols(counts)
        alone = model(prompt_batch([prompt], torch.device("cpu")))[0]
        assert_close(alone[:-1], model.states(batch)[row, : len(prompt) - 1], f"row {row}")


def test_losses_are_finite_and_a_function_of_the_generator(model, batch):
    one, two = (model.losses(batch, torch.Generator().manual_seed(1)) for _ in range(2))
    other = model.losses(batch, torch.Generator().manual_seed(2))
    assert set(one) == {"symbol", "lattice", "site", "source"}
    assert all(torch.isfinite(one[name]) and torch.equal(one[name], two[name]) for name in one)
    assert other["site"] != one["site"]
    assert (other["symbol"], other["source"]) == (one["symbol"], one["source"])  # evaluation hides no neighbour


def test_padding_does_not_change_the_losses_that_have_no_noise(model, batch):
    together = model.losses(batch, torch.Generator().manual_seed(0))
    alone = [model.losses(batch_of([item]), torch.Generator().manual_seed(0)) for item in ITEMS]
    written = torch.tensor([float(item.sequence.written.sum()) for item in ITEMS])
    symbol = torch.stack([losses["symbol"] for losses in alone])
    assert_close((symbol * written).sum() / written.sum(), together["symbol"], "symbol")
    assert_close(torch.stack([losses["source"] for losses in alone]).mean(), together["source"], "source")


def test_a_batch_without_free_sites_has_a_loss(model):
    fixed = [item for item in ITEMS if not (item.sequence.tokens.channel == Channel.FRACTIONAL).any()]
    assert fixed
    losses = model.losses(batch_of(fixed), torch.Generator().manual_seed(0))
    assert losses["site"] == 0
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_every_parameter_learns(batch):
    model = small_wyckoff().train()
    sum(model.losses(batch, torch.Generator().manual_seed(1)).values()).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not silent


def test_displacements_of_fixed_numbers_are_zero_and_lead_back(model, batch):
    for channel in (Channel.LATTICE, Channel.FRACTIONAL):
        here = batch.tokens.channel[:, 1:] == channel
        moved, free = model.displacements(batch, channel, here)
        assert not moved[free == 0].any()
        width = moved.shape[1]
        start, vectors = batch.start[:, 1:][here][:, :width], batch.tokens.vectors[:, 1:][here][:, :width]
        copied = (batch.followed >= 0)[:, None].expand_as(here)[here]
        back = start + moved * (model.units[copied.long()] if channel == Channel.LATTICE else 1.0)
        gap = (back - vectors) * free
        assert_close(gap - gap.round() * (channel == Channel.FRACTIONAL), torch.zeros_like(gap), str(channel))


@pytest.mark.parametrize("channel", [Channel.LATTICE, Channel.FRACTIONAL])
def test_numbers_that_are_not_free_have_no_part_in_the_loss(model, batch, channel):
    head = model.head(channel)
    here = batch.tokens.channel[:, 1:] == channel
    x, free = model.displacements(batch, channel, here)
    context = torch.randn(len(x), head.context(torch.zeros(1, 32)).shape[1])
    outputs = []
    head.stack.to_output.register_forward_hook(hook := lambda _module, _inputs, output: outputs.append(output))
    try:
        loss = head.loss(context, x, torch.Generator().manual_seed(0), free)
        (gradient,) = torch.autograd.grad(loss.sum(), outputs[-1])
    finally:
        head.stack.to_output._forward_hooks.clear()
    assert hook
    assert not gradient[free == 0].any()
    assert (gradient[free > 0] != 0).all()
    everything = head.loss(context, x, torch.Generator().manual_seed(0), torch.ones_like(x))
    assert torch.equal(everything, head.loss(context, x, torch.Generator().manual_seed(0)))
    nothing = head.loss(context, 0 * x, torch.Generator().manual_seed(0), torch.zeros_like(x))
    assert torch.equal(nothing, torch.zeros(len(x)))


def test_hidden_neighbours_are_drawn_only_in_training(batch):
    model = small_wyckoff()
    generator = torch.Generator().manual_seed(0)
    assert model._hide_some(batch.neighbours, generator) is batch.neighbours
    hidden = model.train()._hide_some(batch.neighbours, generator)
    assert (hidden.valid <= batch.neighbours.valid).all()
    assert hidden.valid.sum() < batch.neighbours.valid.sum()
    assert torch.equal(hidden.kind[hidden.valid], batch.neighbours.kind[hidden.valid])


# ---- as files


@pytest.fixture
def folder(tmp_path):
    save_model(small_wyckoff(), tmp_path)
    return tmp_path


def test_a_model_comes_back_bit_for_bit(folder, batch):
    model, wanted = load_model(folder), small_wyckoff()
    assert model.config == wanted.config
    assert not model.training
    assert all(torch.equal(tensor, wanted.state_dict()[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        assert torch.equal(model.states(batch), wanted.states(batch))


def test_bf16_halves_the_file_and_keeps_three_digits(folder, tmp_path, batch):
    wanted = small_wyckoff()
    save_model(wanted, tmp_path / "half", dtype="bf16")
    assert (tmp_path / "half" / WEIGHTS).stat().st_size < 0.6 * (folder / WEIGHTS).stat().st_size
    model = load_model(tmp_path / "half")
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == wanted.state_dict()[name].dtype
        torch.testing.assert_close(tensor, wanted.state_dict()[name], rtol=2**-8, atol=0)
    with torch.no_grad():
        assert (model.states(batch) - wanted.states(batch)).abs().max() < 0.1


def test_weights_of_the_other_kind_do_not_fit(folder):
    config = AutoregressiveConfig(width=32, heads=2)
    (folder / CONFIG).write_text(f"kind: autoregressive\nwidth: {config.width}\nheads: {config.heads}\n")
    with pytest.raises(UserError, match="do not fit"):
        load_model(folder)
    (folder / CONFIG).write_text("kind: words\nwidth: 32\n")
    with pytest.raises(UserError, match=r"unknown kind \(got 'words'\); wanted autoregressive or joint or .*wyckoff"):
        load_model(folder)


def test_rows_of_a_batch_are_crystals_of_their_own(model, batch):
    some = rows_of(batch, [3, 1])
    assert isinstance(some.tokens, TokenBatch)
    with torch.no_grad():
        assert_close(model.states(some), model.states(batch)[[3, 1]], "rows")
