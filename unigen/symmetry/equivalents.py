"""How maps that keep a space group act on the letters and free parameters of its Wyckoff positions (numpy).

A map n of the normaliser sends the orbit of ``x = A u + b`` at letter l to one at some letter l'. Every operation g
for which ``n g`` sends the representative's subspace of l to that of l' gives parameters u' of the new orbit by an
affine map of u; these maps (the variants) name the same orbit.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from unigen.shapes import Float, Int
from unigen.symmetry.space_groups import SpaceGroupTable, orbit_operations, space_group


class Equivalents(NamedTuple):
    """What each of several elements makes of one letter.

    Attributes:
        letters: the letter it becomes, shape (elements,).
        maps: maps of the free parameters, padded to 3, shape (elements, variants, 3, 4).
    """

    letters: Int[np.ndarray, "elements"]
    maps: Float[np.ndarray, "elements variants 3 4"]


@cache
def coset_equivalents(number: int, letter: int) -> Equivalents:
    """The equivalents of a letter under the normaliser's coset representatives, in their order."""
    group = space_group(number)
    return equivalents(group, group.normaliser, letter)


def equivalents(group: SpaceGroupTable, elements: Float[np.ndarray, "elements 3 4"], letter: int) -> Equivalents:
    """The letters and the maps of parameters that elements of the normaliser give to a letter.

    Args:
        group: the space group.
        elements: affine maps of the conventional cell that keep the group.
        letter: index of the position that is mapped.
    """
    operations, outer = orbit_operations(group.number, letter)[None], elements[:, None]
    rotation = outer[..., :3] @ operations[..., :3]  # n g: the element after the operation
    shift = (outer[..., :3] @ operations[..., 3:])[..., 0] + outer[..., 3]
    linear, offset = rotation @ group.linear[letter], rotation @ group.offset[letter] + shift
    letters = np.full(len(elements), -1)
    maps = np.zeros((len(elements), 0, 3, 4))
    same_type = (group.multiplicity == group.multiplicity[letter]) & (group.dof == group.dof[letter])
    for target in np.flatnonzero(same_type):
        fits, parameter_maps = _onto(group, int(target), linear, offset)
        senders = np.flatnonzero(fits.any(axis=1))
        if len(senders):
            # A conjugate of the representative's stabiliser does the sending, so each element has as many variants.
            variants = parameter_maps[fits].reshape(len(senders), -1, 3, 4)
            maps = maps if maps.shape[1] else np.zeros((len(elements), *variants.shape[1:]))
            letters[senders], maps[senders] = target, variants
    assert (letters >= 0).all(), "not an element of the normaliser"
    return Equivalents(letters, maps)


def _onto(
    group: SpaceGroupTable,
    target: int,
    linear: Float[np.ndarray, "elements operations 3 3"],
    offset: Float[np.ndarray, "elements operations 3"],
) -> tuple[np.ndarray, Float[np.ndarray, "elements operations 3 4"]]:
    """Where the moved subspace is the target's representative subspace, and the map of parameters it then gives."""
    dof = int(group.dof[target])
    pivots = group.pivots[target, :dof]
    shift = offset - group.offset[target]
    maps = np.zeros((*linear.shape[:2], 3, 4))
    maps[..., :dof, :3] = linear[..., pivots, :]
    maps[..., :dof, 3] = shift[..., pivots]
    basis = group.linear[target]
    # Both sides are exact (integers, and fractions of 24 in the table), so that 1e-6 is rounding and nothing else.
    spans = np.abs(basis @ maps[..., :3] - linear).max(axis=(-1, -2)) < 1e-6
    residual = shift - maps[..., 3] @ basis.T
    return spans & (np.abs(residual - np.round(residual)).max(axis=-1) < 1e-6), maps
