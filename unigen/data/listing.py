"""Which datasets there are: public ones with a recipe, and all that are built here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from unigen.cards import KINDS, DatasetCard, Kind, find_cards, read_dataset_card
from unigen.data.dataset_file import datasets_home


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
    """

    name: str
    title: str
    licence: str
    kind: Kind
    rows: int | None
    path: Path | None


def list_datasets() -> list[DatasetEntry]:
    """All recipes and all datasets built here, by name."""
    cards = {name: read_dataset_card(path) for name, path in find_cards("data").items()}
    built = {path.parent.name: kind for kind in KINDS for path in datasets_home().glob(f"*/{kind}.parquet")}
    return [_entry(name, cards.get(name), built.get(name)) for name in sorted(cards.keys() | built.keys())]


def _entry(name: str, card: DatasetCard | None, built: Kind | None) -> DatasetEntry:
    store = datasets_home() / name / f"{built}.parquet" if built else None
    kind = built or (card.kind if card else "crystals")
    title, licence = (card.title, card.licence) if card else ("", "")
    return DatasetEntry(name, title, licence, kind, _rows(store) if store else None, store)


def _rows(store: Path) -> int | None:
    try:
        return pq.read_metadata(store).num_rows
    except (pa.ArrowException, OSError):
        return None


def print_datasets(entries: list[DatasetEntry], console: Console) -> None:
    """The list as a table."""
    table = Table(title="Datasets", caption="build one: unigen data build NAME")
    for column in ("name", "rows", "holds", "licence", "what"):
        table.add_column(column, justify="right" if column == "rows" else "left")
    for entry in entries:
        missing = "unreadable" if entry.path else "not built"
        built = f"{entry.rows:,}" if entry.rows is not None else missing
        table.add_row(entry.name, built, entry.kind, entry.licence, entry.title)
    console.print(table)
