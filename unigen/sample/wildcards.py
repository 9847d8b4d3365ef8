"""Formula types: ``ABX3`` or ``A2BB'X6``, whose letters stand for elements, said or not.

``ABX3 with A in Cs,Rb; B in Pb,Sn; X in halogens`` stands for all formulas that it allows. A letter of which nothing is
said is open: its elements are those of plausible compositions (`unigen.sample.exchanges`). What is a letter and what an
element follows the field's habits (`read_formula_type`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Literal

from unigen.elements import ATOMIC_NUMBER, SYMBOLS, format_formula, parse_formula, reduce_counts
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

_ANIONS = ("H", "C", "N", "P", "As", "Sb", *GROUPS["chalcogens"], *GROUPS["halogens"])
_NONMETALS = {"H", "He", "C", "N", "O", "F", "Ne", "P", "S", "Cl", "Ar", "Se", "Br", "Kr", "I", "Xe", "Rn"}
_METALS = tuple(symbol for symbol in SYMBOLS[1:] if symbol not in _NONMETALS)  # and B, Si, Ge, As, Sb, Te

ANY = "any"
"""Said of a letter: it is one, and may be any element."""

MOST = 10_000
"""Formulas of one whose letters are all said: as many samples are drawn in some minutes."""

_WITH = re.compile(r"\s+with\s+", re.IGNORECASE)
_PRIMES = "'\u2032"
_SYMBOL = rf"[A-Z][{_PRIMES}]+|[A-Z][a-z]?"
_WORD = re.compile(rf"({_SYMBOL})|[^A-Z]+", re.ASCII)
_CLAUSE = re.compile(rf"({_SYMBOL})\s*(?:\bin\b|=)\s*", re.ASCII)
_WANTED = "such as 'ABX3 with A in Cs,Rb; B in Pb,Sn; X in halogens'"
_ISOTOPES = {"D": "H", "T": "H"}
"""Hydrogen where no other letter stands for an element: D2O, but RT2X2."""
_TAKEN = {"B": "boron", "C": "carbon", "Y": "yttrium"}
"""Symbols that are letters by habit."""

_SMALL = re.compile(  # the symbols up to bismuth: AMO2 is not meant for americium
    f"(?:(?:{'|'.join(sorted(SYMBOLS[1:84], key=len, reverse=True))})[0-9]*)+", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True)
class Letter:
    """What a letter of a formula type stands for.

    Attributes:
        elements: their symbols.
        meaning: the same in words.
        said: by whom: listed element by element, said to be ``any``, or by habit.
    """

    elements: tuple[str, ...]
    meaning: str
    said: Literal["listed", "any", "habit"] = "habit"


@dataclass(frozen=True)
class FormulaType:
    """A formula with letters for elements.

    Attributes:
        formula: as given, without what is said of its letters.
        words: of the formula: symbols and letters, and what is between them.
        letters: what each of them stands for, in the order in which they are written.
    """

    formula: str
    words: tuple[str, ...]
    letters: Mapping[str, Letter]

    @property
    def is_open(self) -> bool:
        """Whether some letter was given no elements."""
        return any(letter.said != "listed" for letter in self.letters.values())

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Letters and elements in the order in which they are written, each once."""
        return tuple(word for word in dict.fromkeys(self.words) if word in self.letters or word in ATOMIC_NUMBER)

    @property
    def fixed(self) -> frozenset[str]:
        """The elements that stand for themselves."""
        return frozenset(self.symbols).difference(self.letters)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Atoms of each letter and element in a formula unit.

        Raises:
            UserError: the formula is none, whatever the letters are.
        """
        if len(self.symbols) >= len(SYMBOLS):
            raise UserError(f"formula: more letters than there are elements, {len(self.letters)}")
        others = iter(symbol for symbol in SYMBOLS[1:] if symbol not in self.fixed)
        stands_for = {word: next(others) if word in self.letters else word for word in self.symbols}
        try:
            counts = reduce_counts(parse_formula(self.filled(stands_for)))[0]
        except UserError as error:
            wanted = "whole counts of elements and letters, such as ABX3"
            raise UserError(f"formula {self.formula!r}: cannot be read", wanted=wanted) from error
        return {word: counts[ATOMIC_NUMBER[symbol]] for word, symbol in stands_for.items()}

    @property
    def reading(self) -> str:
        """How it was read, in a line."""
        letters: dict[str, list[str]] = {}
        for name, letter in self.letters.items():
            letters.setdefault(letter.meaning, []).append(name)
        told = ", ".join(f"{', '.join(names)} for {meaning}" for meaning, names in letters.items())
        usual = [name for name, letter in self.letters.items() if letter.said == "habit" and name in _TAKEN]
        return f"{self.formula}: {told}" + "".join(f"; {_TAKEN[name]} would be: with {name}={name}" for name in usual)

    def filled(self, elements: Mapping[str, str]) -> str:
        """The formula with these elements in the place of letters, as it is written."""
        return "".join(elements.get(word, word) for word in self.words)

    def formulas(self) -> dict[str, dict[str, str]]:
        """All formulas of different elements that the letters' elements allow, and what each letter is in them.

        Raises:
            UserError: more than `MOST`, or none.
        """
        many = prod(len(letter.elements) for letter in self.letters.values())
        if many > MOST:
            raise UserError("formula: stands for too many", got=f"{many:,}", wanted=f"at most {MOST:,}")
        found: dict[str, dict[str, str]] = {}
        for elements in product(*(letter.elements for letter in self.letters.values())):
            if len(set(elements)) == len(elements) and not self.fixed & set(elements):
                becomes = dict(zip(self.letters, elements, strict=True))
                found.setdefault(format_formula(dict(parse_formula(self.filled(becomes)))), becomes)
        if not found:
            raise UserError("formula: its letters leave no formula of different elements", got=self.formula)
        return found


def read_formula_type(formula: str) -> FormulaType | None:
    """A formula with letters; None of an ordinary one, which has none.

    Letters are

    - what is said behind ``with``: its elements, a name of `GROUPS`, or ``any``. It may be an element's symbol;
    - capitals that are no element's symbol, such as A, L, M, Q, R, X, Z, and capitals with a prime, such as B';
    - with a letter among these, as formula types are written: B behind A, C behind A and B, Y behind X or beside Z, D
      and T (which alone are hydrogen). But B behind M and A is boron, as in the MAB phases.

    Where nothing is said, R is a rare earth, T a transition metal, and all others are written from metals to anions: a
    letter before the end is a metal or metalloid; at the end an X is an anion (hydrogen, carbon, a pnictogen but
    bismuth, a chalcogen or a halogen), and any other letter any element.

    Raises:
        UserError: a letter that is said and does not occur, or twice, no such element, capitals that may be meant for a
            symbol of two letters.

    Example:
        >>> read_formula_type("ABO3 with A in Ca,Sr").reading
        'ABO3: A for Ca,Sr, B for any metal or metalloid; boron would be: with B=B'
        >>> list(read_formula_type("M2AC").letters), read_formula_type("SrTiO3")
        (['M', 'A'], None)
        >>> list(read_formula_type("ABX3 with A in Cs,Rb; B in Pb; X in Cl,Br").formulas())
        ['CsPbCl3', 'CsPbBr3', 'RbPbCl3', 'RbPbBr3']
    """
    pattern, *behind = _WITH.split(formula.strip(), maxsplit=1)
    listed = _listed(behind[0], formula) if behind else {}
    words = tuple(match[0] for match in _WORD.finditer(pattern))
    symbols = [match[1] for match in _WORD.finditer(pattern) if match[1]]
    unused = [letter for letter in listed if letter not in symbols]
    if unused:
        raise UserError(f"formula: {unused[0]} does not occur in {pattern}", wanted=_WANTED)
    capitals = [word for word in symbols if len(word.rstrip(_PRIMES)) == 1 and word not in ATOMIC_NUMBER]
    if capitals and not listed and pattern.isupper() and _SMALL.fullmatch(pattern):
        raise UserError(
            f"formula: {capitals[0]} of {pattern} may stand for an element, or begin the symbol of one",
            next_step=f"write symbols as in NaCl, or '{pattern} with {capitals[0]} in any'",
        )
    letters = {*listed, *(word for word in capitals if word not in _ISOTOPES)}
    if not letters:
        return None
    if letters & {*capitals}:
        letters |= {*capitals}

        def behind_letter(word: str, letter: str) -> bool:
            return {word, letter} <= {*symbols} and letter in letters and symbols.index(letter) < symbols.index(word)

        if behind_letter("B", "A") and not behind_letter("A", "M"):
            letters.add("B")
        if behind_letter("C", "A") and behind_letter("C", "B"):
            letters.add("C")
        if behind_letter("Y", "X") or ("Z" in letters and "Y" in symbols):
            letters.add("Y")
    unknown = [word for word in symbols if word not in letters and word not in (*ATOMIC_NUMBER, *_ISOTOPES)]
    if unknown:
        raise UserError(f"formula: {unknown[0]} is no element", got=formula)
    meanings = {
        word: listed.get(word) or _usual(word, last=word == symbols[-1])
        for word in dict.fromkeys(symbols)
        if word in letters
    }
    return FormulaType(
        formula=pattern,
        words=tuple(_ISOTOPES.get(word, word) if word not in letters else word for word in words),
        letters=meanings,
    )


def _usual(letter: str, *, last: bool) -> Letter:
    """What a letter of which nothing is said stands for."""
    if letter == "R":
        return Letter(GROUPS["rare-earth"], "any rare earth")
    if letter == "T":
        return Letter(GROUPS["transition"], "any transition metal")
    if not last:
        return Letter(_METALS, "any metal or metalloid")
    return Letter(_ANIONS, "any anion") if letter == "X" else Letter(SYMBOLS[1:], "any element")


def _listed(text: str, formula: str) -> dict[str, Letter]:
    """What is said of letters behind ``with``."""
    parts = _CLAUSE.split(text)
    if parts[0].strip() or len(parts) < 3:
        raise UserError("formula: cannot read what its letters stand for", got=text, wanted=_WANTED)
    letters: dict[str, Letter] = {}
    for name, choices in zip(parts[1::2], parts[2::2], strict=True):
        if name in letters:
            raise UserError(f"formula: {name} is said twice", got=formula)
        if choices.strip(" ;,").lower() == ANY:
            letters[name] = Letter(SYMBOLS[1:], "any element", "any")
        else:
            letters[name] = Letter(_elements(name, choices), choices.strip(" ;,"), "listed")
    return letters


def _elements(letter: str, text: str) -> tuple[str, ...]:
    """The elements that a letter may be, in the order given."""
    words = [word for word in re.split(r"[,;\s]+|\band\b", text) if word]
    symbols = [symbol for word in words for symbol in GROUPS.get(word.lower(), (word,))]
    unknown = [symbol for symbol in symbols if symbol not in ATOMIC_NUMBER]
    if unknown or not symbols:
        got = unknown[0] if unknown else None
        wanted = f"symbols, {', '.join(GROUPS)}, or {ANY}"
        raise UserError(f"formula: {letter} stands for no elements", got=got, wanted=wanted)
    return tuple(dict.fromkeys(symbols))
