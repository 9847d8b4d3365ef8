"""What is in a dataset: the list of all, the facts of one, and the requests it makes as a benchmark."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Column, Table

from unigen.cards import find_cards, read_dataset_card
from unigen.data.build import BuildResult
from unigen.data.composition import compositions, reduced_formulas
from unigen.data.durable import durable
from unigen.data.sources import read_rows
from unigen.data.store import CrystalDataset, datasets_home, open_dataset
from unigen.elements import SYMBOLS, format_formula
from unigen.errors import UserError

_BAR = 40
"""Characters of the longest histogram bar."""


@dataclass(frozen=True)
class DatasetEntry:
    """A line of ``unigen data list``.

    Attributes:
        name: dataset name.
        title: from its card, empty for own data.
        licence: from its card.
        crystals: rows when built here and readable, else None.
        path: the store when built here.
    """

    name: str
    title: str
    licence: str
    crystals: int | None
    path: Path | None


def list_datasets() -> list[DatasetEntry]:
    """All recipes and all datasets built here, by name."""
    cards = {name: read_dataset_card(path) for name, path in find_cards("data").items()}
    stores = {path.parent.name: path for path in datasets_home().glob("*/crystals.parquet")}
    entries = []
    for name in sorted(cards.keys() | stores.keys()):
        card, store = cards.get(name), stores.get(name)
        rows = _rows(store) if store else None
        entries.append(DatasetEntry(name, card.title if card else "", card.licence if card else "", rows, store))
    return entries


def _rows(store: Path) -> int | None:
    try:
        return pq.read_metadata(store).num_rows
    except (pa.ArrowException, OSError):
        return None


def print_datasets(entries: list[DatasetEntry], console: Console) -> None:
    """The list as a table."""
    table = Table(title="Datasets", caption="build one: unigen data build NAME")
    for column in ("name", "crystals", "licence", "what"):
        table.add_column(column, justify="right" if column == "crystals" else "left")
    for entry in entries:
        missing = "unreadable" if entry.path else "not built"
        built = f"{entry.crystals:,}" if entry.crystals is not None else missing
        table.add_row(entry.name, built, entry.licence, entry.title)
    console.print(table)


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
        known: crystals that have it.
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
        crystals: how many.
        splits: crystals a split.
        elements: crystals that contain an element, by symbol, most frequent first.
        atoms_per_cell: crystals by number of atoms.
        n_formulas: different reduced formulas.
        properties: spread of each property.
        unreadable: why entries of a file could not be read, one line each.
    """

    name: str
    crystals: int
    splits: dict[str, int]
    elements: dict[str, int]
    atoms_per_cell: dict[int, int]
    n_formulas: int
    properties: dict[str, Range]
    unreadable: tuple[str, ...] = ()


def summarise(name_or_path: str | Path) -> Summary:
    """The facts of a built dataset (``NAME``, ``NAME:SPLIT``) or of any path that `read_rows` reads.

    Raises:
        UserError: neither built nor a path, or nothing readable in it.
    """
    dataset, unreadable = _open(str(name_or_path))
    row = np.repeat(np.arange(len(dataset)), dataset.num_atoms)
    present = np.unique(np.stack([row, dataset.numbers.astype(np.int64)]), axis=1)[1]
    elements = Counter(SYMBOLS[number] for number in present.tolist())
    return Summary(
        name=str(name_or_path),
        crystals=len(dataset),
        splits=dict(sorted(Counter(dataset.split.tolist()).items())),
        elements=dict(elements.most_common()),
        atoms_per_cell=dict(sorted(Counter(dataset.num_atoms.tolist()).items())),
        n_formulas=len(set(reduced_formulas(dataset))),
        properties=_ranges(dataset),
        unreadable=tuple(unreadable),
    )


def _open(name: str) -> tuple[CrystalDataset, list[str]]:
    """A store as it is; any other path read to memory, with the reasons of what could not be read."""
    if not Path(name).exists() or Path(name).suffix == ".parquet":
        return open_dataset(name), []
    rows = list(read_rows(name))
    unreadable = [row.reason for row in rows if row.crystal is None]
    read = [(row, row.crystal) for row in rows if row.crystal is not None]
    if not read:
        raise UserError("no crystal in it", where=name, got=unreadable[0] if unreadable else None)
    crystals = [crystal for _, crystal in read]
    columns = sorted({column for crystal in crystals for column in crystal.properties})
    known = {c: np.array([crystal.properties.get(c, np.nan) for crystal in crystals]) for c in columns}
    dataset = CrystalDataset(
        name=name,
        ids=np.array([row.id for row, _ in read], dtype=object),
        split=np.array([row.split for row, _ in read], dtype=object),
        numbers=np.concatenate([crystal.numbers for crystal in crystals]).astype(np.uint8),
        frac_coords=np.concatenate([crystal.frac_coords for crystal in crystals]).astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum([len(crystal) for crystal in crystals])]).astype(np.int64),
        lattice=np.stack([crystal.lattice for crystal in crystals]),
        properties=known,
    )
    return dataset, unreadable


def _ranges(dataset: CrystalDataset) -> dict[str, Range]:
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
    """The facts as text: counts, elements, histogram of atoms per cell, property ranges."""
    splits = ", ".join(f"{name} {count:,}" for name, count in summary.splits.items())
    console.print(f"[bold]{summary.name}[/bold]: {summary.crystals:,} crystals ({splits})")
    if summary.unreadable:
        console.print(f"{len(summary.unreadable):,} entries could not be read, the first: {summary.unreadable[0]}")
    console.print(f"{summary.n_formulas:,} different compositions, {len(summary.elements)} elements:")
    console.print(" ".join(f"{symbol}\u00a0{count}" for symbol, count in summary.elements.items()), highlight=False)
    _print_histogram(summary.atoms_per_cell, console)
    if summary.properties:
        table = Table(title="Properties")
        for column in ("name", "known", "lowest", "median", "highest", "unit"):
            table.add_column(column, justify="left" if column in ("name", "unit") else "right")
        for name, spread in summary.properties.items():
            numbers = (f"{value:.4g}" for value in (spread.low, spread.median, spread.high))
            table.add_row(name, f"{spread.known:,}", *numbers, spread.unit)
        console.print(table)


def _print_histogram(atoms_per_cell: dict[int, int], console: Console) -> None:
    """At most some twenty bars: bins of equal width."""
    width = -(-max(atoms_per_cell) // 20)
    bins = Counter[int]()
    for atoms, count in atoms_per_cell.items():
        bins[(atoms - 1) // width] += count
    console.print("Atoms per cell:")
    for index, count in sorted(bins.items()):
        label = f"{index * width + 1}-{(index + 1) * width}" if width > 1 else str(index + 1)
        bar = "#" * max(1, round(_BAR * count / max(bins.values())))
        console.print(f"{label:>9} {count:>8,} {bar}", highlight=False)


def write_requests(name: str, out: str | Path) -> int:
    """Write one request a crystal as CSV (``id,formula,n_atoms``: the whole primitive cell), for structure prediction.

    Args:
        name: a built dataset, ``NAME`` or ``NAME:SPLIT``, or a path.
        out: file to write.

    Returns:
        How many requests there are.

    Raises:
        UserError: the dataset is not built, or the disk is full.
    """
    dataset, _ = _open(name)
    with durable(Path(out)) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("id", "formula", "n_atoms"))
        for index, counts in enumerate(compositions(dataset)):
            table.writerow((dataset.ids[index], format_formula(counts), sum(counts.values())))
    return len(dataset)
