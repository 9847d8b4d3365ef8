"""The page of a folder of predictions: every structure with its properties, and how these are spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unigen.crystals.crystal import Crystal
from unigen.molecules.molecule import Molecule
from unigen.report.distributions import column_distributions
from unigen.report.html import write_page
from unigen.report.page import Item, Page
from unigen.runs.folder import PAGE, Row
from unigen.runs.prediction import ERROR, NOTE, PREDICTED
from unigen.runs.sample_table import sample_columns
from unigen.sample.predict import NetworkPredictor

_NOT_SHOWN = {"id", "formula", "cell_formula", "reason"}
"""Said by the card itself."""

_NOTE = (
    "Predicted, not computed. Nine errors of ten are smaller than the error bars where the structure is like those the "
    "predictor was trained on; of others they say too little."
)
_NO_BARS = "Predicted, not computed, by a predictor that tells no error bars: those of its card are averages over QM9."


def write_prediction_page(
    folder: Path,
    structures: Sequence[Crystal | Molecule | None],
    rows: Sequence[Row],
    facts: Sequence[Mapping[str, Any]],
    predictor: NetworkPredictor,
) -> Path:
    """Write ``report.html`` into a folder of predictions.

    Args:
        folder: of them.
        structures: None for what could not be read.
        rows: their journal lines.
        facts: what is predicted of each.
        predictor: by which.

    Raises:
        UserError: the disk is full.
    """
    items = []
    for structure, row, fact in zip(structures, rows, facts, strict=True):
        columns = sample_columns(row, fact)
        items.append(
            Item(
                id=str(row["id"]),
                structure=structure,
                subtitle=str(columns.get("smiles") or columns.get("space_group") or ""),
                columns={name: value for name, value in columns.items() if name not in _NOT_SHOWN},
                reason=str(row.get("reason", "")),
            )
        )
    named = {name + PREDICTED: unit for name, unit in zip(predictor.properties, predictor.units, strict=True)}
    values = {name: [item.columns.get(name) for item in items] for name in named}
    errors = {name + ERROR: unit for name, unit in zip(predictor.properties, predictor.units, strict=True)}
    page = Page(
        title=f"{predictor.of.capitalize()}: properties predicted by {predictor.name}",
        kind=predictor.of,
        items=items,
        figures=column_distributions(values, predictor.of),
        settings={"predictor": predictor.name, "version": predictor.version, "trained on": predictor.trained_on},
        notes=[_NOTE if any(name.endswith(ERROR) for fact in facts for name in fact) else _NO_BARS],
        units={name: unit for name, unit in (named | errors).items() if unit},
        on_cards=[*named, NOTE],
        made_by={"model": predictor.name},
    )
    return write_page(page, folder / PAGE)
