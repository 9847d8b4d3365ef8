"""MMFF94 by RDKit: a quick clean-up of a molecule in space, and its energies.

Halgren, J. Comput. Chem. 17, 490 (1996); MMFF94s, whose conjugated nitrogens are flatter, as they are on average in
time and in crystals: Halgren, J. Comput. Chem. 20, 720 (1999).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from unigen.molecules.molecule import Molecule

Variant = Literal["MMFF94", "MMFF94s"]

MMFF_STEPS = 2_000
"""RDKit's default of 200 leaves 1 of 150 molecules of QM9 short of the minimum, 500 none of these, but 1 of 6
conformers of sildenafil; 2,000 none of 30 of five drugs. One that is there earlier stops earlier."""

CONVERGED, STOPPED, NO_PARAMETERS = "mmff94 converged", "mmff94 stopped", "mmff94 has no parameters"


def mmff_relaxed(molecule: Molecule, steps: int = MMFF_STEPS, variant: Variant = "MMFF94") -> tuple[Molecule, str]:
    """The nearest minimum of MMFF94, as far as it is reached; and what came of it.

    Args:
        molecule: with bonds.
        steps: most iterations of RDKit's BFGS.
        variant: MMFF94, or MMFF94s.

    Returns:
        The molecule, as it was where MMFF94 has no parameters for it, and one of CONVERGED, STOPPED, NO_PARAMETERS.

    Raises:
        UserError: as `Molecule.to_rdkit`.
    """
    from rdkit.Chem import rdForceFieldHelpers

    mol = molecule.to_rdkit()
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        return molecule, NO_PARAMETERS
    unfinished = rdForceFieldHelpers.MMFFOptimizeMolecule(mol, mmffVariant=variant, maxIters=steps)
    return replace(molecule, positions=mol.GetConformer().GetPositions()), STOPPED if unfinished else CONVERGED


def mmff_energy(molecule: Molecule, variant: Variant = "MMFF94") -> float | None:
    """The energy of MMFF94 where the molecule stands, kcal/mol; None where it has no parameters.

    Its zero is the force field's own: energies of conformers of one molecule compare, those of two molecules do not.

    Args:
        molecule: with bonds.
        variant: MMFF94, or MMFF94s.

    Raises:
        UserError: as `Molecule.to_rdkit`.
    """
    from rdkit.Chem import rdForceFieldHelpers

    mol = molecule.to_rdkit()
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol, mmffVariant=variant)
    if properties is None:
        return None
    return float(rdForceFieldHelpers.MMFFGetMoleculeForceField(mol, properties).CalcEnergy())
