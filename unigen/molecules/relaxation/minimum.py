"""Is the end of a relaxation a conformer of the molecule that went in, and what is its energy?"""

from __future__ import annotations

import numpy as np

from unigen.molecules.geometry_check import covalent_sums
from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.xtb import MoleculeRelaxation, XtbSettings
from unigen.molecules.stereoisomers import same_stereoisomer
from unigen.shapes import Bool

BOND_LENGTH = 1.3
"""Longest bond, in sums of two covalent radii: the ``covFactor`` of RDKit's DetermineConnectivity."""


def minimum_energy(molecule: Molecule, relaxed: MoleculeRelaxation, settings: XtbSettings) -> tuple[float | None, str]:
    """The energy of a relaxed conformer, kcal/mol, and an empty text; or None and why it is none.

    Its zero is that of the method (free electrons and nuclei). With no steps allowed, the molecule as it stands counts.

    Args:
        molecule: as it was, with bonds.
        relaxed: what became of it.
        settings: of the relaxation.
    """
    from ase.units import kcal, mol

    end = relaxed.molecule
    if end is None or relaxed.energy is None or (relaxed.ending != "converged" and settings.max_steps):
        return None, f"not relaxed: {relaxed.ending}"
    if not keeps_bonds(molecule, end):
        return None, f"{settings.method} made or broke a bond"
    # as conformers are judged: texts first, since a lactam's nitrogen in a small cage has a hand by positions alone
    if molecule.to_smiles() != end.to_smiles() and same_stereoisomer(molecule.to_rdkit(), end.to_rdkit()) is False:
        return None, f"another stereo once relaxed by {settings.method}"
    return relaxed.energy[1] * mol / kcal, ""


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
