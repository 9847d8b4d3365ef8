"""A harmonic pass over a whole molecule: what is too close is pushed apart, what is torn is drawn together.

Springs keep what is sound as it was drawn (bonds, angles, the torsions of flat parts), flat centres are kept flat, and
atoms that are not bonded feel walls at the distances that the graph allows (``distance_bounds.py``). So a ring that did
not quite close is closed, and hydrogens in each other's way part, while the rest gives way a little. It is no force
field, and knows no energies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unigen.molecules.distance_bounds import distance_bounds
from unigen.shapes import Bool, Float, Int

if TYPE_CHECKING:
    from rdkit.Chem import Mol

_STEPS = 500
"""Of L-BFGS, at most: some 50 ms for a drug."""

_BOND, _ANGLE, _TORSION, _WALL = 100.0, 30.0, 10.0, 10.0
"""Stiffness of springs by bonds apart, and of walls; only their ratios count. Bonds give way least, walls most."""

_FLAT = 3.0
"""Stiffness of flat centres, by the square of their volume: half an Angstrom off its plane a carbon has 1.9 A^3."""

_KEPT = 0.5
"""Share of its volume that a tetrahedral centre keeps, with its sign: the pass turns nothing inside out."""

_INSIDE = 0.04
"""Walls stand so far inside of the limits, as a share of the distance, so that what is mended is not on the edge."""


def settled(
    mol: Mol, positions: Float[np.ndarray, "atoms 3"], fixed: Bool[np.ndarray, "atoms"] | None = None
) -> Float[np.ndarray, "atoms 3"]:
    """Positions near the drawn ones at which nothing is too close or too far, as far as there are any; Angstrom.

    Args:
        mol: the graph, hydrogens as atoms, sanitised.
        positions: as drawn.
        fixed: atoms that stay where they are.
    """
    from scipy.optimize import minimize

    bounds = distance_bounds(mol)
    first, second = np.triu_indices(len(positions), 1)
    drawn = np.linalg.norm(positions[first] - positions[second], axis=1)
    lower, upper = bounds.lower[first, second] * (1 + _INSIDE), bounds.upper[first, second] * (1 - _INSIDE)
    lower, upper = np.minimum(lower, upper), np.maximum(lower, upper)
    apart = bounds.apart[first, second]
    stiffness = np.array([0.0, _BOND, _ANGLE, _TORSION, 0.0])[apart] * _is_held(mol, first, second, apart)
    is_sound = (drawn >= lower) & (drawn <= upper)
    usual = (bounds.tight_lower + bounds.tight_upper)[first, second] / 2
    rest = np.where(is_sound, drawn, usual)
    flat_centres, handed = _flat_centres(mol), _handed_centres(mol)
    hand = _volumes(positions, handed)
    least_volume = _KEPT * np.abs(hand)
    movable = np.ones(len(positions), dtype=bool) if fixed is None else ~fixed

    def energy(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        x = numbers.reshape(-1, 3)
        separation = x[first] - x[second]
        distance = np.maximum(np.linalg.norm(separation, axis=1), 1e-6)
        off = distance - rest
        beyond = np.minimum(distance - lower, 0.0) + np.maximum(distance - upper, 0.0)
        slope = 2 * (stiffness * off + _WALL * beyond)
        pull = (slope / distance)[:, None] * separation
        gradient = np.zeros_like(x)
        np.add.at(gradient, first, pull)
        np.add.at(gradient, second, -pull)
        flat = _volumes(x, flat_centres)
        turning = np.minimum(np.sign(hand) * _volumes(x, handed) - least_volume, 0.0) * np.sign(hand)
        for centres, beyond_volume in ((flat_centres, flat), (handed, turning)):
            for atoms, normal in zip(centres.T, _volume_slopes(x, centres), strict=True):
                np.add.at(gradient, atoms, 2 * _FLAT * beyond_volume[:, None] * normal)
        gradient[~movable] = 0.0
        volumes = (flat**2).sum() + (turning**2).sum()
        return float((stiffness * off**2 + _WALL * beyond**2).sum() + _FLAT * volumes), gradient.ravel()

    # atoms on top of each other have no direction in which to part: the same tiny shift every time gives them one
    start = positions + 1e-3 * np.random.default_rng(0).standard_normal(positions.shape) * movable[:, None]
    found = minimize(energy, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    return np.asarray(found.x).reshape(-1, 3)


def _volumes(x: Float[np.ndarray, "atoms 3"], centres: Int[np.ndarray, "centres 4"]) -> Float[np.ndarray, "centres"]:
    """Of a centre and three neighbours, six times: 0 in a plane, signed by their order, cubic Angstrom."""
    centre, one, two, three = (x[atoms] for atoms in centres.T)
    return ((one - centre) * np.cross(two - centre, three - centre)).sum(1)


def _volume_slopes(
    x: Float[np.ndarray, "atoms 3"], centres: Int[np.ndarray, "centres 4"]
) -> list[Float[np.ndarray, "centres 3"]]:
    """Of the volumes, by the position of each of the four atoms."""
    centre, one, two, three = (x[atoms] for atoms in centres.T)
    across = [np.cross(two - centre, three - centre), np.cross(three - centre, one - centre)]
    across.append(np.cross(one - centre, two - centre))
    return [-(across[0] + across[1] + across[2]), *across]


def _handed_centres(mol: Mol) -> Int[np.ndarray, "centres 4"]:
    """Atoms of four neighbours, and the heaviest three of these: what must not be turned inside out."""
    found = []
    for atom in mol.GetAtoms():
        near = sorted(atom.GetNeighbors(), key=lambda other: (-min(other.GetAtomicNum(), 2), other.GetIdx()))
        if len(near) == 4:
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


def _is_held(mol: Mol, first: np.ndarray, second: np.ndarray, apart: np.ndarray) -> Bool[np.ndarray, "pairs"]:
    """Which springs there are: of all bonds and angles, and of torsions about bonds that do not turn."""
    stiff = np.zeros((mol.GetNumAtoms(), mol.GetNumAtoms()), dtype=bool)
    for bond in mol.GetBonds():
        if bond.GetIsAromatic() or bond.GetBondTypeAsDouble() == 2:
            left, right = bond.GetBeginAtom(), bond.GetEndAtom()
            for one in left.GetNeighbors():
                for other in right.GetNeighbors():
                    stiff[one.GetIdx(), other.GetIdx()] = stiff[other.GetIdx(), one.GetIdx()] = True
    return (apart < 3) | stiff[first, second]
