"""The orbits of a crystal in the standard setting of its space group, found by spglib: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from unigen.crystals import cell
from unigen.geometry.lattice import lattice_parameters
from unigen.shapes import Float, Int
from unigen.symmetry.crystal_systems import complete_lattice
from unigen.symmetry.space_groups import LETTERS, SpaceGroupTable, space_group, transform

if TYPE_CHECKING:
    from spglib import SpglibDataset

STRAIN = 5.0
"""Largest change of a scalar product of cell vectors, relative to their lengths, in units of the atoms' limit."""

OFF_POSITION = 1e-3
"""Largest fractional distance of an idealised atom from its Wyckoff position. Of 1,429 orbits of MP-20 none was farther
than rounding (2e-16); this tells positions apart, it forgives nothing."""


class Orbits(NamedTuple):
    """A crystal by its space group; the fields are those of `unigen.crystals.symmetric.SymmetricCrystal`."""

    space_group: int
    lattice: Float[np.ndarray, "6"]
    numbers: Int[np.ndarray, "orbits"]
    letters: Int[np.ndarray, "orbits"]
    free: Float[np.ndarray, "orbits 3"]
    symprec: float


def find_orbits(given: cell.Cell, symprecs: Sequence[float], faithful: float) -> Orbits | None:
    """The orbits at the first of these tolerances at which they are the crystal that was given; None where at none.

    Args:
        given: any cell of it, right-handed.
        symprecs: tolerances in Angstrom.
        faithful: how far idealising may move the atoms (root mean square, in units of (V/atoms)^(1/3)); the metric of
            the cell may change by `STRAIN` times this.
    """
    for symprec in symprecs:
        dataset = _dataset(given, symprec)
        if dataset is None or not _is_faithful(given, dataset, faithful):
            continue
        orbits = _orbits(dataset, symprec)
        if orbits is not None:
            return orbits
    return None


def _dataset(given: cell.Cell, symprec: float) -> SpglibDataset | None:
    """What spglib finds, in the setting of our table."""
    import spglib

    plain: Any = tuple(given)
    with cell.quiet_spglib():
        dataset = spglib.get_symmetry_dataset(plain, symprec=symprec)
        if dataset is not None and dataset.hall_number != (hall := space_group(dataset.number).hall_number):
            dataset = spglib.get_symmetry_dataset(plain, symprec=symprec, hall_number=hall)
    return dataset


def _is_faithful(given: cell.Cell, dataset: SpglibDataset, faithful: float) -> bool:
    """Whether the idealised crystal is the one that was given: composition, cell and positions of the atoms."""
    change = dataset.transformation_matrix
    lattice, ideal = np.linalg.inv(change).T @ given.lattice, dataset.std_lattice
    lengths = np.linalg.norm(ideal, axis=1)
    if np.abs((lattice @ lattice.T - ideal @ ideal.T) / np.outer(lengths, lengths)).max() > STRAIN * faithful:
        return False
    if cell.reduced_counts(dataset.std_types) != cell.reduced_counts(given.numbers):
        return False
    points = given.frac_coords @ change.T + dataset.origin_shift
    difference = points[:, None] - dataset.std_positions
    difference -= np.round(difference)
    squared = ((difference @ ideal) ** 2).sum(axis=-1)
    squared[given.numbers[:, None] != dataset.std_types] = np.inf
    nearest = squared.argmin(axis=1)
    displacements = difference[np.arange(len(points)), nearest] @ ideal
    displacements -= displacements.mean(axis=0)  # the origin is free
    spacing = (abs(np.linalg.det(given.lattice)) / len(points)) ** (1 / 3)
    return bool(np.sqrt((displacements**2).sum(axis=1).mean()) < faithful * spacing)


def _orbits(dataset: SpglibDataset, symprec: float) -> Orbits | None:
    """Space group, lattice, and element, letter and free parameters of every orbit; None where they do not add up."""
    group = space_group(dataset.number)
    _, given_atoms = np.unique(dataset.crystallographic_orbits, return_index=True)
    primitive = dataset.mapping_to_primitive[given_atoms]
    standard_atoms = [int(np.flatnonzero(dataset.std_mapping_to_primitive == atom)[0]) for atom in primitive]
    letters, free = [], []
    for atom, given_atom in zip(standard_atoms, given_atoms, strict=True):
        images = transform(group.operations, dataset.std_positions[atom])
        position = _wyckoff_position(group, images, LETTERS.index(dataset.wyckoffs[given_atom]))
        if position is None:
            return None
        letters.append(position[0])
        free.append(position[1])
    numbers = dataset.std_types[standard_atoms].astype(np.int64)
    if group.multiplicity[letters].sum() != len(dataset.std_types):
        return None
    lattice = complete_lattice(group.crystal_system, lattice_parameters(dataset.std_lattice))
    return Orbits(dataset.number, lattice, numbers, np.array(letters), np.array(free), symprec)


def _wyckoff_position(
    group: SpaceGroupTable, images: Float[np.ndarray, "operations 3"], guess: int
) -> tuple[int, Float[np.ndarray, "3"]] | None:
    """The letter (the guess, or another as large) whose representative holds an image, and its parameters."""
    same_multiplicity = np.flatnonzero(group.multiplicity == group.multiplicity[guess])
    for letter in [guess, *(other for other in same_multiplicity.tolist() if other != guess)]:
        pivots = group.pivots[letter]
        shift = images - group.offset[letter]
        free = np.where(pivots >= 0, shift[:, np.maximum(pivots, 0)], 0.0)
        residual = shift - free @ group.linear[letter].T
        distance = np.abs(residual - np.round(residual)).max(axis=1)
        best = int(distance.argmin())
        if distance[best] < OFF_POSITION:
            return letter, free[best] - np.floor(free[best])
    return None
