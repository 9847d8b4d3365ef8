"""Energies for a hull from what people have: a built dataset, a CSV, pymatgen's entries as JSON (from mp-api, say)."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unigen.data.compositions import compositions
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.data.dataset_file import resolve_dataset
from unigen.disk import sha256_of
from unigen.elements import atomic_number_of, format_formula, parse_formula, whole_counts
from unigen.energies.hull.provenance import (
    Provenance,
    Quantity,
    check_column,
    correction_of,
    functional_of,
    leaves_corrections_out,
)
from unigen.errors import UserError
from unigen.parsing import csv_errors, parse_json, read_whole

FORMULA_COLUMNS = ("formula", "reduced_formula", "composition", "formula_pretty")
ID_COLUMNS = ("id", "material_id", "entry_id")
FUNCTIONAL_FIELDS = ("run_type", "thermo_type", "functional", "xc")
"""Where rows and entries say by which functional their energies were computed."""

Entry = tuple[str, str, float]
"""Id, formula, eV/atom."""

_NO_CRYSTALS = {
    "GibbsComputedStructureEntry": "a Gibbs energy at a temperature",
    "GrandPotPDEntry": "a grand potential",
    "TransformedPDEntry": "an energy in other coordinates",
    "ExpEntry": "a measured enthalpy",
    "PourbaixEntry": "an energy in water",
    "IonEntry": "an energy of an ion",
    "SlabEntry": "an energy of a slab",
}
"""Entries of pymatgen whose energy is not that of a crystal by the functional that computed it."""

_LISTS = ("entries", "all_entries", "data", "docs")
"""Keys of documents that hold entries: of pymatgen's EntrySet and PhaseDiagram, and of answers of APIs."""


@dataclass
class EnergySource:
    """Entries of one source.

    Attributes:
        name: for the card.
        origin: column and checksum, for the card.
        entries: what has an energy.
        left_out: id and reason of what has none.
        provenance: what the entries say of themselves.
    """

    name: str
    origin: dict[str, str]
    entries: list[Entry] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def skipped(self) -> Counter[str]:
        """Rows without a usable energy, by reason."""
        return Counter(reason for _, reason in self.left_out)

    def add(self, name: str, formula: str, energy: float | None, run_type: object = None) -> None:
        """Add a row, or say why not."""
        if energy is None or not math.isfinite(energy):
            self.left_out.append((name, "no energy"))
            return
        try:
            counts = _counts_of(formula)
        except UserError as error:
            # without what it quotes, which would make every reason another one
            why = re.sub(r",? '[^']*'", "", error.reason).removeprefix("formula: ")
            self.left_out.append((name, f"formula not understood: {why}"))
            return
        self.entries.append((name, format_formula(counts), energy))
        functional = functional_of(run_type)
        if functional:
            self.provenance.functionals.setdefault(functional, f"{name} ({run_type}, {formula})")


_FRACTIONAL = re.compile(r"([A-Z][a-z]?)(\d*\.?\d+)?")


def _counts_of(formula: str) -> dict[int, int]:
    """Counts of a formula, whole or, without brackets, in fractions: ``Na0.5Cl0.5``."""
    try:
        return parse_formula(formula)
    except UserError:
        parts = _FRACTIONAL.findall(formula)
        if not parts or "".join(symbol + amount for symbol, amount in parts) != formula or "." not in formula:
            raise
        amounts: dict[int, float] = {}
        for symbol, amount in parts:
            (number,) = parse_formula(symbol)
            amounts[number] = amounts.get(number, 0.0) + float(amount or 1)
        return whole_counts(amounts)


def read_energies(source: str, column: str | None, quantity: Quantity, scheme: str) -> EnergySource:
    """Energies from a source.

    Args:
        source: a built dataset (``"mp-20:val"``), a CSV (also .csv.gz) with a formula column and energies in eV/atom,
            or a JSON list of pymatgen entries or of documents of the Materials Project (also .json.gz), whose total
            energies are taken with their corrections, without them where the scheme has none.
        column: of the energies; not for entries.
        quantity: what the energies are said to be.
        scheme: of the energies.

    Raises:
        UserError: no such source, a missing column or one that is named after another quantity, or not one energy.
    """
    path = Path(source)
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if path.is_file() and kind == ".json":
        energies = _read_entries(path, quantity, scheme)
    elif path.is_file() and kind != ".csv" and path.suffix != ".parquet":
        raise UserError("not a source of energies", where=source, wanted=".csv, .json (either .gz too), or a dataset")
    else:
        column = _required(column, source, path, kind)
        energies = _read_csv(path, column) if path.is_file() and kind == ".csv" else _read_dataset(source, column)
        check_column(column, quantity, scheme, source)
    if not energies.entries:
        raise UserError("not one usable energy", where=source, got=dict(energies.skipped))
    return energies


def _required(column: str | None, source: str, path: Path, kind: str) -> str:
    if column is not None:
        return column
    if path.is_file() and kind == ".csv":
        table = csv.DictReader(io.StringIO(read_whole(path), newline=""))
        with csv_errors(path, table):
            said_otherwise = {*FORMULA_COLUMNS, *ID_COLUMNS, *FUNCTIONAL_FIELDS}
            columns = [name for name in table.fieldnames or () if name not in said_otherwise]
    else:
        columns = sorted(open_crystals(source).properties)
    raise UserError(
        "which column holds the energies?",
        where=source,
        wanted=f"one of {', '.join(columns)}" if columns else "a source that has some",
        next_step="give --energy COLUMN",
    )


def _read_csv(path: Path, column: str) -> EnergySource:
    rows = csv.DictReader(io.StringIO(read_whole(path), newline=""))
    with csv_errors(path, rows):
        return _read_rows(path, rows, column)


def _read_rows(path: Path, rows: csv.DictReader[str], column: str) -> EnergySource:
    columns = rows.fieldnames or []
    formula = next((name for name in FORMULA_COLUMNS if name in columns), None)
    if formula is None or column not in columns:
        wanted = f"{column} and one of {', '.join(FORMULA_COLUMNS)}"
        raise UserError("columns missing", where=str(path), got=", ".join(columns), wanted=wanted)
    name = next((one for one in ID_COLUMNS if one in columns), None)
    run_type = next((one for one in FUNCTIONAL_FIELDS if one in columns), None)
    source = EnergySource(path.name, {"energy": column, "sha256": sha256_of(path)})
    for row in rows:
        run = row[run_type] if run_type else None
        source.add((row[name] if name else row[formula]) or "", row[formula] or "", _number(row[column]), run)
    return source


def _read_entries(path: Path, quantity: Quantity, scheme: str) -> EnergySource:
    """Read as plain JSON: pymatgen's own decoder imports whatever modules a file names."""
    items = parse_json(read_whole(path), str(path))
    if isinstance(items, dict):
        items = next((items[key] for key in _LISTS if isinstance(items.get(key), list)), [items])
    if quantity == "formation":
        taken = "formation energy"
    else:
        taken = "total energy, corrections left out" if leaves_corrections_out(scheme) else "corrected total energy"
    source = EnergySource(path.name, {"energy": taken, "sha256": sha256_of(path)})
    for position, item in enumerate(items if isinstance(items, list) else []):
        _add_entry(source, item, str(position), quantity, scheme)
    return source


def _add_entry(source: EnergySource, item: Any, position: str, quantity: Quantity, scheme: str) -> None:
    """Add an entry, or say why not."""
    if not isinstance(item, dict):
        source.left_out.append((position, "not an entry"))
        return
    name = str(item.get("entry_id") or item.get("material_id") or position)
    try:
        amounts = _amounts(item)
        energy = _energy_per_atom(item, sum(amounts.values()), quantity, scheme)
        counts = whole_counts(amounts)
    except UserError as error:
        source.left_out.append((name, error.reason))
        return
    source.add(name, format_formula(counts), energy, _run_type(item))
    if "energy" in item:
        for adjustment in _adjustments(item):
            kind = correction_of(adjustment)
            correction = adjustment.get("name") or "a correction without a name"
            source.provenance.corrections.setdefault(kind, f"{name} ({correction})")
        source.provenance.corrected += bool(_correction(item))
        if str(item.get("@class", "")).startswith("Computed"):
            source.provenance.total = source.provenance.total or name


def _amounts(item: dict) -> dict[int, float]:
    """Amounts of an entry's elements: its composition, its formula, or the sites of its structure.

    Raises:
        UserError: none of them, or a species that is no element.
    """
    composition = item.get("composition")
    if composition is None and isinstance(item.get("structure"), dict):
        sites = item["structure"].get("sites")
        species = [one for site in sites or () if isinstance(site, dict) for one in site.get("species") or ()]
        composition = {}
        for one in species:
            element = str(one.get("element"))
            composition[element] = composition.get(element, 0.0) + (_number(one.get("occu")) or 0.0)
    if composition is None:
        composition = next((item[key] for key in FORMULA_COLUMNS if isinstance(item.get(key), str)), None)
    if isinstance(composition, str):
        return {number: float(count) for number, count in _counts_of(composition).items()}
    if not isinstance(composition, dict) or not composition:
        raise UserError("no composition")
    return _checked_amounts(composition)


def _checked_amounts(composition: dict) -> dict[int, float]:
    """By atomic number; species of one element are added up, those that are not there left away."""
    amounts: dict[int, float] = {}
    for species, amount in composition.items():
        number, count = atomic_number_of(species), _number(amount)
        if number is None:
            raise UserError(f"{species[:20]!r} is no element")
        if count is None or not math.isfinite(count) or count < 0:
            raise UserError("an amount that is no number of atoms")
        if count:
            amounts[number] = amounts.get(number, 0.0) + count
    if not amounts:
        raise UserError("no composition")
    return amounts


def _energy_per_atom(item: dict, atoms: float, quantity: Quantity, scheme: str) -> float | None:
    """eV/atom of an entry or a document, None where it has none; raises UserError, saying why it cannot be taken."""
    kind = str(item.get("@class", ""))
    if kind in _NO_CRYSTALS:
        raise UserError(f"{_NO_CRYSTALS[kind]}, not the energy of a crystal")
    if item.get("deprecated") is True:
        raise UserError("deprecated by its source")
    uncorrected = leaves_corrections_out(scheme)
    if quantity == "formation":
        for place in (item, item.get("data")):
            if isinstance(place, dict) and place.get("formation_energy_per_atom") is not None:
                if uncorrected and "uncorrected_energy_per_atom" in item:
                    raise UserError("a formation energy with corrections")
                return _number(place["formation_energy_per_atom"])
    energy = _number(item.get("energy"))
    if energy is not None:
        return (energy + (0.0 if uncorrected else _correction(item))) / atoms
    if quantity == "formation":
        return None
    if uncorrected and "uncorrected_energy_per_atom" not in item and "energy_per_atom" in item:
        raise UserError("a corrected energy only")
    return _number(item.get("uncorrected_energy_per_atom" if uncorrected else "energy_per_atom"))


def _adjustments(item: dict) -> list[dict]:
    """The corrections of an entry; a bare number, as older entries have it, is one without a name."""
    adjustments = item.get("energy_adjustments")
    if isinstance(adjustments, list) and adjustments:
        return [each for each in adjustments if isinstance(each, dict)]
    return [{"value": item["correction"]}] if _number(item.get("correction")) else []


def _correction(item: dict) -> float:
    """What is to be added to an entry's energy, eV.

    Raises:
        UserError: its adjustments say neither their value nor how it follows.
    """
    stated = _number(item.get("correction"))
    if stated is not None and math.isfinite(stated):
        return stated
    total = 0.0
    for each in _adjustments(item):
        factors = ("adj_per_atom", "n_atoms") if "adj_per_atom" in each else ("adj_per_deg", "temp", "n_atoms")
        values = [_number(each.get(name)) for name in (("value",) if "value" in each else factors)]
        if any(value is None for value in values):
            raise UserError("a correction without a value")
        total += math.prod(value for value in values if value is not None)
    return total


def _run_type(item: dict) -> object:
    """What an entry says of its functional, itself or at the end of its id: ``mp-149-GGA+U``."""
    for place in (item.get("parameters"), item, item.get("data")):
        if isinstance(place, dict):
            for key in FUNCTIONAL_FIELDS:
                if isinstance(place.get(key), str) and place[key]:
                    return place[key]
    ending = re.search(r"-(GGA(?:[+_]U)?|R2SCAN|SCAN|PBESOL)$", str(item.get("entry_id") or ""), re.IGNORECASE)
    return ending[1] if ending else None


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
