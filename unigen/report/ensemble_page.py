"""What the pages of generated and of relaxed conformers show of ensembles: energies and weights, by molecule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unigen.molecules.ensemble import ENERGY, RANK, RELATIVE, WEIGHT
from unigen.report.figures.ensemble import ensemble_figure
from unigen.report.page import Figure

PAGE_NAMES = {ENERGY: "total_energy", RELATIVE: "relative_energy"}
"""Columns of a page, which has a place of its own for units."""

ON_CARDS = (RANK, PAGE_NAMES[RELATIVE], WEIGHT, PAGE_NAMES[ENERGY])
"""On the card of every conformer."""

MOST_FIGURES = 12
"""Molecules that have a picture: the first ones."""


def ensemble_figures(facts: Sequence[tuple[str, Mapping[str, Any]]], method: str) -> list[Figure]:
    """A picture of each of the first molecules.

    Args:
        facts: of each conformer that has an energy, kept or left out, which molecule it is of, and what is told of it.
        method: whose energies.
    """
    kept: dict[str, list[tuple[float, float]]] = {}
    left_out: dict[str, list[float]] = {}
    for name, told in facts:
        kept.setdefault(name, [])
        if WEIGHT in told:
            kept[name].append((told[RELATIVE], told[WEIGHT]))
        elif RELATIVE in told:
            left_out.setdefault(name, []).append(told[RELATIVE])
    figures = (ensemble_figure(name, each, left_out.get(name, ()), method) for name, each in kept.items())
    return [figure for figure in figures if figure is not None][:MOST_FIGURES]
