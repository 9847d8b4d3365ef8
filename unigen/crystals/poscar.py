"""VASP's POSCAR, read as VASP reads it: https://www.vasp.at/wiki/index.php/POSCAR.

Read here and not by a library, since those differ where it matters: pymatgen multiplies Cartesian places by a negative
scale (which means a volume) and takes but one scale; both invent elements or take the beginnings of words for symbols.
"""

from __future__ import annotations

import re

import numpy as np

from unigen.crystals.cell import Cell, check_volume
from unigen.elements import SYMBOLS, atomic_number_of_label
from unigen.errors import UserError
from unigen.shapes import Float, Int

_COMMENT = re.compile(r"[#!].*")
"""A comment behind the values of a line."""

_FORTRAN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?")
_GLUED = re.compile(r"(?<=[\d.])-")
"""Columns that ran together, ``0.25-0.50``, as narrow formats write them."""

_FLAG = re.compile(r"\.?[TF](?:RUE|ALSE)?\.?", re.IGNORECASE)
"""Whether an atom may move, as Fortran writes it; not tritium, not fluorine."""


def parse_poscar(text: str, where: str) -> Cell:
    """The cell of a POSCAR that names its elements, in the line above the counts or behind each place.

    Raises:
        UserError: not a POSCAR, elements not named (VASP 4's form) or named in two ways that contradict each other.
    """
    lines = _Lines(text, where)
    lattice, scale = _lattice(lines)
    names, counts = _names_and_counts(lines)
    if lines.words[0][0] in "sS":  # selective dynamics
        lines.go_on("the kind of coordinates")
    if lines.words[0][0] in "+-.0123456789":
        raise lines.error("neither Direct nor Cartesian")
    cartesian = lines.words[0][0] in "cCkK"
    places, behind = _places(lines, sum(counts))
    above = [name for name, count in zip(names, counts, strict=False) for _ in range(count)]
    numbers = _atomic_numbers(above, behind, where)
    frac_coords = np.linalg.solve(lattice.T, (places * scale).T).T if cartesian else places
    return Cell(lattice, frac_coords, numbers)


class _Lines:
    """The lines of the file, the one that is read as words without its comment."""

    def __init__(self, text: str, where: str) -> None:
        self.where, self.size = where, len(text)
        self._lines = enumerate(text.rstrip().split("\n"), start=1)
        next(self._lines)  # the title, which may be blank
        self.number, self.line, self.words = 1, "", [""]

    def step(self) -> bool:
        """Go to the next line; whether there is one."""
        self.number, self.line = next(self._lines, (0, ""))
        self.words = _COMMENT.sub("", self.line).split()
        return self.number > 0

    def go_on(self, to: str) -> None:
        """Go to the next line that says something."""
        while self.step():
            if self.words:
                return
        raise self.error(f"ends before {to}")

    def error(self, what: str, got: object = None) -> UserError:
        place, line = (f"line {self.number}: ", self.line.strip()[:60]) if self.number else ("", None)
        return UserError(f"not a readable POSCAR: {place}{what}", where=self.where, got=line if got is None else got)


def _lattice(lines: _Lines) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "scales"]]:
    """The scaled lattice, and the scale: one, or one each of x, y and z."""
    lines.go_on("the scale")
    scale = np.array(_leading_numbers(lines.words))
    one_positive = len(scale) == 3 and scale.min() > 0
    if not one_positive and (len(scale) != 1 or not scale[0]):
        raise lines.error("the scale is neither one number nor three positive ones")
    vectors = []
    for _ in range(3):
        lines.go_on("the three vectors of the lattice")
        vectors.append(_leading_numbers(lines.words))
        if len(vectors[-1]) != 3:
            raise lines.error("a vector of the lattice is not three numbers")
    lattice = np.array(vectors)
    volume = abs(np.linalg.det(lattice))
    if scale[0] < 0 < volume:  # minus the volume of the cell
        scale = np.cbrt(-scale / volume)
    lattice = lattice * scale
    check_volume(lattice, lines.where)
    return lattice, scale


def _names_and_counts(lines: _Lines) -> tuple[list[str], list[int]]:
    """The symbols, none in VASP 4's form, and the count of each; the line behind them is the present one."""
    names: list[str] = []
    counts: list[int] = []
    lines.go_on("the counts of atoms")
    while lines.words[0][0].isalpha():
        names += lines.words
        lines.go_on("the counts of atoms")
    # counts of many blocks take several lines, as their symbols do
    while not counts or len(counts) < len(names):
        if not all(word.isdecimal() and len(word) < 10 for word in lines.words):
            raise lines.error("not counts of atoms")
        counts += map(int, lines.words)
        lines.go_on("the places of the atoms")
    if names and len(names) != len(counts):
        raise lines.error("symbols and counts disagree", f"{len(names)} symbols, {len(counts)} counts")
    if not 0 < sum(counts) < lines.size:  # a place has more than one letter
        raise lines.error("the counts are not those of the places that follow", f"{sum(counts):,} atoms")
    return names, counts


def _places(lines: _Lines, atoms: int) -> tuple[Float[np.ndarray, "atoms 3"], list[str]]:
    """The three numbers of each atom, and the word behind them (and behind the flags of selective dynamics)."""
    places: list[list[float]] = []
    behind = []
    while len(places) < atoms:  # what follows are velocities
        if not lines.step():
            raise lines.error(f"{atoms:,} places announced", f"{len(places):,}")
        if not lines.words and (lines.line.strip() or not places):  # a comment, or blank lines before the first
            continue
        words = lines.words if len(lines.words) > 2 else _GLUED.sub(" -", " ".join(lines.words)).split()
        values = _leading_numbers(words[:3])
        if len(values) < 3:
            raise lines.error(f"{atoms:,} places announced, number {len(places) + 1:,} is none")
        places.append(values)
        rest = words[6:] if len(words) >= 6 and all(_FLAG.fullmatch(word) for word in words[3:6]) else words[3:]
        behind.append(rest[0] if rest else "")
    return np.array(places), behind


def _atomic_numbers(above: list[str], behind: list[str], where: str) -> Int[np.ndarray, "atoms"]:
    """By the line of symbols, or where there is none by the words behind the places, all of which must be symbols."""
    read_behind = [_atomic_number(word) for word in behind]
    if not above:
        if None in read_behind:
            wanted = "a line of symbols above the counts"
            raise UserError("the POSCAR does not name its elements", where=where, wanted=wanted)
        return np.array(read_behind, dtype=np.int64)
    numbers = []
    for site, name in enumerate(above):
        number = _atomic_number(name)
        if number is None:
            raise UserError(f"site {site}: unknown species", where=where, got=name)
        numbers.append(number)
    # one odd word is a note; symbols behind all of them say what the atoms are
    if None not in read_behind and read_behind != numbers:
        site = next(site for site, pair in enumerate(zip(numbers, read_behind, strict=True)) if len(set(pair)) > 1)
        got = f"{SYMBOLS[numbers[site]]} above, {behind[site]} behind its place"
        raise UserError(f"site {site}: named in two ways", where=where, got=got)
    return np.array(numbers)


def _atomic_number(name: str) -> int | None:
    """Of what VASP calls a species: a symbol, perhaps with the kind of its potential, ``Fe_pv``, ``O/6a2f1c``.

    With a point, ``H.5``, it is VASP's fractional hydrogen, which is no element.
    """
    return atomic_number_of_label(re.split(r"[/_]", name, maxsplit=1)[0])


def _leading_numbers(words: list[str]) -> list[float]:
    """The numbers at the beginning of a line, as Fortran writes them."""
    values = []
    for word in words:
        if not _FORTRAN.fullmatch(word):
            break
        values.append(float(word.lower().replace("d", "e")))
    return values
