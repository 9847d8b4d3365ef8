"""The 230 space groups: names, operations, Wyckoff positions, normalisers; and the points of an orbit (numpy).

One setting a group: unique axis b, hexagonal axes, origin choice 2. The table of groups is made by
data/wyckoff/make_table.py, that of their symbols by data/wyckoff/make_symbols.py.
Fractional coordinates refer to the conventional cell, whose rows are its vectors; an affine map (3, 4) sends x to
``map[:, :3] @ x + map[:, 3]``. Letters are counted from 0 = 'a'.

Source: International Tables for Crystallography A (2016), chapters 2.3 and 3.5.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from unigen.errors import UserError
from unigen.shapes import Float, Int
from unigen.symmetry.crystal_systems import crystal_system

LETTERS = "abcdefghijklmnopqrstuvwxyzA"
"""Wyckoff letters by index; the 27th occurs in Pmmm only."""


@dataclass(frozen=True, eq=False)
class SpaceGroupTable:
    """One space group in its standard setting.

    Attributes:
        number: international number, 1 to 230.
        hall_number: number of the setting in Hall's list, 1 to 530.
        symbol: short Hermann-Mauguin symbol.
        crystal_system: one of CRYSTAL_SYSTEMS.
        operations: affine maps modulo the conventional cell, centrings included, identity first.
        letters: one letter a position.
        site_symmetry: oriented site-symmetry symbol of each position.
        multiplicity: points of each position in the conventional cell.
        primitive_multiplicity: points in the primitive cell.
        dof: number of free parameters of each position, 0 to 3.
        linear, offset: the first representative of each position is ``x = linear @ u + offset`` with u the free
            parameters, padded by zeros to 3; entries of ``linear`` are integers.
        pivots: for each parameter the coordinate that equals it, but for the offset; -1 beyond ``dof``.
        normaliser: affine maps of determinant 1 that map the group onto itself, one a coset (polar translations left
            out; for monoclinic groups those with entries up to 2; for triclinic groups only translations).
        letter_permutation: the letter that each coset gives each letter.
        polar: directions of free origin, unit vectors.
        to_primitive: rows of ``to_primitive @ lattice`` are the primitive vectors; determinant positive.
    """

    number: int
    hall_number: int
    symbol: str
    crystal_system: str
    operations: Float[np.ndarray, "operations 3 4"]
    letters: tuple[str, ...]
    site_symmetry: tuple[str, ...]
    multiplicity: Int[np.ndarray, "positions"]
    primitive_multiplicity: Int[np.ndarray, "positions"]
    dof: Int[np.ndarray, "positions"]
    linear: Float[np.ndarray, "positions 3 3"]
    offset: Float[np.ndarray, "positions 3"]
    pivots: Int[np.ndarray, "positions 3"]
    normaliser: Float[np.ndarray, "cosets 3 4"]
    letter_permutation: Int[np.ndarray, "cosets positions"]
    polar: Float[np.ndarray, "directions 3"]
    to_primitive: Float[np.ndarray, "3 3"]


@cache
def _table() -> dict[str, Any]:
    return json.loads(gzip.decompress(Path(__file__).with_name("wyckoff.json.gz").read_bytes()))


@cache
def space_group(number: int) -> SpaceGroupTable:
    """The table of one space group, read once.

    Raises:
        UserError: the number is not 1 to 230.

    Example:
        >>> group = space_group(225)
        >>> group.symbol, group.letters[2], group.multiplicity[:3].tolist()
        ('Fm-3m', 'c', [4, 4, 8])
    """
    system = crystal_system(number)
    row, unit = _table()["groups"][number - 1], _table()["unit"]
    multiplicity = np.array(row["multiplicity"])
    to_primitive = np.array(row["primitive"]) / unit
    centrings = round(1 / np.linalg.det(to_primitive))
    linear, pivots = _padded(row)
    fields = {
        "operations": _maps(row["operations"], unit),
        "multiplicity": multiplicity,
        "primitive_multiplicity": multiplicity // centrings,
        "dof": np.array([len(pivot) for pivot in row["pivots"]]),
        "linear": linear,
        "offset": np.array(row["offset"]) / unit,
        "pivots": pivots,
        "normaliser": _maps(row["normaliser"], unit),
        "letter_permutation": np.array(row["letter_permutation"]),
        "polar": np.eye(3)[row["polar"]],
        "to_primitive": to_primitive,
    }
    for array in fields.values():
        array.flags.writeable = False
    letters, names = tuple(LETTERS[: len(multiplicity)]), tuple(row["site_symmetry"])
    return SpaceGroupTable(number, row["hall"], row["symbol"], system, letters=letters, site_symmetry=names, **fields)


def _maps(rows: list[list[int]], unit: int) -> Float[np.ndarray, "maps 3 4"]:
    return np.array(rows).reshape(-1, 3, 4) / np.array([1, 1, 1, unit])


def _padded(row: dict[str, Any]) -> tuple[Float[np.ndarray, "positions 3 3"], Int[np.ndarray, "positions 3"]]:
    """The representatives' linear parts and pivots with zeros and -1 for the parameters that are not there."""
    linear = np.zeros((len(row["pivots"]), 3, 3))
    pivots = np.full((len(row["pivots"]), 3), -1)
    for position, (columns, pivot) in enumerate(zip(row["linear"], row["pivots"], strict=True)):
        linear[position, :, : len(pivot)] = np.array(columns).reshape(-1, 3).T
        pivots[position, : len(pivot)] = pivot
    return linear, pivots


_OLD_SYMBOLS = ("Abm2", "Aba2", "Cmca", "Cmma", "Ccca")
"""Before the letter e for double glide planes (1992)."""


def space_group_number(name: str, *, standard: bool = False) -> int:
    """The number of a space group named by number or by a symbol of any of its settings.

    Hermann-Mauguin, short or full, old (``Fm3m``) or new, in any setting (``P21/n``, ``Pbnm``, ``R-3c:H``), or
    Hall; in any case; ``_``, blanks, and brackets about a screw axis may be left out.

    Args:
        name: number or symbol.
        standard: only the symbol of the standard setting, whose Wyckoff letters are meant.

    Raises:
        UserError: neither a number from 1 to 230 nor such a symbol, or one of two groups.

    Example:
        >>> space_group_number("225"), space_group_number("Fm-3m"), space_group_number("P 1 21/n 1")
        (225, 225, 14)
    """
    number = re.fullmatch(r"(?:no\.?|it|#)?\s*(\d{1,3})", name.strip(), re.IGNORECASE | re.ASCII)
    if number:
        return space_group(int(number[1])).number
    numbers = _numbers_by_symbol()
    plain = _AXIS_BRACKETS.sub(r"\1", name.translate(_TYPESET))
    plain = _OVERLINED.sub(r"-\1", plain)
    symbol = _EXTENSION.sub("", _without_blanks(plain))
    hall = " ".join(plain.casefold().split())
    found = {names.get(key) for names, key in ((numbers["Hermann-Mauguin"], symbol), (numbers["Hall"], hall))} - {None}
    if standard:
        text = "".join(name.replace("_", "").split())  # its case counts: letters after it are of one setting
        current = {each.replace("_", "") for each in _standard_symbols().values()}
        found = found if text in current or text in _OLD_SYMBOLS else set()
    if len(found) == 1 and 0 not in found:
        return int(found.pop() or 0)
    if found:
        raise UserError(
            f"space group {name!r}: a symbol of two groups",
            wanted="its number, or the full symbol of the setting, such as P 1 21/c 1",
        )
    close = get_close_matches(symbol, _standard_symbols(), 3)
    raise UserError(
        f"unknown space group {name!r}",
        wanted="a number from 1 to 230, or a symbol such as Pm-3m",
        next_step=f"did you mean {', '.join(_standard_symbols()[each] for each in close)}?" if close else "",
    )


_TYPESET = str.maketrans(
    {**dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True)), "−": "-", "–": "-", "‐": "-", "¯": "-"}  # noqa: RUF001 - they are meant
)
_AXIS_BRACKETS = re.compile(r"\((\d)\)")
"""``P2(1)/c``, as SHELX writes screw axes."""
_OVERLINED = re.compile("(\\d)[\u0304\u0305]")
"""A digit under a line."""
_EXTENSION = re.compile(r":[12hr]$")
"""Of origin or axes: which setting, not which group."""


def _without_blanks(name: str) -> str:
    return "".join(name.replace("_", "").split()).casefold()


@cache
def _numbers_by_symbol() -> dict[str, dict[str, int]]:
    """Numbers by the symbols of all settings that gemmi and spglib tabulate; 0 where two groups share one."""
    return json.loads(Path(__file__).with_name("symbols.json").read_text(encoding="utf-8"))


@cache
def _standard_symbols() -> dict[str, str]:
    return {_without_blanks(symbol): symbol for symbol in (space_group(number).symbol for number in range(1, 231))}


def transform(
    maps: Float[np.ndarray, "*#maps 3 4"], points: Float[np.ndarray, "*#maps 3"]
) -> Float[np.ndarray, "*#maps 3"]:
    """The points under the affine maps; leading axes broadcast."""
    return np.einsum("...ij,...j->...i", maps[..., :3], points) + maps[..., 3]


def representative(
    group: SpaceGroupTable, letter: int, free: Float[np.ndarray, "*orbits 3"]
) -> Float[np.ndarray, "*orbits 3"]:
    """The point x = linear @ u + offset of a position's first representative; parameters beyond ``dof`` are unused."""
    return free @ group.linear[letter].T + group.offset[letter]


def orbit(group: SpaceGroupTable, letter: int, free: Float[np.ndarray, "dof"]) -> Float[np.ndarray, "multiplicity 3"]:
    """All points of an orbit in the conventional cell, coordinates in [0, 1).

    Always as many as the multiplicity says: where the parameters take a value of higher symmetry, points coincide.

    Args:
        group: the space group.
        letter: index of the position, 0 = 'a'.
        free: its free parameters, shape (dof,); more numbers are allowed and not used.

    Raises:
        UserError: no such letter, or too few parameters.

    Example:
        >>> orbit(space_group(221), 1, np.zeros(0)).tolist()
        [[0.5, 0.5, 0.5]]
    """
    if not 0 <= letter < len(group.dof):
        raise UserError(f"{group.symbol} has no such Wyckoff position", got=letter, wanted=f"0 to {len(group.dof) - 1}")
    dof = int(group.dof[letter])
    if len(free) < dof:
        raise UserError(f"position {group.letters[letter]} of {group.symbol}", got=f"{len(free)} numbers", wanted=dof)
    point = group.linear[letter][:, :dof] @ free[:dof] + group.offset[letter]
    points = transform(orbit_operations(group.number, letter), point)
    points = points - np.floor(points)
    return np.where(points >= 1.0, 0.0, points)


@cache
def orbit_operations(number: int, letter: int, *, primitive: bool = False) -> Float[np.ndarray, "points 3 4"]:
    """The operations that give each point of a position's orbit once: those that differ on its generic point.

    Args:
        number: the space group.
        letter: index of the position.
        primitive: points that a centring translation connects count as one, as in the primitive cell.
    """
    group = space_group(number)
    # Parameters that no operation relates to one another: the point has the symmetry of its position and no more.
    generic = representative(group, letter, np.array([0.1234567, 0.2718281, 0.4142135]))
    images = transform(group.operations, generic)
    if primitive:
        images = images @ np.linalg.inv(group.to_primitive)
    # Six digits: far above rounding, far below the distances of these points. A coordinate of 1 - 1e-16 is 0.
    wrapped = np.round(images - np.floor(images + 1e-6), 6)
    _, first = np.unique(wrapped, axis=0, return_index=True)
    return group.operations[np.sort(first)]
