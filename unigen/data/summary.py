"""Which datasets there are and what is in one: its facts, and what its build rejected."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from unigen.cards import KINDS, Kind, find_cards, read_dataset_card
from unigen.crystals.extensive import is_extensive
from unigen.data.build import ROW_KINDS, BuildResult
from unigen.data.compositions import compositions, reduced_formulas
from unigen.data.crystal_store import CrystalDataset
from unigen.data.dataset_file import built_kind, datasets_home, name_and_split
from unigen.data.left_out import LeftOut, by_reason, left_out_table
from unigen.data.molecule_store import SMILES_TABLE
from unigen.data.readers.contents import kind_of
from unigen.data.store import Dataset
from unigen.elements import SYMBOLS, hill_formula
from unigen.errors import UserError

_LONGEST_BAR = 40
"""Characters; label, count and bar fit a terminal of 80 columns."""


@dataclass(frozen=True)
class DatasetEntry:
    """A line of ``unigen data list``.

    Attributes:
        name: dataset name.
        title: from its card, empty for own data.
        licence: from its card.
        kind: what it holds.
        rows: structures, when built here and readable, else None.
        path: the store when built here.
        smiles: molecules in its table of SMILES, when there is one.
    """

    name: str
    title: str
    licence: str
    kind: Kind
    rows: int | None
    path: Path | None
    smiles: int | None


def list_datasets() -> list[DatasetEntry]:
    """All recipes and all datasets built here, by name."""
    cards = {name: read_dataset_card(path) for name, path in find_cards("data").items()}
    built: dict[str, Kind] = {}
    for kind in KINDS:
        built |= {path.parent.name: kind for path in datasets_home().glob(f"*/{kind}.parquet")}
    written = {path.parent.name: path for path in datasets_home().glob(f"*/{SMILES_TABLE}")}
    entries = []
    for name in sorted(cards.keys() | built.keys() | written.keys()):
        card, kind_built = cards.get(name), built.get(name)
        title, licence = (card.title, card.licence) if card else ("", "")
        store = datasets_home() / name / f"{kind_built}.parquet" if kind_built else None
        kind = kind_built or (card.kind if card else "molecules" if name in written else "crystals")
        entries.append(DatasetEntry(name, title, licence, kind, _rows(store), store, _rows(written.get(name))))
    return entries


def _rows(store: Path | None) -> int | None:
    """How many a file holds; None where there is none, or it is torn, which must not hide the others."""
    try:
        return None if store is None else int(pq.read_metadata(store).num_rows)
    except (pa.ArrowException, OSError):
        return None


def print_datasets(entries: list[DatasetEntry], console: Console) -> None:
    """The list as a table."""
    table = Table(title="Datasets", caption=f"in {datasets_home()}; build one: unigen data build NAME")
    for column in ("name", "rows", "holds", "licence", "what"):
        table.add_column(column, justify="right" if column == "rows" else "left")
    for entry in entries:
        missing = "unreadable" if entry.path else "not built"
        built = f"{entry.rows:,}" if entry.rows is not None else missing
        built += f" + {entry.smiles:,} SMILES" if entry.smiles is not None else ""
        table.add_row(*map(Text, (entry.name, built, entry.kind, entry.licence, entry.title)))
    console.print(table)


def print_result(result: BuildResult, console: Console) -> None:
    """Print what a build made, and the table of rejected rows."""
    counts = ", ".join(f"{count:,} {split}" for split, count in result.splits.items())
    console.out(f"{result.name}: {counts}{' (already built)' if result.already_built else ''}", highlight=False)
    if result.rejected:
        console.print(left_out_table("rejected because", result.rejected, "rows"))
        console.out(f"each row with its reason: {result.path.parent / 'rejected.csv'}", highlight=False)
    if result.passed_over:
        console.print(left_out_table("not read, being", result.passed_over, "files"))
    for table, found in result.joined.items():
        said = ", ".join(f"{count:,} {words}" for words, count in found.items())
        console.out(f"properties of {table}: {said}", highlight=False)
    for words, count in result.not_kept.items():
        console.out(f"not kept, {words}: {count:,} {result.path.stem}", highlight=False)
    properties = set(pq.read_schema(result.path).names) - {*CrystalDataset.column_names()}
    totals = sorted(filter(is_extensive, properties)) if result.path.stem == CrystalDataset.kind else []
    if totals:
        said = f"totals of the cell, and so divided where the primitive cell is smaller: {', '.join(totals)}"
        console.out(said, highlight=False)
    console.out(f"written: {result.path}", highlight=False)


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
        unreadable_by_reason: how many could not be read for which reason.
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
    unreadable_by_reason: dict[str, int] = field(default_factory=dict)


def summarise(name_or_path: str | Path) -> Summary:
    """The facts of a built dataset (``NAME``, ``NAME:SPLIT``) or of any path whose structures can be read.

    Raises:
        UserError: neither built nor a path, or nothing readable in it.
    """
    dataset, unreadable = open_any(str(name_or_path))
    row = np.repeat(np.arange(len(dataset)), dataset.num_atoms)
    # an element counts once a structure, however many of its atoms there are
    present = np.unique(np.stack([row, dataset.numbers.astype(np.int64)]), axis=1)[1]
    elements = Counter(SYMBOLS[number] for number in present.tolist())
    if isinstance(dataset, CrystalDataset):
        formulas = reduced_formulas(dataset)
    else:
        formulas = map(hill_formula, compositions(dataset))
    return Summary(
        name=str(name_or_path),
        kind=dataset.kind,
        rows=len(dataset),
        splits=dict(sorted(Counter(dataset.split.tolist()).items())),
        elements=dict(elements.most_common()),
        sizes=dict(sorted(Counter(dataset.num_atoms.tolist()).items())),
        n_formulas=len(set(formulas)),
        properties=_ranges(dataset),
        unreadable=tuple(each.reason for each in unreadable),
        unreadable_by_reason=by_reason((each.where, each.reason) for each in unreadable),
    )


def open_any(name: str) -> tuple[Dataset, list[LeftOut]]:
    """A store as it is; any other path read to memory, with what could not be read."""
    path = Path(name)
    kind = kind_of(path) if path.exists() else built_kind(name_and_split(name)[0]) or "crystals"
    dataset = ROW_KINDS[kind].dataset
    if not path.exists() or path.suffix == ".parquet":
        return dataset.open(name), []
    rows = list(ROW_KINDS[kind].read_rows(name))
    passed = [(row, row.structure) for row in rows if row.structure is not None]
    unreadable = [LeftOut(row.id, row.where, row.reason) for row in rows if row.structure is None]
    if not passed:
        first = unreadable[0].reason if unreadable else None
        raise UserError(f"no {kind.removesuffix('s')} in it", where=name, got=first)
    ids, splits = [row.id for row, _ in passed], [row.split for row, _ in passed]
    table = dataset.to_table([structure for _, structure in passed], ids, splits)
    return dataset.from_table(name, table), unreadable


def _ranges(dataset: Dataset) -> dict[str, Range]:
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
    console.print(Text.assemble((summary.name, "bold"), f": {summary.rows:,} {summary.kind} ({splits})"))
    if summary.unreadable:
        reason = summary.unreadable[0]
        console.out(f"{len(summary.unreadable):,} entries could not be read, the first: {reason}", highlight=False)
        console.print(left_out_table("not read, because", summary.unreadable_by_reason))
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
            table.add_row(Text(name), f"{spread.known:,}", *numbers, Text(spread.unit))
        console.print(table)


def _print_histogram(sizes: dict[int, int], console: Console) -> None:
    """At most some twenty bars: bins of equal width."""
    width = -(-max(sizes) // 20)  # rounded up
    bins = Counter[int]()
    for atoms, count in sizes.items():
        bins[(atoms - 1) // width] += count
    for index, count in sorted(bins.items()):
        label = f"{index * width + 1}-{(index + 1) * width}" if width > 1 else str(index + 1)
        bar = "#" * max(1, round(_LONGEST_BAR * count / max(bins.values())))
        console.print(f"{label:>9} {count:>8,} {bar}", highlight=False)
