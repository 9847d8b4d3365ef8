"""The symbols of every sequence: control symbols, elements, counts, space groups, Wyckoff letters, marks of SMILES.

Crystals and molecules share the elements and the control symbols. What molecules add stands behind what crystals use:
a model of crystals has an output for each of the first CRYSTAL_VOCABULARY_SIZE symbols and knows no others.
"""

from __future__ import annotations

from unigen.elements import SYMBOLS

PAD, BEGIN, END, SLOT = 0, 1, 2, 3
"""Padding; start of a prompt; end of the composition; the place of a vector."""

MAX_COUNT = 64
"""The largest count of an element that can be written."""

# Each kind of symbol begins where the one before it ends. A base is the symbol before its first one, since atomic
# numbers, counts and space groups are counted from 1. Embeddings of trained models have these rows: symbols are only
# ever added, at the end.
_ELEMENT_BASE = 3
_COUNT_BASE = _ELEMENT_BASE + len(SYMBOLS) - 1
COPY = _COUNT_BASE + MAX_COUNT + 1
NEW = COPY + 1
"""The template that follows is that of a neighbour, or a new one."""

_GROUP_BASE = NEW
_LETTER_BASE = _GROUP_BASE + 231
LETTER_COUNT = 27
"""Wyckoff letters: a to z, and A of group 47 (Pmmm)."""

CRYSTAL_VOCABULARY_SIZE = _LETTER_BASE + LETTER_COUNT
"""Symbols of crystals: the first ones."""

BONDS = ("-", "=", "#", "$", ":", "/", "\\")
AROMATIC = ("b", "c", "n", "o", "p", "s", "as", "se", "te")
MARKS = (*"()[].", *BONDS, "+", "@", "@@", "%", *"0123456789", *AROMATIC)
"""What SMILES write besides elements, as text. One mark of several meanings is one symbol: the minus of a bond and of a
charge, the digit of a ring and of a count, the colon of a bond and of a class."""

_MARK_BASE = CRYSTAL_VOCABULARY_SIZE
VOCABULARY_SIZE = _MARK_BASE + len(MARKS)

_MARK_SYMBOL = {mark: _MARK_BASE + position for position, mark in enumerate(MARKS)}


def element_symbol(number: int) -> int:
    """The symbol of an element, by atomic number from 1."""
    return _ELEMENT_BASE + number


def count_symbol(count: int) -> int:
    """The symbol of a count, 1 to MAX_COUNT."""
    return _COUNT_BASE + count


def element_of(symbol: int) -> int | None:
    """Atomic number of an element symbol, else None."""
    return symbol - _ELEMENT_BASE if _ELEMENT_BASE < symbol <= _COUNT_BASE else None


def count_of(symbol: int) -> int | None:
    """Count of a count symbol, else None."""
    return symbol - _COUNT_BASE if _COUNT_BASE < symbol < COPY else None


def group_symbol(number: int) -> int:
    """The symbol of a space group, by international number from 1."""
    return _GROUP_BASE + number


def letter_symbol(letter: int) -> int:
    """The symbol of a Wyckoff letter, 0 = 'a'."""
    return _LETTER_BASE + letter


def group_of(symbol: int) -> int | None:
    """International number of a space-group symbol, else None."""
    return symbol - _GROUP_BASE if _GROUP_BASE < symbol < _LETTER_BASE else None


def letter_of(symbol: int) -> int | None:
    """Wyckoff letter of a letter symbol, else None."""
    return symbol - _LETTER_BASE if _LETTER_BASE <= symbol < CRYSTAL_VOCABULARY_SIZE else None


def mark_symbol(mark: str) -> int:
    """The symbol of one of MARKS."""
    return _MARK_SYMBOL[mark]


def mark_of(symbol: int) -> str | None:
    """Text of the symbol of a mark, else None."""
    return MARKS[symbol - _MARK_BASE] if _MARK_BASE <= symbol < VOCABULARY_SIZE else None
