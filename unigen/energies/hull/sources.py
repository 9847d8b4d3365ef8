"""Energies for a hull from what people have: a built dataset, a CSV, pymatgen's entries as JSON (from mp-api, say)."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unigen.data.compositions import compositions
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.data.dataset_file import resolve_dataset
from unigen.disk import sha256_of
from unigen.elements import format_formula, parse_formula
from unigen.errors import UserError
from unigen.parsing import parse_json, read_whole

FORMULA_COLUMNS = ("formula", "reduced_formula", "composition", "formula_pretty")
ID_COLUMNS = ("id", "material_id", "entry_id")
Entry = tuple[str, str, float]
"""Id, formula, eV/atom."""


@dataclass
class EnergySource:
    """Entries of one source.

    Attributes:
        name: for the card.
        origin: column and checksum, for the card.
        entries: what has an energy.
        skipped: rows without one, by reason.
    """

    name: str
    origin: dict[str, str]
    entries: list[Entry] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, formula: str, energy: float | None) -> None:
        """Add a row, or count why not."""
        if energy is None or not math.isfinite(energy):
            self.skipped["no energy"] += 1
            return
        try:
            parse_formula(formula)
        except UserError:
            self.skipped["formula not understood"] += 1
            return
        self.entries.append((name, formula, energy))


def read_energies(source: str, column: str | None) -> EnergySource:
    """Energies from a source.

    Args:
        source: a built dataset (``"mp-20:val"``), a CSV (also .csv.gz) with a formula column and energies in eV/atom,
            or a JSON list of pymatgen entries (also .json.gz), whose corrected total energies are taken.
        column: of the energies; not for entries.

    Raises:
        UserError: no such source, a missing column, or not one energy in it.
    """
    path = Path(source)
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if path.is_file() and kind == ".csv":
        energies = _read_csv(path, _required(column, source))
    elif path.is_file() and kind == ".json":
        energies = _read_entries(path)
    elif path.is_file() and path.suffix != ".parquet":
        raise UserError("not a source of energies", where=source, wanted=".csv, .json (either .gz too), or a dataset")
    else:
        energies = _read_dataset(source, _required(column, source))
    if not energies.entries:
        raise UserError("not one usable energy", where=source, got=dict(energies.skipped))
    return energies


def _required(column: str | None, source: str) -> str:
    if column is None:
        raise UserError("which column holds the energies?", where=source, next_step="give --energy COLUMN")
    return column


def _read_csv(path: Path, column: str) -> EnergySource:
    rows = csv.DictReader(io.StringIO(read_whole(path)))
    columns = rows.fieldnames or []
    formula = next((name for name in FORMULA_COLUMNS if name in columns), None)
    if formula is None or column not in columns:
        wanted = f"{column} and one of {', '.join(FORMULA_COLUMNS)}"
        raise UserError("columns missing", where=str(path), got=", ".join(columns), wanted=wanted)
    name = next((one for one in ID_COLUMNS if one in columns), None)
    source = EnergySource(path.name, {"energy": column, "sha256": sha256_of(path)})
    for row in rows:
        source.add(row[name] if name else row[formula], row[formula] or "", _number(row[column]))
    return source


def _read_entries(path: Path) -> EnergySource:
    """Read as plain JSON: pymatgen's own decoder imports whatever modules a file names."""
    items = parse_json(read_whole(path), str(path))
    if isinstance(items, dict):
        items = items.get("entries", [items])
    source = EnergySource(path.name, {"energy": "corrected total energy", "sha256": sha256_of(path)})
    for position, item in enumerate(items if isinstance(items, list) else []):
        counts = _composition(item)
        if counts is None:
            source.skipped["no composition or energy"] += 1
            continue
        energy = (float(item["energy"]) + float(item.get("correction") or 0.0)) / sum(counts.values())
        source.add(str(item.get("entry_id") or position), format_formula(counts), energy)
    return source


def _composition(item: Any) -> dict[int, int] | None:
    """Whole atoms of an entry by atomic number; None where the dictionary is no entry."""
    if (
        not isinstance(item, dict)
        or not isinstance(item.get("composition"), dict)
        or _number(item.get("energy")) is None
    ):
        return None
    # pymatgen writes the counts of a composition as floats
    written = "".join(f"{symbol}{round(float(count))}" for symbol, count in item["composition"].items() if count)
    try:
        return parse_formula(written)
    except UserError:
        return None


def _read_dataset(name: str, column: str) -> EnergySource:
    dataset = dataset_with(name, column)
    source = EnergySource(name, {"energy": column, "sha256": dataset_checksum(name)})
    values = dataset.properties[column].tolist()
    for entry_id, counts, value in zip(dataset.ids.tolist(), compositions(dataset), values, strict=True):
        source.add(entry_id, format_formula(counts), value)
    return source


def dataset_with(source: str, column: str) -> CrystalDataset:
    """A built dataset; raises UserError where it has no such column."""
    dataset = open_crystals(source)
    if column not in dataset.properties:
        raise UserError(f"no column {column!r}", where=source, wanted=", ".join(dataset.properties) or "a property")
    return dataset


def dataset_checksum(source: str) -> str:
    """SHA-256 of the Parquet file of ``"mp-20:val"``."""
    return sha256_of(resolve_dataset(source)[0])


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
