"""The HTML of the page: our template, styles and scripts, and everything else escaped."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unigen.report.page import Figure, Table

ASSETS = Path(__file__).with_name("assets")
SCRIPTS = ("3Dmol-min", "columns", "structure", "viewer", "filters", "gallery", "dialog", "page")
"""In the order in which they run; each uses names of those before it."""

Section = tuple[str, str, Sequence[str], str]
"""Anchor, heading, pieces of HTML, and the class of what holds them; without pieces it is left out."""


def document(
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


def table(content: Table) -> str:
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


def figure(content: Figure) -> str:
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
