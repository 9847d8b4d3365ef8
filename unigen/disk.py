"""Files that are there completely or not at all, and their checksums."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unigen.errors import UserError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when a disk or a quota is full."""

FREE_SPACE = "free some space and run the same command again: it goes on where it stopped"


@contextmanager
def durable(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``; when the block ends well it is synced to disk and takes the name.

    Raises:
        UserError: the disk or a quota is full; what stood at ``path`` before is untouched.
    """
    # beside it: a rename replaces in one step only within a file system
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # before the rename: a crash leaves the old file or the whole new one
        partial.replace(path)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        partial.unlink(missing_ok=True)
        raise UserError(
            "no space left to write it",
            where=str(path),
            got=os.strerror(error.errno or 0),
            next_step=FREE_SPACE,
        ) from error


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


def write_text(path: Path, text: str) -> None:
    """A text file in UTF-8, completely or not at all."""
    with durable(path) as partial:
        partial.write_text(text, encoding="utf-8")


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
        if file.is_file():
            digest.update(f"{file.relative_to(path)} {file.stat().st_size}\n".encode())
    return f"listing-{digest.hexdigest()}"
