"""Files that are there completely or not at all, folders that one process works in at a time, and checksums."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from filelock import FileLock, SoftFileLock, Timeout

from unigen.errors import UserError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when a disk or a quota is full."""

FREE_SPACE = "free some space and run the same command again: it goes on where it stopped"

_OVERWRITE: ContextVar[bool] = ContextVar("overwrite", default=False)

LOCK = ".unigen.lock"
"""In a folder that a process works in, or was killed in."""

_LONGEST = 50
"""Letters of a name that stand in that of a file beside it: file systems allow 255 bytes, and a letter may take 4."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no other process works in it meanwhile; made if need be, gone again if it stays empty.

    The system lets go of it when the process ends, however it ends. What a thread holds it may take again. A signal
    that ends the work is given a note that names the folder: what is finished is there.

    Raises:
        UserError: another process holds it, or it cannot be written.
    """
    made = not os.path.lexists(folder)
    try:
        with _alone(folder / LOCK, folder):
            yield
    except BaseException as error:
        if not isinstance(error, Exception):
            error.add_note(str(folder))
        raise
    finally:
        if made:
            with suppress(OSError):  # not empty, as a rule
                folder.rmdir()


@contextmanager
def alone_at(path: Path) -> Iterator[None]:
    """As `alone_in`, for a file and its namesakes of other endings (``report.json``, ``report.csv``)."""
    _check_name(path)
    with _alone(path.with_name(f".{path.stem[:_LONGEST]}{LOCK}"), path):
        yield


@contextmanager
def overwriting(allowed: bool) -> Iterator[None]:
    """Within it a folder that holds other results of the same kind is emptied and claimed anew, where allowed.

    What is finished of the results that are asked for is never made again: an interrupted run goes on.
    """
    token = _OVERWRITE.set(allowed)
    try:
        yield
    finally:
        _OVERWRITE.reset(token)


def may_overwrite() -> bool:
    """Whether the user has said so, see `overwriting`."""
    return _OVERWRITE.get()


def empty_folder(path: Path) -> None:
    """Remove all that is in a folder but the lock of who works in it."""
    for each in path.iterdir():
        if each.name == LOCK:
            continue
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()


def _check_name(path: Path) -> None:
    """Before hours of work: raise UserError where no file of this name can be made."""
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    if is_folder:
        raise UserError("a folder has this name", where=str(path), next_step="choose another one")


def _cannot_be_written(where: Path, error: OSError) -> UserError:
    return UserError(
        "cannot be written",
        where=str(where),
        got=os.strerror(error.errno or 0),
        next_step=FREE_SPACE if error.errno in NO_SPACE else "choose another place",
    )


@contextmanager
def _alone(path: Path, where: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path = path.resolve()  # a folder may have several names
        lock = FileLock(path, blocking=False, is_singleton=True)  # one object a path, which knows what this thread has
        mine = lock.is_locked
        lock.acquire()
        file = path.open("r+", encoding="utf-8")
    except Timeout:
        if not path.exists():  # a place that is none of a disk, such as /proc
            raise _cannot_be_written(where, OSError(errno.EROFS, "")) from None
        raise UserError(
            "another process is at work here",
            where=str(where),
            got=_holder(path),
            next_step="wait until it ends, or choose another place",
        ) from None
    except OSError as error:
        raise _cannot_be_written(where, error) from error
    try:
        # where a file system knows no locks the library takes the file itself for one, with words of its own in it
        if not mine and not isinstance(lock, SoftFileLock):
            with suppress(OSError):  # on a full disk a message lacks it
                file.truncate()
                file.write(f"process {os.getpid()} on {socket.gethostname()}")
                file.flush()
        yield
    finally:
        if not mine:
            path.unlink(missing_ok=True)  # still held: one who opened it finds it nameless later, and leaves it
        lock.release()
        with suppress(OSError):
            file.close()  # not before: on NFS that would let go of the lock


def _holder(path: Path) -> str | None:
    """Who holds it, as far as the file tells."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:100] or None
    except OSError:
        return None


def partial_of(path: Path) -> Path:
    """The file that `durable` writes, beside the one that it becomes."""
    return path.with_name(f".{path.name[:_LONGEST]}.partial")


@contextmanager
def durable(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``; when the block ends well it is synced to disk and takes the name.

    Raises:
        UserError: the disk or a quota is full; what stood at ``path`` before is untouched.
    """
    # beside it: a rename replaces in one step only within a file system
    partial = partial_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # before the rename: a crash leaves the old file or the whole new one
        partial.replace(path)
    except OSError as error:
        if error.filename == str(partial):
            error.filename = str(path)  # the name that the user knows
        if error.errno not in NO_SPACE:
            raise
        partial.unlink(missing_ok=True)
        raise _no_space(path, error) from error


def _no_space(path: Path, error: OSError) -> UserError:
    return UserError(
        "no space left to write it",
        where=str(path),
        got=os.strerror(error.errno or 0),
        next_step=FREE_SPACE,
    )


@contextmanager
def durable_together() -> Iterator[Callable[[Path], Path]]:
    """As `durable` for many small files: the path to write for each, all synced at once when the block ends.

    A disk takes a few milliseconds to say that a file is there, longer than a CIF takes to write. What was begun when
    the block ends badly never takes its name; what was written before does.

    Raises:
        UserError: the disk or a quota is full.
    """
    begun: list[tuple[Path, Path]] = []

    def begin(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        # numbered: names that begin alike have one name when shortened
        begun.append((path.with_name(f".{len(begun)}.{path.name[:_LONGEST]}.partial"), path))
        return begun[-1][0]

    whole = False
    try:
        yield begin
        whole = True
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise _no_space(begun[-1][1] if begun else Path(), error) from error
    finally:
        if not whole and begun:
            begun.pop()[0].unlink(missing_ok=True)
        if begun:
            _sync([partial for partial, _ in begun])
        for partial, path in begun:
            partial.replace(path)


def _sync(paths: list[Path]) -> None:
    """Return when all of them are on the disk."""
    if hasattr(os, "sync"):
        os.sync()
        return
    for path in paths:
        with path.open("rb+") as file:
            os.fsync(file.fileno())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Trouble with the disk is one clear line."""
    try:
        yield
    except OSError as error:
        step = FREE_SPACE if error.errno in NO_SPACE else "check --out"
        raise UserError(
            "cannot write the run", where=str(path), got=os.strerror(error.errno or 0), next_step=step
        ) from error


def encodable(text: str) -> str:
    """The text, with a backslash escape for every byte of a file name that is no text (in Python a lone surrogate)."""
    return text.encode(errors="backslashreplace").decode()


@contextmanager
def durable_text(path: Path, newline: str | None = None) -> Iterator[IO[str]]:
    """A text file in UTF-8, open for writing, that takes any text as `encodable` does; as `durable`."""
    with (
        durable(path) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline=newline) as file,
    ):
        yield file


def write_text(path: Path, text: str) -> None:
    """A text file in UTF-8, completely or not at all; as `durable_text`."""
    with durable_text(path) as file:
        file.write(text)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):  # a MiB: files may be larger than memory
            digest.update(chunk)
    return digest.hexdigest()


def checksum(path: Path) -> str:
    """SHA-256 of a file; of a folder, of the sorted list of its files' names and sizes (not of their contents)."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.name.endswith(LOCK):
            line = f"{file.relative_to(path)} {file.stat().st_size}\n"
            digest.update(line.encode(errors="surrogateescape"))
    return f"listing-{digest.hexdigest()}"
