"""Text files of many entries, cut into them: rows of a CSV, frames of an extended XYZ file."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from unigen.data.readers.record import Record, split_from_name
from unigen.errors import UserError
from unigen.parsing import open_text

LONGEST_FIELD = 200
"""Characters; longer fields (a second CIF in a CSV) are no information worth carrying with every row."""

_ID = re.compile(r'(?:^|\s)id=(?:"([^"]+)"|(?!\d+(?:\s|$))(\S+))')
"""The name a frame gives itself; a bare number is a row count as a rule."""


def stem(path: Path) -> str:
    """The file's name without ``.gz`` and its suffix."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def suffix(path: Path) -> str:
    """The last suffix besides ``.gz``, in small letters; empty when there is none."""
    name = path.name.lower().removesuffix(".gz")
    return name[name.rfind(".") :] if "." in name else ""


def number(text: object) -> object:
    """A number where the text is one, else the text."""
    try:
        return float(str(text))
    except ValueError:
        return text


def csv_rows(path: Path, column: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a CSV with where each stands; raises UserError when it lacks a column, in whatever case.

    Rows have that column in small letters and the others as the file writes them.
    """
    # a CIF of a large cell is longer than the default field; this is the largest that C's long holds on every system
    csv.field_size_limit(2**31 - 1)
    with open_text(path) as file:
        rows = csv.DictReader(file)
        names = rows.fieldnames or ()
        if column not in {name.lower() for name in names}:
            raise UserError(f"no column {column!r}", where=str(path), got=",".join(names)[:80])
        rows.fieldnames = [name.lower() if name.lower() == column else name for name in names]
        for index, row in enumerate(rows, start=1):
            yield f"{path} row {index}", row


def read_frames(path: Path) -> Iterator[Record]:
    """Cut an extended XYZ file into frames without parsing them, so that a bad frame does not end the file."""
    with open_text(path) as file:
        for index, head in enumerate(iter(file.readline, ""), start=1):
            if not head.strip():
                return
            name, where = f"{path.stem}-{index}", f"{path} frame {index}"
            if not head.strip().isdigit():
                yield Record(name, "bad", f"no atom count but {head.strip()[:40]!r}: the rest is not read", where)
                return
            body = [file.readline() for _ in range(int(head) + 1)]  # the comment line, and an atom a line
            named = _ID.search(body[0])
            info: dict[str, object] = {"id": named.group(1) or named.group(2)} if named else {}
            yield Record(name, "frame", head + "".join(body), where, split_from_name(path.stem), info)
