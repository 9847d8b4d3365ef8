"""One description of a symmetric crystal out of all that its space group's normaliser makes equivalent (numpy).

Compared are, in this order: (triclinic and monoclinic: the cell, see `unigen.symmetry.conventional_cells`), the letters
of the orbits in the order of their ranks, the lattice, the free parameters. Numbers are compared with a tolerance one
after the other: all that are within it of the smallest stay, so that noise below it does not change the choice unless
two descriptions differ by just the tolerance.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from unigen.shapes import Float, Int
from unigen.symmetry.conventional_cells import (
    LATTICE_TOLERANCE,
    monoclinic_step,
    moved_lattices,
    standard_monoclinic,
    triclinic_elements,
)
from unigen.symmetry.crystal_systems import complete_lattice
from unigen.symmetry.equivalents import Equivalents, coset_equivalents, equivalents
from unigen.symmetry.space_groups import SpaceGroupTable, space_group

TOLERANCE = 1e-3
"""Free parameters this close count as equal. Noise of a tenth of it, in parameters and relative in the cell, changes
none of 249 canonical forms of MP-20; noise of half of it changes 6, of twice as much 12."""

NOISE = 1e-6
"""Where all else is equal within tolerance, numbers that differ by more than this decide; above the rounding of
coordinates in single precision (6e-8), as stores hold them."""


class Description(NamedTuple):
    """A symmetric crystal in some setting.

    Attributes:
        lattice: a, b, c (Angstrom), alpha, beta, gamma (radians) of the conventional cell.
        letters: letter of each orbit, 0 = 'a'.
        free: free parameters of each orbit, those beyond its freedom 0.
        order: which orbit of the input each is.
    """

    lattice: Float[np.ndarray, "6"]
    letters: Int[np.ndarray, "orbits"]
    free: Float[np.ndarray, "orbits 3"]
    order: Int[np.ndarray, "orbits"]


class Moved(NamedTuple):
    """What several elements of the normaliser make of one crystal.

    Attributes:
        lattices: the cells, shape (elements, 6).
        letters: the letters, shape (elements, orbits).
        free: for each orbit all parameters that name it, shape (elements, variants, 3).
    """

    lattices: Float[np.ndarray, "elements 6"]
    letters: Int[np.ndarray, "elements orbits"]
    free: list[Float[np.ndarray, "elements _ 3"]]

    def only(self, keep: Int[np.ndarray, "kept"]) -> Moved:
        """The chosen elements."""
        return Moved(self.lattices[keep], self.letters[keep], [free[keep] for free in self.free])


def canonical_description(
    number: int,
    lattice: Float[np.ndarray, "6"],
    ranks: Int[np.ndarray, "orbits"],
    letters: Int[np.ndarray, "orbits"],
    free: Float[np.ndarray, "orbits 3"],
) -> Description:
    """The canonical description of a crystal; orbits sorted by rank, letter and parameters.

    Args:
        number: international number of the space group.
        lattice: conventional cell, lengths and angles; Niggli-reduced if it is triclinic.
        ranks: equal for orbits of the same element.
        letters: letter of each orbit.
        free: free parameters of each orbit, padded by zeros.
    """
    group = space_group(number)
    moved = _candidates(group, lattice, letters, free)
    codes = np.sort(orbit_codes(ranks, moved.letters), axis=1)
    smallest_letters = codes[np.lexsort(codes.T[::-1])[0]]
    moved = moved.only(np.flatnonzero((codes == smallest_letters).all(axis=1)))
    moved = moved.only(_smallest(moved.lattices, LATTICE_TOLERANCE))
    branches, origin = _branches(group, ranks, moved)
    chosen_letters = moved.letters[origin]
    order = _sorted_orbits(ranks, chosen_letters, branches)
    ordered = np.take_along_axis(branches, order[..., None], axis=1)
    numbers = ordered.reshape(len(ordered), -1)
    kept = _smallest(numbers, TOLERANCE)
    best = int(kept[_smallest(np.concatenate([moved.lattices[origin][kept], numbers[kept]], axis=1), NOISE)[0]])
    six = complete_lattice(group.crystal_system, moved.lattices[origin[best]])
    return Description(six, chosen_letters[best][order[best]], unit_interval(ordered[best]), order[best])


def orbit_codes(
    ranks: Int[np.ndarray, "*#batch orbits"], letters: Int[np.ndarray, "*#batch orbits"]
) -> Int[np.ndarray, "*#batch orbits"]:
    """One integer for the element and the letter of an orbit, in the order of both: no group has 32 letters."""
    return ranks * 32 + letters


def unit_interval(free: Float[np.ndarray, "orbits 3"]) -> Float[np.ndarray, "orbits 3"]:
    """Into [0, 1); rounding errors below 0 become 0."""
    wrapped = free - np.floor(free)
    return np.where(wrapped > 1 - 1e-7, 0.0, wrapped)  # within rounding of 1, in single precision too


def _candidates(
    group: SpaceGroupTable,
    lattice: Float[np.ndarray, "6"],
    letters: Int[np.ndarray, "orbits"],
    free: Float[np.ndarray, "orbits 3"],
) -> Moved:
    """The crystal under all elements that lead to a cell in standard form."""
    if group.number <= 2:
        return moved_by(group, lattice, letters, free, triclinic_elements(group, lattice))
    if group.crystal_system == "monoclinic":
        while (step := monoclinic_step(group, lattice)) is not None:
            once = moved_cosets(group, lattice, letters, free, np.array([step]))
            lattice, letters, free = once.lattices[0], once.letters[0], np.array([f[0, 0] for f in once.free])
        keep = standard_monoclinic(moved_lattices(lattice, group.normaliser))
        return moved_cosets(group, lattice, letters, free, keep)
    return moved_cosets(group, lattice, letters, free, np.arange(len(group.normaliser)))


def moved_cosets(
    group: SpaceGroupTable,
    lattice: Float[np.ndarray, "6"],
    letters: Int[np.ndarray, "orbits"],
    free: Float[np.ndarray, "orbits 3"],
    cosets: Int[np.ndarray, "cosets"],
) -> Moved:
    """The crystal under the chosen coset representatives of the normaliser (no triclinic changes of basis)."""
    images = {}
    for letter in set(letters.tolist()):
        every = coset_equivalents(group.number, letter)
        images[letter] = Equivalents(every.letters[cosets], every.maps[cosets])
    return _moved(moved_lattices(lattice, group.normaliser[cosets]), letters, free, images)


def moved_by(
    group: SpaceGroupTable,
    lattice: Float[np.ndarray, "6"],
    letters: Int[np.ndarray, "orbits"],
    free: Float[np.ndarray, "orbits 3"],
    elements: Float[np.ndarray, "elements 3 4"],
) -> Moved:
    """The crystal under any elements of the normaliser."""
    images = {letter: equivalents(group, elements, letter) for letter in set(letters.tolist())}
    return _moved(moved_lattices(lattice, elements), letters, free, images)


def _moved(
    lattices: Float[np.ndarray, "elements 6"],
    letters: Int[np.ndarray, "orbits"],
    free: Float[np.ndarray, "orbits 3"],
    images: dict[int, Equivalents],
) -> Moved:
    orbits = [images[letter] for letter in letters.tolist()]
    moved = [orbit.maps[..., :3] @ u + orbit.maps[..., 3] for orbit, u in zip(orbits, free, strict=True)]
    return Moved(lattices, np.stack([orbit.letters for orbit in orbits], axis=1), moved)


def _smallest(rows: Float[np.ndarray, "rows columns"], tolerance: float) -> Int[np.ndarray, "kept"]:
    """The rows that come first, column after column, when numbers within tolerance of the smallest are equal to it."""
    kept = np.arange(len(rows))
    for column in rows.T:
        if len(kept) == 1:
            break
        values = column[kept]
        kept = kept[values <= values.min() + tolerance * max(1.0, float(abs(values.min())))]
    return kept


def _first_variants(free: Float[np.ndarray, "*batch variants 3"]) -> Float[np.ndarray, "*batch 3"]:
    """Of all parameters that name an orbit the smallest, component after component, within [-tolerance, 1)."""
    wrapped = free - np.floor(free + TOLERANCE)
    kept = np.ones(wrapped.shape[:-1], dtype=bool)
    for tolerance, axis in product((TOLERANCE, NOISE), range(3)):
        values = np.where(kept, wrapped[..., axis], np.inf)
        kept &= values <= values.min(axis=-1, keepdims=True) + tolerance
    chosen = kept.argmax(axis=-1)[..., None, None]
    return np.take_along_axis(wrapped, chosen, axis=-2)[..., 0, :]


def _sorted_orbits(
    ranks: Int[np.ndarray, "orbits"],
    letters: Int[np.ndarray, "branches orbits"],
    free: Float[np.ndarray, "branches orbits 3"],
) -> Int[np.ndarray, "branches orbits"]:
    """The order of orbits by rank, letter and parameters; numbers within tolerance of a neighbour are equal."""
    code = np.broadcast_to(orbit_codes(ranks, letters), letters.shape)
    for tolerance, axis in product((TOLERANCE, NOISE), range(3)):
        code = code * letters.shape[1] + _clusters(free[..., axis], tolerance)
        code = _clusters(code.astype(np.float64), 0.5)  # the same order in integers below the number of orbits
    return np.argsort(code, axis=1, kind="stable")


def _clusters(values: Float[np.ndarray, "branches orbits"], tolerance: float) -> Int[np.ndarray, "branches orbits"]:
    """Small integers in the order of the values of each row, equal for values that a chain of small steps connects."""
    order = np.argsort(values, axis=1, kind="stable")
    steps = np.diff(np.take_along_axis(values, order, axis=1), axis=1) > tolerance
    clusters = np.zeros(values.shape, dtype=np.int64)
    np.put_along_axis(clusters, order[:, 1:], np.cumsum(steps, axis=1), axis=1)
    return clusters


def _branches(
    group: SpaceGroupTable, ranks: Int[np.ndarray, "orbits"], moved: Moved
) -> tuple[Float[np.ndarray, "branches orbits 3"], Int[np.ndarray, "branches"]]:
    """The parameters of all orbits for every element, and for every choice of the polar origin; whose they are."""
    if not len(group.polar):
        return np.stack([_first_variants(free) for free in moved.free], axis=1), np.arange(len(moved.letters))
    branches, origin = [], []
    for element, letters in enumerate(moved.letters):
        shifts = _origins(group, ranks, letters, [free[element] for free in moved.free])
        columns = [
            _first_variants(free[element] + parameter_shift(group, int(letter), shifts)[:, None])
            for letter, free in zip(letters, moved.free, strict=True)
        ]
        branches.append(np.stack(columns, axis=1))
        origin += [element] * len(shifts)
    return np.concatenate(branches), np.array(origin)


def parameter_shift(
    group: SpaceGroupTable, letter: int, shifts: Float[np.ndarray, "shifts 3"]
) -> Float[np.ndarray, "shifts 3"]:
    """What translations along polar directions add to the free parameters of a letter."""
    pivots = group.pivots[letter]
    return np.where(pivots >= 0, shifts[:, np.maximum(pivots, 0)], 0.0)


def _origins(
    group: SpaceGroupTable,
    ranks: Int[np.ndarray, "orbits"],
    letters: Int[np.ndarray, "orbits"],
    free: list[Float[np.ndarray, "_ 3"]],
) -> Float[np.ndarray, "shifts 3"]:
    """The polar translations that bring a point of an anchor to the origin.

    Anchors are the orbits of the rank and letter that has the fewest orbits, the first of those.
    """
    orbits = orbit_codes(ranks, letters)
    codes, counts = np.unique(orbits, return_counts=True)
    anchors = np.flatnonzero(orbits == codes[counts.argmin()])
    points = np.concatenate([free[a] @ group.linear[letters[a]].T + group.offset[letters[a]] for a in anchors])
    shifts = -(points @ group.polar.T) @ group.polar
    shifts -= np.floor(shifts)
    _, first = np.unique(np.round(shifts, 6), axis=0, return_index=True)  # six digits: equal but for rounding
    return shifts[np.sort(first)]
