"""What every command does around its work: text that fits where it goes, signals, one line an error, an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from unigen.disk import FREE_SPACE, NO_SPACE
from unigen.errors import UserError

STOPS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what batch systems send some time before they kill."""

_REFUSED = 2
"""As for a wrong option, where typer ends."""


class Stopped(BaseException):
    """A signal asked the command to end. No KeyboardInterrupt: typer ends at one without a word.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


def run_command(command: Callable[[], object]) -> NoReturn:
    """Run it and exit with what it exits with, by default 0.

    2 after a UserError or trouble with disk or memory; 128 and the signal when one stopped it, as shells count; 1 where
    its output could not be written.
    An error of another class is a fault of ours and keeps its traceback.
    """
    heard = _fit_streams()
    code, said = None, ""
    try:
        with _stopped_by_signals():
            command()
    except SystemExit as end:
        code = end.code
    except UserError as error:
        code, said = _REFUSED, f"error: {error}"
    except Stopped as stop:
        word = "interrupted" if stop.signal == signal.SIGINT else f"stopped by {signal.Signals(stop.signal).name}"
        code, said = 128 + stop.signal, f"{word}: what is finished is kept, the same command goes on"
    except MemoryError as error:
        code, said = _REFUSED, f"error: not enough memory; got {error or 'none left'}"
    except OSError as error:
        if _flushed():  # else it was said by the stream that nobody reads
            code, said = _REFUSED, f"error: {_trouble(error)}"
    if not _flushed() or not heard:
        code = code or 1
    if said:
        with suppress(OSError, ValueError):
            sys.stderr.write(said + "\n")
    sys.exit(code)


def _trouble(error: OSError) -> UserError:
    step = FREE_SPACE if error.errno in NO_SPACE else ""
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else ""
    return UserError(error.strerror or str(error) or type(error).__name__, where=where, next_step=step)


def _fit_streams() -> bool:
    """Let standard output and error take any text, whatever their encoding; whether there is a standard output."""
    heard = sys.stdout is not None
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: what is written goes nowhere
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open until the process ends
        with suppress(AttributeError):  # another object may stand there
            # \xc5 for a letter that the encoding lacks, \udcff for a byte of a file name that is no text
            getattr(sys, name).reconfigure(errors="backslashreplace")
    return heard


def _flushed() -> bool:
    """Whether standard output took all; if not it is led to nowhere, or Python would complain once more at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        raise Stopped(number)

    try:
        before = {number: signal.signal(number, stop) for number in STOPS}
    except ValueError:  # not in the main thread, which alone hears signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
