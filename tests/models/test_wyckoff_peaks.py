"""A wyckoff model that is asked for a powder pattern: templates and numbers are drawn behind its peaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.crystals.powder.powder_crystals import RUTILE, SALT
from tests.models.small_model import EACH_PATTERN
from tests.models.small_wyckoff import batch_of, small_wyckoff, some_items
from tests.models.test_cached_decoder import both
from tests.models.test_peaks import trained
from tests.models.test_wyckoff_decoding import ITEMS, SETTINGS, groups, noise
from tests.retrieval.known_templates import retriever
from unigen.crystals.powder.peaks import PeakList, crystal_peaks
from unigen.models.generator import Job
from unigen.models.peaks import asked_peaks, collate_peaks
from unigen.models.wyckoff.batch import WyckoffBatch
from unigen.models.wyckoff.decoding import draw_parameters
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.models.wyckoff.items import Item, collate_items
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.models.wyckoff.templates import draw_templates, search_templates
from unigen.models.wyckoff.tokens import decode
from unigen.request import CrystalRequest
from unigen.retrieval.table import MAX_ORBITS
from unigen.testing import assert_close
from unigen.tokens.sequence import Channel

ALL = frozenset(range(1, 231))
SALTY, RUTILE_PEAKS = crystal_peaks(SALT, 8), crystal_peaks(RUTILE, 8)


def behind_peaks(items: list[Item]) -> WyckoffBatch:
    """Every third row has no list, the others those of two crystals."""
    lists: list[PeakList | None] = [(SALTY, None, RUTILE_PEAKS.strongest(3))[row % 3] for row in range(len(items))]
    return collate_items([replace(item, peaks=each) for item, each in zip(items, lists, strict=True)], 8)


@EACH_PATTERN
@torch.no_grad()
@pytest.mark.parametrize("copied", [True, False], ids=["following", "anew"])
def test_numbers_are_drawn_behind_peaks_as_all_is_read_at_once(mixers, copied):
    items = ITEMS[copied]
    batch = behind_peaks(items)
    decoders = both(mixers, peaks=8)
    drawn = [
        draw_parameters(each, each.read_plans(batch), groups(items), noise(len(items)), SETTINGS) for each in decoders
    ]
    assert_close(drawn[0][0], drawn[1][0], "vectors")
    vectors, known = drawn[0]
    complete = replace(batch, tokens=replace(batch.tokens, vectors=vectors))
    states = decoders[0].model.states(complete)[:, :-1]
    is_slot = (batch.tokens.channel == Channel.LATTICE) | (batch.tokens.channel == Channel.FRACTIONAL)
    assert_close(known[:, 1:][is_slot[:, 1:]], states[is_slot[:, 1:]], "what was known")
    # rows that have no list are drawn as without any
    plain, _ = draw_parameters(
        decoders[0], decoders[0].read_plans(batch_of(items)), groups(items), noise(len(items)), SETTINGS
    )
    rows = torch.arange(len(items)) % 3 == 1
    assert_close(vectors[rows], plain[rows], "without a list")
    assert not torch.allclose(vectors[~rows], plain[~rows])


@EACH_PATTERN
def test_templates_are_written_behind_peaks_as_all_is_read_at_once(mixers):
    cells = [{38: 1, 22: 1, 8: 3}, {11: 1, 17: 1}, {8: 2}]
    uniforms = np.random.default_rng(0).random((3, MAX_ORBITS + 1))
    peaks = asked_peaks([SALTY, None, RUTILE_PEAKS], 8)
    cached, reread = (draw_templates(each, cells, [ALL] * 3, uniforms, 1.0, peaks) for each in both(mixers, peaks=8))
    assert cached[0] == reread[0]
    np.testing.assert_allclose(cached[1], reread[1], atol=1e-5)
    one = asked_peaks([SALTY], 8)
    cached, reread = (search_templates(each, cells[0], ALL, 4, 2, one) for each in both(mixers, peaks=8))
    assert [template for template, _ in cached.found] == [template for template, _ in reread.found]
    assert [score for _, score in cached.found] == pytest.approx([score for _, score in reread.found], abs=1e-5)
    without = search_templates(both(mixers, peaks=8)[0], cells[0], ALL, 4, 2)
    assert [score for _, score in without.found] != pytest.approx([score for _, score in cached.found], abs=1e-5)


def generator(model) -> WyckoffGenerator:
    return WyckoffGenerator(model, retriever(), "small", "1", WyckoffSettings(steps=3), 2)


REQUESTS = [
    CrystalRequest(formula="SrTiO3", z=1),
    CrystalRequest(formula="NaCl"),
    CrystalRequest(formula="NaCl", distinct="space_group"),
    CrystalRequest(elements=("Li", "O")),
]


def test_a_model_that_is_not_asked_draws_as_one_that_hears_nothing():
    hearing = small_wyckoff(peaks=8)
    deaf = small_wyckoff()
    deaf.load_state_dict({name: part for name, part in hearing.state_dict().items() if not name.startswith("peaks.")})
    jobs = [Job(request, place, index, 0) for place, request in enumerate(REQUESTS) for index in range(2)]
    pairs = zip(generator(hearing).draw(jobs), generator(deaf).draw(jobs), strict=True)
    for one, other in pairs:
        assert (one.reason, one.log_likelihood, one.template) == (other.reason, other.log_likelihood, other.template)
        if one.structure is not None and other.structure is not None:
            assert np.array_equal(one.structure.frac_coords, other.structure.frac_coords)
            assert np.array_equal(one.structure.lattice, other.structure.lattice)


def test_a_draw_is_that_of_its_own_peaks_whoever_is_drawn_with_it():
    made = generator(small_wyckoff(peaks=8))
    jobs = [
        Job(request, place, index, 0, peaks)
        for place, request in enumerate(REQUESTS)
        for index in range(2)
        for peaks in (None, SALTY, RUTILE_PEAKS)
    ]
    together = made.draw(jobs)
    assert any(candidate.structure is not None for candidate in together)
    for job, candidate in zip(jobs[::5], together[::5], strict=True):
        (alone,) = generator(small_wyckoff(peaks=8)).draw([job])
        assert (alone.structure is None) == (candidate.structure is None)
        assert alone.template == candidate.template
        if alone.structure is not None and candidate.structure is not None:
            assert np.allclose(alone.structure.lattice, candidate.structure.lattice, atol=1e-3)
    lattices = [each.structure.lattice for each in together[:3] if each.structure is not None]
    assert len(lattices) == 3
    assert not np.allclose(lattices[0], lattices[1])
    assert not np.allclose(lattices[1], lattices[2])


def test_its_numbers_are_likelier_given_its_own_peaks_than_those_of_another():
    items = [item for item in some_items(24) if item.followed < 0][:6]
    lists = [crystal_peaks(decode(item.sequence).to_crystal(), 8) for item in items]
    own = [replace(item, peaks=peaks) for item, peaks in zip(items, lists, strict=True)]
    others = [replace(item, peaks=peaks) for item, peaks in zip(items, [*lists[1:], lists[0]], strict=True)]
    torch.manual_seed(0)
    model = trained(small_wyckoff(peaks=8, dropout=0.0, element_dropout=1.0), collate_items(own, 8))
    with torch.no_grad():
        right, wrong = (
            model.losses(collate_items(each, 8), torch.Generator().manual_seed(1), repeats=64) for each in (own, others)
        )
    assert right["lattice"] + right["symbol"] < wrong["lattice"] + wrong["symbol"] - 0.02, (right, wrong)


def test_batches_of_a_model_that_hears_peaks_always_have_lists():
    items = some_items(3)
    assert collate_items(items).tokens.peaks is None
    peaks = collate_items(items, 8).tokens.peaks
    assert peaks is not None
    assert peaks.lengths.tolist() == [0, 0, 0]
    assert torch.equal(peaks.place, collate_peaks([None] * 3, 8).place)
