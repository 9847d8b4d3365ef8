"""A harmonic pass over a whole molecule: what is too close is pushed apart, what is torn is drawn together.

Springs hold bonds, angles and the torsions of flat parts as they were drawn, or at the nearest length within RDKit's
bounds for distance geometry. Flat centres are kept flat; double bonds are untwisted to the side that is asked for, or
else to that on which they were drawn; and atoms that are not bonded feel walls at the distances that the graph allows
(``distance_bounds.py``). So a ring that did not quite close is closed, and hydrogens in each other's way part, while
the rest gives way a little. It is no force field, and knows no energies.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from unigen.molecules.distance_bounds import HYDROGEN_BOND, distance_bounds
from unigen.molecules.geometry_check import may_twist
from unigen.shapes import Bool, Float, Int

if TYPE_CHECKING:
    from rdkit.Chem import Atom, Bond, Mol

_STEPS = 500
"""Of L-BFGS, at most: some 50 ms for a drug."""

_BOND, _ANGLE, _TORSION, _WALL = 100.0, 30.0, 10.0, 10.0
"""Stiffness of springs by bonds apart, and of walls; only their ratios count. Bonds give way least, walls most."""

_TORSION_BONDS = 3

_CLOSEST = 1.1
"""Where the wall of two atoms stands that are no neighbours, nor may be bonded by a hydrogen bond, in lower bounds of
RDKit, which let atoms touch: of 34 drugs' conformers that go through the pass, 77 kcal/mol are left to give off by
MMFF94 (ETKDG 110), with 1.0 it is 86, with 1.2 79, with 1.3 90; with walls at the limits of what is sound 138."""

_FLAT = 3.0
"""Stiffness of flat centres, by the square of their volume: half an Angstrom off its plane a carbon has 1.9 A^3."""

_KEPT = 0.5
"""Share of its volume that a tetrahedral centre keeps, with its sign: the pass turns nothing inside out."""

_PYRAMIDS = {15, 16}
"""Phosphines and sulfoxides do not turn inside out, as amines do."""

_ON_TOP = 1e-6
"""Angstrom between atoms that have no direction from each other."""

_INSIDE = 0.04
"""Walls stand so far inside of the limits, as a share of the distance, so that what is mended is not on the edge."""


def settled(
    mol: Mol,
    positions: Float[np.ndarray, "atoms 3"],
    fixed: Bool[np.ndarray, "atoms"] | None = None,
    cis_trans: Int[np.ndarray, "atoms atoms"] | None = None,
) -> Float[np.ndarray, "atoms 3"]:
    """Positions near the drawn ones at which nothing is too close or too far, as far as there are any; Angstrom.

    Args:
        mol: the graph, hydrogens as atoms, sanitised.
        positions: as drawn.
        fixed: atoms that stay where they are.
        cis_trans: sides that are asked for (see ``turning.AskedStereo``); a double bond in a large ring, which cannot
            be turned, is drawn to its side.
    """
    from scipy.optimize import minimize
    from scipy.spatial.distance import cdist

    atoms = len(positions)
    bounds = distance_bounds(mol)
    drawn = cdist(positions, positions)
    lower, upper = bounds.lower * (1 + _INSIDE), bounds.upper * (1 - _INSIDE)
    lower, upper = np.minimum(lower, upper), np.maximum(lower, upper)
    np.fill_diagonal(lower, 0.0)
    np.fill_diagonal(upper, np.inf)
    stiffness = np.array([0.0, _BOND, _ANGLE, _TORSION, 0.0])[bounds.apart] * _is_held(mol, bounds.apart)
    # RDKit's own bounds of bonds, angles and flat torsions are narrow: what was drawn beyond them is rough
    rest = np.clip(drawn, bounds.tight_lower, bounds.tight_upper)
    _untwist(rest, positions, mol, cis_trans)
    free = (bounds.apart > _TORSION_BONDS) & (bounds.lower > HYDROGEN_BOND * bounds.tight_lower)
    lower = np.where(free, np.maximum(lower, _CLOSEST * bounds.tight_lower), lower)
    flat_centres, handed = _flat_centres(mol), _handed_centres(mol)
    hand = _volumes(positions, handed)
    least_volume = _KEPT * np.abs(hand)
    # what every number of a volume's slope is added to, one after the other
    corners = np.concatenate([flat_centres.T.ravel(), handed.T.ravel()])
    axes = (corners[:, None] * 3 + np.arange(3)).ravel()
    movable = np.ones(atoms, dtype=bool) if fixed is None else ~fixed

    def energy(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        x = numbers.reshape(-1, 3)
        distance = cdist(x, x)
        off = distance - rest
        beyond = np.minimum(distance - lower, 0.0) + np.maximum(distance - upper, 0.0)
        # a pair stands in the matrix twice: half of each, whose slope pulls at both
        pull = 2 * (stiffness * off + _WALL * beyond) / np.maximum(distance, _ON_TOP)
        gradient = pull.sum(1)[:, None] * x - pull @ x
        flat = _volumes(x, flat_centres)
        turning = np.minimum(np.sign(hand) * _volumes(x, handed) - least_volume, 0.0) * np.sign(hand)
        slopes = [2 * _FLAT * v[:, None] * _volume_slopes(x, c) for v, c in ((flat, flat_centres), (turning, handed))]
        weights = np.concatenate([each.reshape(-1) for each in slopes])
        gradient += np.bincount(axes, weights, minlength=3 * atoms).reshape(-1, 3)
        gradient[~movable] = 0.0
        volumes = (flat**2).sum() + (turning**2).sum()
        pairs = (stiffness * off**2 + _WALL * beyond**2).sum() / 2
        return float(pairs + _FLAT * volumes), gradient.ravel()

    # atoms on top of each other have no direction in which to part: the same tiny shift every time gives them one
    start = positions + 1e-3 * np.random.default_rng(0).standard_normal(positions.shape) * movable[:, None]
    found = minimize(energy, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    return np.asarray(found.x).reshape(-1, 3)


def _cross(one: Float[np.ndarray, "centres 3"], two: Float[np.ndarray, "centres 3"]) -> np.ndarray:
    """As np.cross, which takes ten times as long for so few rows."""
    (a, b, c), (d, e, f) = one.T, two.T
    return np.stack([b * f - c * e, c * d - a * f, a * e - b * d], axis=1)


def _volumes(x: Float[np.ndarray, "atoms 3"], centres: Int[np.ndarray, "centres 4"]) -> Float[np.ndarray, "centres"]:
    """Of a centre and three neighbours, six times: 0 in a plane, signed by their order, cubic Angstrom."""
    centre, one, two, three = (x[atoms] for atoms in centres.T)
    return ((one - centre) * _cross(two - centre, three - centre)).sum(1)


def _volume_slopes(
    x: Float[np.ndarray, "atoms 3"], centres: Int[np.ndarray, "centres 4"]
) -> Float[np.ndarray, "4 centres 3"]:
    """Of the volumes, by the position of each of the four atoms."""
    centre, *ends = (x[atoms] for atoms in centres.T)
    one, two, three = (end - centre for end in ends)
    across = np.stack([_cross(two, three), _cross(three, one), _cross(one, two)])
    return np.concatenate([-across.sum(0, keepdims=True), across])


def _handed_centres(mol: Mol) -> Int[np.ndarray, "centres 4"]:
    """Atoms of four neighbours, or of three and a lone pair that stays on its side, and the heaviest three of these."""
    found = []
    for atom in mol.GetAtoms():
        near = sorted(atom.GetNeighbors(), key=lambda other: (-min(other.GetAtomicNum(), 2), other.GetIdx()))
        if len(near) == 4 or (len(near) == 3 and atom.GetAtomicNum() in _PYRAMIDS):
            found.append([atom.GetIdx(), *(other.GetIdx() for other in near[:3])])
    return np.array(found, dtype=np.int64).reshape(-1, 4)


def _flat_centres(mol: Mol) -> Int[np.ndarray, "centres 4"]:
    """Carbons of double and aromatic bonds and their three neighbours; those where rings meet only of aromatic ones."""
    rings, found = mol.GetRingInfo(), []
    for atom in mol.GetAtoms():
        neighbours = [near.GetIdx() for near in atom.GetNeighbors()]
        if atom.GetAtomicNum() != 6 or len(neighbours) != 3:
            continue
        double = any(bond.GetBondTypeAsDouble() == 2 for bond in atom.GetBonds())
        if atom.GetIsAromatic() or (double and rings.NumAtomRings(atom.GetIdx()) < 2):
            found.append([atom.GetIdx(), *neighbours])
    return np.array(found, dtype=np.int64).reshape(-1, 4)


def _untwist(
    rest: Float[np.ndarray, "atoms atoms"],
    positions: Float[np.ndarray, "atoms 3"],
    mol: Mol,
    cis_trans: Int[np.ndarray, "atoms atoms"] | None,
) -> None:
    """Set the lengths across double bonds that may not twist to those of a flat one.

    RDKit's bounds do not: of a bond whose side the graph leaves open they let both sides be, and all twists between.

    Args:
        rest: lengths of springs, of which those of bonds and angles are there.
        positions: as drawn, which say which arms are on one side where nothing is asked.
        mol: the graph.
        cis_trans: sides that are asked for, of the heavy neighbours of lowest index.
    """
    for bond in mol.GetBonds():
        if bond.GetBondTypeAsDouble() != 2 or may_twist(bond):
            continue
        left, right = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        axis = positions[right] - positions[left]
        asked, arms = 0 if cis_trans is None else cis_trans[left, right], _arms(bond)
        lowest = [min((near.GetIdx() for near in each if near.GetAtomicNum() > 1), default=-1) for each in arms]
        for one, other in product(*([near.GetIdx() for near in each] for each in arms)):
            along, out = zip(*(_reach(rest, *ends) for ends in ((one, left, right), (other, right, left))), strict=True)
            length = rest[left, right] - sum(along)
            # an arm that is not the lowest lies across from it
            side = asked if (one == lowest[0]) == (other == lowest[1]) else -asked
            if not side:
                from_left, from_right = positions[one] - positions[left], positions[other] - positions[right]
                side = np.sign(np.cross(from_left, axis) @ np.cross(from_right, axis))
            rest[one, other] = rest[other, one] = np.hypot(length, out[0] - side * out[1])


def _arms(bond: Bond) -> list[list[Atom]]:
    """The neighbours of either end, without the other end."""
    left, right = bond.GetBeginAtom(), bond.GetEndAtom()
    return [
        [near for near in end.GetNeighbors() if near.GetIdx() != far.GetIdx()]
        for end, far in ((left, right), (right, left))
    ]


def _reach(rest: Float[np.ndarray, "atoms atoms"], arm: int, end: int, far: int) -> tuple[float, float]:
    """How far an arm of a bond reaches along it and out of it, by the lengths of bonds and the angle."""
    bond, beside = rest[end, far], rest[arm, end]
    along = (beside**2 + bond**2 - rest[arm, far] ** 2) / (2 * bond)
    return float(along), float(np.sqrt(max(beside**2 - along**2, 0.0)))


def _is_held(mol: Mol, apart: Int[np.ndarray, "atoms atoms"]) -> Bool[np.ndarray, "atoms atoms"]:
    """Which springs there are: of all bonds and angles, and of torsions about bonds that do not turn."""
    stiff = np.zeros(apart.shape, dtype=bool)
    for bond in mol.GetBonds():
        if bond.GetIsAromatic() or bond.GetBondTypeAsDouble() == 2:
            left, right = bond.GetBeginAtom(), bond.GetEndAtom()
            for one in left.GetNeighbors():
                for other in right.GetNeighbors():
                    stiff[one.GetIdx(), other.GetIdx()] = stiff[other.GetIdx(), one.GetIdx()] = True
    return ((apart > 0) & (apart < 3)) | stiff
