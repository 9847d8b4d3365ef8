"""Is the end of a relaxation a conformer of the molecule that went in, and what is its energy?"""

from __future__ import annotations

from unigen.energies.molecule_relaxation import MoleculeRelaxation, XtbSettings
from unigen.energies.strain import keeps_bonds
from unigen.molecules.molecule import Molecule
from unigen.molecules.stereoisomers import same_stereoisomer


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
