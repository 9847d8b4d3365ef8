"""From a page to its one HTML file: our template, styles and scripts, and everything else escaped."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

import unigen
from unigen.config import flat
from unigen.disk import durable
from unigen.report.page import Figure, Item, Page, Table, Value
from unigen.report.pictures.scene import palette, scene_of

ASSETS = Path(__file__).with_name("assets")
SCRIPTS = ("3Dmol-min", "columns", "structure", "viewer", "filters", "gallery", "dialog", "page")
"""In the order in which they run; each uses names of those before it."""

Section = tuple[str, str, Sequence[str], str]
"""Anchor, heading, pieces of HTML, and the class of what holds them; without pieces it is left out."""

MOST_ITEMS = 500
"""Structures a page holds at most: some 1.5 MB with them all."""

MOST_FAILURES = 200
"""Failures listed one by one; all are counted by their reason."""


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
    return _document(
        title=page.title,
        lead=f"{len(made)} {page.kind}, {len(failed)} failed",
        notes=notes,
        sections=(
            ("numbers", "Numbers", [_table(each) for each in page.tables], "tables"),
            ("figures", "Figures", [_figure(each) for each in page.figures], "figures"),
        ),
        closing=(
            ("appendix", "Further numbers", [_table(each) for each in page.appendix], "tables"),
            ("failures", "Failures", [_table(each) for each in _failures(failed)], "tables"),
            ("settings", "Settings", [_table(_settings(page.settings))] if page.settings else [], "tables"),
        ),
        data=_data(page, shown),
        version=unigen.__version__,
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


def _document(
    *,
    title: str,
    lead: str,
    notes: Sequence[str],
    sections: Sequence[Section],
    closing: Sequence[Section],
    data: dict[str, Any],
    version: str,
) -> str:
    """The whole page.

    Args:
        title: heading, text.
        lead: line below it, text.
        notes: lines below that, text.
        sections: before the gallery.
        closing: behind it.
        data: what the scripts read.
        version: of UniGen.
    """
    scripts = [_asset(f"{name}.js") for name in SCRIPTS]
    anchors = [section[:2] for section in sections if section[2]] + [("structures", "Structures")]
    anchors += [section[:2] for section in closing if section[2]]
    return Template(_asset("page.html")).substitute(
        policy=_policy(scripts),
        title=escape(title),
        lead=escape(lead),
        notes="\n".join(f'<p class="note">{escape(note)}</p>' for note in notes),
        links="".join(f'<li><a href="#{anchor}">{heading}</a></li>' for anchor, heading in anchors),
        sections="\n".join(map(_section, sections)),
        closing="\n".join(map(_section, closing)),
        data=_json(data),
        style=_asset("page.css"),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        licence=escape(_asset("3Dmol-LICENSE.txt")),
        version=escape(version),
    )


def _table(content: Table) -> str:
    """A table with its heading."""
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in content.columns)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for name, *cells in content.rows
    )
    note = f'<p class="note">{escape(content.note)}</p>' if content.note else ""
    caption = f"<caption><h3>{escape(content.title)}</h3></caption>" if content.title else ""
    body = f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table>"
    return f'<div><div class="wide">{body}</div>{note}</div>'


def _figure(content: Figure) -> str:
    """A picture with its title."""
    image = b64encode(content.svg.encode()).decode()
    source = f'<img alt="{escape(content.text)}" src="data:image/svg+xml;base64,{image}">'
    opening = '<figure class="double">' if content.wide else "<figure>"
    return f"{opening}<figcaption>{escape(content.title)}</figcaption>{source}</figure>"


def _section(section: Section) -> str:
    anchor, heading, pieces, kind = section
    if not pieces:
        return ""
    inner = "\n".join(pieces)
    name = f"{anchor}-heading"
    content = f'<h2 id="{name}">{heading}</h2><div class="{kind}">{inner}</div>'
    return f'<section id="{anchor}" aria-labelledby="{name}">{content}</section>'


def _policy(scripts: Sequence[str]) -> str:
    """Only these scripts run, and nothing is loaded."""
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    sources = f"script-src {hashes}; style-src 'unsafe-inline'; img-src data:"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"


def _json(data: dict[str, Any]) -> str:
    """Without ``<``, so that no text in it can end the element or begin another."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
