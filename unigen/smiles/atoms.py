"""The atoms that a generated SMILES may hold: elements, charges, and how many bonds each of them has.

Valences are those of RDKit's periodic table (Code/GraphMol/atomic_data.cpp) as far as OpenSMILES agrees; a charged atom
has as many bonds as the neutral one of its column's neighbour (N+ as C, O- as F), which is how RDKit counts too. So
one number of hydrogens follows from a composition and its unsaturation, whatever is charged. Radicals are not written.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.smiles.hydrogens import Hydrogens, without_count
from unigen.smiles.writer import VALENCES, spelled_atom

NEUTRAL = {
    5: (3,),
    6: (4,),
    7: (3,),
    8: (2,),
    9: (1,),
    14: (4,),
    15: (3, 5),
    16: (2, 4, 6),
    17: (1,),
    35: (1,),
    53: (1,),
}
"""Valences of neutral atoms. The higher ones of P and S are reached by bonds alone, never by hydrogens."""

CHARGED = {(6, -1): 3, (7, 1): 4, (7, -1): 2, (8, 1): 3, (8, -1): 1, (15, 1): 4, (16, 1): 3, (16, -1): 1}
"""Valence by (atomic number, charge) of the charged atoms that can be allowed."""

OpenValence = tuple[int, ...]
"""What bonds an atom can still have: the highest order of one, then for 0, 1, ... further orders in all the hydrogens
it has when it gets exactly these, -1 where that cannot be. ``(3, 2, 1, 0)`` is a carbon with two single bonds."""


class AtomSpelling(NamedTuple):
    """A way to write an atom.

    Attributes:
        symbols: its tokens.
        number: atomic number.
        charge: formal charge.
        hydrogens: written in its brackets.
        valence: the bonds it can have.
    """

    symbols: tuple[int, ...]
    number: int
    charge: int
    hydrogens: int
    valence: OpenValence


@lru_cache(maxsize=4096)  # far more than there are open valences and orders
def after_bond(valence: OpenValence, order: int) -> OpenValence | None:
    """What is left of an open valence when the atom gets a bond; None when it cannot."""
    if order > valence[0] or order > len(valence) - 2:
        return None
    return (valence[0], *valence[1 + order :])


@lru_cache(maxsize=4096)
def fewest_orders(valence: OpenValence, least: int) -> int:
    """The fewest further orders that an atom can have, at least so many."""
    return next(orders for orders in range(least, len(valence) - 1) if valence[1 + orders] >= 0)


def atom_spellings(
    elements: Iterable[int],
    charges: Iterable[tuple[int, int]],
    *,
    stereo: bool,
    hydrogens: Hydrogens = "implied",
) -> list[AtomSpelling]:
    """Every way to write an atom of these elements, neutral or with one of these charges.

    Where hydrogens are written behind the atoms, brackets hold none, and all numbers of them are open.

    Raises:
        UserError: an element or a charge whose valence is not known.
    """
    allowed = sorted(elements)
    spellings: list[AtomSpelling] = []
    for number in allowed:
        if number not in NEUTRAL:
            listed = ", ".join(SYMBOLS[neutral] for neutral in NEUTRAL)
            raise UserError("element whose valence is not known", got=SYMBOLS[number], wanted=f"of {listed}")
        chiral = _chiral(number, 0, 4) if stereo and number in (6, 14) else []  # C, Si
        spellings += _neutral(number) + chiral
    for number, charge in sorted(charges):
        valence = CHARGED.get((number, charge))
        if valence is None:
            listed = ", ".join(f"{SYMBOLS[other]}{'+' if sign > 0 else '-'}" for other, sign in CHARGED)
            raise UserError(f"{SYMBOLS[number]} of charge {charge:+d} has no known valence", wanted=listed)
        if number in allowed:
            spellings += [_bracketed(number, charge, hydrogens, valence) for hydrogens in range(valence + 1)]
            spellings += _chiral(number, charge, valence) if stereo and valence == 4 else []
    return spellings if hydrogens == "implied" else _with_open_hydrogens(spellings)


def _with_open_hydrogens(spellings: list[AtomSpelling]) -> list[AtomSpelling]:
    """One of all spellings that differ in the hydrogens of their brackets alone, which leaves these open."""
    merged: dict[tuple[int, ...], AtomSpelling] = {}
    for spelling in spellings:
        bare = tuple(without_count(spelling.symbols))
        # [NH3+] has no further hydrogens with one bond: [N+] has three there
        open_ = [hydrogens + spelling.hydrogens if hydrogens >= 0 else -1 for hydrogens in spelling.valence[1:]]
        known = merged.get(bare)
        if known is not None:
            longest = max(len(open_), len(known.valence) - 1)
            tables = [[*table, *[-1] * (longest - len(table))] for table in (open_, list(known.valence[1:]))]
            open_ = [max(pair) for pair in zip(*tables, strict=True)]
        merged[bare] = AtomSpelling(bare, spelling.number, spelling.charge, 0, (spelling.valence[0], *open_))
    return list(merged.values())


def _neutral(number: int) -> list[AtomSpelling]:
    """Without brackets, its hydrogens implied; in brackets where SMILES wants them."""
    valences = NEUTRAL[number]
    if SYMBOLS[number] not in VALENCES:
        return [_bracketed(number, 0, hydrogens, valences[0]) for hydrogens in range(valences[0] + 1)]
    hydrogens = [valences[0] - orders for orders in range(valences[0] + 1)]
    hydrogens += [0 if orders in valences else -1 for orders in range(valences[0] + 1, valences[-1] + 1)]
    return [AtomSpelling(spelled_atom(number, 0, valences[0], 0, 0), number, 0, 0, (3, *hydrogens))]


def _bracketed(number: int, charge: int, hydrogens: int, valence: int, hand: int = 0) -> AtomSpelling:
    """In brackets: all its bonds are known."""
    symbols = spelled_atom(number, charge, hydrogens, hand, valence - hydrogens)
    highest_order = 1 if hand else 3
    return AtomSpelling(symbols, number, charge, hydrogens, (highest_order, *[-1] * (valence - hydrogens), 0))


def _chiral(number: int, charge: int, valence: int) -> list[AtomSpelling]:
    """With ``@`` and ``@@``: four neighbours, at most one of them a hydrogen, by single bonds."""
    return [_bracketed(number, charge, hydrogens, valence, hand) for hydrogens in (0, 1) for hand in (-1, 1)]
