"""Write a file so that it is either there completely or not at all."""

from __future__ import annotations

import errno
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
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
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
