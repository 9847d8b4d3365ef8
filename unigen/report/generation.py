"""A generation run from request to folder, with a progress bar: what ``unigen generate`` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import unigen
from unigen.errors import UserError
from unigen.report.run_folder import RunFolder, crystal_of
from unigen.report.tables import samples_table
from unigen.request import CrystalRequest
from unigen.sample.generate import iter_samples
from unigen.sample.job import Generator


def run_generation(
    generator: Generator,
    requests: Sequence[CrystalRequest],
    out: Path,
    settings: dict[str, Any],
    *,
    n: int,
    seed: int,
    rank: int,
    batch_size: int,
    symprec: float | None = None,
    cif: bool = True,
    console: Console | None = None,
) -> list[dict[str, Any]]:
    """Draw what the folder does not hold yet, write all files, print the table; returns one row a sample.

    Args:
        generator: from ``unigen.load``.
        requests: what is wanted.
        out: run folder; an interrupted run goes on.
        settings: further facts that determine the samples (model, steps, ...), kept in ``run.yaml``.
        n: samples a request.
        seed: of the run.
        rank: candidates a sample.
        batch_size: candidates drawn at once.
        symprec: tolerance of symmetrised CIF copies; None writes none.
        cif: write CIF files.
        console: for progress and table; silent without.

    Raises:
        UserError: the folder holds another run, the disk is full, or every sample failed.
    """
    run = {
        "unigen": unigen.__version__,
        **settings,
        "n": n,
        "seed": seed,
        "rank": rank,
        "requests": [request.to_dict() for request in requests],
    }
    folder = RunFolder(out, run, symprec=symprec, cif=cif)
    tasks = folder.open_tasks(len(requests), n)
    columns = (TextColumn("generating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console or Console(quiet=True), transient=True) as progress:
        bar = progress.add_task("generating", total=n * len(requests), completed=n * len(requests) - len(tasks))
        for samples in iter_samples(generator, requests, tasks, seed, rank, batch_size):
            folder.append(samples)
            progress.advance(bar, len(samples))
    rows = folder.finish()
    _report(rows, out, console)
    return rows


def _report(rows: list[dict[str, Any]], out: Path, console: Console | None) -> None:
    made = [row for row in rows if "sites" in row]
    failed = [row for row in rows if "sites" not in row]
    if not made:
        raise UserError(f"no structure was made ({len(failed)} failed)", got=failed[0]["reason"])
    if console is None:
        return
    shown = [
        {"crystal": crystal_of(row), "formula": _formula(row), "score": row["score"], **row["checks"]}
        for row in made[:20]
    ]
    table = samples_table(shown)
    if len(made) > len(shown):
        table.caption = f"and {len(made) - len(shown)} more"
    console.print(table)
    valid = sum(row["checks"]["valid"] for row in made)
    console.print(f"{len(made)} crystals, {valid} valid, {len(failed)} failed; written to {out}", highlight=False)
    if failed:
        console.print(f"first failure: {failed[0]['id']}: {failed[0]['reason']}", highlight=False)


def _formula(row: dict[str, Any]) -> str:
    crystal = crystal_of(row)
    assert crystal is not None
    return crystal.formula
