"""Hydrogens of a SMILES that are written as atoms of their own: ``C[NH3+]`` as ``C([H])([H])([H])[N+]([H])([H])([H])``.

One normal form, so that there is one way to write what is being written: the hydrogens of an atom stand behind its
ring digits and before its branches, each in parentheses, also the last. This form and the one with implied hydrogens
say the same molecule, in the same order of heavy atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from unigen.tokens.vocabulary import element_of, element_symbol, mark_of, mark_symbol

Hydrogens = Literal["implied", "written"]
"""Whether a SMILES leaves its hydrogens to the valences and brackets, or writes each as an atom."""

HYDROGEN_BRANCH = (mark_symbol("("), mark_symbol("["), element_symbol(1), mark_symbol("]"), mark_symbol(")"))
"""A hydrogen as it is written: ``([H])``."""

_BRACKET, _BRACKET_END = mark_symbol("["), mark_symbol("]")
_LEFT, _RIGHT = mark_symbol("@"), mark_symbol("@@")
_MIRRORED = {_LEFT: _RIGHT, _RIGHT: _LEFT}
_BONDS = {mark_symbol(bond) for bond in "-=#/\\"}
_BRANCH_ATOMS = (False, False, True, True, False)
"""Which symbols of a hydrogen belong to its atom: not its bracket, since when that is read nothing is known of it."""


def with_hydrogens(
    symbols: Sequence[int], atoms: Sequence[int], hydrogens: Sequence[int]
) -> tuple[list[int], list[int]]:
    """A SMILES with its hydrogens written, and which atom each symbol belongs to.

    Args:
        symbols: with implied hydrogens, as `unigen.smiles.writer` writes them.
        atoms: which atom each symbol belongs to, -1 for none.
        hydrogens: of each atom.

    Returns:
        The symbols; and the atom of each: that of a hydrogen is the one it is bonded to, a bracket that opens has none.

    Example:
        >>> smiles_text(with_hydrogens(smiles_symbols("CO"), [0, 1], [3, 1])[0])
        'C([H])([H])([H])O([H])'
    """
    written: list[int] = []
    belonging: list[int] = []
    position = 0
    while position < len(symbols):
        atom = int(atoms[position])
        end = position + 1
        if atom < 0:
            written.append(symbols[position])
            belonging.append(-1)
            position = end
            continue
        while end < len(symbols) and atoms[end] == atom:
            end += 1
        behind, rings = _behind_rings(symbols, end)
        count = int(hydrogens[atom])
        spelled = without_count(symbols[position:end], mirrored=count == 1 and rings % 2 == 1)
        written += [*spelled, *symbols[end:behind], *HYDROGEN_BRANCH * count]
        belonging += [-1 if symbol == _BRACKET else atom for symbol in spelled]
        belonging += [-1] * (behind - end) + [atom if belongs else -1 for belongs in _BRANCH_ATOMS] * count
        position = behind
    return written, belonging


def without_hydrogens(symbols: Sequence[int]) -> list[int]:
    """The same SMILES with implied hydrogens; inverse of `with_hydrogens`.

    Example:
        >>> smiles_text(without_hydrogens(smiles_symbols("[N+]([H])([H])([H])C([H])([H])([H])")))
        '[NH3+]C'
    """
    implied: list[int] = []
    position = 0
    while position < len(symbols):
        end = position + 1
        if symbols[position] != _BRACKET and element_of(symbols[position]) is None:
            implied.append(symbols[position])
            position = end
            continue
        if symbols[position] == _BRACKET:
            end = position + list(symbols[position:]).index(_BRACKET_END) + 1
        behind, rings = _behind_rings(symbols, end)
        rest, count = behind, 0
        while tuple(symbols[rest : rest + len(HYDROGEN_BRANCH)]) == HYDROGEN_BRANCH:
            rest, count = rest + len(HYDROGEN_BRANCH), count + 1
        implied += _with_count(symbols[position:end], count, mirrored=count == 1 and rings % 2 == 1)
        implied += symbols[end:behind]
        position = rest
    return implied


def _behind_rings(symbols: Sequence[int], position: int) -> tuple[int, int]:
    """Past the digits of rings and the bonds before them, and how many rings these are."""
    rings = 0
    while True:
        digit = position + (position < len(symbols) and symbols[position] in _BONDS)
        mark = str(mark_of(symbols[digit])) if digit < len(symbols) else ""
        if not (mark.isdigit() or mark == "%"):
            return position, rings
        position, rings = digit + (3 if mark == "%" else 1), rings + 1


def without_count(spelled: Sequence[int], *, mirrored: bool = False) -> list[int]:
    """An atom without the hydrogens in its brackets.

    A hydrogen in brackets is the neighbour before the rings, one that is written the neighbour behind them: where
    it passes an odd number of rings, the chirality is written the other way round.
    """
    if spelled[0] != _BRACKET:
        return list(spelled)
    kept = list(spelled[:2])  # the bracket and the element, which may be hydrogen itself
    in_count = False
    for symbol in spelled[2:]:
        in_count = symbol == element_symbol(1) or (in_count and str(mark_of(symbol)).isdigit())
        if not in_count:
            kept.append(_MIRRORED.get(symbol, symbol) if mirrored else symbol)
    return kept


def _with_count(spelled: Sequence[int], count: int, *, mirrored: bool) -> list[int]:
    """An atom with its hydrogens in its brackets, where it has brackets; inverse of ``without_count``."""
    if spelled[0] != _BRACKET:
        return list(spelled)
    marked = [_MIRRORED.get(symbol, symbol) if mirrored else symbol for symbol in spelled]
    place = 3 if marked[2] in _MIRRORED else 2
    hydrogens = [element_symbol(1), *map(mark_symbol, str(count) if count > 1 else "")] if count else []
    return [*marked[:place], *hydrogens, *marked[place:]]
