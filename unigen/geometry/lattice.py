"""Unit cells as six numbers, and the changes of basis that map a reduced cell onto itself (numpy, batched).

Lattice rows are the lattice vectors, in Angstrom. Angles are in radians here.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

from unigen.shapes import Float, Int


def lattice_parameters(lattice: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 6"]:
    """Lengths a, b, c (Angstrom) and angles alpha, beta, gamma (radians) of each cell."""
    metric = lattice @ np.swapaxes(lattice, -1, -2)
    lengths = np.sqrt(np.diagonal(metric, axis1=-2, axis2=-1))
    cosines = np.stack(
        [metric[..., i, j] / (lengths[..., i] * lengths[..., j]) for i, j in ((1, 2), (0, 2), (0, 1))], axis=-1
    )
    return np.concatenate([lengths, np.arccos(np.clip(cosines, -1.0, 1.0))], axis=-1)


def lattice_matrix(parameters: Float[np.ndarray, "*batch 6"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Right-handed cell with a along x and b in the xy plane.

    Angles that close no cell are pulled towards 90 degrees until the squared volume is positive, so that every six
    numbers give a cell; a cell this touches is far from anything physical and later checks report it.
    """
    a, b, c = np.moveaxis(parameters[..., :3], -1, 0)
    cosines = np.cos(parameters[..., 3:])
    ca, cb, cg = np.moveaxis(_closed(cosines), -1, 0)
    sg = np.sqrt(1.0 - cg**2)
    y = (ca - cb * cg) / sg
    z = np.sqrt(np.maximum(1.0 - cb**2 - y**2, 0.0))  # rounding may leave a negative zero
    zero = np.zeros_like(a)
    rows = [
        np.stack([a, zero, zero], axis=-1),
        np.stack([b * cg, b * sg, zero], axis=-1),
        np.stack([c * cb, c * y, c * z], axis=-1),
    ]
    return np.stack(rows, axis=-2)


def _closed(cosines: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
    """Shrink the cosines by 10 % steps where ``1 - sum cos^2 + 2 prod cos`` (volume squared) is below 1e-3."""
    for _ in range(60):  # seven suffice for three cosines of -1, the worst: they must come above -1/2
        open_cell = 1.0 - (cosines**2).sum(-1) + 2.0 * cosines.prod(-1) < 1e-3
        if not open_cell.any():
            break
        cosines = np.where(open_cell[..., None], 0.9 * cosines, cosines)
    return cosines


@cache
def short_bases() -> Int[np.ndarray, "bases 3 3"]:
    """All 3480 integer matrices with entries -1, 0, 1 and determinant 1: every reduced cell from any other."""
    matrices = np.array(list(product((-1, 0, 1), repeat=9)), dtype=np.int64).reshape(-1, 3, 3)
    return matrices[np.rint(np.linalg.det(matrices)).astype(int) == 1]


@cache
def _metric_action() -> Float[np.ndarray, "rows 6"]:
    """The linear map ``G -> M G M^T`` of every short basis M on the 6 numbers of a metric G; six rows a basis."""
    matrices = short_bases()
    upper = np.triu_indices(3)
    symmetric = np.zeros((6, 3, 3))
    for k, (i, j) in enumerate(zip(*upper, strict=True)):
        symmetric[k, i, j] = symmetric[k, j, i] = 1.0
    moved = np.einsum("mab,kbc,mdc->mkad", matrices, symmetric, matrices)[..., upper[0], upper[1]]
    return np.ascontiguousarray(moved.transpose(0, 2, 1).reshape(-1, 6))


def automorphisms(lattice: Float[np.ndarray, "3 3"], tolerance: float = 0.01) -> Int[np.ndarray, "bases 3 3"]:
    """The proper changes of basis M for which ``M @ lattice`` has the same lengths and angles within tolerance.

    For a Niggli-reduced cell their entries are -1, 0 or 1, so the search is complete; there are 1 to 24.

    Args:
        lattice: a reduced cell, rows are vectors, Angstrom.
        tolerance: allowed change of each metric entry, relative to the product of the two lengths.
    """
    matrices, action = short_bases(), _metric_action()
    metric = lattice @ lattice.T
    six = metric[np.triu_indices(3)]
    lengths = np.sqrt(np.diagonal(metric))
    scale = np.outer(lengths, lengths)[np.triu_indices(3)]
    change = np.abs((action @ six).reshape(-1, 6) - six) / scale
    return matrices[(change < tolerance).all(axis=-1)]
