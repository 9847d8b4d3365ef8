"""The conventional cells in which one crystal may be described: changes of basis and their lattices (numpy).

An affine map (R, t) of coordinates, x' = R x + t, changes the metric M to ``R^-T M R^-1``. Which cells are in standard
form: triclinic: shortest vectors, a <= b <= c, all angles on one side of 90 degrees; monoclinic: a and c the shortest
that the setting allows, beta not acute; others: as their crystal system says. Comparisons have a tolerance, and all
cells within it are kept, so that noise of the lattice does not change the set.
"""

from __future__ import annotations

import numpy as np

from unigen.geometry.lattice import lattice_matrix, lattice_parameters, short_bases
from unigen.shapes import Float, Int
from unigen.symmetry.space_groups import SpaceGroupTable

LATTICE_TOLERANCE = 2e-3
"""Lengths this close relative to each other, and angles this close in radians, count as equal."""


def metric_of(lattice: Float[np.ndarray, "*batch 6"]) -> Float[np.ndarray, "*batch 3 3"]:
    """The scalar products of the vectors of a cell given as lengths and angles."""
    rows = lattice_matrix(lattice)
    return rows @ np.swapaxes(rows, -1, -2)


def moved_lattices(
    lattice: Float[np.ndarray, "6"], elements: Float[np.ndarray, "elements 3 4"]
) -> Float[np.ndarray, "elements 6"]:
    """Lengths and angles of the cells that maps of the coordinates lead to."""
    inverse = np.linalg.inv(elements[:, :, :3])
    return lattice_parameters(np.swapaxes(inverse, 1, 2) @ lattice_matrix(lattice))


def triclinic_elements(
    group: SpaceGroupTable, lattice: Float[np.ndarray, "6"], tolerance: float = LATTICE_TOLERANCE
) -> Float[np.ndarray, "elements 3 4"]:
    """The changes of basis to cells in standard form, with every translation of the normaliser.

    Args:
        group: P1 or P-1.
        lattice: a Niggli-reduced cell.
        tolerance: how much longer than the shortest vectors may be, relative.
    """
    bases = short_bases()
    metric = metric_of(lattice)
    # L' = B L has lengths diag(B M B^T), and the coordinates of it are x' = B^-T x.
    squared = np.einsum("kij,jl,kil->ki", bases, metric, bases)
    keep = squared.sum(axis=1) <= squared.sum(axis=1).min() * (1 + 2 * tolerance)  # twice: squares of lengths
    lengths = np.sqrt(squared)
    keep &= (lengths[:, :2] <= lengths[:, 1:] * (1 + tolerance)).all(axis=1)
    bases = bases[keep]
    six = lattice_parameters(bases @ lattice_matrix(lattice))
    one_side = np.abs(np.cos(six[:, 3:]).sum(axis=1))
    bases = bases[one_side >= one_side.max() - tolerance]
    return _with_translations(np.swapaxes(np.linalg.inv(bases), 1, 2), group.normaliser)


def nearest_triclinic(
    group: SpaceGroupTable, lattice: Float[np.ndarray, "6"], reference: Float[np.ndarray, "6"], farther: float
) -> Float[np.ndarray, "elements 3 4"]:
    """The changes of basis that bring a cell near to another, with every translation of the normaliser.

    Args:
        group: P1 or P-1.
        lattice: a reduced cell.
        reference: the cell to come near to.
        farther: how much farther than the nearest is kept: squares of log lengths and of angles in radians, summed.
    """
    bases = short_bases()
    change = lattice_parameters(bases @ lattice_matrix(lattice)) - reference
    change[:, :3] = np.log1p(change[:, :3] / reference[:3])
    distances = (change**2).sum(axis=1)
    bases = bases[distances <= distances.min() + farther]
    return _with_translations(np.swapaxes(np.linalg.inv(bases), 1, 2), group.normaliser)


def _with_translations(
    rotations: Float[np.ndarray, "bases 3 3"], translations: Float[np.ndarray, "cosets 3 4"]
) -> Float[np.ndarray, "elements 3 4"]:
    pairs = np.broadcast_to(translations, (len(rotations), *translations.shape)).copy()
    pairs[..., :3] = np.round(rotations)[:, None]
    return pairs.reshape(-1, 3, 4)


def monoclinic_step(group: SpaceGroupTable, lattice: Float[np.ndarray, "6"]) -> int | None:
    """The coset that shortens a and c most, or None where they are the shortest already."""
    squared = (moved_lattices(lattice, group.normaliser)[:, [0, 2]] ** 2).sum(axis=1)
    best = int(squared.argmin())
    # More than rounding, or cells of equal length would follow each other for ever.
    return best if squared[best] < (lattice[[0, 2]] ** 2).sum() * (1 - 1e-6) else None


def standard_monoclinic(
    lattices: Float[np.ndarray, "elements 6"], tolerance: float = LATTICE_TOLERANCE
) -> Int[np.ndarray, "kept"]:
    """Which cells have the shortest a and c and a beta that is not acute, within tolerance."""
    squared = (lattices[:, [0, 2]] ** 2).sum(axis=1)
    short = squared <= squared.min() * (1 + 2 * tolerance)
    return np.flatnonzero(short & (lattices[:, 4] >= np.pi / 2 - tolerance))
