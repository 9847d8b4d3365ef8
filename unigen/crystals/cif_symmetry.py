"""The space group that a CIF tells, in its setting: from listed operators, Hall and Hermann-Mauguin symbols, a number.

One rule decides. Listed operators that form a group of the type that the symbols name are the answer, whatever setting
the symbols name. Without a listing the Hall symbol is, then the Hermann-Mauguin symbol, then the number (which names
the reference setting of International Tables A). All that is left open or contradicts itself becomes several
`Reading`s, among which the cell, the declared formula and the sites decide (`unigen.crystals.cif_expansion`): an origin
or axes that a symbol does not name, ``x, y, z`` alone beside a higher group, operators of another group than the
symbol.

Sources: International Tables for Crystallography A (2016), tables 1.6.4 and 2.1.3; B (2010), chapter 1.4 (Hall's
symbols).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from unigen.crystals.cell import quiet_spglib
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, one_line
from unigen.shapes import Float

if TYPE_CHECKING:
    import gemmi

LENGTH_TOLERANCE = 0.005
"""Relative; lengths that a group makes equal may differ by this: cells are told with three digits at least, and
relaxed by programs that keep the symbol."""

ANGLE_TOLERANCE = 0.5
"""Degrees, as `LENGTH_TOLERANCE`; rhombohedral and hexagonal axes differ by 30 degrees at least."""


class Operations(NamedTuple):
    """Space-group operations ``x -> rotations @ x + translations`` modulo the cell, centrings included, identity first.

    Attributes:
        number: of the space-group type, 1 to 230.
        symbol: Hermann-Mauguin, with its setting where it has several.
    """

    rotations: Float[np.ndarray, "operations 3 3"]
    translations: Float[np.ndarray, "operations 3"]
    number: int
    symbol: str


@dataclass(frozen=True, eq=False)
class Reading:
    """One way to read the symmetry of a block.

    Attributes:
        operations: the group.
        told: how the block tells it, for messages.
        confirmed: listed operators that agree with the symbols, or that no symbol contradicts.
        identity: ``x, y, z`` alone, where the symbols tell a higher group.
    """

    operations: Operations
    told: str
    confirmed: bool = False
    identity: bool = False


class Told(NamedTuple):
    """What a block says of its symmetry, as text; empty where it says nothing."""

    triplets: tuple[str, ...]
    hall: str
    symbols: tuple[str, ...]
    number: str


@lru_cache(maxsize=256)  # files of one source tell few groups; 192 operations are 20 KB
def readings(told: Told) -> tuple[Reading, ...]:
    """All groups that the block may mean, the likeliest first; one where it is clear.

    Raises:
        UserError: operators that form no group, a symbol or number that is none.
    """
    listed = _listed(told.triplets)
    named = _named(told, needed=listed is None)
    if listed is None:
        # the core dictionary's default of the operators is x, y, z
        return tuple(named) or (Reading(_operations_of_hall("P 1"), "no symmetry operators"),)
    if not named or any(each.operations.number == listed.number for each in named):
        return (Reading(listed, "the listed operators", confirmed=True),)
    identity = len(listed.rotations) == 1
    return (Reading(listed, "'x, y, z' alone" if identity else "the listed operators", identity=identity), *named)


def fits_cell(operations: Operations, lattice: Float[np.ndarray, "3 3"]) -> bool:
    """Whether every operation maps the lattice onto itself, within `LENGTH_TOLERANCE` and `ANGLE_TOLERANCE`."""
    metric = lattice @ lattice.T
    moved = np.einsum("oji,jk,okl->oil", operations.rotations, metric, operations.rotations)
    lengths = np.sqrt(np.diagonal(moved, axis1=1, axis2=2))
    own = np.sqrt(np.diagonal(metric))
    angles = np.degrees(np.arccos(np.clip(moved / (lengths[:, :, None] * lengths[:, None]), -1.0, 1.0)))
    own_angles = np.degrees(np.arccos(np.clip(metric / np.outer(own, own), -1.0, 1.0)))
    # the identity is the reference, so that rounding of the cell itself does not count
    return bool((abs(lengths / own - 1.0) <= LENGTH_TOLERANCE).all()) and bool(
        (abs(angles - own_angles) <= ANGLE_TOLERANCE).all()
    )


def _listed(triplets: tuple[str, ...]) -> Operations | None:
    """The group of the listed operators; the identity may be left out."""
    if not triplets:
        return None
    try:
        operators = [_operator(triplet) for triplet in triplets]
        twentyfourths = np.array([translation for _, translation in operators]) * 24
        simple = all(abs(rotation).max() == 1 for rotation, _ in operators)  # gemmi reads no 2x-z of a skewed cell
        if simple and abs(twentyfourths - np.rint(twentyfourths)).max() < 1e-6:
            return _operations(_group(operators))
        return _unusual_operations(operators)
    except PARSER_ERRORS as error:
        raise UserError("the symmetry operators form no group", got=one_line(error)) from error


_TERM = re.compile(r"([+-]?)(?:(\d+/\d+|\d*\.?\d+|\d+\.)\*?)?([xyz]?)")


def _operator(triplet: str) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """Rotation and translation of ``1/2-x, y+0.25, x-y``; raises ValueError for anything else."""
    rows = re.sub(r"\s", "", triplet).lower().split(",")
    affine = np.zeros((3, 4))
    for index, row in enumerate(rows):
        terms = [term for term in _TERM.finditer(row) if term[0]]
        if len(rows) != 3 or "".join(term[0] for term in terms) != row or not terms:
            raise ValueError(f"{triplet!r} is no operator")
        for term in terms:
            affine[index, "xyz".index(term[3]) if term[3] else 3] += float(f"{term[1]}1") * _value(term[2] or "1")
    whole = (affine[:, :3] == np.rint(affine[:, :3])).all()
    if not whole or round(abs(np.linalg.det(affine[:, :3]))) != 1:
        raise ValueError(f"{triplet!r} is no operator")
    return affine[:, :3], affine[:, 3]


def _value(text: str) -> float:
    """A fraction as it is; a decimal as the 24th it rounds: 0.33, 0.1667."""
    if "/" in text:
        above, below = text.split("/")
        return int(above) / int(below)
    value = float(text)
    nearest = round(24 * value) / 24
    return nearest if abs(value - nearest) < 0.0051 else value  # two digits at least


def _group(operators: list[tuple[np.ndarray, np.ndarray]]) -> gemmi.GroupOps:
    """Raises ValueError where the operators are no group."""
    import gemmi

    told = set()
    for rotation, translation in operators:
        operator = gemmi.Op("x,y,z")
        operator.rot = (np.rint(rotation).astype(int) * gemmi.Op.DEN).tolist()
        operator.tran = np.rint(translation * gemmi.Op.DEN).astype(int).tolist()
        told.add(operator.wrap().triplet())
    # each once, the identity among them: gemmi takes what it is given for different elements
    group = gemmi.GroupOps([gemmi.Op(triplet) for triplet in sorted(told | {"x,y,z"})])
    group.add_missing_elements()
    made = {operator.triplet() for operator in group}
    if not told <= made:
        raise ValueError(f"{', '.join(sorted(told - made))} is no member")
    if told not in (made, made - {"x,y,z"}):
        raise ValueError(f"{len(told)} are listed, their products make {len(made)}")
    return group


def _unusual_operations(operators: list[tuple[np.ndarray, np.ndarray]]) -> Operations:
    """A group with an origin or axes that are none of the usual, as pymatgen writes some: ``-x+128/413, y, 2x-z``."""
    rotations, translations = (np.array(part) for part in zip(*operators, strict=True))
    moving = (rotations != np.eye(3)).any(axis=(1, 2)) | (translations % 1.0 != 0.0).any(axis=1)
    order = np.argsort(moving, kind="stable")  # the identity first
    rotations, translations = rotations[order], translations[order]
    products = np.einsum("aij,bjk->abik", rotations, rotations)
    shifts = np.einsum("aij,bj->abi", rotations, translations) + translations[:, None]
    difference = shifts[:, :, None] - translations
    # such fractions are rounded to 1/1000, and a product has three of them
    same = (products[:, :, None] == rotations).all((-1, -2)) & (abs(difference - np.round(difference)) < 3e-3).all(-1)
    if not same.any(axis=2).all():
        raise ValueError("a product of two is not listed")
    return _operations_of_arrays(rotations, translations)


def _operations(group: gemmi.GroupOps) -> Operations:
    import gemmi

    entry = gemmi.find_spacegroup_by_ops(group)
    operators = sorted(group, key=lambda operator: operator.triplet() != "x,y,z")  # the identity first
    rotations = np.array([operator.rot for operator in operators]) / gemmi.Op.DEN
    translations = np.array([operator.tran for operator in operators]) / gemmi.Op.DEN
    if entry is not None:
        return Operations(rotations, translations, entry.number, entry.xhm())
    return _operations_of_arrays(rotations, translations)


def _operations_of_arrays(rotations: np.ndarray, translations: np.ndarray) -> Operations:
    import spglib  # knows the type of any group, not its setting

    with quiet_spglib():
        found = spglib.get_spacegroup_type_from_symmetry(np.rint(rotations).astype(np.intc), translations, symprec=0.01)
    if found is None:
        raise ValueError("their type is none of the 230")
    return Operations(rotations, translations, found.number, f"{found.international_short} in an unusual setting")


@cache
def _operations_of_hall(hall: str) -> Operations:
    import gemmi

    return _operations(gemmi.symops_from_hall(hall))


def _named(told: Told, *, needed: bool) -> list[Reading]:
    """What the symbols and the number mean; one that is unknown is passed over where a listing tells the group.

    A Hall symbol tells everything; where the Hermann-Mauguin symbol speaks of another setting, or the number of another
    group, both are readings. The number beside a symbol adds nothing but its consent: the setting is the symbol's.
    """
    by_hall, by_number = _by_hall(told.hall), _by_number(told.number)
    by_symbols = [_by_symbol(symbol) for symbol in told.symbols]
    by_symbol = _common([found for found in by_symbols if found])
    unknown = [
        f"{kind} {text!r}"
        for kind, text, found in (
            ("Hall symbol", told.hall, by_hall),
            *(("Hermann-Mauguin symbol", *each) for each in zip(told.symbols, by_symbols, strict=True)),
            ("number", told.number, by_number),
        )
        if text and not found
    ]
    if needed and unknown and not by_hall and not by_symbol:
        # a symbol nobody knows may mean another setting than the number's
        raise UserError(f"unknown space group: {', '.join(unknown)}", next_step="list the symmetry operators")
    number = by_number[0].operations.number if by_number else 0
    if any(each.operations.number == number for each in by_symbol):
        by_symbol = [each for each in by_symbol if each.operations.number == number]
    if any(each.operations.symbol == by_hall[0].operations.symbol for each in by_symbol if by_hall):
        by_symbol = []
    result = by_hall + by_symbol
    if all(each.operations.number != number for each in result):
        result += by_number
    return result


def _common(by_symbols: list[list[Reading]]) -> list[Reading]:
    """The settings that all symbols of a block may mean; those of each where they contradict each other."""
    if not by_symbols:
        return []
    shared = set.intersection(*({each.operations.symbol for each in found} for found in by_symbols))
    if shared:
        return [each for each in by_symbols[0] if each.operations.symbol in shared]
    return [each for found in by_symbols for each in found]


def _by_hall(hall: str) -> list[Reading]:
    if not hall:
        return []
    try:
        return [Reading(_operations_of_hall(" ".join(hall.replace("_", " ").split())), f"the Hall symbol {hall!r}")]
    except PARSER_ERRORS:
        return []


def _by_number(number: str) -> list[Reading]:
    """The reference setting: unique axis b, first cell choice; both origins and both axes where there are two."""
    import gemmi

    entry = gemmi.get_spacegroup_reference_setting(int(number)) if _is_number(number) else None
    if entry is None:
        return []
    return [
        Reading(_operations_of_hall(each.hall), f"the number {number} with {_setting(each.ext)}".removesuffix(" with "))
        for each in gemmi.spacegroup_table()
        if each.hm == entry.hm
    ]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 230


def _by_symbol(symbol: str) -> list[Reading]:
    """All settings that a Hermann-Mauguin symbol names, in any usual spelling: the axes before the origin.

    ``P 21/n``, ``P21/n``, ``P 1 21/n 1``, ``P_12_1/n_1``; ``F d -3 m :2``, ``F d -3 m Z`` (ICSD), ``Fd-3m`` (both
    origins); ``F 41/d -3 2/m``, ``C m c e``, ``F d 3 m``, ``P 63/m m c (194)``.
    """
    if _is_number(symbol):
        return _by_number(symbol)
    key, settings = _key(symbol), _settings()
    found = settings.get(key, ())
    suffixed = _SUFFIX.fullmatch(key)
    if not found and suffixed is not None:
        base, suffix = settings.get(suffixed[1], ()), _SUFFIXES.get(suffixed[2], suffixed[2])
        found = tuple(each for each in base if suffix == each.extension)
        if base and not found:  # the axes as a change of basis of the standard setting: P n m a :cab
            types = {each.number for each in base}
            of_types = dict.fromkeys(each for some in settings.values() for each in some if each.number in types)
            found = tuple(each for each in of_types if suffix in (each.qualifier, f"{each.extension}{each.qualifier}"))
    return [
        Reading(
            _operations_of_hall(each.hall),
            f"the symbol {symbol!r} with {_setting(each.extension)}".removesuffix(" with "),
        )
        for each in found
    ]


def _setting(extension: str) -> str:
    names = {"1": "origin choice 1", "2": "origin choice 2", "H": "hexagonal axes", "R": "rhombohedral axes"}
    return names.get(extension, "")


class _Setting(NamedTuple):
    number: int
    hall: str
    extension: str
    qualifier: str


_SUFFIX = re.compile(
    r"(.+?)[:(]*(origin(?:choice)?[12]|o[12]|[12]|(?<=:)[12]?[-abc123]+|hr|rs|[hrsz]|(?:hexagonal|rhombohedral)(?:axes)?)\)?"
)
"""What stands behind a symbol to tell its setting."""

_SUFFIXES = {
    **{f"{word}{choice}": choice for word in ("origin", "originchoice", "o") for choice in "12"},
    **dict.fromkeys(("h", "hr", "hexagonal", "hexagonalaxes"), "H"),
    **dict.fromkeys(("r", "rs", "rhombohedral", "rhombohedralaxes"), "R"),
    "s": "1",
    "z": "2",  # ICSD: origin at the site of highest symmetry, at the centre (Zentrum)
}


def _key(symbol: str) -> str:
    """A symbol without what is spelt in many ways: blanks, underscores, brackets of screws, capitals, a number."""
    text = re.sub(
        r"\s*(?:\(\s*(?:no\.?|#)?\s*\d{1,3}\s*\)|(?:#|no\.)\s*\d{1,3})$", "", symbol.strip(), flags=re.IGNORECASE
    )
    text = re.sub(r"(\d)\s*\((\d)\)", r"\1\2", text)  # a screw axis: 6(3)
    return re.sub(r"[\s_{}]", "", text).lower()[:60]  # the longest have 25 letters


@cache
def _settings() -> dict[str, tuple[_Setting, ...]]:
    """The settings by the keys of their symbols, full and short, of gemmi's table and of spglib's; 20 ms, once.

    Where a short symbol is that of several axes, b stands before c and a: International Tables write it for b.
    """
    names: dict[str, dict[_Setting, None]] = {}
    for name, setting in _names():
        names.setdefault(_key(name), {})[setting] = None
    axes = {"b": 0, "c": 1, "a": 2}

    def axis(setting: _Setting) -> int:
        return axes[setting.qualifier.strip("-")[0]] if 3 <= setting.number <= 15 else 0

    found = {name: tuple(sorted(same, key=axis)) for name, same in names.items()}
    # Where e stands for both glides of a pair of settings, the standard symbol is that of the standard setting.
    standard = ("cmme", "c2/m2/m2/e", "ccce", "c2/c2/c2/e")
    return found | {name: tuple(each for each in found[name] if not each.qualifier) for name in standard}


def _names() -> Iterator[tuple[str, _Setting]]:
    """Every symbol that is in use, with the setting it names; a symbol of several settings comes once for each."""
    import gemmi
    import spglib

    by_hall: dict[str, list[_Setting]] = {}
    for entry in gemmi.spacegroup_table():
        setting = _Setting(entry.number, entry.hall, entry.ext.strip("\0"), entry.qualifier.strip("\0"))
        by_hall.setdefault(entry.hall, []).append(setting)
        yield entry.hm, setting
        if 3 <= entry.number <= 15:
            yield "".join(part for part in entry.hm.split() if part != "1"), setting
        if entry.number >= 195:
            yield entry.hm.replace("-3", "3"), setting  # before 1935, and in many files since: F d 3 m
        if setting.extension == "H":
            yield "H" + entry.hm[1:], setting  # of the Protein Data Bank
    for hall_number in range(1, 531):
        kind: Any = spglib.get_spacegroup_type(hall_number)
        for setting in by_hall[kind.hall_symbol]:
            yield kind.international_full, setting
            if 47 <= kind.number <= 74:  # from the full one: spglib's short symbol of setting 331 is misprinted
                yield re.sub(r"\d(_\d)?/", "", kind.international_full), setting
