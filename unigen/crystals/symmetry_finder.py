"""From a crystal in any cell to its orbits in the standard setting of its space group; spglib finds the symmetry."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.crystals import cell
from unigen.crystals.crystal import Crystal
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.elements import reduce_counts, written_order
from unigen.geometry.lattice import lattice_parameters
from unigen.shapes import Float, Int, Integer
from unigen.symmetry.crystal_systems import complete_lattice
from unigen.symmetry.setting import canonical_description
from unigen.symmetry.space_groups import LETTERS, SpaceGroupTable, space_group, transform

if TYPE_CHECKING:
    from spglib import SpglibDataset

SYMPRECS = (0.1, 0.01, 0.001)
"""Tolerances in Angstrom tried one after the other."""

FAITHFUL = 1e-3
"""Root mean square displacement, in units of (V/atoms)^(1/3), below which two crystals count as the same."""

STRAIN = 5.0
"""Largest change of a scalar product of cell vectors, relative to their lengths, in units of the atoms' limit."""

OFF_POSITION = 1e-3
"""Largest fractional distance of an idealised atom from its Wyckoff position."""


def find_symmetric(
    crystal: Crystal, symprecs: tuple[float, ...] = SYMPRECS, faithful: float = FAITHFUL
) -> SymmetricCrystal:
    """The canonical symmetric form of a crystal; needs spglib.

    The same for every cell, origin and order of atoms of one crystal: among the descriptions that the space
    group's normaliser makes equivalent the one with the smallest letters and numbers is taken (see
    `unigen.symmetry.setting`), elements in the order of their counts, then of their chemical rank.

    Args:
        crystal: any cell of it.
        symprecs: tolerances in Angstrom, the first taken that keeps the crystal as it is; where none does, the
            crystal is described in P1.
        faithful: how far idealising may move the atoms (root mean square, in units of (V/atoms)^(1/3)); lengths
            and angles of the cell may change by five times this. A structure that is noisier than this loses its
            symmetry; give more where symmetry matters more than the last digits.
    """
    small = cell.right_handed(cell.Cell(crystal.lattice, crystal.frac_coords, crystal.numbers))
    for symprec in symprecs:
        found = _dataset(small, symprec)
        if found is None or not _keeps(small, found, faithful):
            continue
        described = _orbits(found)
        if described is not None:
            return canonical(SymmetricCrystal(*described, symprec))
    return canonical(_without_symmetry(small))


def canonical(crystal: SymmetricCrystal) -> SymmetricCrystal:
    """The same crystal in its canonical setting."""
    counts = crystal.counts
    order = written_order(counts)
    ranks = np.array([order.index(number) for number in crystal.numbers.tolist()])
    best = canonical_description(crystal.space_group, crystal.lattice, ranks, crystal.letters, crystal.free)
    numbers = np.ascontiguousarray(crystal.numbers[best.order])
    return SymmetricCrystal(crystal.space_group, best.lattice, numbers, best.letters, best.free, crystal.symprec)


def _dataset(small: cell.Cell, symprec: float) -> SpglibDataset | None:
    """What spglib finds, in the setting of our table."""
    import spglib

    plain: Any = tuple(small)
    with cell.quiet_spglib():
        found = spglib.get_symmetry_dataset(plain, symprec=symprec)
        if found is not None and found.hall_number != (hall := space_group(found.number).hall_number):
            found = spglib.get_symmetry_dataset(plain, symprec=symprec, hall_number=hall)
    return found


def _keeps(small: cell.Cell, found: SpglibDataset, faithful: float) -> bool:
    """Whether the idealised crystal is the one that was given: composition, cell and places of the atoms."""
    change = found.transformation_matrix
    given = np.linalg.inv(change).T @ small.lattice
    ideal = found.std_lattice
    lengths = np.linalg.norm(ideal, axis=1)
    if np.abs((given @ given.T - ideal @ ideal.T) / np.outer(lengths, lengths)).max() > STRAIN * faithful:
        return False
    if _ratios(found.std_types) != _ratios(small.numbers):
        return False
    points = small.frac_coords @ change.T + found.origin_shift
    between = points[:, None] - found.std_positions
    between -= np.round(between)
    squared = ((between @ ideal) ** 2).sum(axis=-1)
    squared[small.numbers[:, None] != found.std_types] = np.inf
    nearest = squared.argmin(axis=1)
    moved = between[np.arange(len(points)), nearest] @ ideal
    moved -= moved.mean(axis=0)
    spacing = (abs(np.linalg.det(small.lattice)) / len(points)) ** (1 / 3)
    return bool(np.sqrt((moved**2).sum(axis=1).mean()) < faithful * spacing)


def _ratios(numbers: Integer[np.ndarray, "atoms"]) -> dict[int, int]:
    return reduce_counts(dict(Counter(numbers.tolist())))[0]


def _orbits(found: SpglibDataset) -> tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Space group, lattice, and element, letter and free parameters of every orbit; None where they do not add up."""
    group = space_group(found.number)
    _, seeds = np.unique(found.crystallographic_orbits, return_index=True)
    primitive = found.mapping_to_primitive[seeds]
    places = [int(np.flatnonzero(found.std_mapping_to_primitive == atom)[0]) for atom in primitive]
    letters, free = [], []
    for place, seed in zip(places, seeds, strict=True):
        images = transform(group.operations, found.std_positions[place])
        read = _read_position(group, images, LETTERS.index(found.wyckoffs[seed]))
        if read is None:
            return None
        letters.append(read[0])
        free.append(read[1])
    numbers = found.std_types[places].astype(np.int64)
    if group.multiplicity[letters].sum() != len(found.std_types):
        return None
    lattice = complete_lattice(group.crystal_system, lattice_parameters(found.std_lattice))
    return found.number, lattice, numbers, np.array(letters), np.array(free)


def _read_position(
    group: SpaceGroupTable, images: Float[np.ndarray, "operations 3"], guess: int
) -> tuple[int, Float[np.ndarray, "3"]] | None:
    """The letter (the guess, or another as large) whose representative holds an image, and its parameters."""
    alike = np.flatnonzero(group.multiplicity == group.multiplicity[guess])
    for letter in [guess, *(other for other in alike.tolist() if other != guess)]:
        pivots = group.pivots[letter]
        shift = images - group.offset[letter]
        free = np.where(pivots >= 0, shift[:, np.maximum(pivots, 0)], 0.0)
        rest = shift - free @ group.linear[letter].T
        off = np.abs(rest - np.round(rest)).max(axis=1)
        best = int(off.argmin())
        if off[best] < OFF_POSITION:
            return letter, free[best] - np.floor(free[best])
    return None


def _without_symmetry(small: cell.Cell) -> SymmetricCrystal:
    """The Niggli cell with all its atoms, in P1."""
    reduced = cell.reduce_cell(small, symprec=1e-4)
    numbers = np.asarray(reduced.numbers, dtype=np.int64)
    letters: Int[np.ndarray, "orbits"] = np.zeros(len(numbers), dtype=np.int64)
    return SymmetricCrystal(1, lattice_parameters(reduced.lattice), numbers, letters, reduced.frac_coords)
