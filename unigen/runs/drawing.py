"""What runs of crystals and of molecules show while they draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unigen.models.generator import Generator
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.runs.remarks import remarks
from unigen.runs.tables import SHOWN

PICTURE, DRAWN = "samples.png", 12
"""The picture of a run, and how many samples it shows."""


@contextmanager
def progress_bar(console: Console | None, total: int, done: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, nothing elsewhere; call it with how many more are done."""
    columns = (TextColumn("generating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    seen = console is not None and console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not seen) as progress:
        bar = progress.add_task("generating", total=total, completed=done)
        yield lambda count: progress.advance(bar, count)


def say_remarks(
    generator: Generator, requests: Sequence[CrystalRequest] | Sequence[MoleculeRequest], console: Console | None
) -> None:
    """Print what should be known of the requests before they are drawn, each line once."""
    if console is not None:
        said = dict.fromkeys(line for request in requests for line in remarks(generator, request))
        for line in list(said)[:SHOWN]:
            console.print(line, highlight=False, soft_wrap=True)
