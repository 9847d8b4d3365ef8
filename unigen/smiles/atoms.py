"""The atoms that a generated SMILES may hold: elements, charges, and how many bonds each of them has.

Valences are those of RDKit's periodic table (Code/GraphMol/atomic_data.cpp) as far as OpenSMILES agrees; a charged atom
has as many bonds as the neutral one of its column's neighbour (N+ as C, O- as F), which is how RDKit counts too. So
one number of hydrogens follows from a composition and its unsaturation, whatever is charged. Radicals are not written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from unigen.elements import SYMBOLS
from unigen.errors import UserError
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

Site = tuple[int, ...]
"""What bonds an atom can still have: the highest order of one, then for 0, 1, ... further orders in all the hydrogens
it has when it gets exactly these, -1 where that cannot be. ``(3, 2, 1, 0)`` is a carbon with two single bonds."""


class Kind(NamedTuple):
    """A way to write an atom.

    Attributes:
        symbols: its tokens.
        number: atomic number.
        charge: formal charge.
        hydrogens: written in its brackets.
        site: the bonds it can have.
    """

    symbols: tuple[int, ...]
    number: int
    charge: int
    hydrogens: int
    site: Site


def bonded(site: Site, order: int) -> Site | None:
    """What is left of a site when it gets a bond; None when it cannot."""
    if order > site[0] or order > len(site) - 2:
        return None
    return (site[0], *site[1 + order :])


def fewest(site: Site, least: int) -> int:
    """The fewest further orders that an atom can have, at least so many."""
    return next(orders for orders in range(least, len(site) - 1) if site[1 + orders] >= 0)


def kinds(elements: Iterable[int], charges: Iterable[tuple[int, int]], *, stereo: bool) -> list[Kind]:
    """Every way to write an atom of these elements, neutral or with one of these charges.

    Raises:
        UserError: an element or a charge whose valence is not known.
    """
    allowed, found = sorted(elements), []
    for number in allowed:
        if number not in NEUTRAL:
            known = ", ".join(SYMBOLS[known] for known in NEUTRAL)
            raise UserError("element whose valence is not known", got=SYMBOLS[number], wanted=f"of {known}")
        found += _neutral(number) + (_handed(number, 0, 4) if stereo and number in (6, 14) else [])
    for number, charge in sorted(charges):
        valence = CHARGED.get((number, charge))
        if valence is None:
            raise UserError(f"{SYMBOLS[number]} of charge {charge:+d} has no known valence", wanted=_known_charges())
        if number in allowed:
            found += [_exact(number, charge, hydrogens, valence) for hydrogens in range(valence + 1)]
            found += _handed(number, charge, valence) if stereo and valence == 4 else []
    return found


def _known_charges() -> str:
    return ", ".join(f"{SYMBOLS[number]}{'+' if charge > 0 else '-'}" for number, charge in CHARGED)


def _neutral(number: int) -> list[Kind]:
    """Without brackets, its hydrogens implied; in brackets where SMILES wants them."""
    valences = NEUTRAL[number]
    if SYMBOLS[number] not in VALENCES:
        return [_exact(number, 0, hydrogens, valences[0]) for hydrogens in range(valences[0] + 1)]
    hydrogens = [valences[0] - orders for orders in range(valences[0] + 1)]
    hydrogens += [0 if orders in valences else -1 for orders in range(valences[0] + 1, valences[-1] + 1)]
    return [Kind(spelled_atom(number, 0, valences[0], 0, 0), number, 0, 0, (3, *hydrogens))]


def _exact(number: int, charge: int, hydrogens: int, valence: int, hand: int = 0) -> Kind:
    """In brackets: all its bonds are known."""
    symbols = spelled_atom(number, charge, hydrogens, hand, valence - hydrogens)
    site = (1 if hand else 3, *[-1] * (valence - hydrogens), 0)
    return Kind(symbols, number, charge, hydrogens, site)


def _handed(number: int, charge: int, valence: int) -> list[Kind]:
    """With ``@`` and ``@@``: four neighbours, at most one of them a hydrogen, by single bonds."""
    return [_exact(number, charge, hydrogens, valence, hand) for hydrogens in (0, 1) for hand in (-1, 1)]
