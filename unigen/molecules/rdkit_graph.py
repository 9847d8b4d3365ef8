"""A molecule from and to RDKit; the library loads at the first call.

Isotopes are dropped: the models know elements. RDKit chooses among the Kekule forms of an aromatic ring, always the
same one for the same order of atoms, so that what it has read once stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.errors import UserError
from unigen.molecules.graph import MoleculeFields
from unigen.parsing import numeric, one_line
from unigen.shapes import Int, Integer

if TYPE_CHECKING:
    from rdkit.Chem import Mol, RWMol

AROMATIC = 12
"""RDKit's number of the aromatic bond; 1, 2, 3 are the orders themselves."""


def fields_of_mol(mol: Mol, where: str = "") -> MoleculeFields:
    """The fields of a sanitised RDKit molecule with explicit hydrogens and one conformer in space.

    Raises:
        UserError: hydrogens that are no atoms, bonds of another kind, no conformer, or one in two dimensions.
    """
    numbers, charges, bonds = _graph(mol, where)
    if (bonds[:, 2] == AROMATIC).any():
        bonds = kekule_form(numbers, charges, bonds, where)
    if not mol.GetNumConformers():
        raise UserError("no conformer", where=where, next_step="Molecule.from_smiles makes one")
    conformer = mol.GetConformer()
    if not conformer.Is3D():
        raise UserError("drawn in two dimensions", where=where, wanted="positions in space")
    fields = mol.GetPropsAsDict()
    smiles = str(fields.pop("smiles", ""))
    return MoleculeFields(numbers, conformer.GetPositions(), bonds, charges, numeric(fields), smiles)


def _graph(mol: Mol, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers, charges and bonds as RDKit has them: an aromatic bond is of order 12."""
    if mol.NeedsUpdatePropertyCache():
        mol.UpdatePropertyCache(strict=False)
    for atom in mol.GetAtoms():
        if atom.GetTotalNumHs():
            raise UserError(
                f"atom {atom.GetIdx()} ({atom.GetSymbol()}): hydrogens are missing",
                where=where,
                got=f"{atom.GetTotalNumHs()} implied",
                wanted="every hydrogen an atom with a position",
            )
    for bond in mol.GetBonds():
        if int(bond.GetBondType()) not in (1, 2, 3, AROMATIC):
            raise UserError("a bond of unknown kind", where=where, got=bond.GetBondType().name.lower())
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(bond.GetBondType())) for bond in mol.GetBonds()]
    ordered = sorted((min(one, other), max(one, other), order) for one, other, order in bonds)
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.int64)
    charges = np.array([atom.GetFormalCharge() for atom in mol.GetAtoms()], dtype=np.int64)
    return numbers, charges, np.array(ordered, dtype=np.int64).reshape(-1, 3)


def kekule_form(numbers: np.ndarray, charges: np.ndarray, bonds: np.ndarray, where: str) -> np.ndarray:
    """Bonds with orders 1 to 3 for bonds of which some are aromatic (12).

    They must be sorted: so the form depends on nothing else.

    Raises:
        UserError: there is no such form.
    """
    from rdkit import Chem, rdBase

    mol = _assembled(numbers, charges, bonds)
    try:
        with rdBase.BlockLogs():
            mol.UpdatePropertyCache(strict=False)
            Chem.Kekulize(mol, clearAromaticFlags=True)
    except Chem.MolSanitizeException as error:  # also an aromatic bond outside of rings
        raise UserError("no Kekule form", where=where, got=one_line(error)) from error
    orders = [int(bond.GetBondType()) for bond in mol.GetBonds()]
    return np.column_stack([bonds[:, :2], orders])


def _assembled(
    numbers: Integer[np.ndarray, "atoms"], charges: Integer[np.ndarray, "atoms"], bonds: Integer[np.ndarray, "bonds 3"]
) -> RWMol:
    """An RDKit molecule of these atoms and bonds, as it stands: no hydrogen is implied, nothing is checked."""
    from rdkit import Chem

    mol = Chem.RWMol()
    for number, charge in zip(numbers.tolist(), charges.tolist(), strict=True):
        atom = Chem.Atom(number)
        atom.SetFormalCharge(charge)
        atom.SetNoImplicit(True)
        mol.AddAtom(atom)
    for first, second, order in bonds.tolist():
        mol.AddBond(first, second, Chem.BondType.values[order])
        if order == AROMATIC:
            for end in (first, second):
                mol.GetAtomWithIdx(end).SetIsAromatic(True)
            mol.GetBondBetweenAtoms(first, second).SetIsAromatic(True)
    return mol


def mol_of_graph(
    numbers: Integer[np.ndarray, "atoms"], charges: Integer[np.ndarray, "atoms"], bonds: Integer[np.ndarray, "bonds 3"]
) -> Mol:
    """A sanitised RDKit molecule without positions and without stereo.

    Raises:
        UserError: RDKit does not accept the valences.
    """
    mol = _assembled(numbers, charges, bonds)
    _sanitize(mol, "")
    return mol.GetMol()


def _sanitize(mol: RWMol, where: str) -> None:
    from rdkit import Chem, rdBase

    try:
        with rdBase.BlockLogs():
            Chem.SanitizeMol(mol)
    except Chem.MolSanitizeException as error:
        raise UserError("RDKit does not accept the molecule", where=where, got=one_line(error)) from error


def add_conformer(mol: RWMol, positions: np.ndarray) -> None:
    """Give a molecule its only conformer."""
    from rdkit import Chem

    conformer = Chem.Conformer(len(positions))
    conformer.SetPositions(np.array(positions, dtype=np.float64))
    mol.AddConformer(conformer)


def mol_of_fields(molecule: MoleculeFields, where: str = "") -> Mol:
    """A sanitised RDKit molecule; stereo from the positions, properties and SMILES among its properties.

    Raises:
        UserError: the bonds are not known, or RDKit does not accept the valences.
    """
    from rdkit import Chem

    if len(molecule.numbers) > 1 and not len(molecule.bonds):
        raise UserError("the bonds are not known", where=where, next_step="find them from the distances: with_bonds()")
    mol = _assembled(molecule.numbers, molecule.charges, molecule.bonds)
    add_conformer(mol, molecule.positions)
    _sanitize(mol, where)
    Chem.AssignStereochemistryFrom3D(mol)
    for name, value in molecule.properties.items():
        mol.SetDoubleProp(name, value)
    if molecule.smiles:
        mol.SetProp("smiles", molecule.smiles)
    return mol.GetMol()


def smiles_of_mol(mol: Mol) -> str:
    """Canonical isomeric SMILES, hydrogens implied where they can be."""
    from rdkit import Chem

    return Chem.MolToSmiles(without_hydrogens(mol))


def without_hydrogens(mol: Mol) -> Mol:
    """The graph as SMILES write it: stereo at C=N-H goes with its hydrogen, as people leave it out."""
    from rdkit import Chem

    settings: Any = Chem.RemoveHsParameters()
    settings.removeDefiningBondStereo = True
    settings.showWarnings = False  # of a hydrogen without neighbours, once a sample
    return Chem.RemoveHs(mol, settings)


def canonical_order(mol: Mol) -> tuple[str, Int[np.ndarray, "atoms"]]:
    """The canonical SMILES, and all atoms: those that it writes in its order, then the others in theirs."""
    from rdkit import Chem

    for atom in mol.GetAtoms():
        atom.SetIntProp("index", atom.GetIdx())
    heavy = without_hydrogens(mol)
    smiles = Chem.MolToSmiles(heavy)
    output_order = heavy.GetProp("_smilesAtomOutputOrder").strip("[]").split(",")
    written = [heavy.GetAtomWithIdx(int(index)).GetIntProp("index") for index in output_order if index]
    others = sorted(set(range(mol.GetNumAtoms())) - set(written))
    return smiles, np.array(written + others, dtype=np.int64)
