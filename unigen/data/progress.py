"""Show how far a build is: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_PLAIN_EVERY = 10_000
"""Rows between two lines where there is no terminal."""


@contextmanager
def counting(console: Console | None, label: str, noun: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
    """A function to call with the numbers of rows just passed and rejected.

    Args:
        console: where to show it; None for nowhere.
        label: what is going on.
        noun: what is counted, "crystals".
        total: rows, where that is known before.
    """
    if console is None:
        yield lambda _passed, _rejected: None
    elif console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[sums]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(label, total=total, sums="")
            yield _Counter(lambda done, sums: progress.update(task, completed=done, sums=sums), noun, 1)
    else:
        yield _Counter(lambda _done, sums: console.print(f"{label}: {sums}"), noun, _PLAIN_EVERY)


class _Counter:
    """Adds up rows and shows the sums whenever ``every`` more have passed by."""

    def __init__(self, show: Callable[[int, str], None], noun: str, every: int) -> None:
        self._show, self._noun, self._every = show, noun, every
        self._passed = self._rejected = self._shown = 0

    def __call__(self, passed: int, rejected: int) -> None:
        self._passed += passed
        self._rejected += rejected
        total = self._passed + self._rejected
        if total - self._shown >= self._every:
            self._shown = total
            self._show(total, f"{self._passed:,} {self._noun}, {self._rejected:,} rejected")
