"""Drawing numbers: cached steps equal the full forward, rows do not know their batch, fixed numbers stay fixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.models.small_wyckoff import batch_of, small_wyckoff, some_items
from unigen.models.wyckoff.batch import WyckoffBatch
from unigen.models.wyckoff.cached_decoder import CachedDecoder
from unigen.models.wyckoff.decoding import Noise, draw_parameters, slot_log_likelihoods, with_vectors
from unigen.models.wyckoff.items import Item
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.models.wyckoff.tokens import decode
from unigen.nn.process.solvers import dpm_solver_2m, karras_levels
from unigen.symmetry.crystal_systems import complete_lattice, crystal_system
from unigen.testing import assert_close
from unigen.tokens.sequence import Channel
from unigen.tokens.vocabulary import group_of

SETTINGS = WyckoffSettings(steps=4, temperature=1.0)
MOST = 12


def slots(item: Item) -> int:
    return int((item.sequence.tokens.channel == Channel.FRACTIONAL).sum())


def emptied(item: Item) -> Item:
    """Its plan: no numbers yet."""
    return replace(item, sequence=with_vectors(item.sequence, np.zeros_like(item.sequence.tokens.vectors)))


ITEMS = {
    copied: sorted(
        [emptied(item) for item in some_items(20) if (item.followed >= 0) == copied], key=lambda item: -slots(item)
    )
    for copied in (True, False)
}


def groups(items: list[Item]) -> list[int]:
    return [next(filter(None, map(group_of, item.sequence.tokens.symbols.tolist()))) for item in items]


def draw(
    items: list[Item], batch: WyckoffBatch, random: Noise, settings: WyckoffSettings = SETTINGS
) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors, and what the model knew before each."""
    decoder = CachedDecoder(small_wyckoff())
    return draw_parameters(decoder, decoder.read_plans(batch), groups(items), random, settings)


def noise(rows: int, seed: int = 0) -> Noise:
    generator = torch.Generator().manual_seed(seed)
    return Noise(torch.randn(rows, 6, generator=generator), torch.randn(rows, MOST, 3, generator=generator))


@pytest.fixture(scope="module", params=[True, False], ids=["following", "anew"])
def drawn(request) -> tuple[list[Item], Noise, WyckoffBatch]:
    """Items, noise, and the batch with its numbers drawn."""
    items = ITEMS[request.param]
    batch, random = batch_of(items), noise(len(items))
    vectors, _ = draw(items, batch, random)
    return items, random, replace(batch, tokens=replace(batch.tokens, vectors=vectors))


def test_the_examples_are_worth_it():
    for items in ITEMS.values():
        assert len(items) > 3
        assert slots(items[0]) > 2
        assert slots(items[-1]) < slots(items[0]) <= MOST
    assert len({len(item.sequence) - slots(item) for item in ITEMS[True]}) > 1  # lattices at different places


@torch.no_grad()
def test_every_vector_is_what_a_full_forward_at_its_step_would_draw(drawn):
    items, random, batch = drawn
    model, copied = small_wyckoff(), items[0].followed >= 0
    states = model.states(batch)
    trust = {Channel.LATTICE: (2.0, 10.0, 6.0), Channel.FRACTIONAL: (0.03, 0.3, 0.2)}
    for channel in (Channel.LATTICE, Channel.FRACTIONAL):
        head = model.head(channel)
        least, slope, most = trust[channel]
        levels = karras_levels(SETTINGS.steps, head.process.sigma_min, head.process.sigma_max)
        for row, at in (batch.tokens.channel == channel).nonzero().tolist():
            if copied:
                distance = float(batch.neighbours.distance[row, batch.followed[row]])
                levels = karras_levels(2, head.process.sigma_min, min(least + slope * distance, most))
            site = at - int((batch.tokens.channel[row] == Channel.LATTICE).int().argmax()) - 1
            normal = random.lattice[row] if channel == Channel.LATTICE else random.sites[row, site]
            free = batch.free[row, at, : head.slot_width]
            start = levels[0] * normal if copied or channel == Channel.LATTICE else head.process.prior(normal[None])[0]
            context = head.context(states[row, at - 1 : at])
            solved = dpm_solver_2m(
                lambda x, sigma, head=head, context=context, free=free: (
                    x + free * (head.denoise(x, sigma, context) - x)
                ),
                (free * start)[None],
                levels,
            )[0]
            moved = batch.tokens.vectors[row, at, : head.slot_width] - batch.start[row, at, : head.slot_width]
            if channel == Channel.LATTICE:
                moved = moved / model.units[int(copied)]
            gap = (solved - moved) * free
            gap = gap - gap.round() if channel == Channel.FRACTIONAL else gap
            assert gap.abs().max() < 1e-3, (channel, row, at)


def test_a_row_does_not_depend_on_its_batch(drawn):
    items, random, batch = drawn
    for row, item in enumerate(items):
        alone = Noise(random.lattice[row : row + 1], random.sites[row : row + 1, : slots(item)])
        vectors = draw([item], batch_of([item]), alone)[0][0]
        gap = vectors - batch.tokens.vectors[row, : len(vectors)]
        sites = batch.tokens.channel[row, : len(vectors)] == Channel.FRACTIONAL
        gap[sites] -= gap[sites].round()
        assert gap.abs().max() < 1e-4


def test_only_free_numbers_are_drawn_and_the_rest_is_as_the_crystal_system_says(drawn):
    items, _, batch = drawn
    vectors = batch.tokens.vectors
    sites, lattice = (batch.tokens.channel == channel for channel in (Channel.FRACTIONAL, Channel.LATTICE))
    assert torch.equal(vectors[sites][batch.free[sites] == 0], batch.start[sites][batch.free[sites] == 0])
    assert not vectors[batch.tokens.channel == Channel.SYMBOL].any()
    for row, group in enumerate(groups(items)):
        six = vectors[row][lattice[row]][0].double().numpy()
        np.testing.assert_allclose(complete_lattice(crystal_system(group), six), six, atol=1e-6)
    moved = (vectors - batch.start)[sites][batch.free[sites] > 0]
    assert (moved != 0).float().mean() > 0.9


def test_what_is_drawn_is_a_crystal_of_the_composition(drawn):
    items, _, batch = drawn
    for row, item in enumerate(items):
        crystal = decode(with_vectors(item.sequence, batch.tokens.vectors[row].numpy()))
        shortlist = item.lesson.shortlist
        assert crystal.counts == dict(sorted(zip(shortlist.elements.tolist(), shortlist.counts.tolist(), strict=True)))
        assert ((crystal.free >= 0) & (crystal.free < 1)).all()


def test_other_noise_gives_other_numbers_and_the_same_noise_the_same(drawn):
    items, random, batch = drawn
    again, _ = draw(items, batch_of(items), random)
    assert torch.equal(again, batch.tokens.vectors)
    other, _ = draw(items, batch_of(items), noise(len(items), 1))
    assert not torch.equal(other, again)


def test_the_plan_is_not_written_into(drawn):
    items, random, _ = drawn
    batch = batch_of(items)
    draw(items, batch, random)
    assert not batch.tokens.vectors.any()


def test_rows_in_another_order_are_a_mistake():
    items = ITEMS[True][::-1]
    with pytest.raises(AssertionError, match="most slots first"):
        draw(items, batch_of(items), noise(len(items)))


@torch.no_grad()
def test_the_density_is_that_of_the_free_numbers_alone(drawn):
    """Other values in fixed places (there are none in a real crystal) would not count."""
    _, _, batch = drawn
    model = small_wyckoff()
    scores = slot_log_likelihoods(model, batch, 4)
    assert torch.isfinite(scores).all()
    untrained = small_wyckoff()
    for head in (untrained.lattice_head, untrained.site_head):
        torch.nn.init.zeros_(head.stack.to_output.weight)
    flat = slot_log_likelihoods(untrained, batch, 12)
    sites = (batch.tokens.channel == Channel.FRACTIONAL)[..., None] * batch.free
    assert sites.any()
    only_sites = replace(batch, free=batch.free * (batch.tokens.channel == Channel.FRACTIONAL)[..., None])
    lattice = replace(batch, free=batch.free * (batch.tokens.channel == Channel.LATTICE)[..., None])
    # a head that knows nothing is uniform over the unit cell: log density zero
    assert_close(slot_log_likelihoods(untrained, only_sites, 12), torch.zeros(len(batch)), "uniform")
    assert (flat - slot_log_likelihoods(untrained, lattice, 12)).abs().max() < 0.1
