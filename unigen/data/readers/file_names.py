"""What the names of files and folders say: the name of a structure, or that there is none to read."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from unigen.data.left_out import LeftOut
from unigen.data.readers.text import stem, suffix
from unigen.elements import parse_formula
from unigen.errors import UserError
from unigen.parsing import open_text

VASP_FILES = ("CONTCAR", "POSCAR", "XDATCAR")
"""Names that VASP gives the structures of a calculation: where it ended, where it began, the way between."""

OF_VASP = frozenset((*(name.lower() for name in VASP_FILES), "outcar", "vasprun", "vaspout"))
"""Stems of the files of one calculation that tell its structure, in small letters."""

NO_STRUCTURES = frozenset(
    [
        ".py",
        ".sh",
        ".ipynb",
        ".md",
        ".rst",
        ".pdf",
        ".png",
        ".jpg",
        ".svg",
        ".html",
        ".log",
        ".err",
        ".yaml",
        ".yml",
        ".toml",
        ".ini",
        ".zip",
        ".tar",
        ".tgz",
        ".pkl",
        ".pt",
        ".ckpt",
    ]
)
"""Endings of files that hold no structure whatever their names begin with."""

_VASP_WORD = re.compile(r"(?:^(?:poscar|contcar|xdatcar)[._-]*|[._-]*(?:poscar|contcar|xdatcar)$)", re.IGNORECASE)
_VASP_ENDING = re.compile(r"\.(?:vasp|poscar|txt)$", re.IGNORECASE)

_OF_SYSTEMS = frozenset(("__macosx", "thumbs.db", "desktop.ini", "lost+found"))
_REPORT_START = '{\n  "protocol": '
"""How `unigen.eval.report.Report` begins."""


def own_name(path: Path) -> str:
    """The name a file gives its structure: the stem, without the word by which VASP's files are known.

    Of ``POSCAR`` alone it is the folder's name.

    Example:
        >>> own_name(Path("POSCAR_mp-1")), own_name(Path("mp-1.vasp")), own_name(Path("mp-1/CONTCAR"))
        ('mp-1', 'mp-1', 'mp-1')
    """
    name = path.name.removesuffix(".gz")
    if not _VASP_WORD.search(_VASP_ENDING.sub("", name)):
        return stem(path)
    return _VASP_WORD.sub("", _VASP_ENDING.sub("", name)) or path.parent.name or name


def is_left_over(path: Path) -> bool:
    """Whether a file, its path being relative to the folder that is read, is hidden or a system's or half written."""
    hidden = any(part.startswith(".") or part.lower() in _OF_SYSTEMS for part in path.parts)
    return hidden or path.suffix in (".partial", ".tmp", ".swp") or path.name.endswith("~")


_PROGRAMS = re.compile(
    r"entering gaussian|gaussian, inc|\* o +r +c +a \*|psi4:|welcome to q-chem|nwchem|x t b|molpro|turbomole|gamess"
    r"|mopac|program pwscf|siesta|cp2k\||fhi-aims|castep",
    re.IGNORECASE,
)
"""What stands at the head of the output of programs that compute molecules and crystals."""
_HEAD = 4096
"""Letters of it: banners stand within two pages."""


def is_calculation(path: Path) -> bool:
    """Whether a ``.log`` or ``.out`` is the output of a program that computes structures, and so holds some."""
    if suffix(path) not in (".log", ".out"):
        return False
    try:
        with open_text(path) as file:
            return _PROGRAMS.search(file.read(_HEAD)) is not None
    except UserError:
        return False


def is_report(path: Path, folder: Path) -> bool:
    """Whether a file is of an evaluation of ours, or a list of what was left out: nothing that could be read again."""
    relaxed = [parent for parent in path.parents if parent.suffix == ".relaxed" and folder in parent.parents]
    if any(begins_as_report(parent.with_suffix(".json")) for parent in relaxed):
        return True
    if suffix(path) == ".json":
        return begins_as_report(path)
    if suffix(path) != ".csv":
        return False
    return begins_as_report(path.with_suffix(".json")) or _is_left_out(path)


def begins_as_report(path: Path) -> bool:
    """Whether a file is the JSON of a report of ours."""
    try:
        with open_text(path) as file:
            return file.read(len(_REPORT_START)) == _REPORT_START
    except UserError:
        return False


def _is_left_out(path: Path) -> bool:
    try:
        with open_text(path) as file:
            return tuple(next(csv.reader(file), ())) == LeftOut._fields
    except (UserError, csv.Error):
        return False


def folder_names(files: Sequence[Path], folder: Path) -> dict[Path, str]:
    """The names of structures whose files are all called alike, ``mp-1/POSCAR mp-2/POSCAR``, by their folders.

    Files of VASP without a name of their own always have that of their folder; others where all files of the folder
    have one name that has no digit and is no formula: ``mp-1/relaxed.cif mp-2/relaxed.cif``.
    """
    nameless = [file for file in files if not _VASP_WORD.sub("", _VASP_ENDING.sub("", file.name.removesuffix(".gz")))]
    stems = {own_name(file) for file in files}
    if len(files) > 1 and len(stems) == 1 and _says_nothing(next(iter(stems))):
        nameless = list(files)
    ways = {file: file.relative_to(folder).parts[:-1] for file in nameless}
    # what all have in common behind the name, mp-1/relax/CONTCAR, is no name
    common = 0
    while len(ways) > 1 and len({way[len(way) - 1 - common :][:1] for way in ways.values()}) == 1:
        if any(len(way) <= common for way in ways.values()):
            break
        common += 1
    return {file: _name_of(way[: len(way) - common]) or folder.resolve().name for file, way in ways.items()}


def _name_of(way: tuple[str, ...]) -> str:
    """The last folder; where that is a number, as of samples of one structure, behind the one before: ``mp-1_0``."""
    return "_".join(way[-2:]) if way and way[-1].isdecimal() else way[-1] if way else ""


def _says_nothing(name: str) -> bool:
    if any(letter.isdigit() for letter in name):
        return False
    try:
        parse_formula(name)
    except UserError:
        return True
    return False
