"""Drawing what a run folder does not hold yet, with a progress bar: crystals and molecules alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unigen.report.journal import Journal
from unigen.report.tables import SHOWN
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.sample.generate import iter_samples
from unigen.sample.job import Generator
from unigen.sample.remarks import remarks


def draw_missing(
    generator: Generator,
    requests: Sequence[CrystalRequest] | Sequence[MoleculeRequest],
    n: int,
    folder: Journal,
    seed: int,
    rank: int,
    batch_size: int,
    console: Console | None,
) -> None:
    """Draw n samples a request, but those that the folder holds, and keep them batch by batch."""
    tasks = list(product(range(len(requests)), range(n)))
    finished = folder.finished
    columns = (TextColumn("generating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    seen = console is not None and console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not seen) as progress:
        bar = progress.add_task("generating", total=len(tasks), completed=len(finished))
        for samples in iter_samples(generator, requests, tasks, seed, rank, batch_size, finished):
            folder.append(samples)
            progress.advance(bar, len(samples))


def say_remarks(
    generator: Generator, requests: Sequence[CrystalRequest] | Sequence[MoleculeRequest], console: Console | None
) -> None:
    """Print what should be known of the requests before they are drawn, each line once."""
    if console is not None:
        said = dict.fromkeys(line for request in requests for line in remarks(generator, request))
        for line in list(said)[:SHOWN]:
            console.print(line, highlight=False, soft_wrap=True)
