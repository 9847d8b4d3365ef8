"""Molecules as arrays from and to SD files, XYZ and ASE; the libraries load at the first call.

Arrays in, arrays or a library's object out: `unigen.molecules.molecule.Molecule` makes molecules of them.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.errors import UserError
from unigen.molecules.graph import MoleculeFields
from unigen.parsing import PARSER_ERRORS, numeric, one_line

if TYPE_CHECKING:
    from ase import Atoms
    from rdkit.Chem import Mol


def parse_sdf(text: str, where: str) -> Mol:
    """The first entry of an SD file or MOL block."""
    from rdkit import Chem, rdBase

    supplier = Chem.SDMolSupplier()
    with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
        supplier.SetData(text, removeHs=False)
        mol = next(iter(supplier), None)
    if mol is None or not mol.GetNumAtoms():
        errors = [line.partition("] ")[2].removeprefix("ERROR: ") for line in log.messages.splitlines()]
        raise UserError("not a readable SD entry", where=where, got=errors[0][:160] if errors else "no atoms")
    return mol


def write_sdf(mol: Mol, name: str, fields: dict[str, str]) -> str:
    """One SD entry with its title and fields: V2000 where it has room, else V3000."""
    from rdkit import Chem

    mol.SetProp("_Name", " ".join(name.split()))
    block = Chem.MolToMolBlock(mol)
    return block + "".join(f">  <{field}>\n{value}\n\n" for field, value in fields.items()) + "$$$$\n"


def fields_of_atoms(atoms: Atoms, charge: int | None = None, where: str = "") -> tuple[MoleculeFields, int]:
    """The fields of ASE Atoms that are not periodic, without bonds, and their total charge.

    It is ``charge``, or ``info["charge"]``, or the sum of the initial charges. These are the formal charges of the
    arrays where they are whole numbers; else those are zeros.
    """
    if atoms.pbc.any():
        raise UserError("periodic, so not a molecule", where=where, got=f"pbc {atoms.pbc.tolist()}")
    scalars = dict(atoms.info)
    if atoms.calc is not None:
        scalars.update(atoms.calc.results)
    initial = atoms.get_initial_charges()
    stated = scalars.pop("charge", None)
    smiles = str(scalars.pop("smiles", ""))
    if charge is None:
        charge = round(float(initial.sum() if stated is None else stated))
    formal = np.rint(initial).astype(np.int64)
    charges = formal if np.allclose(formal, initial) else np.zeros_like(formal)
    no_bonds = np.zeros((0, 3), dtype=np.int64)
    return MoleculeFields(atoms.numbers, atoms.positions, no_bonds, charges, numeric(scalars), smiles), charge


def atoms_of_fields(molecule: MoleculeFields) -> Atoms:
    """As ASE Atoms, formal charges as initial charges, properties and SMILES in ``info``."""
    from ase import Atoms

    info: dict[str, Any] = dict(molecule.properties)
    if molecule.smiles:
        info["smiles"] = molecule.smiles
    charges = molecule.charges if molecule.charges.any() else None
    return Atoms(numbers=molecule.numbers, positions=molecule.positions, charges=charges, info=info)


def parse_xyz(text: str, where: str) -> Atoms:
    """The first frame of an XYZ file, plain or extended."""
    import ase.io

    try:
        atoms: Any = ase.io.read(io.StringIO(text), index=0, format="extxyz")
    except PARSER_ERRORS as error:
        raise UserError("not a readable XYZ frame", where=where, got=one_line(error)) from error
    return atoms


def write_xyz(atoms: Atoms, *, extended: bool = False) -> str:
    """One XYZ frame."""
    import ase.io

    frame = io.StringIO()
    ase.io.write(frame, atoms, format="extxyz" if extended else "xyz")
    return frame.getvalue()
