"""What stands before sequences: two prompts one behind the other are one, and places stay with what has them."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unigen.batch import Layout
from unigen.nn.conditions.prompt import Prompt, behind, read_behind
from unigen.nn.mixers.backbone import Backbone
from unigen.testing import assert_close

WIDTH, ROWS = 16, 3
LENGTHS = st.lists(st.integers(0, 4), min_size=ROWS, max_size=ROWS)


def prompt_of(lengths: list[int], seed: int, *, places: bool) -> Prompt:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(ROWS, max(1, *lengths), WIDTH, generator=generator)
    lies = torch.rand(*x.shape[:2], 2, 3, generator=generator) if places else None
    return Prompt(x, torch.tensor(lengths), lies)


@given(first=LENGTHS, second=LENGTHS, tokens=st.lists(st.integers(1, 5), min_size=ROWS, max_size=ROWS))
def test_one_behind_the_other_is_one_prompt(first, second, tokens):
    a, b = prompt_of(first, 0, places=False), prompt_of(second, 1, places=True)
    x = torch.randn(ROWS, max(tokens), WIDTH, generator=torch.Generator().manual_seed(2))
    places = torch.rand(ROWS, max(tokens), 2, 3)
    layout = replace(Layout.padded(torch.tensor(tokens), max(tokens)), places=places)
    joined, whole = a.then(b).before(x, layout)
    step, middle = b.before(x, layout)
    expected, expected_layout = a.before(step, middle)
    assert whole.lengths.tolist() == expected_layout.lengths.tolist()
    assert whole.places is not None
    assert expected_layout.places is not None
    for row, length in enumerate(whole.lengths.tolist()):
        assert torch.equal(joined[row, :length], expected[row, :length])
        assert torch.equal(whole.places[row, :length], expected_layout.places[row, :length])
        own = torch.cat([a.x[row, : first[row]], b.x[row, : second[row]], x[row, : tokens[row]]])
        assert torch.equal(joined[row, :length], own)
        assert not bool(whole.places[row, : first[row]].any())


@pytest.mark.parametrize("nothing", [None, prompt_of([0] * ROWS, 0, places=False)])
def test_nothing_before_a_sequence_is_the_sequence(nothing):
    torch.manual_seed(0)
    backbone = Backbone(("attention", "ssd"), WIDTH, 2, 0.0).eval()
    x, layout = torch.randn(ROWS, 5, WIDTH), Layout.padded(torch.tensor([5, 3, 4]), 5)
    expected, found = backbone(x, layout), read_behind(backbone, nothing, x, layout)
    for row, length in enumerate(layout.lengths.tolist()):
        assert_close(found[row, :length], expected[row, :length], f"row {row}")


def test_behind_picks_the_positions_of_the_sequences():
    h = torch.arange(12.0).view(2, 6, 1).expand(-1, -1, WIDTH)
    assert behind(h, torch.tensor([0, 2]), 3)[..., 0].tolist() == [[0, 1, 2], [8, 9, 10]]
