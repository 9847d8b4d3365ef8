"""Which candidates to try first when there are too many to try them all."""

from __future__ import annotations

from itertools import product

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.shapes import Float, Int

SHELLS = 12


def mean_distances(crystal: Crystal) -> Float[np.ndarray, "shells"]:
    """Mean distance to the first, second, ... neighbour over all atoms, in units of (V / atoms)^(1/3).

    The average minimum distance of Widdowson et al., MATCH 87, 529 (2022), over the images of the 125 cells around:
    good enough to order candidates, and never used to reject one.
    """
    cell = crystal.reduced()
    images = np.array(list(product(range(-2, 3), repeat=3)), dtype=float)
    everywhere = (cell.frac_coords[None] + images[:, None]).reshape(-1, 3) @ cell.lattice
    here = cell.frac_coords @ cell.lattice
    squared = ((here[:, None] - everywhere[None]) ** 2).sum(-1)
    nearest = np.sort(squared, axis=1)[:, 1 : SHELLS + 1]
    return np.sqrt(nearest).mean(axis=0) / (cell.volume / len(cell)) ** (1 / 3)


def nearest_first(
    target: Float[np.ndarray, "shells"], candidates: Float[np.ndarray, "candidates shells"], limit: int
) -> Int[np.ndarray, "tried"]:
    """Indices of the ``limit`` candidates nearest to the target; equal ones in their order."""
    return np.argsort(np.abs(candidates - target).max(axis=1), kind="stable")[:limit]
