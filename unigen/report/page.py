"""The page of a run or an evaluation: one HTML file that needs nothing else, with a gallery to turn, filter and sort.

What an item, a figure or a table says may come from strangers' files: it enters the page as text or as an image, never
as markup, and the page's content security policy lets no script run but ours and nothing be loaded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from unigen.config import flat
from unigen.crystals.crystal import Crystal
from unigen.disk import durable
from unigen.molecules.molecule import Molecule
from unigen.report import html as markup
from unigen.report.pictures.scene import palette, scene_of
from unigen.version import __version__

PAGE = "report.html"

MOST_ITEMS = 500
"""Structures a page holds at most: some 1.5 MB with them all."""

MOST_FAILURES = 200
"""Failures listed one by one; all are counted by their reason."""

Value = float | int | bool | str | None

Kind = Literal["crystals", "molecules"]


@dataclass(frozen=True, eq=False)
class Item:
    """One sample.

    Attributes:
        id: its name, and that of the file made of it.
        structure: None for a failure.
        columns: what is known about it, by name; filtered and sorted by. Numbers, true or false, or text.
        subtitle: a short second line below the formula.
        file: a file that holds it, relative to the page, where there is one.
        place: where in that file, such as "entry 3", if it is not a file of its own.
        reason: why there is no structure.
    """

    id: str
    structure: Crystal | Molecule | None
    columns: Mapping[str, Value] = field(default_factory=dict)
    subtitle: str = ""
    file: str = ""
    place: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes:
        title: what it shows.
        svg: an SVG document; it is shown as an image, so nothing in it can run or load.
        text: the same in words, for those who do not see it.
        wide: it takes the room of two.
    """

    title: str
    svg: str
    text: str
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """A table of texts; the first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Page:
    """Everything on a page.

    Attributes:
        title: its heading.
        kind: what the items are.
        items: all samples in their order, failures included.
        figures: distributions, hulls, energies.
        tables: the main numbers, before the structures.
        appendix: further tables, behind them.
        settings: of the run, nested as one likes.
        notes: what the reader has to know first, a line each.
        units: of columns, by name.
    """

    title: str
    kind: Kind
    items: Sequence[Item] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    appendix: Sequence[Table] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    units: Mapping[str, str] = field(default_factory=dict)


def write_page(page: Page, path: str | Path, most_items: int = MOST_ITEMS) -> Path:
    """Write the page; the same page gives the same bytes.

    Args:
        page: what is on it.
        path: the file.
        most_items: structures shown; of more the first ones are, and the page says so.

    Returns:
        The path written.

    Raises:
        UserError: the disk is full.

    Example:
        >>> write_page(Page("My run", "crystals", [Item("a", crystal, {"density": 5.1})]), "a.html")  # doctest: +SKIP
    """
    path = Path(path)
    made = [item for item in page.items if item.structure is not None]
    with durable(path) as partial:
        partial.write_text(_html(page, made, made[:most_items]), encoding="utf-8")
    return path


def _html(page: Page, made: Sequence[Item], shown: Sequence[Item]) -> str:
    failed = [item for item in page.items if item.structure is None]
    notes = list(page.notes)
    if len(shown) < len(made):
        notes.append(f"This page shows the first {len(shown)} of {len(made)} structures.")
    return markup.document(
        title=page.title,
        lead=f"{len(made)} {page.kind}, {len(failed)} failed",
        notes=notes,
        sections=(
            ("numbers", "Numbers", [markup.table(each) for each in page.tables], "tables"),
            ("figures", "Figures", [markup.figure(each) for each in page.figures], "figures"),
        ),
        closing=(
            ("appendix", "Further numbers", [markup.table(each) for each in page.appendix], "tables"),
            ("failures", "Failures", [markup.table(each) for each in _failures(failed)], "tables"),
            ("settings", "Settings", [markup.table(_settings(page.settings))] if page.settings else [], "tables"),
        ),
        data=_data(page, shown),
        version=__version__,
    )


def _failures(failed: Sequence[Item]) -> list[Table]:
    if not failed:
        return []
    reasons = Counter(item.reason or "no reason given" for item in failed)
    more = len(failed) - MOST_FAILURES
    return [
        Table("By reason", ("reason", "samples"), [(reason, str(count)) for reason, count in reasons.most_common()]),
        Table(
            "One by one",
            ("sample", "reason"),
            [(item.id, item.reason) for item in failed[:MOST_FAILURES]],
            f"and {more} more" if more > 0 else "",
        ),
    ]


def _settings(settings: Mapping[str, Any]) -> Table:
    return Table("", ("setting", "value"), [(name, str(value)) for name, value in flat(settings).items()])


def _data(page: Page, shown: Sequence[Item]) -> dict[str, Any]:
    """What the scripts read."""
    names = dict.fromkeys(name for item in shown for name, value in item.columns.items() if value is not None)
    columns = [
        {"name": name, "label": name.replace("_", " "), "unit": page.units.get(name, ""), "type": _type(name, shown)}
        for name in names
    ]
    structures = [item.structure for item in shown if item.structure is not None]
    items = [
        {
            "id": item.id,
            "title": structure.formula,
            "subtitle": item.subtitle,
            "file": quote(item.file),
            "place": item.place,
            "values": [
                _plain(item.columns.get(name), column["type"]) for name, column in zip(names, columns, strict=True)
            ],
            "scene": scene_of(structure),
        }
        for item, structure in zip(shown, structures, strict=True)
    ]
    numbers = (number for structure in structures for number in structure.numbers.tolist())
    return {"kind": page.kind, "columns": columns, "items": items, "elements": palette(numbers)}


def _type(name: str, shown: Sequence[Item]) -> str:
    known = [value for item in shown if (value := item.columns.get(name)) is not None]
    if all(isinstance(value, bool) for value in known):
        return "boolean"
    return "number" if all(isinstance(value, int | float) for value in known) else "text"


def _plain(value: Value, kind: str) -> Value:
    """Ready for JSON: six digits are more than anybody sees, and what is no number is nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if kind == "text":
        return str(value)
    return float(f"{value:.6g}") if isinstance(value, float) else value
