"""The symbols of every sequence: control symbols, elements, counts."""

from __future__ import annotations

from unigen.elements import SYMBOLS

PAD, BEGIN, END, SLOT = 0, 1, 2, 3
"""Padding; start of a prompt; end of the composition; the place of a vector."""

MAX_COUNT = 64
_ELEMENT_BASE = 3
_COUNT_BASE = _ELEMENT_BASE + len(SYMBOLS) - 1
VOCABULARY_SIZE = _COUNT_BASE + MAX_COUNT + 1


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
    return symbol - _COUNT_BASE if symbol > _COUNT_BASE else None
