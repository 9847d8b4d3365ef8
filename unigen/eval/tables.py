"""A small table of a report under its own heading: one row a class of structures, one column a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from unigen.eval.statistics import Metric

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Section:
    """Numbers that belong together.

    Attributes:
        title: what the table shows.
        rows: by name of the row, then of the column: a metric, or a count.
        note: what the reader has to know.
        printed: rows shown in the terminal; all of them by default. The JSON holds them all.

    Example:
        >>> Section("by atoms", {"1-4": {"n": 2, "match_rate.k1": Metric(0.5, n=2)}}).to_dict()["rows"]
        {'1-4': {'n': 2, 'match_rate.k1': {'value': 0.5, 'low': None, 'high': None, 'n': 2}}}
    """

    title: str
    rows: dict[str, dict[str, Metric | int]]
    note: str = ""
    printed: int | None = None

    @property
    def columns(self) -> list[str]:
        """The names of all columns, in the order they first come."""
        return list(dict.fromkeys(name for row in self.rows.values() for name in row))

    def to_dict(self) -> dict[str, object]:
        """Ready for JSON."""
        rows = {
            name: {column: cell if isinstance(cell, int) else asdict(cell) for column, cell in row.items()}
            for name, row in self.rows.items()
        }
        return {"title": self.title, "note": self.note, "rows": rows}

    def table(self) -> Table:
        """For the terminal; an interval stands in brackets behind its value."""
        from rich.table import Table
        from rich.text import Text

        left = len(self.rows) - (self.printed or len(self.rows))
        caption = [self.note] * bool(self.note) + [f"and {left} more rows in the JSON"] * (left > 0)
        title, note = Text(self.title), Text("\n".join(caption))
        table = Table(title=title, title_justify="left", caption=note, caption_justify="left")
        table.add_column("", overflow="fold")
        for column in self.columns:
            table.add_column(Text(column.replace("_", " ")), justify="right")
        for cells in self.texts()[: self.printed]:
            table.add_row(*map(Text, cells))
        return table

    def texts(self) -> list[tuple[str, ...]]:
        """Every row as it is printed: its name, then a cell a column."""
        return [
            (_words(name), *(self._text(name, column, row) for column in self.columns))
            for name, row in self.rows.items()
        ]

    def _text(self, name: str, column: str, row: Mapping[str, Metric | int]) -> str:
        cell = row.get(column)
        if cell is None or isinstance(cell, int):
            return "" if cell is None else str(cell)
        if cell.value is None:
            return "-"
        # the metric's name may head the row or the column
        share = is_share(column) and is_share(name)
        scale, digits = (100, 1) if share else (1, 3)
        value = f"{scale * cell.value:.{digits}f}" + " %" * share
        if cell.low is None or cell.high is None:
            return value
        return f"{value} ({scale * cell.low:.{digits}f}-{scale * cell.high:.{digits}f})"


def is_share(name: str) -> bool:
    """Whether a metric is a share in [0, 1], shown in percent; the others are distances and energies."""
    return not any(part.startswith(_NO_SHARES) for part in name.split("."))


_NO_SHARES = ("rmse", "crmse", "w_", "tv_", "mat_", "mae", "mean_", "median_", "samples_per_")


def _words(name: str) -> str:
    """Of our own names; the underscore of P6_3/mmc is part of the symbol."""
    return name.replace("_", " ") if name.isidentifier() else name
