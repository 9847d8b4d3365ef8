"""Lists of SMILES as people write them: the one reader that building, judging and generating share."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from unigen.parsing import open_text


class NamedSmiles(NamedTuple):
    """A line of a list.

    Attributes:
        line: its number, from 1.
        smiles: the text, perhaps with ChemAxon's extension behind it.
        name: empty where there is none.
    """

    line: int
    smiles: str
    name: str


NAMES = ("id", "name", "mol_id", "molecule_id", "index", "title")
"""Headings of columns that name the molecule, in whatever case, the likeliest first."""

_LINE = re.compile(r"([^\s,]+(?:\s+\|[^|]*\|)?)(?:[\s,]+(.*))?")
"""A SMILES, which has neither blanks nor commas, perhaps with an extension, and a name."""


def read_smiles_list(path: Path) -> Iterator[NamedSmiles]:
    """A SMILES and perhaps a name a line, behind blanks, a tab or a comma.

    Empty lines, and lines that begin with ``#``, are none. A first line with a word such as ``SMILES`` is a heading:
    where its columns are parted by tabs or commas it says which of them is which.

    Raises:
        UserError: the file cannot be read.
    """
    columns: tuple[str, int, int | None] | None = None
    first = True
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            if first:
                first = False
                columns = _heading(line)
                if columns is not None or is_heading(line.split()[0]):
                    continue
            if columns is None:
                match = _LINE.match(line.strip())
                smiles, name = (match[1], match[2] or "") if match else (line.strip(), "")
            else:
                separator, at, named = columns
                fields = _fields(line, separator)
                smiles = fields[at] if at < len(fields) else ""
                name = fields[named] if named is not None and named < len(fields) else ""
            yield NamedSmiles(number, " ".join(smiles.split()), name.strip())


def is_heading(word: str) -> bool:
    """Whether a word stands above a column of SMILES: ``SMILES``, ``canonical_smiles``."""
    return "smiles" in word.lower()


def _heading(line: str) -> tuple[str, int, int | None] | None:
    """Of a heading with several columns what parts them, that of the SMILES and that of the names."""
    for separator in "\t,;":
        words = [word.lower() for word in _fields(line, separator)]
        if len(words) > 1 and any(map(is_heading, words)):
            # of several, such as smiles and canonical_smiles, the plain one
            at = (
                words.index("smiles")
                if "smiles" in words
                else next(n for n, word in enumerate(words) if is_heading(word))
            )
            others = [word for n, word in enumerate(words) if n != at]
            name = next((word for word in NAMES if word in others), None)
            return separator, at, None if name is None else words.index(name)
    return None


def _fields(line: str, separator: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([line.strip("\r\n")], delimiter=separator), [])]
    except csv.Error:  # a field of more than 128 KiB: no heading, no SMILES
        return []
