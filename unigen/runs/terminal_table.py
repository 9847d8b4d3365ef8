"""Tables for the terminal that break no word: formulas stay whole, names are broken at their hyphens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 80
"""Characters of a terminal, unless it says otherwise."""

_LEAST = 9
"""Characters that a column keeps where even its shortest pieces find no room."""

Breaks = Literal["nowhere", "spaces", "names", "anywhere"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: broken at its spaces.
        breaks: where a cell may be broken: a number nowhere, space groups at ``spaces``, formulas and ``names`` at
            spaces, hyphens and underscores too, SMILES ``anywhere``.
        least: characters that it keeps in any case.
    """

    heading: str
    breaks: Breaks = "nowhere"
    least: int = 0


def terminal_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], caption: str | None = None, width: int = WIDTH
) -> Table:
    r"""A table that fits a width: columns with room to spare are broken first, and no piece of a name in its middle.

    Args:
        columns: of it; those that break nowhere stand to the right.
        rows: a cell a column, each perhaps of several lines.
        caption: below it.
        width: characters.

    Example:
        >>> table = terminal_table([Column("prototype", "names"), Column("z")], [["half-Heusler", "1"]], width=14)
        >>> [str(cell) for cell in table.columns[0].cells]
        ['half-\nHeusler']
    """
    from rich.text import Text

    table = plain_table(caption)
    widths = _widths(columns, rows, width)
    for column, size in zip(columns, widths, strict=True):
        table.add_column(
            Text(_broken(column.heading, "spaces", size)),
            justify="right" if column.breaks == "nowhere" else "left",
            width=size,
            no_wrap=True,
        )
    for row in rows:
        cells = zip(row, columns, widths, strict=True)
        table.add_row(*(Text(_broken(cell, column.breaks, size)) for cell, column, size in cells))
    return table


def plain_table(caption: str | None) -> Table:
    """An empty table as narrow as its columns, with a line under its head and words under itself."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, caption=caption, caption_justify="left")


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Of each column: as wide as its lines, or as there is room."""
    widths, least = [], []
    for place, column in enumerate(columns):
        lines = [line for row in rows for line in row[place].split("\n")]
        pieces = [piece.rstrip() for line in lines for piece in _pieces(line, column.breaks)]
        words = column.heading.split()
        widths.append(max(map(len, [*lines, *column.heading.split("\n")])))
        least.append(max(column.least, *map(len, [*pieces, *words])))
    room = width - len(columns) - 1  # a space beside every column
    while sum(widths) > room:
        slack = [own - smallest for own, smallest in zip(widths, least, strict=True)]
        if max(slack) <= 0:
            break
        widths[slack.index(max(slack))] -= 1
    while sum(widths) > room:  # pieces are broken rather than columns cut off
        text = [own if column.breaks != "nowhere" else 0 for own, column in zip(widths, columns, strict=True)]
        if max(text, default=0) <= _LEAST:
            break
        widths[text.index(max(text))] -= 1
    return widths


def _pieces(text: str, breaks: Breaks) -> list[str]:
    """What is not broken, with what it ends at."""
    match breaks:
        case "nowhere":
            return [text]
        case "spaces":
            return re.findall(r"\S+\s*|\s+", text)
        case "names":
            return re.findall(r"[^\s_-]*[\s_-]+|[^\s_-]+", text)
        case "anywhere":
            return list(text)


def _broken(text: str, breaks: Breaks, width: int) -> str:
    """The text in lines of this width."""
    if breaks == "nowhere":
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        current = ""
        for piece in _pieces(line, breaks):
            rest = piece
            if current and len((current + rest).rstrip()) > width:
                lines.append(current.rstrip())
                current = ""
            while len(rest.rstrip()) > width:
                # a formula without room: before an element, so that no number loses its digits
                ends = [found.start() for found in re.finditer("[A-Z]", rest) if 0 < found.start() <= width]
                end = ends[-1] if ends else width
                lines.append(rest[:end])
                rest = rest[end:]
            current += rest
        lines.append(current.rstrip())
    return "\n".join(lines)
