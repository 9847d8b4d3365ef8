"""Handedness of centres and sides of double bonds: defined by signed volumes, read off positions.

The **chirality** of an atom with neighbours 1, 2, 3, 4 is the sign of the volume they span in this order,

    V = (r2 - r1) . ((r3 - r1) x (r4 - r1)),

the neighbours in ascending index. Where one of the four is a hydrogen that is implied, or a lone pair, it is the first
and the centre itself stands for its place: from there the other three look the same. Seen from the first neighbour the
other three run clockwise (``@@``) when V > 0, counterclockwise (``@``) when V < 0. RDKit, whose reading we share, takes
a lone pair as the last of the four, whatever is written: `unigen.smiles.writer` does the sign.

The **side** of a double bond i=j is the sign of

    u . v,  u = a - i and v = b - j without their parts along the bond,

where a and b are the other neighbours of i and of j with the lowest index: +1 is cis, -1 is trans. Zero is unknown, or
too flat to say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unigen.shapes import Float, Int

FLAT = 0.1
"""Volume of unit vectors (4 / (3 sqrt 3) = 0.77 where three of four tetrahedral directions are taken) below which a
centre has no hand; RDKit draws the same line."""

_UPRIGHT = 0.1
"""Cosine of the torsion below which a double bond has no side: within 6 degrees of upright."""


def volume_signs(
    positions: Float[np.ndarray, "atoms 3"], centres: Sequence[int], neighbours: Sequence[Sequence[int]]
) -> Int[np.ndarray, "centres"]:
    """Chirality, -1, 0 or +1, of each of these centres.

    Args:
        positions: Angstrom.
        centres: their indices.
        neighbours: three or four of each centre, in the order in which the volume takes them.
    """
    if not len(centres):
        return np.zeros(0, dtype=np.int64)
    corners = np.array(
        [(*([centre] * (4 - len(near))), *near) for centre, near in zip(centres, neighbours, strict=True)]
    )
    arms = positions[corners] - positions[np.array(centres)][:, None]
    lengths = np.linalg.norm(arms, axis=2, keepdims=True)
    arms = arms / np.where(lengths > 0, lengths, 1.0)  # the centre itself has no direction
    first, second, third = (arms[:, corner] - arms[:, 0] for corner in (1, 2, 3))
    volume = np.einsum("ci,ci->c", first, np.cross(second, third))
    return np.where(np.abs(volume) < FLAT, 0, np.sign(volume)).astype(np.int64)


def side_signs(
    positions: Float[np.ndarray, "atoms 3"], torsions: Sequence[tuple[int, int, int, int]]
) -> Int[np.ndarray, "torsions"]:
    """Side, +1 cis, -1 trans, 0 neither, of each of these chains a-i=j-b of atoms; positions in Angstrom."""
    if not len(torsions):
        return np.zeros(0, dtype=np.int64)
    start, left, right, end = positions[np.array(torsions)].transpose(1, 0, 2)
    axis = _unit(right - left)
    cosine = np.einsum("ti,ti->t", _across(start - left, axis), _across(end - right, axis))
    return np.where(np.abs(cosine) < _UPRIGHT, 0, np.sign(cosine)).astype(np.int64)


def _unit(vectors: Float[np.ndarray, "torsions 3"]) -> Float[np.ndarray, "torsions 3"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def _across(arm: Float[np.ndarray, "torsions 3"], axis: Float[np.ndarray, "torsions 3"]) -> np.ndarray:
    """Direction of the arms without their parts along the axes."""
    return _unit(arm - np.einsum("ti,ti->t", arm, axis)[:, None] * axis)


def odd(order: Sequence[int]) -> bool:
    """Whether a sequence of distinct numbers is an odd permutation of its ascending order."""
    inversions = sum(order[i] > order[j] for i in range(len(order)) for j in range(i + 1, len(order)))
    return inversions % 2 == 1
