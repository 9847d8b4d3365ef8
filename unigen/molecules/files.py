"""A molecule from and to SD files, XYZ and ASE; the libraries load at the first call."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.errors import UserError
from unigen.molecules import bonds as bond_perception
from unigen.molecules import rdkit_graph as molecule_rdkit
from unigen.parsing import PARSER_ERRORS, numeric, one_line, read_text

if TYPE_CHECKING:
    from ase import Atoms

    from unigen.molecules.molecule import Molecule


def from_sdf(path_or_text: str | Path, where: str = "") -> Molecule:
    """From the first entry of an SD file or MOL block; numeric fields become properties."""
    from rdkit import Chem, rdBase

    text, name = read_text(path_or_text)
    where = where or name
    supplier = Chem.SDMolSupplier()
    with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
        supplier.SetData(text, removeHs=False)
        mol = next(iter(supplier), None)
    if mol is None or not mol.GetNumAtoms():
        said = [line.partition("] ")[2].removeprefix("ERROR: ") for line in log.messages.splitlines()]
        raise UserError("not a readable SD entry", where=where, got=said[0][:160] if said else "no atoms")
    return molecule_rdkit.from_rdkit(mol, where)


def to_sdf(molecule: Molecule, path: str | Path | None = None, name: str = "") -> str:
    """One SD entry: V2000 where it has room, else V3000."""
    from rdkit import Chem

    mol = molecule_rdkit.to_rdkit(molecule)
    mol.SetProp("_Name", " ".join(name.split()))
    block = Chem.MolToMolBlock(mol)
    fields = {known: repr(value) for known, value in molecule.properties.items()}
    if molecule.smiles:
        fields["smiles"] = molecule.smiles
    text = block + "".join(f">  <{known}>\n{value}\n\n" for known, value in fields.items()) + "$$$$\n"
    _write(text, path)
    return text


def _write(text: str, path: str | Path | None) -> None:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")


def from_ase(atoms: Atoms, charge: int | None = None, where: str = "", *, bonds: bool = True) -> Molecule:
    """From ASE Atoms that are not periodic.

    The total charge is ``charge``, or ``info["charge"]``, or the sum of the initial charges.
    """
    from unigen.molecules.molecule import Molecule

    if atoms.pbc.any():
        raise UserError("periodic, so not a molecule", where=where, got=f"pbc {atoms.pbc.tolist()}")
    known = dict(atoms.info)
    if atoms.calc is not None:
        known.update(atoms.calc.results)
    placed = atoms.get_initial_charges()
    stated = known.pop("charge", None)
    smiles = str(known.pop("smiles", ""))
    if charge is None:
        charge = round(float(placed.sum() if stated is None else stated))
    molecule = molecule_rdkit.sound(
        where, lambda: Molecule(atoms.numbers, atoms.positions, properties=numeric(known), smiles=smiles)
    )
    if bonds:
        return bond_perception.with_bonds(molecule, charge, where)
    formal = np.rint(placed).astype(np.int64)
    return replace(molecule, charges=formal) if np.allclose(formal, placed) else molecule


def to_ase(molecule: Molecule) -> Atoms:
    """As ASE Atoms, formal charges as initial charges, properties and SMILES in ``info``."""
    from ase import Atoms

    info: dict[str, Any] = dict(molecule.properties)
    if molecule.smiles:
        info["smiles"] = molecule.smiles
    charges = molecule.charges if molecule.charges.any() else None
    return Atoms(numbers=molecule.numbers, positions=molecule.positions, charges=charges, info=info)


def from_xyz(path_or_text: str | Path, charge: int | None = None, where: str = "", *, bonds: bool = True) -> Molecule:
    """From the first frame of an XYZ file, plain or extended."""
    import ase.io

    text, name = read_text(path_or_text)
    where = where or name
    try:
        atoms: Any = ase.io.read(io.StringIO(text), index=0, format="extxyz")
    except PARSER_ERRORS as error:
        raise UserError("not a readable XYZ frame", where=where, got=one_line(error)) from error
    return from_ase(atoms, charge, where, bonds=bonds)


def to_xyz(molecule: Molecule, path: str | Path | None = None) -> str:
    """One plain XYZ frame."""
    import ase.io

    frame = io.StringIO()
    ase.io.write(frame, to_ase(molecule), format="xyz")
    _write(frame.getvalue(), path)
    return frame.getvalue()


def to_extxyz(molecule: Molecule) -> str:
    """One extended XYZ frame; without the SMILES, whose backslashes ASE would lose."""
    import ase.io

    frame = io.StringIO()
    ase.io.write(frame, to_ase(replace(molecule, smiles="")), format="extxyz")
    return frame.getvalue()
