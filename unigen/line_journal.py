"""A file of JSON lines that only grows, synced line by line: an interrupted run loses nothing that was finished."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def read_lines(path: Path) -> Iterator[Line]:
    """The lines that are whole. The end of a line torn by a kill is cut off; what it held is made again."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)  # never rewritten: on a full disk that would lose it
    for line in content[:whole].splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # a crash of the machine may leave zeros: made again, to the same bytes
            continue


def append_lines(path: Path, lines: Iterable[Line]) -> None:
    """Add lines, synced to disk before this returns."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(line_text(line) for line in lines)
        file.flush()
        os.fsync(file.fileno())


def line_text(line: Line) -> str:
    """One line of the file."""
    return json.dumps(line) + "\n"
