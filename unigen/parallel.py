"""The same function over many tasks, in worker processes of one thread each, in order, with a progress bar.

Ours and not joblib's, because builds stream datasets through `Workers.in_order`: joblib's generators hand out tasks as
fast as workers finish them, however far behind the one who takes the results is, so that memory grows with the dataset.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import parent_process, spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from unigen.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from tqdm import tqdm

Key = TypeVar("Key")
Task = TypeVar("Task")
Result = TypeVar("Result")

FEW_TASKS = 64
"""Fewer tasks than this are done here: starting processes would take longer than the work."""

_LARGEST_CHUNK = 64
"""Tasks sent to a worker at once, at most, so that the bar moves; at least 8 chunks a worker, so that none waits long
for the last one."""

_WAITING = 2
"""Tasks of a stream under way a worker: one that it does, one that it finds when that is done."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What torch and tblite, and numpy by either of its libraries of linear algebra, take their number of threads from."""


PROGRESS = "UNIGEN_PROGRESS"
"""Environment variable: seconds between two progress lines where standard error is no terminal, or ``off`` for neither
bar nor lines."""

_LINE_SECONDS = 30.0
"""Of `PROGRESS` where it is not set: a log of a day has 3,000 lines, and one who waits sees that it goes on."""


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class ProgressBar:
    """A bar on standard error where that is a terminal or a notebook, gone when its block ends; elsewhere some lines.

    Args:
        label: what is going on.
        total: how many there are; None where that is unknown.
        done: how many were done before.
        shown: False for no bar at all.
    """

    def __init__(self, label: str, total: int | None, *, done: int = 0, shown: bool = True) -> None:
        self._label, self._total, self._done, self._shown = label, total, done, shown
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._in_notebook: tqdm | None = None
        self._seconds: float | None = None
        self._said_at = 0.0

    def __enter__(self) -> ProgressBar:  # noqa: PYI034 - beartype cannot check Self on a method decorated alone
        wanted = os.environ.get(PROGRESS, "")
        if not self._shown or wanted == "off":
            return self
        if in_notebook():
            from tqdm import tqdm  # of pymatgen's dependencies; its text needs no widgets, which may be missing

            self._in_notebook = tqdm(desc=self._label, total=self._total, initial=self._done, leave=False)
        elif not self._start_bar():
            self._seconds, self._said_at = _seconds(wanted), time.monotonic()
        return self

    def _start_bar(self) -> bool:
        """Whether there is a terminal for it, and what draws it."""
        try:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        except ModuleNotFoundError:  # training runs without it
            return False
        console = Console(stderr=True)
        if not console.is_terminal:
            return False
        label, note = (TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[note]}"))
        columns = (label, BarColumn(), MofNCompleteColumn(), note, TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(self._label, total=self._total, completed=self._done, note="")
        self._progress.start()
        return True

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None
        if self._in_notebook is not None:
            self._in_notebook.close()
            self._in_notebook = None
        self._seconds = None

    def advance(self, count: int = 1, note: str = "") -> None:
        """So many more are done; the note stands beside the bar."""
        self._done += count
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=count, note=note)
        elif self._in_notebook is not None:
            self._in_notebook.set_postfix_str(note)
            self._in_notebook.update(count)
        elif self._seconds is not None and time.monotonic() - self._said_at >= self._seconds:
            of_all = "" if self._total is None else f" of {self._total:,}"
            line = f"{self._label}: {self._done:,}{of_all}{', ' if note else ''}{note}"
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - where nobody sees a bar
            self._said_at = time.monotonic()


def _seconds(text: str) -> float:
    try:
        return float(text) if text else _LINE_SECONDS
    except ValueError:
        raise UserError(f"{PROGRESS}: neither seconds nor off", got=text) from None


class Workers:
    """Processes that start at the first long list of tasks and stay until the ``with`` block ends.

    No task knows its worker, so numbers do not depend on ``count``. Functions must be importable, or partials of some
    that are; for those of the script that runs it needs its ``if __name__ == "__main__"``.

    Args:
        count: processes; None for one a core.
        progress: show progress bars.
    """

    def __init__(self, count: int | None = None, *, progress: bool = False) -> None:
        self._count = count or _cores()
        self._always = count is not None  # a count that was asked for holds for few tasks, too
        self._progress = progress
        self._pool: ProcessPoolExecutor | None = None
        self._context = _SpawnWithOneThread()

    @property
    def shows_progress(self) -> bool:
        """Whether bars are shown, for who has one of its own."""
        return self._progress

    def __enter__(self) -> Workers:  # noqa: PYI034 - beartype cannot check Self on a method decorated alone
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._pool is not None:
            if kind is not None:  # an error does not wait for results that nobody will take
                for process in self._context.started:
                    process.terminate()
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def map(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], label: str, *, here: bool = True
    ) -> list[Result]:
        """``[function(task) for task in tasks]``.

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
            with _quiet_warnings():
                return list(self.with_progress(map(function, tasks), len(tasks), label))
        chunk = max(1, min(_LARGEST_CHUNK, len(tasks) // (self._count * 8)))
        try:
            return list(
                self.with_progress(self._start(function).map(function, tasks, chunksize=chunk), len(tasks), label)
            )
        except BrokenProcessPool as error:
            raise _killed(label) from error

    def as_finished(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], label: str, *, here: bool = True
    ) -> Iterator[tuple[int, Result]]:
        """As `map` for tasks of seconds: the index of each task and its result, once it is there.

        Raises:
            UserError: a worker process was killed from outside (out of memory, as a rule).
        """
        if not tasks or (here and (self._count == 1 or len(tasks) < 2)):
            with _quiet_warnings():
                yield from enumerate(self.with_progress(map(function, tasks), len(tasks), label))
            return
        pool = self._start(function)
        indices = {pool.submit(function, task): index for index, task in enumerate(tasks)}
        try:
            for future in self.with_progress(as_completed(indices), len(tasks), label):
                yield indices[future], future.result()
        except BrokenProcessPool as error:
            raise _killed(label) from error

    def in_order(
        self, function: Callable[[Task], Result], items: Iterable[tuple[Key, Task]], label: str, *, here: bool = True
    ) -> Iterator[tuple[Key, Result]]:
        """Results of a stream of tasks, in order, each with its key; memory does not grow with the stream.

        Args:
            function: what to do.
            items: keys, which stay here, and tasks; read as far ahead as workers need.
            label: for the error.
            here: one process may be this one; False for what must have one thread, as workers do.

        Raises:
            UserError: a worker process was killed from outside (out of memory, as a rule).
        """
        if self._count == 1 and here:
            for key, task in items:
                yield key, function(task)
            return
        pool = self._start(function)
        waiting: deque[tuple[Key, Future[Result]]] = deque()
        try:
            for key, task in items:
                waiting.append((key, pool.submit(function, task)))
                if len(waiting) > _WAITING * self._count:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        except BrokenProcessPool as error:
            raise _killed(label) from error

    def with_progress(self, results: Iterable[Result], total: int, label: str) -> Iterator[Result]:
        """The same, with the progress bar."""
        with ProgressBar(label, total, shown=self._progress and total > 0) as bar:
            for result in results:
                yield result
                bar.advance()

    def _start(self, function: Callable[..., object]) -> ProcessPoolExecutor:
        while isinstance(function, partial):
            function = function.func
        if getattr(function, "__module__", "") == "__main__" and not self._context.runs_main:
            if self._pool is not None:
                self._pool.shutdown()
            self._pool, self._context.runs_main = None, True
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._count, self._context, initializer=_begin_worker)
        return self._pool


class _ProcessOfOneThread(SpawnProcess):
    """Libraries read their thread count when they are loaded, which may be before any code of ours runs.

    The script of the user is run again in it, as a spawned process does, only where the function to be called is the
    script's own: one without ``if __name__ == "__main__"`` would start all its work anew in every worker.
    """

    runs_main = False

    def start(self) -> None:
        before = {name: os.environ.get(name) for name in _THREADS}
        describe = spawn.get_preparation_data

        def without_main(name: str) -> dict[str, Any]:
            return {key: value for key, value in describe(name).items() if not key.startswith("init_main")}

        if not self.runs_main:
            spawn.get_preparation_data = without_main
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        # Ctrl-C goes to all processes of a terminal; what a worker does then is for this process to say. The child
        # inherits the mask, before any code of ours could set one.
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            spawn.get_preparation_data = describe
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


class _SpawnWithOneThread(SpawnContext):
    """Spawn: a fork would copy locks held by threads of this process (torch's, pyarrow's, the progress bar's).

    A pool starts its processes one by one as tasks come in, so each has to see to its environment itself.
    """

    def __init__(self) -> None:
        self.started: list[SpawnProcess] = []
        self.runs_main = False

    def Process(self, *arguments: Any, **keywords: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802 - a context's own name
        """One more, that can be ended."""
        process = _ProcessOfOneThread(*arguments, **keywords)
        process.runs_main = self.runs_main
        self.started.append(process)
        return process


def _killed(label: str) -> UserError:
    return UserError(
        "a worker process was killed",
        where=label,
        next_step="run again: what is finished is kept (with fewer workers if memory ran out)",
    )


def _cores() -> int:
    # the cores that this process may use, of which a batch system gives fewer; not every system tells
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin_worker() -> None:
    _ignore_warnings()
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed closes no pool: its workers would wait for tasks for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _ignore_warnings() -> None:
    """Pymatgen and smact warn once a structure; thousands of lines would hide the table."""
    warnings.simplefilter("ignore")


@contextmanager
def _quiet_warnings() -> Iterator[None]:
    """What is done in this process is as silent as in a worker."""
    with warnings.catch_warnings():
        _ignore_warnings()
        yield
