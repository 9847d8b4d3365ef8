"""A folder of predictions: ``predictions.csv``, a line a structure, and by which predictor they are."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unigen.disk import durable_text
from unigen.journal import claim_folder, line_text
from unigen.runs.folder import Row
from unigen.runs.sample_table import sample_columns
from unigen.runs.tables import SHOWN
from unigen.runs.terminal_table import WIDTH, Column, terminal_table
from unigen.sample.predict import NetworkPredictor
from unigen.version import __version__

if TYPE_CHECKING:
    from rich.table import Table

PREDICTIONS, CLAIM = "predictions.csv", "prediction.yaml"
PREDICTED, ERROR, NOTE = "_predicted", "_error", "prediction_note"
"""Endings of the columns of a property, and the column that says why there are none."""


def write_predictions(
    folder: Path, rows: Sequence[Row], facts: Sequence[Mapping[str, Any]], predictor: NetworkPredictor
) -> None:
    """Write the table, and what it was made by.

    Args:
        folder: claimed for this predictor and these structures.
        rows: journal lines of the structures, those that could not be read among them.
        facts: what is predicted of each.
        predictor: by which.

    Raises:
        UserError: the folder holds something else, or cannot be written.
    """
    read = hashlib.sha256("".join(map(line_text, rows)).encode()).hexdigest()
    made_by = {"predictor": predictor.name, "version": predictor.version, "structures": read, "unigen": __version__}
    claim_folder(folder, CLAIM, made_by, not_compared=("unigen",))
    described = [sample_columns(row, fact) for row, fact in zip(rows, facts, strict=True)]
    told = [name for property_ in predictor.properties for name in (property_ + PREDICTED, property_ + ERROR)]
    found = dict.fromkeys(name for each in described for name in each)
    first = [name for name in ("id", "index", "formula") if name in found]
    columns = [*first, *[name for name in told if name in found]]
    columns += [name for name in found if name not in columns and name not in (NOTE, "reason")]
    with durable_text(folder / PREDICTIONS, newline="") as file:
        table = csv.DictWriter(file, [*columns, NOTE, "reason"], restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(described)


def predictions_table(
    rows: Sequence[Row], facts: Sequence[Mapping[str, Any]], predictor: NetworkPredictor, width: int = WIDTH
) -> Table:
    """The first of them for the terminal: every property, and behind it the error bar where the predictor tells one.

    Args:
        rows: journal lines of the structures.
        facts: what is predicted of each.
        predictor: by which.
        width: of the terminal, characters.
    """
    units = predictor.units
    columns = [Column("id", "names"), Column("formula", "names")]
    for name, unit in zip(predictor.properties, units, strict=True):
        columns.append(Column(name.replace("_", " ") + (f"\n({unit})" if unit else "")))
    cells = []
    for row, fact in list(zip(rows, facts, strict=True))[:SHOWN]:
        values = [_value(fact.get(name + PREDICTED), fact.get(name + ERROR)) for name in predictor.properties]
        cells.append([str(row["id"]), str(sample_columns(row)["formula"]), *values])
    more = f"and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    has_errors = any(name.endswith(ERROR) for fact in facts for name in fact)
    bars = "±: nine errors of ten are smaller, on structures like those it was trained on" if has_errors else ""
    return terminal_table(columns, cells, "\n".join(filter(None, [more, bars])) or None, width)


def _value(value: float | None, error: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if error is None else f"{value:.3f}\n± {error:.3f}"
