"""How long bonds between two elements are, learned from known structures; and what that says of a substituted cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.elements import SYMBOLS
from unigen.retrieval.table import UNIT, TemplateTable
from unigen.shapes import Bool, Float, Int

NEAREST_RATIO = 1.15
"""Two elements are bonded where their distance is at most so many times the shortest one that both of them have..."""

FIRST_SHELL = 1.1, 1.5
"""...or at most the first number times the longer of the shortest distances of the two, and the second times the
shorter: the bonds of a large atom whose neighbours have nearer ones of their own."""

RADII_WEIGHT = 1.0
"""Bonds of a pair that the sum of two radii counts for: pairs that are known once are not believed altogether."""

RADII_RIDGE = 0.25
"""Weight of "no radius" in their fit, in relative errors squared: for elements with hardly a bond."""

_SHORTEST_RADII = 0.5
"""Angstrom, of two radii together, so that logarithms exist for pairs of elements without any bond."""


@dataclass(frozen=True, eq=False)
class BondLengths:
    """The mean logarithm of the length of a bond, by pair of elements.

    Attributes:
        log_length: natural logarithm of Angstrom, by two atomic numbers.
    """

    log_length: Float[np.ndarray, "elements elements"]

    @classmethod
    def fit(cls, table: TemplateTable) -> BondLengths:
        """Over all structures of a table: the mean of each pair, drawn towards the sum of two radii.

        The radii minimise ``sum_bonds ((r_a + r_b) / length - 1)^2 + RADII_RIDGE sum_e r_e^2``.
        """
        width = np.diff(table.element_offsets)
        owner = np.repeat(np.arange(len(table)), width**2)
        nearest = table.contacts[:, 0] * UNIT * np.cbrt(table.volume / table.num_atoms)[owner]
        place = np.arange(len(owner)) - table.contact_offsets[owner]
        first, second = (
            table.element_offsets[owner] + place // width[owner],
            (table.element_offsets[owner] + place % width[owner]),
        )
        bonded = _bonded(nearest, first, second)
        a, b = table.elements[first[bonded]], table.elements[second[bonded]]
        length = nearest[bonded]
        n, pairs = len(SYMBOLS), np.minimum(a, b) * len(SYMBOLS) + np.maximum(a, b)
        many = np.bincount(pairs, minlength=n * n).reshape(n, n)
        sums = np.bincount(pairs, weights=np.log(length), minlength=n * n).reshape(n, n)
        normal, right = np.eye(n) * RADII_RIDGE, np.zeros(n)
        for x, y in ((a, a), (a, b), (b, a), (b, b)):
            np.add.at(normal, (x, y), length**-2)
        for x in (a, b):
            np.add.at(right, x, 1 / length)
        radii = np.linalg.solve(normal, right)
        log_radii = np.log(np.maximum(radii[:, None] + radii, _SHORTEST_RADII))
        upper = (sums + RADII_WEIGHT * log_radii) / (many + RADII_WEIGHT)
        log_length = np.triu(upper) + np.triu(upper, 1).T
        log_length.flags.writeable = False
        return cls(log_length)

    def log_volume_ratio(
        self,
        contacts: Float[np.ndarray, "elements elements"],
        was: Int[np.ndarray, "elements"],
        becomes: Int[np.ndarray, "elements"],
    ) -> float:
        """By how much the volume changes, as a logarithm, when elements are exchanged and bonds keep their proportions.

        Args:
            contacts: from sites of one element to the nearest of another, in any unit.
            was: atomic numbers of the known structure.
            becomes: what takes their places.
        """
        first, second = bonded_pairs(contacts)
        if not len(first):
            return 0.0
        change = self.log_length[becomes[first], becomes[second]] - self.log_length[was[first], was[second]]
        return 3 * float(change.mean())


def bonded_pairs(
    contacts: Float[np.ndarray, "elements elements"],
) -> tuple[Int[np.ndarray, "bonds"], Int[np.ndarray, "bonds"]]:
    """Which elements of one structure are bonded, each pair once, by the distance to the nearest one of another."""
    first, second = np.indices(contacts.shape).reshape(2, -1)
    bonded = _bonded(contacts.ravel(), first, second)
    return first[bonded], second[bonded]


def _bonded(
    nearest: Float[np.ndarray, "pairs"], first: Int[np.ndarray, "pairs"], second: Int[np.ndarray, "pairs"]
) -> Bool[np.ndarray, "pairs"]:
    """Which pairs, each once, are bonded; ``first`` ascends and numbers the elements of all structures from 0."""
    starts = np.flatnonzero(np.diff(first, prepend=-1))
    shortest = np.minimum.reduceat(nearest, starts) if len(nearest) else nearest
    one, other = shortest[first], shortest[second]
    shorter, longer = np.minimum(one, other), np.maximum(one, other)
    near, far = FIRST_SHELL
    close = (nearest < NEAREST_RATIO * shorter) | ((nearest < near * longer) & (nearest < far * shorter))
    return close & (first <= second) & (nearest > 0)
