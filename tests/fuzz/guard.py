"""One reading under bounds: of memory, of processor time, and of what may be raised."""

from __future__ import annotations

import contextlib
import resource
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from unigen.errors import UserError

MEMORY = 1 << 30
"""Bytes beyond those the process has: what the reading of one small file may take."""

SECONDS = 10
"""Of processor time, which does not depend on what else the machine does."""

LONGEST_MESSAGE = 1_500
"""Characters of an error: what a person reads; a file's content is no message."""


class OutOfTimeError(BaseException):
    """No Exception, so that what catches everything does not take it for an error of the file."""


class Difference(Exception):  # noqa: N818 - no error of the code that raises it
    """What we read is not what a library reads."""


@contextlib.contextmanager
def bounded(memory: int = MEMORY, seconds: float = SECONDS) -> Iterator[None]:
    """Within it more memory is refused, and more time ends in `OutOfTimeError`."""

    def stop(_signal: int, _frame: object) -> None:
        raise OutOfTimeError

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = Path("/proc/self/statm")
    held = int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else None
    before = signal.signal(signal.SIGPROF, stop)
    try:
        if held is not None:  # elsewhere than on Linux the address space is not limited
            resource.setrlimit(resource.RLIMIT_AS, (held + memory, hard))
        signal.setitimer(signal.ITIMER_PROF, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def fault(read: Callable[[Path], list[str]], path: Path) -> str:
    """What is wrong with how a file is read; empty where it is read, or refused in one line.

    Args:
        read: reads it, and gives the reasons of what it left out.
        path: of the file.
    """
    reasons: list[str] = []
    found = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with bounded(seconds=SECONDS):
                reasons = read(path)
        except UserError as error:
            reasons = [str(error)]
        except OutOfTimeError:
            found = f"hangs: more than {SECONDS} s"
        except Difference as error:
            found = f"difference: {error}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            found = f"{type(error).__name__}: {_where(error)}: {' '.join(str(error).split())[:160]}"
    for reason in reasons:
        if "MemoryError" in reason or "Unable to allocate" in reason or "bad_alloc" in reason:
            found = f"memory: asked for before it was looked at: {reason[:200]}"
        elif "\n" in reason:
            found = f"more than one line: {reason[:200]!r}"
        elif len(reason) > LONGEST_MESSAGE:
            found = f"a message of {len(reason):,} characters: {reason[:120]}"
    return found


def _where(error: BaseException) -> str:
    """The last line of ours that an error came through."""
    place, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "/unigen/" in name and "/tests/" not in name:
            place = f"unigen/{name.rpartition('/unigen/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place or "outside"
