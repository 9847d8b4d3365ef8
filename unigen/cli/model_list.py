"""The bundled models as a table."""

from __future__ import annotations

from rich.table import Table

from unigen.cards import find_cards
from unigen.models.card import read_model_card
from unigen.models.checkpoint import WEIGHTS


def models_table() -> Table:
    """Name, size of the weights and the card's first lines of every bundled model."""
    table = Table()
    for heading in ("model", "weights", "what", "results"):
        table.add_column(heading)
    for name, path in find_cards("models").items():
        card = read_model_card(path)
        size = (path.parent / WEIGHTS).stat().st_size / 1e6 if (path.parent / WEIGHTS).exists() else 0.0
        table.add_row(name, f"{size:.1f} MB", card.title, card.headline)
    table.add_row("nearest", "-", "nearest-neighbour substitution, nothing learned; needs --retrieve-from", "")
    return table
