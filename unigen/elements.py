"""The chemical elements by atomic number, reading a formula, and the crystal systems by their space groups."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from math import gcd

from unigen.errors import UserError

_BY_NUMBER = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr "
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu "
    "Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr "
    "Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
)
SYMBOLS: tuple[str, ...] = tuple(_BY_NUMBER.split())
"""``SYMBOLS[Z]`` is the symbol of atomic number Z; index 0 is no element."""

ATOMIC_NUMBER: dict[str, int] = {symbol: number for number, symbol in enumerate(SYMBOLS) if number}

SYSTEM_SPACE_GROUPS: dict[str, range] = {
    "triclinic": range(1, 3),
    "monoclinic": range(3, 16),
    "orthorhombic": range(16, 75),
    "tetragonal": range(75, 143),
    "trigonal": range(143, 168),
    "hexagonal": range(168, 195),
    "cubic": range(195, 231),
}
"""The numbers of the space groups of each crystal system."""

SMALLEST_DISTANCE = 0.1
"""Angstrom; atoms closer than this are an error of the file, not a bond: the shortest bond, of H2, has 0.74."""

_SPECIES = re.compile(
    r"\d{0,3}"  # of the isotope
    r"([A-Za-z]{1,2})"
    r"(?:\d*\.?\d*[+-]|[+-]\d*\.?\d+)?"  # the charge, its sign behind or before
    r"(?:,\w+=[+-]?\d*\.?\d+)*"  # spin and the like, as pymatgen writes them
)
_HYDROGENS = {"D": "H", "T": "H"}
"""Deuterium and tritium are read as hydrogen: the models know elements, not isotopes."""


def atomic_number_of(species: str) -> int | None:
    """The atomic number of what a file calls the species of one atom; None for anything but exactly one element.

    A symbol in any case, perhaps with an isotope before it and a charge or a spin behind: ``Fe``, ``FE``, ``Na+``,
    ``O2-``, ``Fe3+,spin=5``, ``13C``, ``D``. Never by the beginning of a
    word: ``OH`` is no oxygen, ``Vac`` no vanadium.
    """
    match = _SPECIES.fullmatch(species.strip())
    if match is None:
        return None
    symbol = match[1].capitalize()
    return ATOMIC_NUMBER.get(_HYDROGENS.get(symbol, symbol))


_TOKEN = re.compile(r"([A-Z][a-z]?)(\d*)|(\()|(\))(\d*)|(\s+)")


def parse_formula(formula: str) -> dict[int, int]:
    """Counts by atomic number: ``parse_formula("Ca(OH)2") == {20: 1, 8: 2, 1: 2}``.

    Raises UserError, naming the part, for an unknown element, a fractional or zero count, or unbalanced parentheses.
    """
    stack: list[Counter[int]] = [Counter()]
    position = 0
    while position < len(formula):
        token = _TOKEN.match(formula, position)
        if token is None:
            raise _formula_error(formula, f"cannot read {formula[position:]!r}")
        _add_token(formula, stack, token)
        position = token.end()
    if len(stack) > 1:
        raise _formula_error(formula, "a '(' without its ')'")
    if not stack[0]:
        raise _formula_error(formula, "the formula is empty")
    return dict(stack[0])


def _add_token(formula: str, stack: list[Counter[int]], token: re.Match[str]) -> None:
    """Add one element to the innermost group, or open or close a group."""
    symbol, count, opens, closes, times, _ = token.groups()
    if symbol:
        if symbol not in ATOMIC_NUMBER:
            raise _formula_error(formula, f"unknown element {symbol!r}")
        stack[-1][ATOMIC_NUMBER[symbol]] += _count(formula, count)
    elif opens:
        stack.append(Counter())
    elif closes:
        if len(stack) == 1:
            raise _formula_error(formula, "a ')' without its '('")
        for number, inner in stack.pop().items():
            stack[-1][number] += inner * _count(formula, times)


def _count(formula: str, digits: str) -> int:
    count = int(digits or 1)
    if count == 0:
        raise _formula_error(formula, "a count of zero")
    return count


def _formula_error(formula: str, what: str) -> UserError:
    return UserError(f"formula {formula!r}: {what}", wanted="integer counts of known elements, such as SrTiO3")


def reduce_counts(counts: dict[int, int]) -> tuple[dict[int, int], int]:
    """Divide by the greatest common divisor: the reduced counts and the number of formula units Z."""
    units = gcd(*counts.values())
    return {number: count // units for number, count in counts.items()}, units


def format_formula(counts: dict[int, int]) -> str:
    """Counts as text, from cations to anions, one spelling a composition: ``{8: 3, 38: 1, 22: 1} -> SrTiO3``."""
    # Hydrogen stands behind the nitrogen column and before the oxygen column: NH3, H2O.
    hydrogen_rank = chemical_rank(8) - 2 * 128 - 64
    order = sorted(counts, key=lambda number: hydrogen_rank if number == 1 else chemical_rank(number))
    return "".join(f"{SYMBOLS[number]}{counts[number] if counts[number] > 1 else ''}" for number in order)


def hill_formula(counts: Mapping[int, int]) -> str:
    """Counts as chemists write molecules (Hill): carbon, hydrogen, then by symbol; all by symbol without carbon."""
    leading = [number for number in (6, 1) if number in counts and 6 in counts]
    order = leading + sorted(counts.keys() - set(leading), key=lambda number: SYMBOLS[number])
    return "".join(f"{SYMBOLS[number]}{counts[number] if counts[number] > 1 else ''}" for number in order)


_NOBLE = (0, 2, 10, 18, 36, 54, 86, 118)
"""Atomic numbers of the noble gases, which end the rows; 0 ends the row before the first."""


def period_and_group(number: int) -> tuple[int, int]:
    """Row and column (1 to 18) of the periodic table; lanthanides and actinides stand in column 3."""
    period = next(row for row in range(1, 8) if number <= _NOBLE[row])
    in_row, length = number - _NOBLE[period - 1], _NOBLE[period] - _NOBLE[period - 1]
    if in_row <= 2 and not (period == 1 and in_row == 2):  # the s block; helium stands in column 18
        return period, in_row
    # Counted from the noble gas; in the long rows the f block would come out left of column 3.
    return period, max(18 - (length - in_row), 3)


def chemical_rank(number: int) -> int:
    """Order by column, then row, then number: roughly from cations to anions, neighbours in the table together."""
    period, group = period_and_group(number)
    return (group * 8 + period) * 128 + number  # bases above 7 rows and 118 elements, so that no digit runs over


def composition_pairs(counts: dict[int, int]) -> list[tuple[int, int]]:
    """(atomic number, count), in the order in which they are written."""
    return [(number, counts[number]) for number in written_order(counts)]


def written_order(counts: Mapping[int, int]) -> list[int]:
    """The elements of a cell in the order in which they are written: rarest first, then by chemical rank."""
    return sorted(counts, key=lambda number: (counts[number], chemical_rank(number)))
