"""Cached decoding equals the full forward; draws depend on their job alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.small_model import EACH_PATTERN, small_model
from unigen.models.words.decoding import Noise, WordsSettings, decode
from unigen.nn.process.solvers import dpm_solver_2m, karras_levels
from unigen.tokens.sequence import Channel, collate

CELLS = [{22: 2, 38: 2, 8: 6}, {11: 2, 17: 2}, {11: 2, 17: 2}, {26: 3, 14: 1}, {29: 1}]
SETTINGS = WordsSettings(steps=4, temperature=1.0)


def noise(rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Noise(torch.randn(rows, 6, generator=generator), torch.randn(rows, 11, 3, generator=generator))


@EACH_PATTERN
def test_every_vector_is_what_a_full_forward_at_its_step_would_draw(mixers):
    model, drawn = small_model(mixers=mixers), noise(len(CELLS))
    sequences = decode(model, CELLS, drawn, SETTINGS)
    batch = collate(sequences)
    with torch.no_grad():
        h = model(batch)
        for kind in (Channel.LATTICE, Channel.FRACTIONAL):
            head = model.head(kind)
            levels = karras_levels(SETTINGS.steps, head.process.sigma_min, head.process.sigma_max)
            for row, at in (batch.channel == kind).nonzero().tolist():
                site = at - 3 - 2 * len(CELLS[row])
                start = drawn.lattice[row] if kind == Channel.LATTICE else drawn.sites[row, site]
                context = head.context(h[row, at - 1 : at])
                solved = dpm_solver_2m(
                    lambda x, sigma, head=head, context=context: head.denoise(x, sigma, context),
                    head.process.prior(start[None]),
                    levels,
                )[0]
                got = model.coordinates(kind, batch.vectors[row, at])
                difference = solved - got
                if kind == Channel.FRACTIONAL:
                    difference = difference - difference.round()
                assert difference.abs().max() < 1e-4


def test_a_row_does_not_depend_on_its_batch():
    model, drawn = small_model(), noise(len(CELLS))
    together = decode(model, CELLS, drawn, SETTINGS)
    for row, cell in enumerate(CELLS):
        alone = decode(model, [cell], Noise(drawn.lattice[row : row + 1], drawn.sites[row : row + 1]), SETTINGS)[0]
        gap = alone.vectors - together[row].vectors
        is_site = alone.channel == Channel.FRACTIONAL
        gap[is_site] -= np.round(gap[is_site])
        assert np.abs(gap).max() < 1e-4


@settings(max_examples=15)
@given(st.lists(st.dictionaries(st.integers(1, 94), st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=4))
def test_the_composition_is_exact_whatever_the_weights(cells):
    cells = sorted(cells, key=lambda cell: -sum(cell.values()))
    from unigen.models.words.tokens import WordsTokenizer

    for sequence, cell in zip(decode(small_model(), cells, noise(len(cells)), SETTINGS), cells, strict=True):
        crystal = WordsTokenizer(12).decode(sequence)
        assert crystal.counts == dict(sorted(cell.items()))
        assert (crystal.frac_coords >= 0).all()
        assert (crystal.frac_coords < 1).all()


def test_likelihood_is_finite_additive_and_the_same_in_any_batch():
    model = small_model()
    sequences = decode(model, CELLS, noise(len(CELLS)), SETTINGS)
    together = model.log_likelihoods(collate(sequences))
    assert torch.isfinite(together.total).all()
    assert together.n_sites == sum(sum(cell.values()) - 1 for cell in CELLS)
    assert together.sites[-1] == 0
    for row, sequence in enumerate(sequences):
        alone = model.log_likelihoods(collate([sequence])).total.item()
        assert alone == pytest.approx(together.total[row].item(), abs=2e-3)
