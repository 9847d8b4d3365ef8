"""Small pictures as SVG text, in the colours of the page, for light and for dark."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

Point = tuple[int | float, int | float]
"""Pixels from the left and from the top."""

_STYLE = """
text { font: 11px system-ui, sans-serif; fill: #5b636d; }
.sample { fill: #2f8583; fill-opacity: .55; }
.reference { fill: none; stroke: #9a5b13; stroke-width: 2; }
.axis { fill: none; stroke: #8b929b; }
.mark { fill: none; stroke: #20242a; stroke-dasharray: 3 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #a4abb3; } .sample { fill: #58aaa4; } .reference { stroke: #dba462; } .mark { stroke: #e6e6e2; }
}
"""


def document(width: int, height: int, pieces: Iterable[str], style: str = "") -> str:
    """A whole picture.

    Args:
        width: in pixels.
        height: in pixels.
        pieces: its elements, the lowest first. Known classes: ``sample`` (filled), ``reference``, ``axis``, ``mark``.
        style: of further classes.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<style>{_STYLE}{style}</style>{''.join(pieces)}</svg>"
    )


def line(kind: str, start: Point, end: Point) -> str:
    """A straight line of a class."""
    return f'<path class="{kind}" d="M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}"/>'


def dot(kind: str, place: Point, radius: int) -> str:
    """A round mark of a class."""
    return f'<circle class="{kind}" cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="{radius}"/>'


def text(said: str, place: Point, anchor: str = "start", kind: str = "") -> str:
    """Text that stands on a point: its ``start``, ``middle`` or ``end``."""
    named = f'class="{kind}" ' if kind else ""
    return f'<text {named}x="{place[0]:.1f}" y="{place[1]:.1f}" text-anchor="{anchor}">{escape(said)}</text>'
