"""Show how far a build is: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from unigen.parallel import ProgressBar

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
        with ProgressBar(label, total) as bar:
            yield _Count(bar.advance, noun, 1)
    else:
        yield _Count(lambda _count, note: console.out(f"{label}: {note}", highlight=False), noun, _PLAIN_EVERY)


class _Count:
    """Adds up, and hands on how many more there are and what to say of all so far, once every so many rows."""

    def __init__(self, say: Callable[[int, str], None], noun: str, every: int) -> None:
        self._say, self._noun, self._every = say, noun, every
        self._passed = self._rejected = self._announced = 0

    def __call__(self, passed: int, rejected: int) -> None:
        self._passed += passed
        self._rejected += rejected
        new = self._passed + self._rejected - self._announced
        if new >= self._every:
            self._announced += new
            self._say(new, f"{self._passed:,} {self._noun}, {self._rejected:,} rejected")
