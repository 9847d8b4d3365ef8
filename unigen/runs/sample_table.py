"""Samples as a table: what `Samples.to_dataframe` has but the structure, and ``samples.csv`` of a run folder."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unigen.disk import durable_text
from unigen.elements import ATOMIC_NUMBER, format_formula, reduce_counts
from unigen.runs.tables import crystal_formula, lengths_and_angles

SAMPLES = "samples.csv"
"""Beside the journal of a run folder, whose lines it has without their structures."""

CRYSTAL_COLUMNS = ("formula", "cell_formula", "space_group", "space_group_number", "prototype")
"""Of every table of crystals, also where not one of them has it."""

_NOT_COLUMNS = {"request_index", "request", "lattice", "sites", "molecule", "template", "ranking", "checks", "source"}
_FIRST = ("id", "index", *CRYSTAL_COLUMNS, "smiles")
_LAST = "reason"

_DIGITS = 4
"""Of lengths in Angstrom and angles in degrees, as CIFs have them."""


def sample_columns(row: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The scalars of a sample by the names of columns: what it is, what ranked it, what was computed, why it failed.

    Args:
        row: its journal line.
        facts: what was computed of it since.

    Returns:
        ``id``, ``index`` and ``formula`` (of a crystal the reduced one, and ``cell_formula`` that of its cell) first;
        of crystals the checks of `unigen.runs.tables.check_sample` and the cell, ``a b c`` in Angstrom and ``alpha beta
        gamma`` in degrees; of the known structure that it follows ``relative_id``, ``relative_formula``,
        ``relative_distance``; what was asked for as ``..._asked``. A failed sample has a ``reason``.
    """
    own = {name: value for name, value in row.items() if name not in _NOT_COLUMNS and name != "space_group"}
    columns = {"id": row["id"], "index": row["index"], "formula": "", **_crystal_columns(row), **own}
    columns |= {**row.get("checks", {}), **row.get("ranking", {})}
    columns |= {f"relative_{name}": value for name, value in row.get("source", {}).items()}
    columns |= {f"{name}_asked": value for name, value in row["request"].get("properties", {}).items()}
    columns |= facts or {}
    return {name: value for name, value in columns.items() if not isinstance(value, list | dict)}


def _crystal_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Formulas and cell of the structure of a journal line; nothing of a molecule and of what has none."""
    if "sites" not in row:
        return {}
    counts = Counter(ATOMIC_NUMBER[site["element"]] for site in row["sites"])
    cell = zip(("a", "b", "c", "alpha", "beta", "gamma"), lengths_and_angles(np.array(row["lattice"])), strict=True)
    formulas = {"formula": format_formula(reduce_counts(counts)[0]), "cell_formula": crystal_formula(row)}
    return formulas | {name: round(value, _DIGITS) for name, value in cell}


def write_sample_table(path: Path, rows: Sequence[Mapping[str, Any]], lead: Iterable[str] = ()) -> None:
    """Write journal lines as a table, one row a sample in their order; what one does not have is empty.

    Args:
        path: of the file.
        rows: journal lines.
        lead: columns that it has whatever the rows do.
    """
    described = [sample_columns(row) for row in rows]
    found = dict.fromkeys(name for each in described for name in each) | dict.fromkeys(lead)
    columns = [name for name in _FIRST if name in found]
    columns += [name for name in found if name not in _FIRST and name != _LAST]
    with durable_text(path, newline="") as file:
        table = csv.DictWriter(file, [*columns, _LAST], restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(described)
