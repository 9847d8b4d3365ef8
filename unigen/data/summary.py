"""What is in a dataset: its facts, what its build rejected, and the requests it makes as a benchmark."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from unigen.cards import Kind, find_cards, read_dataset_card
from unigen.data.build import BuildResult
from unigen.data.compositions import compositions, reduced_formulas
from unigen.data.crystal_store import CrystalDataset, open_dataset
from unigen.data.crystal_store import from_table as crystals_of_table
from unigen.data.crystal_store import to_table as crystal_table
from unigen.data.dataset_file import built_kind, split_off
from unigen.data.molecule_store import MoleculeDataset, open_molecules
from unigen.data.molecule_store import from_table as molecules_of_table
from unigen.data.molecule_store import to_table as molecule_table
from unigen.data.readers.crystals import read_rows
from unigen.data.readers.kind import kind_of
from unigen.data.readers.molecules import read_molecule_rows
from unigen.elements import SYMBOLS, hill_formula
from unigen.errors import UserError

_BAR = 40
"""Characters of the longest histogram bar."""


def print_result(result: BuildResult, console: Console) -> None:
    """Print what a build made, and the table of rejected rows."""
    said = ", ".join(f"{count:,} {split}" for split, count in result.splits.items())
    console.print(f"{result.name}: {said}{' (already built)' if result.already_built else ''}", highlight=False)
    if result.rejected:
        table = Table("rejected because", Column("rows", justify="right"))
        for reason, count in sorted(result.rejected.items(), key=lambda item: -item[1]):
            table.add_row(reason, f"{count:,}")
        console.print(table)
        console.print(f"each row with its reason: {result.path.parent / 'rejected.csv'}", highlight=False)
    console.print(f"written: {result.path}", highlight=False)


@dataclass(frozen=True)
class Range:
    """How a property is spread; quantities in the property's unit.

    Attributes:
        known: structures that have it.
        low: smallest value.
        median: middle value.
        high: largest value.
        unit: from the card, empty where nobody says.
    """

    known: int
    low: float
    median: float
    high: float
    unit: str = ""


@dataclass(frozen=True)
class Summary:
    """The facts of a dataset.

    Attributes:
        name: dataset name or path.
        kind: what it holds.
        rows: how many structures.
        splits: structures a split.
        elements: structures that contain an element, by symbol, most frequent first.
        sizes: structures by number of atoms (of a crystal, in its cell).
        n_formulas: different reduced formulas of crystals, formulas of molecules.
        properties: spread of each property.
        unreadable: why entries of a file could not be read, one line each.
    """

    name: str
    kind: Kind
    rows: int
    splits: dict[str, int]
    elements: dict[str, int]
    sizes: dict[int, int]
    n_formulas: int
    properties: dict[str, Range]
    unreadable: tuple[str, ...] = ()


def summarise(name_or_path: str | Path) -> Summary:
    """The facts of a built dataset (``NAME``, ``NAME:SPLIT``) or of any path whose structures can be read.

    Raises:
        UserError: neither built nor a path, or nothing readable in it.
    """
    dataset, unreadable = open_any(str(name_or_path))
    row = np.repeat(np.arange(len(dataset)), dataset.num_atoms)
    present = np.unique(np.stack([row, dataset.numbers.astype(np.int64)]), axis=1)[1]
    elements = Counter(SYMBOLS[number] for number in present.tolist())
    if isinstance(dataset, CrystalDataset):
        formulas = reduced_formulas(dataset)
    else:
        formulas = map(hill_formula, compositions(dataset))
    return Summary(
        name=str(name_or_path),
        kind="crystals" if isinstance(dataset, CrystalDataset) else "molecules",
        rows=len(dataset),
        splits=dict(sorted(Counter(dataset.split.tolist()).items())),
        elements=dict(elements.most_common()),
        sizes=dict(sorted(Counter(dataset.num_atoms.tolist()).items())),
        n_formulas=len(set(formulas)),
        properties=_ranges(dataset),
        unreadable=tuple(unreadable),
    )


def open_any(name: str) -> tuple[CrystalDataset | MoleculeDataset, list[str]]:
    """A store as it is; any other path read to memory, with the reasons of what could not be read."""
    path = Path(name)
    if not path.exists():
        return (open_molecules if built_kind(split_off(name)[0]) == "molecules" else open_dataset)(name), []
    kind = kind_of(path)
    if path.suffix == ".parquet":
        return (open_molecules if kind == "molecules" else open_dataset)(name), []
    return _read_molecules(name) if kind == "molecules" else _read_crystals(name)


def _read_crystals(name: str) -> tuple[CrystalDataset, list[str]]:
    rows = list(read_rows(name))
    read = [(row, row.crystal) for row in rows if row.crystal is not None]
    unreadable = [row.reason for row in rows if row.crystal is None]
    if not read:
        raise UserError("no crystal in it", where=name, got=unreadable[0] if unreadable else None)
    crystals = [crystal for _, crystal in read]
    columns = sorted({column for crystal in crystals for column in crystal.properties})
    table = crystal_table(crystals, [row.id for row, _ in read], [row.split for row, _ in read], columns)
    return crystals_of_table(name, table), unreadable


def _read_molecules(name: str) -> tuple[MoleculeDataset, list[str]]:
    rows = list(read_molecule_rows(name))
    read = [(row, row.molecule) for row in rows if row.molecule is not None]
    unreadable = [row.reason for row in rows if row.molecule is None]
    if not read:
        raise UserError("no molecule in it", where=name, got=unreadable[0] if unreadable else None)
    molecules = [molecule for _, molecule in read]
    columns = sorted({column for molecule in molecules for column in molecule.properties})
    table = molecule_table(molecules, [row.id for row, _ in read], [row.split for row, _ in read], columns)
    return molecules_of_table(name, table), unreadable


def _ranges(dataset: CrystalDataset | MoleculeDataset) -> dict[str, Range]:
    card_path = find_cards("data").get(dataset.name.split(":")[0])
    units = read_dataset_card(card_path).properties if card_path else {}
    ranges = {}
    for name, column in dataset.properties.items():
        values = column[np.isfinite(column)]
        if len(values):
            low, median, high = np.quantile(values, [0, 0.5, 1]).tolist()
            ranges[name] = Range(len(values), low, median, high, units.get(name, {}).get("unit", ""))
    return ranges


def print_summary(summary: Summary, console: Console) -> None:
    """The facts as text: counts, elements, histogram of sizes, property ranges."""
    splits = ", ".join(f"{name} {count:,}" for name, count in summary.splits.items())
    console.print(f"[bold]{summary.name}[/bold]: {summary.rows:,} {summary.kind} ({splits})")
    if summary.unreadable:
        console.print(f"{len(summary.unreadable):,} entries could not be read, the first: {summary.unreadable[0]}")
    console.print(f"{summary.n_formulas:,} different compositions, {len(summary.elements)} elements:")
    console.print(" ".join(f"{symbol}\u00a0{count}" for symbol, count in summary.elements.items()), highlight=False)
    console.print("Atoms per cell:" if summary.kind == "crystals" else "Atoms per molecule:")
    _print_histogram(summary.sizes, console)
    if summary.properties:
        table = Table(title="Properties")
        for column in ("name", "known", "lowest", "median", "highest", "unit"):
            table.add_column(column, justify="left" if column in ("name", "unit") else "right")
        for name, spread in summary.properties.items():
            numbers = (f"{value:.4g}" for value in (spread.low, spread.median, spread.high))
            table.add_row(name, f"{spread.known:,}", *numbers, spread.unit)
        console.print(table)


def _print_histogram(sizes: dict[int, int], console: Console) -> None:
    """At most some twenty bars: bins of equal width."""
    width = -(-max(sizes) // 20)
    bins = Counter[int]()
    for atoms, count in sizes.items():
        bins[(atoms - 1) // width] += count
    for index, count in sorted(bins.items()):
        label = f"{index * width + 1}-{(index + 1) * width}" if width > 1 else str(index + 1)
        bar = "#" * max(1, round(_BAR * count / max(bins.values())))
        console.print(f"{label:>9} {count:>8,} {bar}", highlight=False)
