"""From a page to its one HTML file: our template, styles and scripts, and everything else escaped."""

from __future__ import annotations

import math
import os
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from unigen.config import flat
from unigen.disk import write_text
from unigen.report.page import Figure, Item, Page, Table, Value
from unigen.report.pictures.scene import palette, scene_of
from unigen.report.quantities import MADE_BY, quantity_of, unit_of
from unigen.version import __version__

ASSETS = Path(__file__).with_name("assets")
SCRIPTS = ("3Dmol-min", "columns", "structure", "viewer", "filters", "gallery", "dialog", "page")
"""In the order in which they run; each uses names of those before it."""

MOST_ITEMS = 500
"""Structures a page holds at most: some 1.5 MB with them all."""

MOST_FAILURES = 200
"""Failures listed one by one; all are counted by their reason."""


FEW = 24
"""Structures that stand above the figures: no more than a screen or two, and a histogram of fewer values than it has
bars shows no shape."""

MANY_SETTINGS = 24
"""Settings directly below one name; more, such as the energies of eighty elements, are folded away. No part of a
program has so many of its own."""


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading; without tables and figures it is left out.

    Attributes:
        anchor: its id.
        heading: text.
        tables: it holds either these
        figures: or these.
    """

    anchor: str
    heading: str
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()


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
    write_text(path, _html(page, made, made[:most_items]))
    return path


def _html(page: Page, made: Sequence[Item], shown: Sequence[Item]) -> str:
    left_out = [item for item in page.items if item.structure is None and item.left_out]
    failed = [item for item in page.items if item.structure is None and not item.left_out]
    notes = list(page.notes)
    if len(shown) < len(made):
        notes.append(f"This page shows the first {len(shown)} of {len(made)} structures.")
    numbers = Section("numbers", "Numbers", page.tables)
    figures = Section("figures", "Figures", figures=page.figures)
    few = 0 < len(shown) <= FEW
    data = page_data(page, shown)
    before = _filled(numbers) if few else _filled(numbers, figures)
    after = _filled(
        Section("legend", "Legend", _legend(page, data["columns"])),
        *([figures] if few else []),
        Section("appendix", "Further numbers", page.appendix),
        Section("left-out", "Left out", _left_out(left_out)),
        Section("failures", "Failures", _failures(failed)),
        Section("settings", "Settings", _settings(page.settings)),
    )
    links = [(each.anchor, each.heading) for each in (*before, Section("structures", "Structures"), *after)]
    scripts = [asset(f"{name}.js") for name in SCRIPTS]
    return template("page.html").render(
        policy=_policy(scripts),
        title=page.title,
        lead=f"{len(made)} {page.kind}, {f'{len(left_out)} left out, ' * bool(left_out)}{len(failed)} failed",
        notes=notes,
        links=links,
        before=before,
        after=after,
        data=data,
        style=asset("page.css"),
        scripts=scripts,
        licence=asset("3Dmol-LICENSE.txt"),
        version=__version__,
    )


def template(name: str) -> Template:
    """A template among the assets; what it is given is escaped, and what it is not given is an error."""
    environment = Environment(
        loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    # `tojson` leaves no ``<`` in the data, so that no text in it can end the element or begin another.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}
    environment.filters["base64"] = lambda text: b64encode(text.encode()).decode()
    return environment.get_template(name)


def _filled(*sections: Section) -> list[Section]:
    return [each for each in sections if each.tables or each.figures]


def _left_out(left_out: Sequence[Item]) -> list[Table]:
    if not left_out:
        return []
    more = len(left_out) - MOST_FAILURES
    rows = [(item.id, item.subtitle, item.reason) for item in left_out[:MOST_FAILURES]]
    return [Table("", ("sample", "molecule", "why"), rows, f"and {more} more" if more > 0 else "")]


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


def _settings(settings: Mapping[str, Any]) -> list[Table]:
    """One table, and of every name with many settings below it another one, folded."""
    texts = {name: str(value) for name, value in flat(settings).items()}
    below = Counter(name.rpartition(".")[0] for name in texts)
    crowded = [above for above, count in below.items() if above and count > MANY_SETTINGS]
    others = [(name, text) for name, text in texts.items() if name.rpartition(".")[0] not in crowded]
    tables = [Table("", ("setting", "value"), others)] if others else []
    for above in crowded:
        rows = [(name.rpartition(".")[2], text) for name, text in texts.items() if name.rpartition(".")[0] == above]
        tables.append(Table(f"{above}: {len(rows)} values", ("setting", "value"), rows, folded=True))
    return tables


def _legend(page: Page, columns: Sequence[Mapping[str, Any]]) -> list[Table]:
    """What each column of the structures is; none where there is nothing."""
    rows = []
    for column in columns:
        quantity = quantity_of(column["name"], page.kind)
        by = page.made_by.get(quantity.by, MADE_BY[quantity.by])
        rows.append((column["label"], column["unit"] or quantity.unit, by, quantity.about))
    title = "What is known of each structure: names, units, where they come from, what they are"
    return [Table(title, ("name", "unit", "from", "what it is"), rows, folded=True)] if rows else []


def page_data(page: Page, shown: Sequence[Item]) -> dict[str, Any]:
    """What the scripts read."""
    known = dict.fromkeys(name for item in shown for name, value in item.columns.items() if value is not None)
    names = dict.fromkeys([*(name for name in page.on_cards if name in known), *known])
    columns: list[dict[str, Any]] = [
        {
            "name": name,
            "label": name.replace("_", " "),
            "unit": page.units.get(name) or unit_of(name, page.kind),
            "type": _column_type(name, shown),
            "about": quantity_of(name, page.kind).about,
            "card": name in page.on_cards,
        }
        for name in names
    ]
    structures = [item.structure for item in shown if item.structure is not None]
    items = [
        {
            "id": item.id,
            "title": structure.formula,
            "subtitle": item.subtitle,
            "file": quote(os.fsencode(item.file)),
            "place": item.location,
            "values": [_for_json(item.columns.get(column["name"]), column) for column in columns],
            "scene": scene_of(structure, page.symprec),
        }
        for item, structure in zip(shown, structures, strict=True)
    ]
    numbers = (number for structure in structures for number in structure.numbers.tolist())
    return {"kind": page.kind, "columns": columns, "items": items, "elements": palette(numbers)}


def _column_type(name: str, shown: Sequence[Item]) -> str:
    values = [value for item in shown if (value := item.columns.get(name)) is not None]
    if all(isinstance(value, bool) for value in values):
        return "boolean"
    return "number" if all(isinstance(value, int | float) for value in values) else "text"


def _for_json(value: Value, column: Mapping[str, Any]) -> Value:
    """Ready for JSON, and what is no number is nothing.

    Six digits are more than anybody sees; energies, which differ from each other in the last ones, to a µeV.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if column["type"] == "text":
        return str(value)
    if not isinstance(value, float):
        return value
    energy = column["unit"].startswith("eV") and abs(value) >= 1
    return round(value, 6) if energy else float(f"{value:.6g}")


def _policy(scripts: Sequence[str]) -> str:
    """Only these scripts run, and nothing is loaded."""
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    sources = f"script-src {hashes}; style-src 'unsafe-inline'; img-src data:"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"


def asset(name: str) -> str:
    """One of our scripts, styles or templates, as text."""
    return (ASSETS / name).read_text(encoding="utf-8")
