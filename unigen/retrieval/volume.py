"""Cell volume from composition: every element brings its own share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unigen.elements import SYMBOLS
from unigen.retrieval.compositions import Compositions
from unigen.shapes import Float, Int

SMALLEST = 1.0
"""No element takes less than this, in cubic Angstrom, so that no composition has a volume near zero."""

FIT_ATOMS = 52
"""Cells of at most so many atoms are fitted, where they are most of the known ones: what the bundled model was trained
on. Larger ones are molecular and hydrogen-rich out of proportion, and would move the cells of every dense crystal."""

RIDGE = 0.1
"""Weight, in structures, of the belief that an element takes the mean volume of an atom (all there is if unseen)."""


@dataclass(frozen=True, eq=False)
class VolumeModel:
    """Additive volumes, ``V = sum_e n_e v_e``.

    Attributes:
        per_atom: volume v_e of one atom by atomic number, cubic Angstrom; entry 0 (no element) is NaN.
    """

    per_atom: Float[np.ndarray, "elements"]

    @classmethod
    def fit(cls, cells: Compositions) -> VolumeModel:
        """Least squares on **relative** volume errors, so that large cells count no more than small ones.

        Minimises ``sum_i (sum_e n_ie v_e / V_i - 1)^2 + RIDGE sum_e (v_e / v_mean - 1)^2`` with every
        ``v_e >= SMALLEST``: elements that fall below are fixed there and the others are solved again.

        Over cells of at most ``FIT_ATOMS`` atoms; over all where these are not most of them.
        """
        atoms = np.bincount(cells.owner, weights=cells.count, minlength=len(cells))
        fitted = atoms <= FIT_ATOMS
        if 2 * fitted.sum() <= len(cells):
            fitted[:] = True
        # the median: a few wrong cells of a dataset move no element that is rare
        mean = float(np.median((cells.volume / atoms)[fitted]))
        used = fitted[cells.owner]
        owner, number = cells.owner[used], cells.number[used]
        share = cells.count[used] / cells.volume[owner]
        normal = _products(owner, number, share) + RIDGE / mean**2 * np.eye(len(SYMBOLS))
        right = np.bincount(number, weights=share, minlength=len(SYMBOLS)) + RIDGE / mean
        per_atom = _solve_above(normal, right, SMALLEST)
        per_atom[0] = np.nan
        per_atom.flags.writeable = False
        return cls(per_atom=per_atom)

    def predict(self, counts: Mapping[int, int]) -> float:
        """Volume of a cell with these atoms (counts by atomic number), cubic Angstrom."""
        return float(sum(count * self.per_atom[number] for number, count in counts.items()))


def _products(
    owner: Int[np.ndarray, "rows"], number: Int[np.ndarray, "rows"], share: Float[np.ndarray, "rows"]
) -> Float[np.ndarray, "elements elements"]:
    """``A^T A`` of the matrix with these entries, cells by elements, which is nearly empty and never made.

    Args:
        owner: the cell of each entry, ascending.
        number: its element, once a cell.
        share: the entry.
    """
    n = len(SYMBOLS)
    products = np.zeros((n, n))
    for apart in range(int(np.bincount(owner).max(initial=0))):
        first, second = slice(len(owner) - apart), slice(apart, None)
        same = owner[first] == owner[second]
        pairs = number[first][same] * n + number[second][same]
        weights = share[first][same] * share[second][same]
        found = np.bincount(pairs, weights=weights, minlength=n * n).reshape(n, n)
        products += found + found.T if apart else found
    return products


def _solve_above(
    normal: Float[np.ndarray, "n n"], right: Float[np.ndarray, "n"], floor: float
) -> Float[np.ndarray, "n"]:
    """Solve ``normal x = right``; unknowns that come out below the floor are set to it, for good."""
    solution = np.full(len(right), floor)
    free = np.ones(len(right), dtype=bool)
    while free.any():
        from_fixed = normal[np.ix_(free, ~free)] @ solution[~free]
        trial = np.linalg.solve(normal[np.ix_(free, free)], right[free] - from_fixed)
        below = trial < floor
        solution[free] = np.maximum(trial, floor)
        if not below.any():
            break
        free[np.flatnonzero(free)[below]] = False
    return solution
