"""A shard: the unit of work of a build. Parsed, checked and reduced in a worker, written as one part file.

A part is a Parquet file of the rows that passed, with ``where`` and ``formula`` columns beside the store's own, and the
rejected rows in its metadata. It appears under its name only when complete, so a killed build goes on after it.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from unigen.cards import DatasetCard
from unigen.data import recipes
from unigen.data.durable import durable
from unigen.data.record import Record, Row
from unigen.data.sources import parse
from unigen.data.store import to_table
from unigen.errors import UserError

SHARD_ROWS = 512
_REJECTED = b"rejected"

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Rejected:
    """A row that did not get in."""

    id: str
    where: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What is done to every row by itself.

    Attributes:
        symprec: tolerance of the primitive cell, Angstrom.
        max_atoms: largest primitive cell that gets in.
        excluded: reduced formulas that do not get in.
    """

    symprec: float = 0.01
    max_atoms: int | None = None
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Task:
    """A record and the card of the recipe it comes through, if any."""

    record: Record
    card: DatasetCard | None


def treat(task: Task, treatment: Treatment) -> Row:
    """One row parsed, checked and reduced, or the reason why it is rejected."""
    row = parse(recipes.adapt(task.record, task.card) if task.card else task.record)
    if row.crystal is None:
        return row
    reason = recipes.objection(row, task.card) if task.card else ""
    if row.crystal.reduced_formula in treatment.excluded:
        reason = f"{row.where}: excluded composition; got {row.crystal.reduced_formula}"
    if reason:
        return Row(row.id, None, reason, row.where, row.split)
    small = row.crystal.reduced(treatment.symprec)
    if treatment.max_atoms is not None and len(small) > treatment.max_atoms:
        reason = f"{row.where}: too many atoms; got {len(small)}; wanted at most {treatment.max_atoms}"
        return Row(row.id, None, reason, row.where, row.split)
    return Row(row.id, small, "", row.where, row.split)


def treat_shard(tasks: tuple[Task, ...], treatment: Treatment) -> pa.Table:
    """The rows of a shard as a part table."""
    rows = [treat(task, treatment) for task in tasks]
    crystals = [row.crystal for row in rows if row.crystal is not None]
    passed = [row for row in rows if row.crystal is not None]
    names = sorted({name for crystal in crystals for name in crystal.properties})
    table = to_table(crystals, [row.id for row in passed], [row.split for row in passed], names)
    table = table.append_column("where", pa.array([row.where for row in passed], pa.string()))
    table = table.append_column("formula", pa.array([crystal.reduced_formula for crystal in crystals], pa.string()))
    rejected = [(row.id, row.where, row.reason) for row in rows if row.crystal is None]
    return table.replace_schema_metadata({_REJECTED: json.dumps(rejected).encode()})


def rejected_of(part: Path) -> list[Rejected]:
    """The rows a part rejected."""
    return [Rejected(*entry) for entry in json.loads(pq.read_schema(part).metadata[_REJECTED])]


def build_parts(
    tasks: Iterable[Task], treatment: Treatment, folder: Path, workers: int, report: Callable[[int, int], None]
) -> list[Path]:
    """Make the part files that are not there yet; all parts, in the order of the source.

    Args:
        tasks: what to read, in a fixed order; for parts that exist it is read again but not parsed.
        treatment: what to do with it.
        folder: where the parts are.
        workers: processes; with 1 everything happens in this one.
        report: called with the numbers of rows passed and rejected after every part.
    """
    parts: list[Path] = []

    def wanted() -> Iterator[tuple[Path, tuple[Task, ...]]]:
        stream = iter(tasks)
        for index, shard in enumerate(iter(lambda: tuple(islice(stream, SHARD_ROWS)), ())):
            parts.append(folder / f"part-{index:05d}.parquet")
            if parts[-1].exists():
                report(pq.read_metadata(parts[-1]).num_rows, len(rejected_of(parts[-1])))
            else:
                yield parts[-1], shard

    for path, table in in_order(wanted(), partial(treat_shard, treatment=treatment), workers):
        with durable(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        report(len(table), len(rejected_of(path)))
    return parts


def in_order(
    items: Iterator[tuple[Key, Item]], work: Callable[[Item], Result], workers: int
) -> Iterator[tuple[Key, Result]]:
    """Results in order, a bounded number of items under way: memory does not grow with the dataset."""
    if workers == 1:
        yield from ((key, work(item)) for key, item in items)
        return
    # Spawned, not forked: the parent has threads (pyarrow, the progress bar), and a fork may inherit a held lock.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque[tuple[Key, Future[Result]]] = deque()
        try:
            for key, item in items:
                waiting.append((key, pool.submit(work, item)))
                if len(waiting) > 2 * workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process died",
                got=str(error)[:120],
                next_step="run again: it goes on where it stopped (with --workers 1 if memory was short)",
            ) from error
