"""Strain: the energy a molecule gives off when it relaxes, how far its atoms then move, and whether its bonds hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.minimum import BOND_LENGTH, keeps_bonds
from unigen.molecules.relaxation.xtb import Ending, MoleculeRelaxation
from unigen.shapes import Float


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
