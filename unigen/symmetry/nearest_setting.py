"""A symmetric crystal in the setting in which it is nearest to another one of the same space group (numpy)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unigen.shapes import Float, Int
from unigen.symmetry.conventional_cells import metric_of, moved_lattices, nearest_triclinic
from unigen.symmetry.crystal_systems import complete_lattice
from unigen.symmetry.setting import (
    Description,
    Moved,
    moved_by,
    moved_cosets,
    orbit_codes,
    parameter_shift,
    unit_interval,
)
from unigen.symmetry.space_groups import SpaceGroupTable, space_group

FARTHER = 0.1
"""Cells farther from the reference than the nearest by this (sum of squares of log lengths and radians) are left out.
It saves work and changes nothing: with 10 in its place 68 of 68 pairs of triclinic and monoclinic crystals of MP-20
come out the same."""


class _Branches(NamedTuple):
    """Settings to compare: which element of the normaliser, and which polar translation."""

    element: Int[np.ndarray, "branches"]
    shift: Float[np.ndarray, "branches 3"]


def nearest_description(
    number: int,
    target: Description,
    reference: Description,
    roles: Int[np.ndarray, "orbits"],
    reference_roles: Int[np.ndarray, "orbits"],
) -> Description | None:
    """The target in the reference's setting, orbit by orbit; None where no setting gives it the reference's letters.

    Least is the mean squared distance of the orbits' representatives in the reference's cell, in units of its mean
    atomic spacing, plus the squared differences of the lattice numbers (lengths by logarithm).

    Args:
        number: the space group of both.
        target: the crystal to describe anew.
        reference: the crystal that gives the setting and the order of orbits.
        roles: what kind of orbit each of the target's is, such as the element.
        reference_roles: the same of the reference's; the same multiset.
    """
    group = space_group(number)
    wanted = orbit_codes(reference_roles, reference.letters)
    moved = _with_letters(group, target, roles, wanted, reference.lattice)
    if moved is None:
        return None
    codes = orbit_codes(roles, moved.letters)
    branches = _branches(group, moved, codes, wanted, reference)
    cost = _costs(group, moved, codes, branches, wanted, reference)
    lattice_distances = _lattice_distances(moved.lattices, reference.lattice)[branches.element]
    best, pairs = _cheapest_branch(cost, lattice_distances)
    element, shift = int(branches.element[best]), branches.shift[best]
    free = np.empty_like(reference.free)
    for orbit, (source, letter) in enumerate(zip(pairs, reference.letters.tolist(), strict=True)):
        # Of the parameters that name this orbit those nearest to the reference's.
        variants = moved.free[source][element] + parameter_shift(group, letter, shift[None])
        squared = _squared_lengths(group, letter, variants - reference.free[orbit], reference.lattice)
        free[orbit] = variants[int(squared.argmin())]
    free = _centred(group, reference, free)
    lattice = complete_lattice(group.crystal_system, moved.lattices[element])
    return Description(lattice, reference.letters, unit_interval(free), target.order[pairs])


def _lattice_distances(
    lattices: Float[np.ndarray, "elements 6"], reference: Float[np.ndarray, "6"]
) -> Float[np.ndarray, "elements"]:
    lengths = np.log(lattices[:, :3] / reference[:3])
    return (lengths**2).sum(axis=1) + ((lattices[:, 3:] - reference[3:]) ** 2).sum(axis=1)


def _with_letters(
    group: SpaceGroupTable,
    target: Description,
    roles: Int[np.ndarray, "orbits"],
    wanted: Int[np.ndarray, "orbits"],
    lattice: Float[np.ndarray, "6"],
) -> Moved | None:
    """The target in all settings with the wanted letters and a cell that is about as near as can be."""
    if group.number <= 2:
        elements = nearest_triclinic(group, target.lattice, lattice, FARTHER)
        moved = moved_by(group, target.lattice, target.letters, target.free, elements)
        kept = _same_orbits(orbit_codes(roles, moved.letters), wanted)
        return moved.only(kept) if len(kept) else None
    letters = group.letter_permutation[:, target.letters]
    kept = _same_orbits(orbit_codes(roles, letters), wanted)
    if not len(kept):
        return None
    distances = _lattice_distances(moved_lattices(target.lattice, group.normaliser[kept]), lattice)
    near = kept[distances <= distances.min() + FARTHER]
    return moved_cosets(group, target.lattice, target.letters, target.free, near)


def _same_orbits(
    codes: Int[np.ndarray, "elements orbits"], wanted: Int[np.ndarray, "orbits"]
) -> Int[np.ndarray, "kept"]:
    """The elements of the normaliser that give the wanted codes, in whatever order."""
    return np.flatnonzero((np.sort(codes, axis=1) == np.sort(wanted)).all(axis=1))


def _branches(
    group: SpaceGroupTable,
    moved: Moved,
    codes: Int[np.ndarray, "elements orbits"],
    wanted: Int[np.ndarray, "orbits"],
    reference: Description,
) -> _Branches:
    """Every setting, times every polar translation that brings a point of the target to the reference's anchor."""
    if not len(group.polar):
        return _Branches(np.arange(len(codes)), np.zeros((len(codes), 3)))
    kinds, counts = np.unique(wanted, return_counts=True)
    # The anchor is of the rarest kind: the fewest points can be brought to it, so there are the fewest branches.
    anchor = int(np.flatnonzero(wanted == kinds[counts.argmin()])[0])
    linear, offset = group.linear[reference.letters[anchor]], group.offset[reference.letters[anchor]]
    anchor_point = linear @ reference.free[anchor] + offset
    elements, shifts = [], []
    for element, row in enumerate(codes):
        candidates = np.flatnonzero(row == wanted[anchor])
        points = np.concatenate([moved.free[i][element] for i in candidates]) @ linear.T + offset
        polar = ((anchor_point - points) @ group.polar.T) @ group.polar
        distinct = np.unique(np.round(polar - np.floor(polar), 6), axis=0)  # six digits: equal but for rounding
        shifts.append(distinct)
        elements += [element] * len(distinct)
    return _Branches(np.array(elements), np.concatenate(shifts))


def _costs(
    group: SpaceGroupTable,
    moved: Moved,
    codes: Int[np.ndarray, "elements orbits"],
    branches: _Branches,
    wanted: Int[np.ndarray, "orbits"],
    reference: Description,
) -> Float[np.ndarray, "branches orbits orbits"]:
    """What it costs to put each orbit of the target in the place of each of the reference; infinite for other kinds."""
    cost = np.full((len(branches.element), len(wanted), len(wanted)), np.inf)
    weight = group.multiplicity[reference.letters] / group.multiplicity[reference.letters].sum()
    for orbit in range(len(wanted)):
        kinds = codes[branches.element, orbit]
        for kind in np.unique(kinds):
            rows, columns = np.flatnonzero(kinds == kind), np.flatnonzero(wanted == kind)
            letter = int(reference.letters[columns[0]])
            shift = parameter_shift(group, letter, branches.shift[rows])
            free = moved.free[orbit][branches.element[rows]] + shift[:, None]
            difference = free[:, :, None] - reference.free[columns]
            squared = _squared_lengths(group, letter, difference, reference.lattice).min(axis=1)
            cost[rows[:, None], orbit, columns] = squared * weight[columns]
    volume = np.sqrt(np.linalg.det(metric_of(reference.lattice)))
    return cost / (volume / group.multiplicity[reference.letters].sum()) ** (2 / 3)


def _squared_lengths(
    group: SpaceGroupTable,
    letter: int,
    difference: Float[np.ndarray, "*batch 3"],
    lattice: Float[np.ndarray, "6"],
) -> Float[np.ndarray, "*batch"]:
    """Squared Cartesian length of a difference of parameters, the shortest way round."""
    linear = group.linear[letter]
    metric = linear.T @ metric_of(lattice) @ linear
    wrapped = difference - np.round(difference)
    return np.einsum("...i,ij,...j->...", wrapped, metric, wrapped)


def _cheapest_branch(
    cost: Float[np.ndarray, "branches orbits orbits"], lattice_distances: Float[np.ndarray, "branches"]
) -> tuple[int, Int[np.ndarray, "orbits"]]:
    """The best branch, and the target's orbit for each of the reference's in it."""
    from scipy.optimize import linear_sum_assignment  # a third of a second to load, and only lessons come here

    # Least cost of every column by itself: no pairing is cheaper, so branches are tried until the bound is no better.
    bound = cost.min(axis=1).sum(axis=1) + lattice_distances
    best, least, pairs = -1, np.inf, np.zeros(0, dtype=np.int64)
    for branch in np.argsort(bound, kind="stable"):
        if bound[branch] >= least - 1e-12:  # equal but for rounding is not better: the first found stays
            break
        references, targets = linear_sum_assignment(cost[branch].T)
        total = cost[branch][targets, references].sum() + lattice_distances[branch]
        if total < least:
            best, least, pairs = int(branch), float(total), targets
    return best, pairs


def _centred(
    group: SpaceGroupTable, reference: Description, free: Float[np.ndarray, "orbits 3"]
) -> Float[np.ndarray, "orbits 3"]:
    """Shifted along polar directions until the mean displacement of the atoms from the reference is zero."""
    if not len(group.polar):
        return free
    difference = reference.free - free
    difference -= np.round(difference)
    displacements = np.einsum("oij,oj->oi", group.linear[reference.letters], difference)
    weight = group.multiplicity[reference.letters]
    mean = (weight[:, None] * displacements).sum(axis=0) / weight.sum()
    shift = (mean @ group.polar.T) @ group.polar
    return free + np.array([parameter_shift(group, int(letter), shift[None])[0] for letter in reference.letters])
