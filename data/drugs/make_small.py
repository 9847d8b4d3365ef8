"""Write ``small.sdf``: the smallest molecules, from the G2 set that comes with ASE.

    python data/drugs/make_small.py

G2 (Curtiss et al., J. Chem. Phys. 106, 1063 (1997); geometries of MP2(full)/6-31G*) has atoms, radicals and molecules.
Kept are molecules of the elements of the dataset whose bonds follow from their positions with no unpaired electron and
no charges but those of nitro groups and their kin.
"""

from __future__ import annotations

from pathlib import Path

from ase.collections import g2
from rdkit.Chem import Descriptors

from unigen.errors import UserError
from unigen.molecules.bonds_of_smiles import with_bonds_of
from unigen.molecules.molecule import Molecule

ELEMENTS = {1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 35, 53}
AS_WRITTEN = {"SO2": "O=S=O", "CS2": "S=C=S", "C2H6SO": "CS(C)=O"}
"""SMILES of those that chemists write without the charges that RDKit finds."""


def main() -> None:
    """Print what is left out, and why."""
    entries = []
    for name in g2.names:
        atoms = g2[name]
        if len(atoms) < 2 or atoms.get_initial_magnetic_moments().any() or not set(atoms.numbers.tolist()) <= ELEMENTS:
            continue
        try:
            molecule = Molecule.from_ase(atoms, bonds=False)
            smiles = AS_WRITTEN.get(name)
            molecule = with_bonds_of(molecule, smiles, name) if smiles else molecule.with_bonds(0, name)
            mol = molecule.to_rdkit()
        except UserError as error:
            print(error)
            continue
        charged = set(molecule.numbers[molecule.charges != 0].tolist())
        if Descriptors.NumRadicalElectrons(mol) or charged - {7, 8}:
            print(f"{name}: unpaired electrons or charges; got {molecule.to_smiles()}")
            continue
        entries.append(molecule.canonical().to_sdf(name=name))
    (Path(__file__).parent / "small.sdf").write_text("".join(entries))
    print(f"{len(entries)} molecules")


if __name__ == "__main__":
    main()
