"""Is a molecule sound in space? One look at bonds, angles, torsions, contacts and flat parts, for every path.

Distances are held against what the graph allows (``distance_bounds.py``): that decides on bonds, angles, rings and
contacts. What is flat (aromatic rings, both ends of a double bond, the double bond itself) is measured. Atoms of
elements that RDKit does not accept are held against covalent radii alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.molecules.distance_bounds import DistanceBounds, distance_bounds
from unigen.molecules.molecule import Molecule
from unigen.shapes import Float

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rdkit.Chem import Bond, Mol

STRETCHED, SQUEEZED, COLLAPSED, TOUCHING = 1.3, 0.6, 0.8, 0.9
"""In sums of two covalent radii: a bond is not longer, nor shorter; atoms two or three bonds apart keep this far, and
atoms farther apart this far. Wide enough that none of 4,000 molecules of QM9 has a fault."""

OUT_OF_RING, OUT_OF_PLANE, TWISTED = 0.25, 0.3, 40.0
"""Angstrom that an atom of an aromatic ring is off the plane of the ring (the limit of PoseBusters, Buttenschoen et al.
2024); Angstrom that the end of a double bond is off the plane of its three neighbours (0.5 for a tetrahedral carbon);
degrees that a double bond outside of small rings is twisted."""

_LARGEST_FLAT = 6
"""Rings of seven that RDKit calls aromatic (diazepinones) are boats."""

_LARGEST_TWISTED = 9
"""Rings of up to so many atoms may twist a double bond: trans-cyclooctene is real, and half way to upright."""

_DESCRIBED = {
    1: "a bond of",
    2: "an angle with ends apart by",
    4: "no bond, but",
}


def fault_of(molecule: Molecule) -> str:
    """What is worst about the positions of a molecule, given its bonds; empty for a sound one."""
    if coarse := _coarse_fault(molecule):
        return coarse
    try:
        mol = molecule.to_rdkit()
    except UserError:
        return ""
    bounds = distance_bounds(mol)
    excess = bounds.excess(molecule.positions)
    if excess.max(initial=0.0) > 1.0:
        return _told(molecule, bounds, excess)
    return next(_not_flat(mol, molecule.positions), "")


def _told(molecule: Molecule, bounds: DistanceBounds, excess: Float[np.ndarray, "atoms atoms"]) -> str:
    """The worst distance, and what would be allowed."""
    one, two = (int(index) for index in np.unravel_index(int(excess.argmax()), excess.shape))
    distance = float(np.linalg.norm(molecule.positions[one] - molecule.positions[two]))
    lower, upper = bounds.lower[one, two], bounds.upper[one, two]
    allowed = f"at least {lower:.2f}" if np.isinf(upper) else f"{lower:.2f} to {upper:.2f}"
    names = "-".join(SYMBOLS[molecule.numbers[atom]] for atom in (one, two))
    return f"{names}: {_DESCRIBED[int(bounds.apart[one, two])]} {distance:.2f} Angstrom; wanted {allowed}"


def _not_flat(mol: Mol, positions: Float[np.ndarray, "atoms 3"]) -> Iterator[str]:
    """What ought to be flat and is not."""
    for ring in mol.GetRingInfo().AtomRings():
        if len(ring) <= _LARGEST_FLAT and all(mol.GetAtomWithIdx(atom).GetIsAromatic() for atom in ring):
            around = positions[list(ring)] - positions[list(ring)].mean(0)
            off = float(np.abs(around @ np.linalg.svd(around)[2][-1]).max())
            if off > OUT_OF_RING:
                yield f"an aromatic ring that is not flat: an atom {off:.2f} Angstrom off; wanted {OUT_OF_RING}"
    for bond in mol.GetBonds():
        if str(bond.GetBondType()) == "DOUBLE":
            yield from _not_flat_around(bond, positions)


def _not_flat_around(bond: Bond, positions: Float[np.ndarray, "atoms 3"]) -> Iterator[str]:
    """What ought to be flat at a double bond and is not."""
    ends = [bond.GetBeginAtom(), bond.GetEndAtom()]
    arms = [[near.GetIdx() for near in end.GetNeighbors()] for end in ends]
    name = "=".join(end.GetSymbol() for end in ends)
    rings = bond.GetOwningMol().GetRingInfo()
    for end, near in zip(ends, arms, strict=True):
        # where rings meet, cages pull a carbon out of its plane (bridgeheads)
        if end.GetAtomicNum() == 6 and len(near) == 3 and rings.NumAtomRings(end.GetIdx()) < 2:
            off = _height(positions[end.GetIdx()], positions[near])
            if off > OUT_OF_PLANE:
                yield f"{name}: a C {off:.2f} Angstrom off its plane; wanted {OUT_OF_PLANE}"
    if not may_twist(bond):
        twist = _twist(positions, [end.GetIdx() for end in ends], arms)
        if twist > TWISTED:
            yield f"{name}: a double bond twisted by {twist:.0f} degrees; wanted {TWISTED:.0f}"


def may_twist(bond: Bond) -> bool:
    """Whether the ends of a double bond may be turned against each other: in small rings, and about other elements.

    Sulfur and phosphorus have other neighbours around them.
    """
    rings = bond.GetOwningMol().GetRingInfo()
    if rings.NumBondRings(bond.GetIdx()) and rings.MinBondRingSize(bond.GetIdx()) <= _LARGEST_TWISTED:
        return True
    return any(
        end.GetAtomicNum() not in (6, 7) or end.GetDegree() not in (2, 3)
        for end in (bond.GetBeginAtom(), bond.GetEndAtom())
    )


def _height(centre: Float[np.ndarray, "3"], corners: Float[np.ndarray, "3 3"]) -> float:
    """Angstrom between a point and the plane of three others."""
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    return float(abs((centre - corners[0]) @ normal) / max(float(np.linalg.norm(normal)), 1e-9))


def _twist(positions: Float[np.ndarray, "atoms 3"], ends: list[int], arms: list[list[int]]) -> float:
    """Degrees by which the two ends of a double bond are turned against each other, 0 to 90; 0 of a cumulene."""
    first, second = (next((atom for atom in near if atom not in ends), None) for near in arms)
    left, right = ends
    if first is None or second is None:
        return 0.0
    axis = positions[right] - positions[left]
    sides = [np.cross(axis, positions[first] - positions[left]), np.cross(axis, positions[second] - positions[right])]
    lengths = [float(np.linalg.norm(side)) for side in sides]
    if min(lengths) < 1e-3:  # on a line: no side
        return 0.0
    cosine = abs(float(sides[0] @ sides[1])) / (lengths[0] * lengths[1])
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def _coarse_fault(molecule: Molecule) -> str:
    """The worst distance by covalent radii."""
    distance = np.linalg.norm(molecule.positions[:, None] - molecule.positions, axis=2)
    first, second = molecule.bonds[:, 0], molecule.bonds[:, 1]
    bonded = np.zeros(distance.shape, dtype=bool)
    bonded[first, second] = bonded[second, first] = True
    ratio = distance / covalent_sums(molecule)
    # Walks of two and three bonds. In float32, whose matrix product is a fast one: counts of walks are small integers.
    adjacency = bonded.astype(np.float32)
    near = (adjacency @ adjacency + adjacency @ adjacency @ adjacency) > 0
    above = np.maximum(ratio, 1e-9)  # atoms on top of each other are the worst, not a division by zero
    excess = {  # above 1 where a limit is passed
        "a bond of": np.where(bonded, np.maximum(ratio / STRETCHED, SQUEEZED / above), 0.0),
        "no bond, but": np.where(
            bonded | np.eye(len(bonded), dtype=bool), 0.0, np.where(near, COLLAPSED, TOUCHING) / above
        ),
    }
    kind = max(excess, key=lambda name: excess[name].max())
    if excess[kind].max() <= 1.0:
        return ""
    one, two = np.unravel_index(int(excess[kind].argmax()), distance.shape)
    names = "-".join(SYMBOLS[molecule.numbers[atom]] for atom in (one, two))
    return f"{names}: {kind} {distance[one, two]:.2f} Angstrom"


def covalent_sums(molecule: Molecule) -> Float[np.ndarray, "atoms atoms"]:
    """The two covalent radii of each pair of atoms together, Angstrom."""
    from ase.data import covalent_radii

    radii = covalent_radii[molecule.numbers]
    return radii[:, None] + radii
