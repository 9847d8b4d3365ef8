"""Text files of many entries, cut into them: rows of a CSV, frames of an extended XYZ file."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from unigen.data.readers.record import Record, split_from_name
from unigen.elements import SYMBOLS, atomic_number_of
from unigen.errors import UserError
from unigen.parsing import open_text

BEYOND = " "
"""The name of the fields of a row that stand beyond the last heading: no heading is a blank."""

LONGEST_FIELD = 200
"""Characters; longer fields (a second CIF in a CSV) are no information worth carrying with every row."""

_NAMES = "id|material_id|mp_id|name"
_NAMED = re.compile(rf'(?:^|\s)({_NAMES})\s*=\s*(?:"([^"]+)"|(?!\d+(?:\s|$))([^\s"]+))', re.IGNORECASE)
"""The name a frame gives itself; a bare number is a row count as a rule."""

_COUNT = re.compile(r"\s*([0-9]{1,9})\s*")
"""The head of a frame. A number of more digits is no count: no file holds a billion atoms."""


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
    """The rows of a CSV, parted by commas, semicolons or tabs, with where each stands.

    Blanks around headings do not count.

    Rows have that column in small letters and the others as the file writes them; what stands beyond the last heading
    is a list under `BEYOND`.

    Raises:
        UserError: the file lacks the column, in whatever case, or has two of it.
    """
    # a CIF of a large cell is longer than the default field; this is the largest that C's long holds on every system
    csv.field_size_limit(2**31 - 1)
    with open_text(path) as file:
        heading = file.readline()
        rows = csv.DictReader(chain([heading], file), restkey=BEYOND, delimiter=_delimiter(heading, column))
        try:
            names = [name.strip() for name in rows.fieldnames or ()]
            columns = [name.lower() for name in names].count(column)
            if columns != 1:
                said = "two columns" if columns else "no column"
                raise UserError(f"{said} {column!r}", where=str(path), got=",".join(names)[:80])
            rows.fieldnames = [column if name.lower() == column else name for name in names]
            for index, row in enumerate(rows, start=1):
                yield f"{path} row {index}", row
        except csv.Error as error:
            raise UserError("not a readable CSV", where=f"{path} line {rows.line_num}", got=str(error)) from error


def _delimiter(heading: str, column: str) -> str:
    """What parts the headings so that the column is one of them: commas, or what spreadsheets write in their place."""
    split = {mark: [name.strip(' "\t\n').lower() for name in heading.split(mark)] for mark in ",;\t"}
    return next((mark for mark, names in split.items() if column in names), ",")


def field_named(row: Mapping[str, object], *names: str) -> str | None:
    """The first of the fields of these names that says something, the names in whatever case."""
    said = {key.lower(): text for key, text in row.items() if key and text not in (None, "")}
    return next((str(said[name]) for name in names if name in said), None)


def read_frames(path: Path) -> Iterator[Record]:
    """Cut an XYZ file, plain or extended, into frames without parsing them: a bad frame does not end the file.

    Between frames blank lines may stand, and the three lines that the files of QM9 have below their atoms. A frame
    whose count of atoms is not that of its lines is bad as a whole, and reading goes on at the next count.
    """
    split = split_from_name(path.stem)
    with open_text(path) as file:
        lines = _Lines(file)
        index = 0
        while (head := lines.next_filled()) is not None:
            index += 1
            name, where = f"{stem(path)}-{index}", f"{path} frame {index}"
            count = _COUNT.fullmatch(head)
            if count is None:
                lines.skip_to_count()
                yield Record(name, "bad", f"no atom count but {head.strip()[:40]!r}", where, split)
                continue
            body = [lines.take()]  # the comment, which may be blank or a number
            while len(body) <= int(count[1]) and (line := lines.peek()).strip() and not _COUNT.fullmatch(line):
                body.append(lines.take())
            atoms, wanted = len(body) - 1, int(count[1])
            named = {match[1].lower(): match[2] or match[3] for match in reversed(list(_NAMED.finditer(body[0])))}
            own = next((named[key] for key in _NAMES.split("|") if key in named), None)
            info: dict[str, object] = {"id": own} if own else {}
            if atoms < wanted or _is_atom(lines.next_filled(keep=True) or ""):
                found = atoms + lines.skip_to_count()
                lie = f"{wanted:,} atoms announced; got {found:,}"
                reason = lie if found != wanted else "a line among the atoms that is none"
                yield Record(own or name, "bad", reason, where, split, info)
                continue
            lines.skip_qm9_tail()
            yield Record(own or name, "frame", head + "".join(body), where, split, info)


def _is_atom(line: str) -> bool:
    """Whether a line begins as that of an atom: a symbol, perhaps numbered, or an atomic number, and three numbers."""
    words = line.split()[:4]
    if len(words) < 4 or not all(isinstance(number(word), float) for word in words[1:]):
        return False
    symbol = words[0].rstrip("0123456789")
    return atomic_number_of(symbol) is not None if symbol else int(words[0]) < len(SYMBOLS)


class _Lines:
    """The lines of a file with a few of them seen in advance."""

    def __init__(self, file: io.TextIOWrapper) -> None:
        self._file = file
        self._seen: deque[str] = deque()

    def peek(self, ahead: int = 0) -> str:
        """A line that is still to come, empty behind the last."""
        while len(self._seen) <= ahead:
            self._seen.append(self._file.readline())
        return self._seen[ahead]

    def take(self) -> str:
        self.peek()
        return self._seen.popleft()

    def next_filled(self, *, keep: bool = False) -> str | None:
        """The next line that is not blank, taken or left to come; None at the end."""
        while (line := self.peek()) and not line.strip():
            self.take()
        if not line:
            return None
        return line if keep else self.take()

    def skip_to_count(self) -> int:
        """Leave out what stands before the next head of a frame; how many lines of atoms it was."""
        atoms = 0
        while (line := self.peek()) and not _COUNT.fullmatch(line):
            atoms += _is_atom(line)
            self.take()
        return atoms

    def skip_qm9_tail(self) -> None:
        """Vibrational frequencies, two SMILES and two InChI: what raw files of QM9 have below the atoms."""
        if self.peek() and not _COUNT.fullmatch(self.peek()) and self.peek(2).startswith("InChI="):
            for _ in range(3):
                self.take()
