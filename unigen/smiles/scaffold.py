"""The beginning of a SMILES that holds a whole scaffold, and goes on at one of its atoms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unigen.errors import UserError
from unigen.shapes import Int
from unigen.smiles.skeleton import Skeleton
from unigen.smiles.writer import write_smiles
from unigen.tokens.vocabulary import mark_of, mark_symbol

_OPEN, _CLOSE = mark_symbol("("), mark_symbol(")")
_BONDS = {mark_symbol(bond) for bond in "-=#"}


class Begun(NamedTuple):
    """A SMILES that is begun.

    Attributes:
        symbols: of the scaffold, all but its first atom in parentheses, so that what follows is bonded to that atom.
        order: atoms of the scaffold in the order in which they are written, the one that is open first.
    """

    symbols: list[int]
    order: Int[np.ndarray, "atoms"]


def open_places(scaffold: Skeleton) -> list[int]:
    """The atoms that a bond can be added to: those with a hydrogen and no charge."""
    return np.flatnonzero((scaffold.hydrogens > 0) & (scaffold.charges == 0)).tolist()


def begin_smiles(scaffold: Skeleton, place: int, rng: np.random.Generator) -> Begun:
    """Write a scaffold so that the molecule goes on at one of its atoms.

    Args:
        scaffold: one connected molecule; its stereo is not written.
        place: the atom to go on at, one of ``open_places``.
        rng: draws the order of branches.

    Raises:
        UserError: several fragments.

    Example:
        >>> methane = Skeleton(np.array([6]), np.array([0]), np.array([4]), np.zeros((0, 3), int))
        >>> begin_smiles(methane, 0, np.random.default_rng(0)).order.tolist()
        [0]
    """
    if not scaffold.hydrogens[place]:
        raise UserError(f"atom {place} of the scaffold: no hydrogen to put a bond in place of")
    written = write_smiles(scaffold.without_stereo(), rng, root=place, stereo=False)
    symbols = np.asarray(written.symbols).tolist()
    start = _behind_branches(symbols, behind_rings(symbols, 1))
    chain = symbols[start:]
    return Begun(symbols[:start] + ([_OPEN, *chain, _CLOSE] if chain else []), written.order)


def behind_rings(symbols: list[int], at: int) -> int:
    """Past the digits of rings, and the bonds before them."""
    while at < len(symbols):
        digit = at + (symbols[at] in _BONDS)
        if digit >= len(symbols) or not str(mark_of(symbols[digit])).isdigit():
            return at
        at = digit + 1
    return at


def _behind_branches(symbols: list[int], at: int) -> int:
    """Past whole parentheses."""
    while at < len(symbols) and symbols[at] == _OPEN:
        depth = 1
        while depth:
            at += 1
            depth += (symbols[at] == _OPEN) - (symbols[at] == _CLOSE)
        at += 1
    return at
