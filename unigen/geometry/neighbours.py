"""Pairs of atoms within a distance of each other, periodic images counted, by vesin's cell lists."""

from __future__ import annotations

import numpy as np

from unigen.shapes import Float, Int


def neighbour_pairs(
    positions: Float[np.ndarray, "atoms 3"], lattice: Float[np.ndarray, "3 3"] | None, cutoff: float
) -> tuple[Int[np.ndarray, "2 pairs"], Int[np.ndarray, "pairs 3"]]:
    """All ordered pairs (an atom, a neighbour), and in which cell the neighbour lies, counted in lattice vectors.

    An atom is its own neighbour where a periodic image of it is near enough. Pairs stand by atom, neighbour and cell,
    so that they depend on nothing else.

    Args:
        positions: Cartesian, Angstrom; of a crystal inside its cell or not.
        lattice: rows are lattice vectors, Angstrom; None: not periodic.
        cutoff: Angstrom.

    Example:
        >>> pairs, cells = neighbour_pairs(np.zeros((1, 3)), 3.0 * np.eye(3), 3.1)
        >>> pairs.shape, np.abs(cells).sum(1).tolist()
        ((2, 6), [1, 1, 1, 1, 1, 1])
    """
    from vesin import NeighborList

    if not len(positions):
        return np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3), dtype=np.int64)
    atoms, neighbours, cells = NeighborList(cutoff=cutoff, full_list=True).compute(
        points=np.asarray(positions, dtype=np.float64),
        box=np.zeros((3, 3)) if lattice is None else np.asarray(lattice, dtype=np.float64),
        periodic=lattice is not None,
        quantities="ijS",
    )
    pairs = np.stack([atoms, neighbours]).astype(np.int64)
    cells = cells.astype(np.int64)
    order = np.lexsort([*cells.T[::-1], pairs[1], pairs[0]])
    return pairs[:, order], cells[order]
