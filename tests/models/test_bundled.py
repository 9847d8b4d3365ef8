"""The published models: cards complete, weights small, loadable, and doing what the card says."""

import pytest

from unigen.cards import find_cards
from unigen.models.card import read_model_card
from unigen.models.checkpoint import WEIGHTS, load_model
from unigen.request import CrystalRequest
from unigen.sample.generate import generate

BUNDLED = find_cards("models")


def test_the_default_model_is_there():
    assert "unigen-crystal-small" in BUNDLED


@pytest.mark.parametrize("name", BUNDLED)
def test_card_and_weights_agree(name):
    card, folder = read_model_card(BUNDLED[name]), BUNDLED[name].parent
    assert card.name == name
    assert (folder / WEIGHTS).stat().st_size <= 20e6
    model = load_model(folder)
    assert sum(parameter.numel() for parameter in model.parameters()) == card.parameters
    assert "to be measured" not in repr(card)


def test_simple_salts_are_drawn_as_everybody_knows_them():
    """Rock salt is in no training composition's way: half of unranked draws at least are structures that can exist."""
    samples = generate(CrystalRequest(formula="MgO", z=1), n=16, seed=0)
    good = [s for s in samples if s.structure.smallest_distance() > 1.6 and 15 < s.structure.volume < 25]
    assert len(good) >= 8
