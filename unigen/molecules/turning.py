"""Centres and double bonds that a molecule has on the wrong side, turned to the other one in place.

A centre goes to the other side of the plane of three of its neighbours, which stay where they are, and the branch
behind the fourth goes with it, turned and not mirrored, so that its own centres stay as they are; of a double bond the
smaller end is turned by half a circle. What is bent by that is for a harmonic pass (``settling.py``). Centres of which
every branch is part of a ring cannot be turned so, nor double bonds in rings, which that pass draws to their side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unigen.molecules.handedness import side_signs, volume_signs
from unigen.shapes import Bool, Float, Int

_ROUNDS = 3
"""A centre that moves may flatten one beside it, or turn it too."""

_ON_A_LINE = 1e-6
"""Angstrom, or square Angstrom, below which there is no direction."""


@dataclass(frozen=True, eq=False)
class AskedStereo:
    """What a text says of a molecule's stereo; see `unigen.molecules.handedness`.

    Attributes:
        chirality: of each atom, by its heavy neighbours in ascending order; 0 for none.
        cis_trans: of the double bond between two atoms, 0 for none.
    """

    chirality: Int[np.ndarray, "atoms"]
    cis_trans: Int[np.ndarray, "atoms atoms"]


def turned(
    numbers: Int[np.ndarray, "atoms"],
    bonds: Int[np.ndarray, "bonds 3"],
    positions: Float[np.ndarray, "atoms 3"],
    asked: AskedStereo,
    fixed: Bool[np.ndarray, "atoms"] | None = None,
) -> Float[np.ndarray, "atoms 3"]:
    """Positions in Angstrom with the stereo that is asked for, as far as it can be had by turning branches.

    Args:
        numbers: atomic numbers.
        bonds: two atoms and an order each.
        positions: Angstrom.
        asked: where each centre and double bond ought to be.
        fixed: atoms that stay where they are, whatever is asked.
    """
    near: list[list[int]] = [[] for _ in numbers]
    for one, two, _ in bonds.tolist():
        near[one].append(two)
        near[two].append(one)
    heavy = [sorted(other for other in each if numbers[other] > 1) for each in near]
    found = positions.copy()
    movable = np.ones(len(numbers), dtype=bool) if fixed is None else ~fixed
    centres = [atom for atom in np.flatnonzero(asked.chirality).tolist() if len(heavy[atom]) in (3, 4)]
    for _ in range(_ROUNDS):
        signs = volume_signs(found, centres, [heavy[atom] for atom in centres])
        wrong = [atom for atom, sign in zip(centres, signs.tolist(), strict=True) if sign != asked.chirality[atom]]
        for atom in wrong:
            _invert(found, atom, near, movable)
    for left, right in np.argwhere(np.triu(asked.cis_trans)).tolist():
        ends = [min((other for other in heavy[i] if other != j), default=-1) for i, j in ((left, right), (right, left))]
        if min(ends) >= 0 and side_signs(found, [(ends[0], left, right, ends[1])])[0] != asked.cis_trans[left, right]:
            _turn(found, left, right, near, movable)
    return found


def _invert(x: Float[np.ndarray, "atoms 3"], centre: int, near: Sequence[Sequence[int]], movable: np.ndarray) -> None:
    """The centre, and its smallest branch that is part of no ring, on the other side of its other three neighbours."""
    behind = [_branch(centre, first, near) for first in near[centre]]
    branches = [branch for branch in behind if branch is not None and movable[branch].all()]
    if len(near[centre]) == 3:
        moved: list[int] = []  # only a lone pair, which is no atom
    elif len(near[centre]) == 4 and branches:
        moved = min(branches, key=len)
    else:
        return
    one, two, three = (x[other] for other in near[centre] if other not in moved)
    normal = np.cross(two - one, three - one)
    length = float(np.linalg.norm(normal))
    if not movable[centre] or length < _ON_A_LINE:
        return
    normal /= length
    was = x[centre].copy()
    x[centre] -= 2 * ((was - one) @ normal) * normal
    if moved:
        first = next(other for other in near[centre] if other in moved)
        arm = x[first] - was
        mirrored = arm - 2 * (arm @ normal) * normal
        # half a circle about the bisector leads one arm into the other
        axis = arm + mirrored
        axis = axis if np.linalg.norm(axis) > _ON_A_LINE else two - one
        axis = axis / np.linalg.norm(axis)
        arms = x[moved] - was
        x[moved] = x[centre] + 2 * (arms @ axis)[:, None] * axis - arms


def _turn(
    x: Float[np.ndarray, "atoms 3"], left: int, right: int, near: Sequence[Sequence[int]], movable: np.ndarray
) -> None:
    """The smaller end of a double bond turned by half a circle about it."""
    ends = [_branch(left, right, near), _branch(right, left, near)]
    branches = [branch for branch in ends if branch is not None and movable[branch].all()]
    if not branches:
        return
    branch, axis = min(branches, key=len), x[right] - x[left]
    axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
    arms = x[branch] - x[left]
    x[branch] = x[left] + 2 * (arms @ axis)[:, None] * axis - arms


def _branch(centre: int, first: int, near: Sequence[Sequence[int]]) -> list[int] | None:
    """The atoms behind this bond; None if they are bonded to the centre in another way, too."""
    found, open_ends = {first}, [first]
    while open_ends:
        atom = open_ends.pop()
        for other in near[atom]:
            if other == centre:
                if atom != first:
                    return None
            elif other not in found:
                found.add(other)
                open_ends.append(other)
    return sorted(found)
