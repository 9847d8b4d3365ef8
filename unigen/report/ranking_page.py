"""What the page of a ranked run shows besides its answers: the number that ranked them, and a pattern under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unigen.report.figures.ranking import RankedValue, ranking_figure
from unigen.report.page import UNITS, Figure
from unigen.runs.crystal_files import crystal_of
from unigen.runs.folder import Row, was_made
from unigen.runs.ranking import TABLE, read_table


def ranking_notes(settings: Mapping[str, Any]) -> list[str]:
    """What the reader has to know first of a ranked run.

    Args:
        settings: of its ``run.yaml``.
    """
    ranking = settings["ranking"]
    notes = [
        f"The best of {ranking['candidates']} candidates a request, ranked by {ranking['by']}; all stand in {TABLE}."
    ]
    return [*notes, f"What ranked them knows {ranking['trained_on']}."]


def ranking_figures(folder: Path, rows: Sequence[Row], requests: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """The pictures of a ranked run of one request; several requests have none.

    Args:
        folder: of the run.
        rows: its journal.
        requests: of its ``run.yaml``.
    """
    if len(requests) != 1:
        return []
    quantity, lines = read_table(folder / TABLE)
    shown = "energy_above_lowest" if lines and "energy_above_lowest" in lines[0] else quantity
    values = [RankedValue(float(line[shown]), bool(line["rank"])) for line in lines if line[shown]]
    figures = [ranking_figure(values, shown.replace("_", " "), UNITS.get(shown, ""))]
    pattern = requests[0].get("pxrd")
    if pattern is not None and Path(pattern).exists():
        from unigen.crystals.powder.files import read_pattern
        from unigen.report.figures.powder import Answer, powder_figure

        answers = [
            Answer(f"rank {row['ranking']['rank']}", crystal)
            for row in rows
            if was_made(row) and (crystal := crystal_of(row)) is not None
        ]
        figures.append(powder_figure(read_pattern(pattern), answers))
    return [figure for figure in figures if figure is not None]
