"""The chemical elements by atomic number, reading a formula, and the crystal systems by their space groups."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from math import gcd, isfinite, lcm

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

SPACE_GROUPS = frozenset(range(1, 231))
"""The international numbers of all space groups."""

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


_NUMBERED = re.compile(r"([A-Za-z]{1,2})\d+")


def atomic_number_of_label(label: str) -> int | None:
    """As `atomic_number_of`, also of a symbol that tells atoms of one element apart: ``Fe1``, ``C12``."""
    numbered = _NUMBERED.fullmatch(label.strip())
    return atomic_number_of(numbered[1] if numbered else label)


def is_full(occupancy: float) -> bool:
    """Whether a site of this occupancy is fully occupied, whatever it is read from."""
    return 0.999 <= occupancy <= 1.001  # three digits are the most that files give


_TOKEN = re.compile(r"([A-Z][a-z]?)(\d*)|([(\[{])|([)\]}])(\d*)|(\s+)")
_CLOSING = {"(": ")", "[": "]", "{": "}"}

_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")

_ADDUCT = re.compile(
    r"\s*[·•∙⋅⸱*]\s*"  # the dots and bullets that join a salt and its water, and the star in their place
    r"|\s+\.\s*|\.\s+|\.(?=[A-Z(\[{])"  # a full stop that is no decimal point
    r"|\.(?=\d+\(?(?:H2O|D2O|NH3)(?![a-z\d]))"  # CuSO4.5H2O: as a number, it would be 4.5 of the anion's oxygens
)
_FRACTION = re.compile(r"(?:^|[^\w)\]}.])\s*\d+[.,]\d+|[.,]\d+[.,]\d+")
"""A number with a fraction that is no full stop between a count and a hydrate: 0.5H2O after a dot, or ``.1.5``."""
_PART = re.compile(r"\s*(\d*)(.*)", re.DOTALL)
_CHARGE = re.compile(r"[+\-\u2212\u2013^⁺⁻²³¹]")

LARGEST_COUNT = 1_000_000
"""Of one element in a formula: what is larger is no formula but an error, or an attack."""


_OF_MOLECULES = frozenset({1, 6, 7, 8, 9, 15, 16, 17, 35, 53})
"""H, C, N, O, F, P, S, Cl, Br, I."""


def is_organic(formula: str) -> bool:
    """Whether a formula has carbon and hydrogen and, besides, nothing but what organic molecules are made of.

    Example:
        >>> [is_organic(each) for each in ("C6H6", "CH4", "CaCO3", "SiC", "NaHCO3")]
        [True, True, False, False, False]
    """
    elements = set(parse_formula(formula))
    return {1, 6} <= elements <= _OF_MOLECULES


def parse_formula(formula: str) -> dict[int, int]:
    """Counts by atomic number: ``parse_formula("Ca(OH)2") == {20: 1, 8: 2, 1: 2}``.

    Round, square and curly brackets, nested; subscripts; adducts such as ``CaSO4·2H2O``, joined by a dot, a bullet, a
    star or a full stop, with the number of each part before it; D and T are hydrogen.

    Raises:
        UserError: naming the part: an unknown element, a fractional or zero count, a charge, unbalanced brackets.

    Example:
        >>> parse_formula("CuSO4.5H2O") == parse_formula("CuSO₄·5H₂O") == {29: 1, 16: 1, 8: 9, 1: 10}
        True
    """
    return dict(_parsed(formula))


@lru_cache(maxsize=4096)  # one request is asked for its atoms again and again
def _parsed(formula: str) -> tuple[tuple[int, int], ...]:
    """The pairs of `parse_formula`."""
    text = formula.translate(_SUBSCRIPTS)
    charge = _CHARGE.search(text)
    if charge:
        raise _formula_error(formula, f"a charge or a sign, {charge[0]!r}: formulas are of neutral matter")
    fraction = _FRACTION.search(text)
    parts = [] if fraction else _ADDUCT.split(text)
    if fraction or any(re.search(r"\d[.,]\d", part) for part in parts):
        whole = _whole_multiple(text)
        advice = f", such as {whole}" if whole else ""
        raise _formula_error(
            formula,
            f"a fractional count: sites that are partly occupied cannot be drawn, ordered ones can; "
            f"multiply all counts until they are whole{advice}",
        )
    total: Counter[int] = Counter()
    for part in parts:
        match = _PART.fullmatch(part)
        assert match is not None, "any text has this form"
        # alone, a leading number may be meant for an isotope or a charge before it: only parts of an adduct have one
        times, body = match.groups() if len(parts) > 1 else ("", part)
        for number, count in _parse_part(formula, body).items():
            total[number] += count * _count(formula, times)
    if max(total.values()) > LARGEST_COUNT:
        raise _formula_error(formula, f"more than {LARGEST_COUNT:,} atoms of one element")
    return tuple(total.items())


def _parse_part(formula: str, text: str) -> Counter[int]:
    """The counts of a formula without adducts."""
    stack: list[Counter[int]] = [Counter()]
    opened: list[str] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise _formula_error(formula, f"cannot read {text[position : position + 40]!r}")
        symbol, count, opens, closes, times, _ = token.groups()
        if symbol:
            number = ATOMIC_NUMBER.get(_HYDROGENS.get(symbol, symbol))
            if number is None:
                raise _formula_error(formula, f"unknown element {symbol!r}")
            stack[-1][number] += _count(formula, count)
        elif opens:
            stack.append(Counter())
            opened.append(opens)
        elif closes:
            _close_group(formula, stack, opened, closes, _count(formula, times))
        position = token.end()
    if opened:
        raise _formula_error(formula, f"a {opened[-1]!r} without its {_CLOSING[opened[-1]]!r}")
    if not stack[0]:
        raise _formula_error(formula, "the formula is empty" if formula == text else "an empty part")
    return stack[0]


def _close_group(formula: str, stack: list[Counter[int]], opened: list[str], closes: str, times: int) -> None:
    """Add the innermost group, so many times, to the one around it."""
    if not opened or _CLOSING[opened.pop()] != closes:
        raise _formula_error(formula, f"a {closes!r} without its bracket")
    group = stack.pop()
    if not group:
        raise _formula_error(formula, "empty brackets")
    for number, inner in group.items():
        stack[-1][number] += inner * times


def _count(formula: str, digits: str) -> int:
    if len(digits) > len(str(LARGEST_COUNT)):
        raise _formula_error(formula, f"a count of {len(digits)} digits")
    count = int(digits or 1)
    if count == 0:
        raise _formula_error(formula, "a count of zero")
    return count


_LARGEST_MULTIPLE = 20
"""Of a formula with fractional counts that is proposed: beyond it the cell would be too large to be drawn."""


def _whole_multiple(formula: str) -> str:
    """The formula with all counts whole, where a small multiple makes them so; empty where none does."""
    parts = re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)", formula)
    if "".join(symbol + count for symbol, count in parts) != formula:
        return ""  # brackets and adducts
    counts = [Fraction(count or 1).limit_denominator(1000) for _, count in parts]
    multiple = lcm(*(count.denominator for count in counts))
    if multiple > _LARGEST_MULTIPLE:
        return ""
    whole = [int(count * multiple) for count in counts]
    return "".join(f"{symbol}{count if count > 1 else ''}" for (symbol, _), count in zip(parts, whole, strict=True))


def _formula_error(formula: str, what: str) -> UserError:
    shown = formula if len(formula) <= 80 else f"{formula[:77]}..."
    return UserError(f"formula {shown!r}: {what}", wanted="integer counts of known elements, such as SrTiO3")


_WRITTEN = ((1e-8, 1000), (1e-4, 64))
"""How far shares of atoms may be from whole ratios, and the largest unit that is then told from noise: as computed, and
as written with four digits (0.3333), where in a unit of more atoms any number would come out."""


def whole_counts(amounts: Mapping[int, float]) -> dict[int, int]:
    """The smallest whole counts in these ratios: ``whole_counts({11: 0.5, 17: 0.5}) == {11: 1, 17: 1}``.

    Raises:
        UserError: an amount that is not positive and finite, or amounts in no whole ratio.
    """
    values = list(amounts.values())
    if not values or not all(isfinite(value) and 0 < value <= LARGEST_COUNT for value in values):
        raise UserError("not amounts of elements", got=values, wanted=f"numbers above 0, up to {LARGEST_COUNT:,}")
    if all(float(value).is_integer() for value in values):
        return reduce_counts({number: int(value) for number, value in amounts.items()})[0]
    total = sum(values)
    for tolerance, largest in _WRITTEN:
        for atoms in range(len(values), largest + 1):
            counts = [round(value / total * atoms) for value in values]
            shares = zip(counts, values, strict=True)
            if all(count and abs(count / atoms - value / total) < tolerance for count, value in shares):
                return reduce_counts(dict(zip(amounts, counts, strict=True)))[0]
    raise UserError("amounts in no whole ratio", got=values)


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
