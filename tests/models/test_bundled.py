"""The published models: cards complete, weights small, loadable, and doing what the card says."""

import pytest

from unigen.cards import find_cards
from unigen.models.card import read_model_card
from unigen.models.checkpoint import WEIGHTS, load_model
from unigen.request import CrystalRequest
from unigen.sample.generate import generate
from unigen.sample.load import load

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
    sample = generate(CrystalRequest(formula="MgO", z=1), seed=0)[0]
    assert sample.template == "225 Mg:a O:b"
    assert sample.source["formula"] == "MgO"
    assert 17 < sample.structure.volume < 21  # 18.7 cubic Angstrom in nature


def test_a_formula_nobody_knows_follows_its_likes():
    """No known BaTiO3 is followed when told so, and yet the cell has its atoms and the stated space group."""
    sample = generate(
        CrystalRequest(formula="BaTiO3", z=1), model=load("unigen-crystal-small", exclude_formula=True), seed=0
    )[0]
    assert sample.source["formula"] != "BaTiO3"
    assert sample.structure.counts == {8: 3, 22: 1, 56: 1}
    assert sample.structure.space_group(0.01).number == int(sample.template.split()[0])
