"""The hull that the crystals of a run were held against, as it was when they were: ranked by it, or kept by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unigen.elements import SYMBOLS, chemical_rank
from unigen.energies.hull.hull import Hull
from unigen.energies.hull.reference import open_reference
from unigen.eval.crystals.stability import DRAWN_SYSTEMS
from unigen.report.figures.hull import hull_figure
from unigen.report.figures.hull_sample import placed_on_hull
from unigen.report.page import Figure
from unigen.runs.crystal_files import crystal_of
from unigen.runs.folder import Row


def hull_of_run(rows: Sequence[Row], settings: Mapping[str, Any]) -> tuple[list[Figure], list[str]]:
    """The picture of its hull with all its crystals beside it, or in a line why there is none; neither without a hull.

    Args:
        rows: journal of the run.
        settings: of its ``run.yaml``: ranked with a hull, or drawn until stable.

    Raises:
        UserError: the reference set of the hull is no longer there.
    """
    name = settings.get("ranking", {}).get("hull") or settings.get("stable", {}).get("hull", {}).get("name")
    if not name:
        return [], []
    judged = [
        # a ranked line says it among what ranked, one of a run that draws until stable among its own facts
        (crystal, facts.get("formation_energy"), facts.get("energy_above_hull", facts.get("above_hull")))
        for row in rows
        if (crystal := crystal_of(row)) is not None and (facts := row.get("ranking", row)) is not None
    ]
    numbers = {number for crystal, *_ in judged for number in crystal.counts}
    elements = "-".join(SYMBOLS[number] for number in sorted(numbers, key=chemical_rank))
    if len(numbers) not in DRAWN_SYSTEMS:
        return [], [f"No picture of the hull {name}: of {elements} there is none, only of two or three elements."]
    phases = Hull(open_reference(name)).stable_phases(numbers)
    figure = hull_figure(phases, placed_on_hull(phases, judged))
    if figure is None:
        return [], [f"No picture of the hull {name}: it has no energies of {elements}."]
    return [figure], []
