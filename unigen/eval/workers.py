"""The same function over many tasks, in worker processes of one thread each, in order, with a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from unigen.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")

FEW_TASKS = 64
"""Fewer tasks than this are done here: starting processes would take longer than the work."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Workers:
    """How many processes work, and whether progress is shown.

    Results are returned in the order of the tasks and no task knows its worker, so numbers do not depend on ``count``.

    Attributes:
        count: processes; None for one a core.
        progress: show a progress bar on standard error.
    """

    count: int | None = None
    progress: bool = False

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task], label: str) -> list[Result]:
        """``[function(task) for task in tasks]``; the function must be importable, or a partial of one that is.

        Raises:
            UserError: a worker process was killed from outside (out of memory, as a rule).
        """
        count = min(self.count or _cores(), max(len(tasks), 1))
        if count == 1 or (self.count is None and len(tasks) < FEW_TASKS):
            return self._collect(map(function, tasks), len(tasks), label)
        chunk = max(1, min(64, len(tasks) // (count * 8)))
        with _single_threaded(), self._pool(count) as pool:
            try:
                return self._collect(pool.map(function, tasks, chunksize=chunk), len(tasks), label)
            except BrokenProcessPool as error:
                next_step = "set fewer workers if memory ran out"
                raise UserError("a worker process was killed", where=label, next_step=next_step) from error

    def _pool(self, count: int) -> ProcessPoolExecutor:
        # spawn: a fork would copy locks held by torch's threads, were torch loaded in this process
        return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_quiet)

    def _collect(self, results: Iterable[Result], total: int, label: str) -> list[Result]:
        if not self.progress:
            return list(results)
        from rich.console import Console
        from rich.progress import track

        return list(track(results, label, total, console=Console(stderr=True), transient=True))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quiet() -> None:
    """Pymatgen and smact warn once a structure; thousands of lines would hide the table."""
    warnings.simplefilter("ignore")


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Workers read their thread count from the environment when they load numpy, before any code of ours runs."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
