"""A shard: the unit of work of a build. Parsed, checked and brought to one form in a worker, written as one part file.

A part is a Parquet file of the rows that passed, with columns of facts beside the store's own, and the rejected rows in
its metadata. It appears under its name only when complete, so a killed build goes on after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unigen.data.row_kind import Task, rejected_of
from unigen.disk import durable
from unigen.parallel import Workers

SHARD_ROWS = 512


def build_parts(
    tasks: Iterable[Task],
    work: Callable[[tuple[Task, ...]], pa.Table],
    folder: Path,
    workers: int,
    report: Callable[[int, int], None],
) -> list[Path]:
    """Make the part files that are not there yet; all parts, in the order of the source.

    Args:
        tasks: what to read, in a fixed order; for parts that exist it is read again but not parsed.
        work: what makes the part of a shard; it must be importable, or a partial of what is.
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

    with Workers(workers) as pool:
        for path, table in pool.in_order(work, wanted(), "building"):
            with durable(path) as temporary:
                pq.write_table(table, temporary, compression="zstd")
            report(len(table), len(rejected_of(path)))
    return parts
