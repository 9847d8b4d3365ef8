"""How far apart atoms of a molecule may be, told from its graph: RDKit's bounds for distance geometry, widened.

RDKit knows lengths of bonds by the elements and their order, angles by hybridisation and rings, and how close atoms
come that are not bonded (Blaney and Dixon 1994; the tables of UFF). Its bounds are for embedding and a little too
tight: what force fields and quantum chemistry find lies up to a tenth outside. Of atoms three bonds apart nothing is
used: with sound bonds and angles they cannot be too close, and RDKit's bounds of torsions choose one of several
conformers. Atoms farther apart are not farther than the bonds between them reach, either way around a ring (triangle
smoothing): so it shows early that a ring will not close.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unigen.shapes import Float, Int

if TYPE_CHECKING:
    from rdkit.Chem import Mol

WIDENED = {1: (0.85, 1.18), 2: (0.80, 1.20), 3: (0.0, np.inf), 4: (0.75, 1.15)}
"""Factors of the lower and the upper bound for atoms so many bonds apart; 4 stands for more, too. Of real molecules and
of force fields' minima nearly all lie inside (``tests/molecules/test_geometry_check.py`` and
``eval/trust/molecules_soundness.py``); angles of strained cages are what needs the width."""

HYDROGEN_BOND = 0.55
"""The factor between a hydrogen and what it may be bonded to by a hydrogen bond: in QM9 down to 1.6 Angstrom."""

_ACCEPTORS = (7, 8, 9, 16)


class DistanceBounds(NamedTuple):
    """Allowed distances of all pairs of atoms, symmetric.

    Attributes:
        lower: Angstrom; 0 on the diagonal.
        upper: Angstrom, infinite on the diagonal and where nothing is said.
        apart: bonds on the shortest way, 4 for four and more.
        tight_lower: RDKit's own bound, Angstrom, before it is widened.
        tight_upper: the same above.
    """

    lower: Float[np.ndarray, "atoms atoms"]
    upper: Float[np.ndarray, "atoms atoms"]
    apart: Int[np.ndarray, "atoms atoms"]
    tight_lower: Float[np.ndarray, "atoms atoms"]
    tight_upper: Float[np.ndarray, "atoms atoms"]

    def excess(self, positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms atoms"]:
        """By what factor each distance passes its limit, above 1 where it does."""
        distance = np.linalg.norm(positions[:, None] - positions, axis=2)
        # atoms on top of each other are the worst, not a division by zero
        return np.maximum(self.lower / np.maximum(distance, 1e-9), distance / self.upper)


def distance_bounds(mol: Mol) -> DistanceBounds:
    """Of a sanitised molecule whose hydrogens are atoms."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom

    with rdBase.BlockLogs():  # of elements that UFF has no type for: it takes a related one
        loose = rdDistGeom.GetMoleculeBoundsMatrix(mol, set15bounds=False, doTriangleSmoothing=False)
        smooth = rdDistGeom.GetMoleculeBoundsMatrix(mol, set15bounds=False, doTriangleSmoothing=True)
    lower, upper = np.tril(loose, -1), np.triu(smooth, 1)
    lower, upper = lower + lower.T, upper + upper.T
    apart = np.minimum(Chem.GetDistanceMatrix(mol), 4).astype(np.int64)
    factors = np.array([(0.0, np.inf), *(WIDENED[bonds] for bonds in (1, 2, 3, 4))])
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    accepts = (numbers[:, None] == 1) & np.isin(numbers, _ACCEPTORS)
    least = np.where((accepts | accepts.T) & (apart > 3), HYDROGEN_BOND, factors[apart, 0])
    with np.errstate(invalid="ignore"):  # 0 times infinity, on the diagonal
        widest = np.where(np.isinf(factors[apart, 1]), np.inf, upper * factors[apart, 1])
    return DistanceBounds(lower * least, np.maximum(widest, lower), apart, lower, upper)
