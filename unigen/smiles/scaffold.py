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


class ScaffoldPrefix(NamedTuple):
    """The beginning of a SMILES, which holds a whole scaffold.

    Attributes:
        symbols: of the scaffold, all but its first atom in parentheses, so that what follows is bonded to that atom.
        order: atoms of the scaffold in the order in which they are written, the one that is open first.
    """

    symbols: list[int]
    order: Int[np.ndarray, "atoms"]


def attachment_points(scaffold: Skeleton) -> list[int]:
    """The atoms that a bond can be added to: those with a hydrogen and no charge."""
    return np.flatnonzero((scaffold.hydrogens > 0) & (scaffold.charges == 0)).tolist()


def begin_smiles(scaffold: Skeleton, attachment: int, rng: np.random.Generator) -> ScaffoldPrefix:
    """Write a scaffold so that the molecule goes on at one of its atoms.

    Args:
        scaffold: one connected molecule; its stereo is not written.
        attachment: the atom to go on at, one of ``attachment_points``.
        rng: draws the order of branches.

    Raises:
        UserError: several fragments.

    Example:
        >>> methane = Skeleton(np.array([6]), np.array([0]), np.array([4]), np.zeros((0, 3), int))
        >>> begin_smiles(methane, 0, np.random.default_rng(0)).order.tolist()
        [0]
    """
    if not scaffold.hydrogens[attachment]:
        raise UserError(f"atom {attachment} of the scaffold: no hydrogen to put a bond in place of")
    written = write_smiles(scaffold.without_stereo(), rng, root=attachment, stereo=False)
    symbols = np.asarray(written.symbols).tolist()
    start = _behind_branches(symbols, behind_rings(symbols, 1))
    chain = symbols[start:]
    return ScaffoldPrefix(symbols[:start] + ([_OPEN, *chain, _CLOSE] if chain else []), written.order)


def behind_rings(symbols: list[int], position: int) -> int:
    """Past the digits of rings, and the bonds before them."""
    while position < len(symbols):
        digit = position + (symbols[position] in _BONDS)
        if digit >= len(symbols) or not str(mark_of(symbols[digit])).isdigit():
            return position
        position = digit + 1
    return position


def _behind_branches(symbols: list[int], position: int) -> int:
    """Past whole parentheses."""
    while position < len(symbols) and symbols[position] == _OPEN:
        depth = 1
        while depth:
            position += 1
            depth += (symbols[position] == _OPEN) - (symbols[position] == _CLOSE)
        position += 1
    return position
