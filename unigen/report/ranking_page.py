"""What the page of a ranked run shows besides its answers: the number that ranked them, and a pattern under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unigen.eval.requested_property import RequestedProperty
from unigen.ranking.pattern import poor_fits
from unigen.report.figures.ranking import RankedValue, ranking_figure
from unigen.report.figures.scatter import asked_figure
from unigen.report.page import Figure
from unigen.report.quantities import unit_of
from unigen.runs.crystal_files import crystal_of
from unigen.runs.folder import Row, was_made
from unigen.runs.ranking import TABLE, first_answers, order_note, read_table


def ranking_notes(settings: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """What the reader has to know first of a ranked run.

    Args:
        settings: of its ``run.yaml``.
        rows: its journal.
    """
    ranking = settings["ranking"]
    notes = [
        f"The best of {ranking['candidates']} candidates a request, ranked by {ranking['by']}; all stand in {TABLE}.",
        f"Learned from: {ranking['trained_on'].rstrip('.')}.",
    ]
    if order := order_note(ranking):
        notes.append(order)
    if ranking["by"] == "property" and ranking["predictor"]["version"]:  # a density has no judge: it is exact
        judge = (
            " Let another model judge, with unigen evaluate conditional."
            if any("smiles" in row for row in rows)
            else ""
        )
        said = "Predicted values are those of the model that chose: what it is wrong about it chooses too."
        notes.append(said + judge)
    return notes + poor_fits(first_answers([row for row in rows if was_made(row)]))


def on_cards_of(folder: Path, rows: Sequence[Row]) -> list[str]:
    """What stands on the cards of answers: rank, what ranked, and how far above the lowest and the hull that is.

    Args:
        folder: of the run.
        rows: its journal.
    """
    quantity, _ = read_table(folder / TABLE)
    predicted = dict.fromkeys(name for row in rows for name in row.get("ranking", {}) if "_predicted" in name)
    return ["rank", quantity, "energy_above_lowest", "energy_above_hull", *predicted, "relaxed"]


def ranking_figures(
    folder: Path, rows: Sequence[Row], requests: Sequence[Mapping[str, Any]], ranking: Mapping[str, Any]
) -> list[Figure]:
    """The pictures of a ranked run of one request; of several, what was predicted against what was asked for.

    Args:
        folder: of the run.
        rows: its journal.
        requests: of its ``run.yaml``.
        ranking: of its ``run.yaml``.
    """
    if len(requests) != 1:
        return _asked_figures(rows)
    quantity, lines = read_table(folder / TABLE)
    shown = "energy_above_lowest" if lines and "energy_above_lowest" in lines[0] else quantity
    values = [RankedValue(float(line[shown]), bool(line["rank"])) for line in lines if line[shown]]
    figures = [ranking_figure(values, shown.replace("_", " "), unit_of(shown, "crystals"))]
    pattern = requests[0].get("pxrd")
    if pattern is not None and Path(pattern).exists():
        from unigen.crystals.powder.files import read_pattern
        from unigen.report.figures.powder import Answer, powder_figure

        answers = [
            Answer(f"rank {row['ranking']['rank']}", crystal)
            for row in rows
            if was_made(row) and (crystal := crystal_of(row)) is not None
        ]
        read = read_pattern(pattern, wavelength=ranking.get("wavelength"), axis=ranking.get("axis"))
        figures.append(powder_figure(read, answers))
    return [figure for figure in figures if figure is not None]


def _asked_figures(rows: Sequence[Row]) -> list[Figure]:
    """Of each property that answers were ranked by, as predicted, against what was asked for."""
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        ranking = row.get("ranking", {})
        for column in ranking:
            name, _, unit = column.partition(" (")
            if name.endswith("_predicted"):
                asked = ranking[column.replace("_predicted", "_asked", 1)]
                key = name.removesuffix("_predicted"), unit.removesuffix(")")
                pairs.setdefault(key, []).append((asked, ranking[column]))
    asked_for = [RequestedProperty(name, unit, *np.array(values).T) for (name, unit), values in pairs.items()]
    return [figure for each in asked_for if (figure := asked_figure(each)) is not None]
