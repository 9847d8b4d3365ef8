"""Strain: the energy a molecule gives off when it relaxes, how far its atoms then move, and whether its bonds hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from unigen.data.molecule import Molecule
from unigen.data.sound_geometry import covalent_sums
from unigen.data.workers import Workers
from unigen.eval.molecule_protocol import STRAIN, StrainRules
from unigen.eval.xtb import Ending, relax, require_tblite
from unigen.shapes import Bool, Float


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


def measure_strain(
    molecules: Sequence[Molecule | None], workers: Workers, label: str, rules: StrainRules = STRAIN
) -> list[Strain]:
    """The strain of each, in processes of one thread.

    Args:
        molecules: with bonds; None for what is no molecule.
        workers: the processes that do it.
        label: of the progress bar.
        rules: of the relaxation.

    Raises:
        UserError: tblite is not installed.
    """
    require_tblite()
    return workers.map(partial(strain_of, rules=rules), molecules, label, here=False)


def strain_of(molecule: Molecule | None, rules: StrainRules = STRAIN) -> Strain:
    """The strain of one molecule; raises as `unigen.eval.xtb.relax`."""
    from ase.units import kcal, mol

    if molecule is None:
        return Strain("no molecule")
    found = relax(molecule, rules)
    if found.ending != "converged" or found.molecule is None or found.energy is None:
        return Strain(found.ending, steps=found.steps)
    before, after = found.energy
    heavy = molecule.numbers > 1
    return Strain(
        ending=found.ending,
        energy=(before - after) * mol / kcal,
        rmsd=deviation(molecule.positions[heavy], found.molecule.positions[heavy]) if heavy.any() else None,
        bonds_kept=keeps_bonds(molecule, found.molecule, rules.bond_length),
        steps=found.steps,
    )


def deviation(first: Float[np.ndarray, "atoms 3"], second: Float[np.ndarray, "atoms 3"]) -> float:
    """Root mean square distance of two sets of points, the best rotation and shift between them taken out.

    Kabsch, Acta Cryst. A 32, 922 (1976).
    """
    one, other = first - first.mean(axis=0), second - second.mean(axis=0)
    left, sizes, right = np.linalg.svd(one.T @ other)
    sizes[-1] *= np.sign(np.linalg.det(left @ right))  # a rotation, never a mirror
    squared = (one**2).sum() + (other**2).sum() - 2 * sizes.sum()
    return float(np.sqrt(max(squared, 0.0) / len(first)))


def keeps_bonds(before: Molecule, after: Molecule, bond_length: float = STRAIN.bond_length) -> bool:
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
