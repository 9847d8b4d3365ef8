"""Strain: the energy a molecule gives off when it relaxes, how far its atoms then move, and whether its bonds hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.energies.molecule_relaxation import Ending, MoleculeRelaxation
from unigen.molecules.geometry_check import covalent_sums
from unigen.molecules.molecule import Molecule
from unigen.shapes import Bool, Float

BOND_LENGTH = 1.3
"""Longest bond, in sums of two covalent radii: the ``covFactor`` of RDKit's DetermineConnectivity."""


@dataclass(frozen=True)
class Strain:
    """What a relaxation says about a molecule; the numbers are None where it did not converge.

    Attributes:
        ending: how the relaxation ended.
        energy: before minus after, kcal/mol.
        rmsd: root mean square deviation of the heavy atoms after Kabsch's superposition, each compared with itself,
            Angstrom; None too where there is no heavy atom.
        bonds_kept: see `keeps_bonds`.
        steps: of the optimiser.
    """

    ending: Ending
    energy: float | None = None
    rmsd: float | None = None
    bonds_kept: bool | None = None
    steps: int = 0


def strain_of(molecule: Molecule | None, relaxed: MoleculeRelaxation, bond_length: float = BOND_LENGTH) -> Strain:
    """What the relaxation of a molecule says about it.

    Args:
        molecule: as it was.
        relaxed: what became of it.
        bond_length: longest bond, in sums of two covalent radii.
    """
    from ase.units import kcal, mol

    end = relaxed.molecule
    if relaxed.ending != "converged" or molecule is None or end is None or relaxed.energy is None:
        return Strain(relaxed.ending, steps=relaxed.steps)
    before, after = relaxed.energy
    heavy = molecule.numbers > 1
    return Strain(
        ending=relaxed.ending,
        energy=(before - after) * mol / kcal,
        rmsd=deviation(molecule.positions[heavy], end.positions[heavy]) if heavy.any() else None,
        bonds_kept=keeps_bonds(molecule, end, bond_length),
        steps=relaxed.steps,
    )


def deviation(first: Float[np.ndarray, "atoms 3"], second: Float[np.ndarray, "atoms 3"]) -> float:
    """Root mean square distance of two sets of points, the best rotation and shift between them taken out.

    Kabsch, Acta Cryst. A 32, 922 (1976).
    """
    one, other = first - first.mean(axis=0), second - second.mean(axis=0)
    left, sizes, right = np.linalg.svd(one.T @ other)
    sizes[-1] *= np.sign(np.linalg.det(left @ right))  # a rotation, never a mirror
    squared = (one**2).sum() + (other**2).sum() - 2 * sizes.sum()
    return float(np.sqrt(max(squared, 0.0) / len(first)))  # of equal points rounding may leave a little less than 0


def keeps_bonds(before: Molecule, after: Molecule, bond_length: float = BOND_LENGTH) -> bool:
    """Whether every bond still is one by its length, and no pair of other atoms has become one.

    A pair that was as close before as a bond is, without being one, as in the cages of QM9, has become none.

    Args:
        before: with its bonds.
        after: the same atoms elsewhere.
        bond_length: longest bond, in sums of two covalent radii.
    """
    bonded = np.zeros((len(before), len(before)), dtype=bool)
    bonded[before.bonds[:, 0], before.bonds[:, 1]] = True
    bonded |= bonded.T
    near = _near(after, bond_length)
    return bool(near[bonded].all() and not (near & ~bonded & ~_near(before, bond_length)).any())


def _near(molecule: Molecule, bond_length: float) -> Bool[np.ndarray, "atoms atoms"]:
    distances = np.linalg.norm(molecule.positions[:, None] - molecule.positions, axis=2)
    return (distances < bond_length * covalent_sums(molecule)) & ~np.eye(len(molecule), dtype=bool)
