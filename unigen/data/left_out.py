"""What was left out, and why: written as a table beside what was made, counted by reason, printed."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from unigen.disk import durable_text

if TYPE_CHECKING:
    from rich.table import Table

LEFT_OUT = "rejected.csv"
"""The table beside what was made."""

_NAMED_SMILES = re.compile(r"^SMILES '[^']*': ")


class LeftOut(NamedTuple):
    """An entry that is not in what was made; the names are the columns of the table.

    Attributes:
        id: its name.
        where: file and entry.
        reason: why, in one line.
    """

    id: str
    where: str
    reason: str


def write_left_out(
    path: Path, entries: Iterable[tuple[str, str, str]], columns: tuple[str, str, str] = LeftOut._fields
) -> None:
    """Write the table; without entries it has its heading, so that it says that nothing was left out.

    Args:
        path: of the table.
        entries: `LeftOut`, or others of other columns.
        columns: their names.
    """
    with durable_text(path, newline="") as file:
        csv.writer(file).writerows([columns, *entries])


def by_reason(entries: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How many for which reason, the most frequent first.

    Args:
        entries: where and reason of each; file, entry, SMILES and values do not tell reasons apart.

    Example:
        >>> by_reason([("a.csv row 1", "a.csv row 1: too many atoms; got 31"), ("", "too many atoms; got 20")])
        {'too many atoms': 2}
    """
    return dict(Counter(_without_values(*entry) for entry in entries).most_common())


def _without_values(where: str, reason: str) -> str:
    if where:
        reason = reason.replace(f"{where}: ", "", 1)
    reason = _NAMED_SMILES.sub("", reason).split(";")[0]
    return " ".join(word for word in reason.split() if not any(letter.isdigit() for letter in word))[:80]


def left_out_table(title: str, counts: Mapping[str, int], heading: str = "entries") -> Table:
    """Reasons and how often, for the terminal."""
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(title, Column(heading, justify="right"))
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        table.add_row(Text(reason), f"{count:,}")  # as text: reasons may have brackets
    return table
