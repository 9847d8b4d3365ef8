"""Files that ASE reads for us, so opened that nothing is run, written or asked of another machine on the way.

ASE guesses formats of unknown names. Some of them ask a database server (names that begin with ``postgres``), read a
whole folder, or start a program (CASTEP, for its keywords); its databases are made on opening, also in a file of SQLite
that is somebody else's. None of ASE 3.27's readers runs code of the file or unpickles: they are text, JSON and arrays.
"""

from __future__ import annotations

import io
import math
import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unigen.data.readers.text import suffix
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, one_line, parse_json, read_whole

if TYPE_CHECKING:
    from ase import Atoms

_NO_FILES = ("postgresql", "mysql", "bundletrajectory", "eon", "netcdftrajectory", "aselmdb")
"""Formats of ASE that are servers, folders, or need what we do not install."""

_OPTIONS: dict[str, dict[str, Any]] = {"castep-cell": {"calculator_args": {"keyword_tolerance": 3}}}
"""3: take keywords as they are instead of running CASTEP to list them, and writing that list into this folder."""


_LONGEST_LINE = 1_000
"""Letters of a line of a .res, of which SHELX reads 80; ASE's pattern takes minutes for a line of 100,000."""

_BY_ENDING = {".xsf": "xsf", ".gen": "gen", ".cell": "castep-cell"}
"""Formats whose text we open and ASE reads, by the ending of the name."""


def ase_images(path: Path) -> Iterator[Atoms]:
    """All structures of a file, in the format that its name or its beginning tells.

    Raises:
        UserError: nothing that is read, a database that is none; and what ASE raises, see `PARSER_ERRORS`.
    """
    from ase.io.formats import UnknownFileTypeError

    images = _images(path)
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # no CASTEP on this machine, ...
                atoms = next(images, None)
        except UnknownFileTypeError as error:
            raise UserError(f"ASE cannot read it: {one_line(error)}", where=str(path)) from error
        if atoms is None:
            return
        yield atoms


def ase_format(path: Path) -> str:
    """The format that ASE takes a file for, by its beginning or its name; empty where it knows none."""
    from ase.io.formats import UnknownFileTypeError, filetype

    try:
        return str(filetype(str(path.absolute())))  # a relative name may look like the address of a server
    except (UnknownFileTypeError, *PARSER_ERRORS):
        return ""


def _images(path: Path) -> Iterator[Atoms]:
    """As `ase_images`; begins to read at the first structure that is asked for."""
    import ase.io
    from ase.io.formats import filetype, ioformats
    from ase.io.res import Res

    ending = suffix(path)
    if ending in (".db", ".json"):
        yield from _rows(path)
        return
    if ending == ".res":
        text = read_whole(path)
        if max(map(len, text.split("\n"))) > _LONGEST_LINE:
            raise UserError("not a readable RES file", where=str(path), got="a line too long for one")
        yield Res.from_string(_without_isotopes(text)).atoms
        return
    form = _BY_ENDING.get(ending, "vasp-xdatcar" if "xdatcar" in path.name.lower() else "")
    if form:
        yield from ase.io.iread(io.StringIO(_without_isotopes(read_whole(path))), format=form, **_OPTIONS.get(form, {}))
        return
    whole = str(path.absolute())  # a relative name may look like the address of a server
    form = filetype(whole)
    if form in _NO_FILES or form not in ioformats:
        raise UserError("ASE cannot read it: no format of structures", where=str(path), got=form)
    # an @ in a name is a letter, not a range of frames
    yield from ase.io.iread(whole, format=form, do_not_split_by_at_sign=True, **_OPTIONS.get(form, {}))


_ISOTOPE = re.compile(r"(?<![\w.:+-])[DT](?=\d*(?:\s|$))")
"""Deuterium or tritium as a word of its own, perhaps with the number of its site."""
_NAMES = ("TITL", "REM", "#", "!")
"""Lines of names and comments begin with these."""


def _without_isotopes(text: str) -> str:
    """The text with H for D and T, as everywhere else: ASE does not know them."""
    lines = text.split("\n")
    return "\n".join(line if line.lstrip().upper().startswith(_NAMES) else _ISOTOPE.sub("H", line) for line in lines)


@contextmanager
def open_database(path: Path) -> Iterator[Any]:
    """A database of ASE, to read: in SQLite (``.db``) or in JSON.

    Raises:
        UserError: another kind of file, damaged, or of arrays longer than what is written of them.
    """
    from ase.db import connect

    if suffix(path) == ".json":
        _check_arrays(parse_json(read_whole(path), str(path)), str(path))
    else:
        _check_sqlite(path)
    try:
        yield connect(str(path), type=suffix(path)[1:])
    except sqlite3.Error as error:
        raise UserError("a damaged database", where=str(path), got=one_line(error)) from error


def _rows(path: Path) -> Iterator[Atoms]:
    with open_database(path) as database:
        for row in database.select(include_data=False):
            atoms = row.toatoms()
            atoms.info = dict(row.key_value_pairs) | {"unigen_id": row.get("name", row.id)}
            yield atoms


def _check_sqlite(path: Path) -> None:
    """Raises UserError unless the file is a database of ASE already: ASE would make it one."""
    try:
        # only to read, and never made: the name as SQLite's addresses write it
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT type FROM sqlite_master WHERE name = 'systems'").fetchall()
    except sqlite3.Error as error:
        raise UserError("not a database of SQLite", where=str(path), got=one_line(error)) from error
    if found != [("table",)]:  # a view is a program
        raise UserError("a database, but not one of ASE", where=str(path), wanted="a table called systems")


def _check_arrays(document: object, where: str) -> None:
    """Raises UserError where an array says more numbers than are written: ASE asks for the memory first."""
    stack = [document]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            array = node.get("__ndarray__")
            if array is not None and not _is_sound(array):
                raise UserError("an array that is not as long as it says", where=where, got=str(array)[:60])
            stack += node.values()
        elif isinstance(node, list):
            stack += node


def _is_sound(array: object) -> bool:
    """Whether ``[shape, type, numbers]`` has as many numbers as its shape says (a complex one is two)."""
    match array:
        case [list() as shape, str() as kind, list() as numbers] if all(isinstance(n, int) and n >= 0 for n in shape):
            return math.prod(shape) * (2 if kind.startswith("complex") else 1) == len(numbers)
        case _:
            return False
