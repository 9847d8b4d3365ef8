"""What a relaxation of files prints: a table of the first structures, and how many ended how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 20


def relax_table(kind: str, numbers: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Table:
    """The first structures, one a row.

    Args:
        kind: what a row is: "structure", "molecule".
        numbers: headings of the columns behind name and outcome.
        rows: name, outcome, and a text a number.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    left = len(rows) - SHOWN
    caption = f"and {left} more" if left > 0 else None
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, caption=caption, caption_justify="left")
    table.add_column(kind, overflow="fold")
    table.add_column("outcome", overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows[:SHOWN]:
        table.add_row(*row)
    return table


def outcome_counts(outcomes: Iterable[str]) -> str:
    """Such as ``3 converged, 1 gated``, the most frequent first."""
    return ", ".join(f"{count} {outcome}" for outcome, count in Counter(outcomes).most_common())
