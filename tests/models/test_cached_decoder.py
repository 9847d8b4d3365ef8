"""What is read once and remembered is what reading all of it again at every step would say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.models.small_model import ATTENTION, EACH_PATTERN
from tests.models.small_wyckoff import batch_of, small_wyckoff, some_items
from tests.models.test_wyckoff_decoding import ITEMS, SETTINGS, groups, noise
from unigen.batch import Layout, PeakBatch
from unigen.models.wyckoff.cached_decoder import CachedDecoder, Reading
from unigen.models.wyckoff.decoding import draw_parameters
from unigen.models.wyckoff.templates import draw_templates, search_templates, space_group_log_probabilities
from unigen.nn.mixers.pattern import Layer
from unigen.retrieval.table import MAX_ORBITS
from unigen.testing import assert_close
from unigen.tokens import vocabulary
from unigen.tokens.composition import composition_symbols

CELLS = st.dictionaries(st.integers(1, 94), st.integers(1, 6), min_size=1, max_size=3)
GROUPS = st.frozensets(st.integers(1, 230), max_size=5).map(lambda groups: groups | {1})


class RereadingDecoder(CachedDecoder):
    """The reference: remembers what was read, not what came of it, and reads all of it again at every step."""

    def read(self, x: Tensor, lengths: Tensor, room: int, peaks: PeakBatch | None = None) -> Reading:
        before = torch.zeros_like(lengths)
        if peaks is not None:
            assert self.model.peaks is not None
            x, _ = self.model.peaks.told(peaks).before(x, Layout.padded(lengths, x.shape[1]))
            before = peaks.lengths
        return self._all_of(torch.cat([x, x.new_zeros(len(x), room, x.shape[2])], dim=1), lengths, before)

    def step(self, x: Tensor, reading: Reading) -> Reading:
        inputs = reading.states[0]["inputs"].clone()
        inputs[torch.arange(len(x)), reading.before + reading.position] = x
        return self._all_of(inputs, reading.position + 1, reading.before)

    def _all_of(self, inputs: Tensor, lengths: Tensor, before: Tensor) -> Reading:
        h = self.model.backbone(inputs, Layout.padded(before + lengths, inputs.shape[1]))
        last = h[torch.arange(len(inputs)), before + lengths - 1]
        return Reading(last, lengths, before, [{"inputs": inputs}])


def both(mixers: tuple[Layer, ...] = ATTENTION, **changes: object) -> tuple[CachedDecoder, RereadingDecoder]:
    return CachedDecoder(small_wyckoff(mixers=mixers, **changes)), RereadingDecoder(
        small_wyckoff(mixers=mixers, **changes)
    )


def prompt(cell: dict[int, int]) -> list[int]:
    return [*composition_symbols(cell), vocabulary.NEW]


@EACH_PATTERN
@settings(max_examples=15)
@given(CELLS, GROUPS, st.integers(1, 8))
def test_the_search_finds_what_it_would_find_without_a_memory(mixers, cell, groups, width):
    cached, reread = (search_templates(decoder, cell, groups, width) for decoder in both(mixers))
    assert [template for template, _ in cached.found] == [template for template, _ in reread.found]
    assert [score for _, score in cached.found] == pytest.approx([score for _, score in reread.found], abs=1e-5)


@settings(max_examples=15)
@given(CELLS, GROUPS, st.integers(1, 8), st.integers(1, 8))
def test_a_search_that_ends_early_finds_the_first_of_all(cell, groups, width, wanted):
    decoder, _ = both()
    whole, some = (search_templates(decoder, cell, groups, width, count) for count in (None, wanted))
    assert whole.finished
    assert some.found == whole.found[: len(some.found)]  # to the last digit: who asks for more gets the same again
    assert len(some.found) >= min(wanted, len(whole.found))
    assert not some.finished or some.found == whole.found


@settings(max_examples=10)
@given(st.lists(st.tuples(CELLS, GROUPS), min_size=1, max_size=4), st.integers(0, 2**31))
def test_templates_are_drawn_as_without_a_memory_and_as_alone(asked, seed):
    uniforms = np.random.default_rng(seed).random((len(asked), MAX_ORBITS + 1))
    cells, allowed = [cell for cell, _ in asked], [groups for _, groups in asked]
    cached, reread = (draw_templates(decoder, cells, allowed, uniforms, 1.0) for decoder in both())
    assert cached[0] == reread[0]
    np.testing.assert_allclose(cached[1], reread[1], atol=1e-5)
    decoder, _ = both()
    for row, (cell, those) in enumerate(asked):
        templates, scores = draw_templates(decoder, [cell], [those], uniforms[row : row + 1], 1.0)
        assert templates == [cached[0][row]]
        assert scores[0] == pytest.approx(cached[1][row], abs=1e-5)


def test_space_groups_are_as_likely_in_a_batch_as_alone():
    cells, asked = [{38: 1, 22: 1, 8: 3}, {11: 1, 17: 1}, {8: 2}], frozenset({1, 2, 62})
    decoder, _ = both()
    together = space_group_log_probabilities(decoder, cells, asked)
    alone = [space_group_log_probabilities(decoder, [cell], asked)[0] for cell in cells]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert space_group_log_probabilities(decoder, cells, frozenset(range(1, 231))) == pytest.approx([0, 0, 0])


@EACH_PATTERN
@torch.no_grad()
@settings(max_examples=15)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=6), st.integers(0, 2**31))
def test_rows_are_picked_and_repeated_and_each_goes_its_own_way(mixers, rows, seed):
    prompts = [prompt({38: 1, 22: 1, 8: 3}), prompt({11: 1, 17: 1}), prompt({8: 2})]
    rng = np.random.default_rng(seed)
    symbols = torch.from_numpy(rng.integers(vocabulary.letter_symbol(0), vocabulary.letter_symbol(26), (2, len(rows))))
    following = torch.from_numpy(rng.integers(0, 9, (2, len(rows), 3)))
    decoder, _ = both(mixers)
    reading = decoder.read_prompts(prompts, room=3)
    reading = decoder.write_symbols(reading.pick(torch.tensor(rows)), symbols[0], following[0])
    order = torch.arange(len(rows)).flip(0)
    reading = decoder.write_symbols(reading.pick(order), symbols[1][order], following[1][order])
    for place, row in zip(order.tolist(), rows[::-1], strict=True):
        alone = decoder.read_prompts([prompts[row]], room=3)
        for step in range(2):
            alone = decoder.write_symbols(alone, symbols[step, place : place + 1], following[step, place : place + 1])
        at = len(rows) - 1 - place
        assert_close(reading.h[at], alone.h[0], f"row {row}")
        assert reading.position[at] == alone.position[0]


@EACH_PATTERN
@torch.no_grad()
@pytest.mark.parametrize("copied", [True, False], ids=["following", "anew"])
def test_numbers_are_drawn_as_without_a_memory(mixers, copied):
    items = ITEMS[copied]
    drawn = [
        draw_parameters(decoder, decoder.read_plans(batch_of(items)), groups(items), noise(len(items)), SETTINGS)
        for decoder in both(mixers)
    ]
    assert_close(drawn[0][0], drawn[1][0], "vectors")
    assert_close(drawn[0][1], drawn[1][1], "what was known")


@EACH_PATTERN
@torch.no_grad()
@pytest.mark.parametrize("copied", [True, False], ids=["following", "anew"])
def test_plans_are_drawn_again_from_where_they_were_read(mixers, copied):
    """Some of them, several times, after all of them were drawn: earlier numbers leave no trace."""
    items, decoder = ITEMS[copied], CachedDecoder(small_wyckoff(mixers=mixers))
    read = decoder.read_plans(batch_of(items))
    first, _ = draw_parameters(decoder, read, groups(items), noise(len(items)), SETTINGS)
    rows = [0, 0, 1, 2, 2, 2]
    chosen, other = [items[row] for row in rows], noise(len(rows), seed=1)
    again, _ = draw_parameters(decoder, read.pick(torch.tensor(rows)), groups(chosen), other, SETTINGS)
    anew, _ = draw_parameters(decoder, decoder.read_plans(batch_of(chosen)), groups(chosen), other, SETTINGS)
    assert_close(again[:, : anew.shape[1]], anew, "drawn again")
    assert not torch.allclose(first[0], again[0])


@torch.no_grad()
def test_properties_that_are_asked_for_are_heard_and_those_of_others_are_not():
    model = small_wyckoff(properties=("density",), units=("g/cm^3",))
    for parameter in model.adapters[0].parameters():
        torch.nn.init.normal_(parameter)
    items = some_items(2)
    plain, asked = batch_of(items), batch_of(items)
    asked.tokens.vectors[0, 0, 0], asked.tokens.vectors[0, 0, 5] = 3.0, 1.0
    unasked, read = (CachedDecoder(model).read_plans(batch) for batch in (plain, asked))
    assert [unasked.asked, read.asked] == [False, True]
    for batch, plan in ((plain, unasked), (asked, read)):
        known = model.states(batch)[torch.arange(len(items)), plan.reading.position - 1]
        assert_close(plan.reading.h, known, "read")
    assert not torch.allclose(read.reading.h[0], unasked.reading.h[0])
    assert_close(read.reading.h[1], unasked.reading.h[1], "of the other row")
