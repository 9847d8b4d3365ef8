"""Whether atoms of a crystal are too close to be believed, by pair of elements.

Half an Angstrom between any two atoms, the field's check, lets titanium and oxygen stand 0.76 apart. The limits here
are learned from known crystals (``data/contacts/make_limits.py``): 0.93 of the distance that all but half a percent of
the structures of the bundled table keep, at most 0.72 of the sum of two bond radii and 0.9 of that of two
covalent ones. Of the 9,046 crystals of MP-20 test, which are not in that table, none breaks them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache, lru_cache
from itertools import combinations_with_replacement
from pathlib import Path
from typing import NamedTuple

from unigen.crystals.cell import Cell, shortest_by_pair
from unigen.crystals.crystal import Crystal
from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.request import pair_name

LIMITS = Path(__file__).parent / "close_contacts.csv"


class CloseContact(NamedTuple):
    """Two elements that come too close.

    Attributes:
        pair: such as ``"Ti-O"``.
        distance: Angstrom.
        limit: the shortest distance to be believed, Angstrom.
    """

    pair: str
    distance: float
    limit: float

    @property
    def ratio(self) -> float:
        """Of the distance to the limit."""
        return self.distance / self.limit

    @property
    def reason(self) -> str:
        """In words."""
        return f"{self.pair} {self.distance:.2f} A apart; known crystals keep {self.limit:.2f} A"


@lru_cache(maxsize=1024)  # of a crystal, not of its numbers: who draws a batch asks, and then who writes it down
def closest_contact(crystal: Crystal) -> CloseContact | None:
    """The pair of elements that is nearest in proportion to its limit; None where all keep theirs.

    Example:
        >>> import numpy as np
        >>> wrong = Crystal(np.array([22, 8]), np.array([[0.0] * 3, [0.25] * 3]), np.eye(3) * 3)
        >>> closest_contact(wrong).reason
        'Ti-O 1.30 A apart; known crystals keep 1.44 A'
    """
    known = contact_limits()
    pairs = combinations_with_replacement(sorted(crystal.counts), 2)
    return worst_contact(crystal, {pair: known[pair] for pair in pairs if pair in known})


def worst_contact(crystal: Crystal, limits: Mapping[tuple[int, int], float]) -> CloseContact | None:
    """The pair of elements that is nearest in proportion to its limit; None where all keep theirs.

    Args:
        crystal: whose distances.
        limits: Angstrom, by two atomic numbers, the smaller first.
    """
    longest = max(limits.values(), default=0.0)
    if not longest:
        return None
    near = shortest_by_pair(Cell(crystal.lattice, crystal.frac_coords, crystal.numbers), longest)
    pair, ratio = min(
        ((pair, distance / limits[pair]) for pair, distance in near.items() if pair in limits),
        key=lambda each: each[1],
        default=((0, 0), 1.0),
    )
    if ratio >= 1:
        return None
    return CloseContact(pair_name(SYMBOLS[pair[0]], SYMBOLS[pair[1]]), near[pair], limits[pair])


@cache
def contact_limits() -> dict[tuple[int, int], float]:
    """Angstrom, by two atomic numbers in either order; elements that no known crystal has are not among them."""
    limits: dict[tuple[int, int], float] = {}
    with LIMITS.open(newline="") as file:
        for row in csv.DictReader(file):
            first, second = (ATOMIC_NUMBER[symbol] for symbol in row["pair"].split("-"))
            limits[first, second] = limits[second, first] = float(row["too_close"])
    return limits
