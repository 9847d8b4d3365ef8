"""Peaks before sequences: they stand in front, say nothing to rows that have none, and padding says nothing."""

from dataclasses import replace

import pytest
import torch

from unigen.batch import Layout, PeakBatch
from unigen.nn.conditions.peaks import PeakPrompt
from unigen.nn.conditions.prompt import behind
from unigen.nn.mixers.backbone import Backbone
from unigen.testing import assert_close

WIDTH = 16
TOKENS = torch.tensor([5, 3, 4])


def peaks_of(*lists: list[float], most: int = 0) -> PeakBatch:
    longest = max([1, most, *map(len, lists)])
    place = torch.zeros(len(lists), longest)
    for row, values in enumerate(lists):
        place[row, : len(values)] = torch.tensor(values)
    lengths = torch.tensor([len(values) + 1 if values else 0 for values in lists])
    return PeakBatch(place, (place > 0) * 0.5, torch.tensor([[0.1, 0.9]] * len(lists)), lengths)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    prompt = PeakPrompt(WIDTH)
    backbone = Backbone(("attention", "ssd", "attention"), WIDTH, 2, 0.0).eval()
    return prompt, backbone, torch.randn(3, 5, WIDTH)


def read(parts, x, lengths, peaks, places=None):
    prompt, backbone, _ = parts
    layout = replace(Layout.padded(lengths, x.shape[1]), places=places)
    longer, whole = prompt.told(peaks).before(x, layout)
    assert torch.equal(whole.lengths, lengths + peaks.lengths)
    return behind(backbone(longer, whole), peaks.lengths, x.shape[1])


def test_a_row_is_what_it_is_alone_whatever_stands_before_the_others(parts):
    lists = ([0.2, 0.3, 0.5], [], [0.4])
    together = read(parts, parts[2], TOKENS, peaks_of(*lists))
    for row, values in enumerate(lists):
        for most in (0, 6):
            alone = read(
                parts, parts[2][row : row + 1, : TOKENS[row]], TOKENS[row : row + 1], peaks_of(values, most=most)
            )
            assert_close(alone[0], together[row, : TOKENS[row]], f"row {row}, room for {most}")


def test_no_list_is_the_sequence_as_it_is(parts):
    _, backbone, x = parts
    expected = backbone(x, Layout.padded(TOKENS, 5))
    found = read(parts, x, TOKENS, peaks_of([], [], []))
    for row, length in enumerate(TOKENS.tolist()):
        assert_close(found[row, :length], expected[row, :length], f"row {row}")


def test_every_position_knows_every_peak_and_no_other_rows(parts):
    prompt, _, x = parts
    peaks = peaks_of([0.2, 0.3, 0.5], [], [0.4])
    place = peaks.place.requires_grad_()
    out = read(parts, x, TOKENS, replace(peaks, place=place))
    (gradient,) = torch.autograd.grad(out[0, 0].square().sum(), place)
    assert bool((gradient[0] != 0).all())
    assert not bool(gradient[1:].any())
    # all its weights take part, even where no row has a list
    out = read(parts, x, TOKENS, peaks_of([], [], []))
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in prompt.parameters())


def test_places_in_space_stay_those_of_the_tokens(parts):
    prompt, _, x = parts
    places = torch.rand(3, 5, 2, 3)
    peaks = peaks_of([0.2, 0.3, 0.5], [], [0.4])
    _, layout = prompt.told(peaks).before(x, replace(Layout.padded(TOKENS, 5), places=places))
    assert layout.places is not None
    for row, (length, shift) in enumerate(zip(TOKENS.tolist(), peaks.lengths.tolist(), strict=True)):
        assert torch.equal(layout.places[row, shift : shift + length], places[row, :length])
        assert not bool(layout.places[row, :shift].any())


def test_peaks_a_hundredth_apart_are_told_apart_as_those_a_tenth_are():
    torch.manual_seed(0)
    told = PeakPrompt(64).tokens(peaks_of([0.5, 0.51, 0.6]))[0, 1:].detach()
    near, far = (told[0] - told[1]).norm(), (told[0] - told[2]).norm()
    assert near > 0.3 * far
