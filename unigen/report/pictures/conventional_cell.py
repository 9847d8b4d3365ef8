"""The conventional cell of a crystal as a window onto it: where its corner and its edges are, and no atom is moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unigen.crystals import cell
from unigen.crystals.crystal import Crystal
from unigen.report.pictures.periodic_images import BOUNDARY
from unigen.shapes import Float

SYMPREC = 0.1
"""Angstrom: that of the space groups of runs and evaluations."""

SAME = 0.2
"""Angstrom: atoms this near, whole cells apart, are one. Each is within `SYMPREC` of where it should be."""

_EQUAL = 1e-3
"""Entries of a change of basis that differ by less are one: whole or simple fractions, but for spglib's rounding."""


@dataclass(frozen=True, eq=False)
class ConventionalCell:
    """A cell, in the vectors of the one that was given.

    Attributes:
        basis: its vectors, as rows: those of the given cell are ``lattice``, its own are ``basis @ lattice``.
        origin: fractional coordinates of its corner.
    """

    basis: Float[np.ndarray, "3 3"]
    origin: Float[np.ndarray, "3"]


def conventional_cell(
    crystal: Crystal, wrapped: Float[np.ndarray, "atoms 3"], symprec: float = SYMPREC
) -> ConventionalCell | None:
    """The cell in the standard setting of the space group, by spglib.

    None where the given cell is of the same size and shape, where it is too large for a search, and where its atoms
    are repeated so roughly that the new cell would hold more or fewer of them than its volume says.

    Args:
        crystal: in any cell.
        wrapped: its fractional coordinates, each in the cell that starts `BOUNDARY` below zero.
        symprec: tolerance of the symmetry, Angstrom.

    Example:
        >>> from unigen.report.pictures.periodic_images import close_cell
        >>> fcc = Crystal(np.array([29]), np.zeros((1, 3)), 1.8 * (np.ones((3, 3)) - np.eye(3)))
        >>> conventional = conventional_cell(fcc, close_cell(fcc.frac_coords).wrapped)
        >>> (conventional.basis @ fcc.lattice).round(3) + 0.0
        array([[3.6, 0. , 0. ],
               [0. , 3.6, 0. ],
               [0. , 0. , 3.6]])
    """
    import spglib

    if cell.too_large(len(crystal)):
        return None
    given = cell.right_handed(cell.Cell(crystal.lattice, wrapped, crystal.numbers))
    plain: Any = tuple(given)  # spglib unpacks a tuple by its type
    with cell.quiet_spglib():
        dataset = spglib.get_symmetry_dataset(plain, symprec=symprec)
    if dataset is None:
        return None
    # spglib: x of the standard cell is P x + p, so the corner is at -P^-1 p and the edges are the columns of P^-1; the
    # right-handed form of a left-handed cell has all signs changed
    sign = np.sign(np.linalg.det(crystal.lattice))
    back = sign * np.linalg.inv(dataset.transformation_matrix)
    found = ConventionalCell(back.T, -back @ dataset.origin_shift)
    entries = np.abs(found.basis)
    # a permutation of the given vectors shows nothing new
    if np.allclose(np.sort(entries.ravel()), [0] * 6 + [1] * 3, atol=_EQUAL) and (entries.max(axis=0) > 0.5).all():
        return None
    wanted = len(crystal) * abs(np.linalg.det(found.basis))
    return found if _atoms_within(crystal.lattice, wrapped, found) == round(wanted) else None


def _atoms_within(
    lattice: Float[np.ndarray, "3 3"], wrapped: Float[np.ndarray, "atoms 3"], found: ConventionalCell
) -> int:
    """How many atoms the cell holds: of those in it and on its faces, those that are no repetition of another."""
    corners = np.array([[n >> axis & 1 for axis in range(3)] for n in range(8)]) @ found.basis + found.origin
    low, high = np.floor(corners.min(axis=0)).astype(int) - 1, np.ceil(corners.max(axis=0)).astype(int) + 1
    shifts = np.stack(np.meshgrid(*map(np.arange, low, high + 1), indexing="ij"), axis=-1).reshape(-1, 1, 3)
    places = ((wrapped + shifts - found.origin) @ np.linalg.inv(found.basis)).reshape(-1, 3)
    places = places[((places >= -BOUNDARY) & (places <= 1 + BOUNDARY)).all(axis=1)]
    away = places[:, None] - places
    away = (away - np.round(away)) @ found.basis @ lattice
    same = np.linalg.norm(away, axis=2) < SAME
    return len(places) - int(np.tril(same, k=-1).any(axis=1).sum())
