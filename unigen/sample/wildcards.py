"""Anonymous formulas: ``ABX3 with A in Cs,Rb; B in Pb,Sn; X in halogens`` stands for all that it allows."""

from __future__ import annotations

import re
from itertools import product
from math import prod

from unigen.elements import ATOMIC_NUMBER, SYMBOLS, format_formula, parse_formula
from unigen.errors import UserError

GROUPS: dict[str, tuple[str, ...]] = {
    "alkali": ("Li", "Na", "K", "Rb", "Cs"),
    "alkaline-earth": ("Be", "Mg", "Ca", "Sr", "Ba"),
    "lanthanides": tuple(SYMBOLS[57:72]),
    "rare-earth": ("Sc", "Y", *SYMBOLS[57:72]),
    "transition": (*SYMBOLS[21:31], *SYMBOLS[39:49], *SYMBOLS[72:81]),
    "pnictogens": ("N", "P", "As", "Sb", "Bi"),
    "chalcogens": ("O", "S", "Se", "Te"),
    "halogens": ("F", "Cl", "Br", "I"),
}
"""Names that stand for elements: the groups of the periodic table without their radioactive ends (Fr, Ra, Po, At), and
the lanthanides, lanthanum to lutetium (IUPAC's rare earths are these with Sc and Y)."""

MOST = 10_000
"""Formulas of one anonymous one: as many samples are drawn in some minutes."""

_WITH = re.compile(r"\s+with\s+", re.IGNORECASE)
_CLAUSE = re.compile(r"([A-Z][a-z]?)\s*(?:\bin\b|=)\s*", re.ASCII)
_WANTED = "such as 'ABX3 with A in Cs,Rb; B in Pb,Sn; X in halogens'"


def formulas_of(formula: str) -> list[str]:
    """The formulas that a formula stands for: itself, unless it says ``with``; each with different elements.

    Letters that stand for elements are named behind ``with``, each with its elements or with a name of `GROUPS`; an
    element's symbol may be such a letter (the B of ABX3).

    Raises:
        UserError: a letter that is no element and is not said, one that is said and does not occur, no such element,
            more than `MOST` formulas.

    Example:
        >>> formulas_of("ABX3 with A in Cs,Rb; B in Pb; X in Cl,Br")
        ['CsPbCl3', 'CsPbBr3', 'RbPbCl3', 'RbPbBr3']
        >>> formulas_of("X2YZ with X in Cu,Ni; Y=Mn; Z=Al")
        ['MnAlCu2', 'MnAlNi2']
    """
    pattern, *said = _WITH.split(formula.strip(), maxsplit=1)
    if not said:
        _check_letters(pattern)
        return [formula]
    parts = _CLAUSE.split(said[0])
    if parts[0].strip() or len(parts) < 3:
        raise UserError("formula: cannot read what its letters stand for", got=said[0], wanted=_WANTED)
    choices: dict[str, list[str]] = {}
    for letter, text in zip(parts[1::2], parts[2::2], strict=True):
        if letter in choices:
            raise UserError(f"formula: {letter} is said twice", got=formula)
        choices[letter] = _elements(letter, text)
    words = re.findall(r"[A-Z][a-z]?|[^A-Z]+", pattern)
    unused = [letter for letter in choices if letter not in words]
    if unused:
        raise UserError(f"formula: {unused[0]} does not occur in {pattern}", wanted=_WANTED)
    letters = [word for word in dict.fromkeys(words) if word in choices]
    _check_letters("".join("O" if word in choices else word for word in words))
    if prod(len(choices[letter]) for letter in letters) > MOST:
        many = prod(len(choices[letter]) for letter in letters)
        raise UserError("formula: stands for too many", got=f"{many:,}", wanted=f"at most {MOST:,}")
    others = {word for word in words if word in ATOMIC_NUMBER and word not in choices}
    found: dict[str, None] = {}
    for elements in product(*(choices[letter] for letter in letters)):
        if len(set(elements)) == len(elements) and not others & set(elements):
            becomes = dict(zip(letters, elements, strict=True))
            found[format_formula(dict(parse_formula("".join(becomes.get(word, word) for word in words))))] = None
    if not found:
        raise UserError("formula: its letters leave no formula of different elements", got=formula)
    return list(found)


def _check_letters(formula: str) -> None:
    """Raises UserError for a capital letter that is no element, as those of anonymous formulas."""
    letters = [word for word in re.findall(r"[A-Z][a-z]?", formula) if word not in ATOMIC_NUMBER]
    anonymous = [letter for letter in letters if len(letter) == 1]
    if anonymous and len(anonymous) == len(letters):
        raise UserError(
            f"formula: {anonymous[0]} is no element", got=formula, next_step=f"say what it may be, {_WANTED}"
        )


def _elements(letter: str, text: str) -> list[str]:
    """The elements that a letter may be, in the order given."""
    words = [word for word in re.split(r"[,;\s]+|\band\b", text) if word]
    symbols = [symbol for word in words for symbol in GROUPS.get(word.lower(), (word,))]
    unknown = [symbol for symbol in symbols if symbol not in ATOMIC_NUMBER]
    if unknown or not symbols:
        got = unknown[0] if unknown else None
        wanted = f"symbols, or {', '.join(GROUPS)}"
        raise UserError(f"formula: {letter} stands for no elements", got=got, wanted=wanted)
    return list(dict.fromkeys(symbols))
