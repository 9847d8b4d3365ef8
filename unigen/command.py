"""What every command does around its work: text that fits where it goes, signals, one line an error, an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO, cast

from unigen.disk import FREE_SPACE, NO_SPACE, encodable
from unigen.errors import UserError
from unigen.parallel import PROGRESS

STOPS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what batch systems send some time before they kill."""

_REFUSED = 2
"""As for a wrong option, where typer ends."""

_UNHEARD = 1
"""As other programs end whose output nobody takes."""


_LONGEST = 200
"""Letters that are shown of what is no text."""


class Stopped(BaseException):
    """A signal asked the command to end. No KeyboardInterrupt: typer ends at one without a word.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


class _Output:
    """Standard output, which remembers whether all of it was taken: an OSError alone does not tell what it is about."""

    def __init__(self, stream: Any) -> None:  # a TextIO, or what tests put there; None where it was closed
        self.taken = stream is not None
        self._stream = stream or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends

    def write(self, text: str) -> int:
        with self._watched():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._watched():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # the second where it was closed meanwhile
            self.taken = False
            raise

    def end(self) -> bool:
        """Write out what waits; whether all was taken. If not it goes nowhere, or Python would try and complain."""
        with suppress(OSError, ValueError):
            self.flush()
        if not self.taken:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        return self.taken


def run_command(command: Callable[[], object]) -> NoReturn:
    """Run it and exit with what it exits with, by default 0.

    2 after a UserError or trouble with disk or memory; 128 and the signal when one stopped it, as shells count; 1 where
    its output was not taken. An error of another class is a fault of ours and keeps its traceback.
    """
    _take_any_text()
    before = sys.stdout
    output = _Output(before)
    sys.stdout = cast("TextIO", output)
    code: str | int | None = None
    said = ""
    try:
        with _stopped_by_signals():
            command()
    except SystemExit as end:
        code = end.code
    except (UserError, Stopped, MemoryError, UnicodeEncodeError, OSError) as error:
        code, said = _ending(error)
        if isinstance(error, OSError) and not output.taken:
            code, said = _UNHEARD, ""  # nothing else went wrong, and nobody listens
    finally:
        sys.stdout = before
    if not output.end():
        code = code or _UNHEARD
    if said:
        with suppress(OSError, ValueError):
            sys.stderr.write(said + "\n")
    sys.exit(code)


@contextmanager
def hushed(quiet: bool) -> Iterator[None]:
    """Nothing on standard output, and no progress, while this goes on; errors are said all the same.

    Args:
        quiet: False changes nothing.
    """
    if not quiet:
        yield
        return
    before, progress = sys.stdout, os.environ.get(PROGRESS)
    os.environ[PROGRESS] = "off"  # worker processes inherit it
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = nowhere
        try:
            yield
        finally:
            sys.stdout = before
            if progress is None:
                del os.environ[PROGRESS]
            else:
                os.environ[PROGRESS] = progress


def _ending(error: UserError | Stopped | MemoryError | UnicodeEncodeError | OSError) -> tuple[int, str]:
    """Exit code and what is said."""
    match error:
        case Stopped():
            what = "interrupted" if error.signal == signal.SIGINT else f"stopped by {signal.Signals(error.signal).name}"
            # a command that works in a folder keeps there what is finished, see `unigen.disk.alone_in`
            kept = bool(getattr(error, "__notes__", ()))
            then = "what is finished is kept, the same command goes on" if kept else "the same command begins anew"
            return 128 + error.signal, f"{what}: {then}"
        case MemoryError():
            error = UserError("not enough memory", got=str(error) or None)
        case UnicodeEncodeError():
            if not any("\ud800" <= letter <= "\udfff" for letter in error.object):
                raise error
            # bytes of a file name that are no text, which some libraries do not take
            name = encodable(error.object)[:_LONGEST]
            error = UserError("not text", where=name, next_step="rename the file or folder in plain letters")
        case OSError():
            where = (
                encodable(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes | os.PathLike) else ""
            )
            step = FREE_SPACE if error.errno in NO_SPACE else ""
            error = UserError(error.strerror or str(error) or type(error).__name__, where=where, next_step=step)
    return _REFUSED, f"error: {error}"


def _take_any_text() -> None:
    """Let standard output and error take any text, whatever their encoding."""
    if sys.stderr is None:  # closed by the caller: what is written goes nowhere
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # closed, or another object stands there
            # \xc5 for a letter that the encoding lacks, \udcff for a byte of a file name that is no text
            cast("Any", stream).reconfigure(errors="backslashreplace")


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        raise Stopped(number)

    try:
        # a signal that the caller has ignored, as shells do for what runs in the background, stays so
        heard = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, stop) for number in heard}
    except ValueError:  # not in the main thread, which alone hears signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
