r"""SMILES text as symbols of the one vocabulary: what is inside brackets is spelled out, so nothing is out of it.

``[13C@@H]`` is ``[``, ``1``, ``3``, ``C``, ``@@``, ``H``, ``]``: any isotope, charge and count is a sequence of a few
marks, and an element is the symbol that it has in crystals. Two letters are one element inside brackets (``[Sc]`` is
scandium); outside, where only B, C, N, O, P, S, F, Cl, Br and I may stand, ``Sc`` is a sulphur and an aromatic carbon.

Refused are the wildcard ``*``, which is no atom, bonds that are not of SMILES (``~``, ``->``), and chirality by class
(``@TH1``, ``@SP2``). Source: OpenSMILES specification 1.0, section 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.errors import UserError
from unigen.tokens.vocabulary import AROMATIC, BONDS, MARKS, element_symbol, mark_symbol

ORGANIC = ("B", "C", "N", "O", "P", "S", "F", "Cl", "Br", "I")
"""Elements that may stand without brackets."""

_IN_BRACKET = r"(?=[^\[\]]*\])"
_OUT_OF_BRACKET = r"(?![^\[\]]*\])"


def _either(words: Iterable[str]) -> str:
    """One of these words, longer ones first."""
    return "(?:" + "|".join(map(re.escape, sorted(words, key=len, reverse=True))) + ")"


_TOKEN = re.compile(
    f"{_either(ORGANIC)}{_OUT_OF_BRACKET}|{_either(SYMBOLS[1:])}{_IN_BRACKET}"
    f"|{_either(AROMATIC)}{_IN_BRACKET}|{_either(word for word in AROMATIC if len(word) == 1)}"
    rf"|@@?(?!TH|AL|SP|TB|OH\d){_IN_BRACKET}|[+]{_IN_BRACKET}|%(?=\d\d)|\d|[()\[\].]|{_either(BONDS)}"
)

_SYMBOL = {element: element_symbol(number) for element, number in ATOMIC_NUMBER.items()}
_SYMBOL |= {mark: mark_symbol(mark) for mark in MARKS}
TEXT = {symbol: token for token, symbol in _SYMBOL.items()}
"""Text of every symbol that may stand in a SMILES."""


def split_smiles(text: str) -> list[str]:
    """The tokens of a SMILES; joined they are the text again.

    Raises:
        UserError: a character that no token begins with, with its position, counted from 1.

    Example:
        >>> split_smiles("C[C@H](N)Cl")
        ['C', '[', 'C', '@', 'H', ']', '(', 'N', ')', 'Cl']
    """
    tokens = _TOKEN.findall(text)
    if sum(map(len, tokens)) != len(text):  # findall skips what no token begins with; the first such is named
        position = 0
        while token := _TOKEN.match(text, position):
            position = token.end()
        raise UserError(
            f"SMILES {text[:80]!r}: cannot read character {position + 1}",
            got=repr(text[position]),
            wanted="elements, bonds, ring digits, branches and brackets",
        )
    return tokens


def smiles_symbols(text: str) -> list[int]:
    """The symbols of a SMILES, neither BEGIN nor END among them; raises as `split_smiles`."""
    return [_SYMBOL[token] for token in split_smiles(text)]


def smiles_text(symbols: Iterable[int]) -> str:
    """The text of symbols of SMILES; inverse of `smiles_symbols`."""
    return "".join([TEXT[symbol] for symbol in symbols])
