"""The same function over many tasks, in worker processes of one thread each, in order, with a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from unigen.errors import UserError

Key = TypeVar("Key")
Task = TypeVar("Task")
Result = TypeVar("Result")

FEW_TASKS = 64
"""Fewer tasks than this are done here: starting processes would take longer than the work."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Workers:
    """Processes that start at the first long list of tasks and stay until the ``with`` block ends.

    Results are returned in the order of the tasks and no task knows its worker, so numbers do not depend on ``count``.

    Args:
        count: processes; None for one a core.
        progress: show a progress bar on standard error.
    """

    def __init__(self, count: int | None = None, *, progress: bool = False) -> None:
        self._count = count or _cores()
        self._always = count is not None
        self._progress = progress
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:  # noqa: PYI034 - beartype cannot check Self on a method decorated alone
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def map(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], label: str, *, here: bool = True
    ) -> list[Result]:
        """``[function(task) for task in tasks]``; the function must be importable, or a partial of one that is.

        Args:
            function: what to do.
            tasks: what to do it with.
            label: of the progress bar.
            here: few tasks may be done in this process; False for what must have one thread, as workers do.

        Raises:
            UserError: a worker process was killed from outside (out of memory, as a rule).
        """
        few = self._count == 1 or len(tasks) < 2 or (not self._always and len(tasks) < FEW_TASKS)
        if (few and here) or not tasks:
            with warnings.catch_warnings():
                _quiet()
                return list(self.shown(map(function, tasks), len(tasks), label))
        chunk = max(1, min(64, len(tasks) // (self._count * 8)))
        try:
            return list(self.shown(self._start().map(function, tasks, chunksize=chunk), len(tasks), label))
        except BrokenProcessPool as error:
            raise _killed(label) from error

    def each(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        label: str,
        take: Callable[[int, Result], None],
        *,
        here: bool = True,
    ) -> None:
        """As `map` for tasks of seconds: every result is handed over, with the place of its task, once it is there.

        Raises:
            UserError: a worker process was killed from outside (out of memory, as a rule).
        """
        if not tasks or (here and (self._count == 1 or len(tasks) < 2)):
            with warnings.catch_warnings():
                _quiet()
                for place, result in enumerate(self.shown(map(function, tasks), len(tasks), label)):
                    take(place, result)
            return
        pool = self._start()
        places = {pool.submit(function, task): place for place, task in enumerate(tasks)}
        try:
            for future in self.shown(as_completed(places), len(tasks), label):
                take(places[future], future.result())
        except BrokenProcessPool as error:
            raise _killed(label) from error

    def _start(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # spawn: a fork would copy locks held by torch's threads, were torch loaded in this process
            context = multiprocessing.get_context("spawn")
            with _single_threaded():
                self._pool = ProcessPoolExecutor(self._count, context, initializer=_quiet)
                self._pool.submit(_quiet).result()  # spawned processes start at the first task, in this environment
        return self._pool

    def shown(self, results: Iterable[Result], total: int, label: str) -> Iterable[Result]:
        """The same, with the progress bar."""
        if not self._progress or not total:
            return results
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        return track(results, label, total, console=console, transient=True, disable=not console.is_terminal)


def in_order(
    items: Iterator[tuple[Key, Task]], work: Callable[[Task], Result], workers: int
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


def _killed(label: str) -> UserError:
    return UserError("a worker process was killed", where=label, next_step="set fewer workers if memory ran out")


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
