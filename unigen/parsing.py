"""What strangers' files need: text in any encoding, JSON of any content, what parsers raise, in one line."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from unigen.errors import UserError

PARSER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What the parsers of pymatgen and ASE raise on broken files: nearly anything that is no bug of ours. MemoryError is
what a count that lies asks for at once, not a machine that is full; SyntaxError comes of text that is read as Python
(arrays in a JSON of ASE) or as XML; RecursionError is a RuntimeError."""

ZIP_ERRORS = (*PARSER_ERRORS, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""What zipfile raises on a broken archive, of which its own BadZipFile is a part: cut short (EOFError), encrypted or
packed in a way that Python does not know (RuntimeError), a name said to be UTF-8 that is none (UnicodeDecodeError)."""

_LATIN_1 = "unigen-latin-1"
"""The name under which Python knows how we read bytes that are no UTF-8."""

_BYTE_ORDER_MARKS = (
    # UTF-32 first: its mark in little endian begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)

UNPACKED_FREELY = 64 << 20
"""Bytes that may come out of a compressed file however small it is."""

UNPACKED_RATIO = 200
"""Beyond `UNPACKED_FREELY`, bytes that may come out for each byte in: structure files shrink 3 to 20 times, a file made
to fill the memory a thousand times."""


def most_unpacked(path: Path) -> int:
    """Bytes that a compressed file may hold; one that holds more was made to fill the memory."""
    return max(UNPACKED_FREELY, UNPACKED_RATIO * path.stat().st_size)


LARGEST_WHOLE = 256 << 20
"""Characters of a file that is read as one text (a CIF, a JSON document): a cell of a million atoms has 100 MB."""


def open_text(path: str | Path) -> io.TextIOWrapper:
    r"""A text file of any origin, to read: compressed (``.gz``) or not, in any encoding, all line ends as ``\n``.

    A byte order mark tells the encoding, without one it is UTF-8; bytes that are none are read as Latin-1, which is
    what old programs wrote: ``Å``, a ``°``, an author's name.

    Raises:
        UserError: cannot be opened, and while reading: damaged, or unpacks to far more than structures do.
    """
    path = Path(path)
    try:
        file = io.BufferedReader(_Unpacked(path)) if path.suffix.lower() == ".gz" else path.open("rb")
    except OSError as error:
        raise UserError("cannot be read", where=str(path), got=error.strerror or one_line(error)) from error
    try:
        start = file.peek(4)[:4]
    except OSError as error:  # a folder, a broken disk
        file.close()
        raise UserError("cannot be read", where=str(path), got=error.strerror or one_line(error)) from error
    except UserError:
        file.close()
        raise
    encoding, errors = _encoding_of(start)
    return io.TextIOWrapper(file, encoding=encoding, errors=errors)


def _encoding_of(content: bytes) -> tuple[str, str]:
    """The encoding that the beginning of a text tells, and what is done with bytes that are no letter in it."""
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    # UTF-16 cut off in the middle of a letter: that letter is lost, said by the sign that stands for it
    return encoding, _LATIN_1 if encoding.startswith("utf-8") else "replace"


def decode(content: bytes) -> str:
    r"""Bytes as `open_text` reads them."""
    encoding, errors = _encoding_of(content)
    return content.decode(encoding, errors).replace("\r\n", "\n").replace("\r", "\n")


def read_text(path_or_text: str | Path) -> tuple[str, str]:
    """The text and the name for messages: of a path, or of text itself (which has more than one line).

    Raises:
        UserError: as `open_text`, and a file too large to be one structure.
    """
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return path_or_text.removeprefix("\ufeff"), "the text"
    return read_whole(path_or_text), str(path_or_text)


def read_whole(path: str | Path) -> str:
    """All of a text file, as `open_text` reads it; raises UserError when it is larger than any structure needs."""
    parts, length = [], 0
    with open_text(path) as file:
        # in pieces, since Python asks at once for the memory of as many letters as are asked for
        while part := file.read(1 << 20):
            parts.append(part)
            length += len(part)
            if length > LARGEST_WHOLE:
                wanted = f"at most {LARGEST_WHOLE >> 20} MiB"
                raise UserError("too large to be one structure", where=str(path), wanted=wanted)
    return "".join(parts)


def parse_json(text: str, where: str) -> Any:
    """A JSON document; raises UserError for anything else, however deep, long or wrongly encoded."""
    try:
        document = json.loads(text)
        if "\\u" in text:
            # half of a pair that stands for one letter: nothing can write it down again
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError as error:
        raise UserError("not JSON: nested too deeply", where=where) from error
    except ValueError as error:  # among them an integer of thousands of digits, a surrogate
        reason = error.msg if isinstance(error, json.JSONDecodeError) else one_line(error)
        raise UserError(f"not JSON: {reason}", where=where, got=one_line(text)[:40]) from error
    return document


@contextmanager
def csv_errors(path: Path, table: csv.DictReader[str]) -> Iterator[None]:
    """What the reader of a table raises on the way, a field of more than 128 KiB or a NUL, as one line."""
    try:
        yield
    except csv.Error as error:
        raise UserError("not CSV", where=f"{path}:{table.line_num + 1}", got=one_line(error)) from error


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, bounded by the size of the file; what is damaged is a UserError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = gzip.GzipFile(path)
        self._limit = most_unpacked(path)
        self._unpacked = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            part = self._file.read(len(buffer))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError("not a readable gzip file", where=str(self._path), got=one_line(error)) from error
        self._unpacked += len(part)
        if self._unpacked > self._limit:
            raise UserError(
                "unpacks to far more than structures do",
                where=str(self._path),
                got=f"more than {self._limit >> 20} MiB of {self._path.stat().st_size:,} bytes",
                next_step="unpack it first if this is meant",
            )
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_LATIN_1, _as_latin_1)


def numeric(values: dict) -> dict[str, float]:
    """The entries that are finite numbers, as floats: what can be a property."""
    scalars = (int, float, np.integer, np.floating)
    numbers = {}
    for name, value in values.items():
        if isinstance(value, scalars):
            try:
                number = float(value)
            except OverflowError:  # an integer of more than 308 digits
                continue
            if np.isfinite(number):
                numbers[str(name)] = number
    return numbers


def check_columns(properties: str, line: str, where: str) -> None:
    """Hold what the comment of an extended XYZ frame announces against the line of its first atom.

    ASE makes room for whatever number of columns is written there, before it looks for them.

    Args:
        properties: such as ``species:S:1:pos:R:3``.
        line: of the first atom.
        where: file and entry, for the message.

    Raises:
        UserError: more columns than the line has words.
    """
    # of a number too long to be read the first digits are too many already
    widths = [int(width[:18]) for width in properties.split(":")[2::3] if width.isdecimal()]
    if sum(widths) > len(line.split()):
        got = f"{sum(widths):,} columns announced, {len(line.split())} in the line of the first atom"
        raise UserError("not a readable frame", where=where, got=got)


def one_line(message: object) -> str:
    """What a library says, on one line of a length that can be read."""
    return " ".join(str(message).split())[:160] or type(message).__name__
