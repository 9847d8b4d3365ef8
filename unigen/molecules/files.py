"""Molecules as arrays from and to SD files, XYZ and ASE; the libraries load at the first call.

Arrays in, arrays or a library's object out: `unigen.molecules.molecule.Molecule` makes molecules of them.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.elements import SYMBOLS, atomic_number_of
from unigen.errors import UserError
from unigen.molecules.graph import MoleculeFields
from unigen.parsing import PARSER_ERRORS, check_columns, numeric, one_line

if TYPE_CHECKING:
    from ase import Atoms
    from rdkit.Chem import Mol


def parse_sdf(text: str, where: str) -> Mol:
    """The first entry of an SD file or MOL block; numbers among its fields are numbers among the molecule's properties.

    A planar molecule that nobody calls three-dimensional is in space where its hydrogens say so, see `_is_in_space`.

    Raises:
        UserError: not readable, or a query.
    """
    from rdkit import Chem, rdBase

    refuse_queries(text, where)
    supplier = Chem.SDMolSupplier()
    with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
        supplier.SetData(text, removeHs=False)
        mol = next(iter(supplier), None)
    if mol is None or not mol.GetNumAtoms():
        errors = [line.partition("] ")[2].removeprefix("ERROR: ") for line in log.messages.splitlines()]
        raise UserError("not a readable SD entry", where=where, got=errors[0][:160] if errors else "no atoms")
    for name in mol.GetPropNames():
        mol.ClearProp(name)
    for name, value in sd_fields(text).items():
        if _NUMBER.fullmatch(value):
            mol.SetDoubleProp(name, float(value))
        elif name.lower() == "smiles":
            mol.SetProp("smiles", value)
    if mol.GetNumConformers() and not mol.GetConformer().Is3D() and _is_in_space(mol, text):
        mol.GetConformer().Set3D(True)
    return mol


_ATOM_LIST = re.compile(r"^M  V30 +\d+ +(?:NOT)?\[|^M  ALS|^[ \d]{3} [TF] {3,4}\d", re.MULTILINE)
"""An atom that may be one of several elements: of V3000, and both forms of V2000."""


def refuse_queries(text: str, where: str) -> None:
    """Before RDKit reads an SD entry: of several elements it takes the first, and an empty list ends the process.

    Raises:
        UserError: an atom that may be one of several elements.
    """
    found = _ATOM_LIST.search(text.partition("\nM  END")[0])
    if found:
        got = text[found.start() :].partition("\n")[0]
        raise UserError("a query, not a molecule", where=where, got=one_line(got), wanted="one element an atom")


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FIELD = re.compile(r">.*?<([^>]*)>")
"""The heading of a field: a greater-than sign, and its name in angle brackets, numbers before or behind."""


def sd_fields(text: str) -> dict[str, str]:
    """The fields of an SD entry by name, lines of one joined.

    A value ends at an empty line, the next heading or the end, where RDKit, which wants the empty line, loses the last
    field.
    """
    fields: dict[str, list[str]] = {}
    name = None
    _, _, data = text.partition("M  END")
    for line in data.splitlines():
        heading = _FIELD.match(line)
        if line.rstrip() == "$$$$" and name is None:
            break
        if heading:
            name = heading[1].strip()
            fields[name] = []
        elif name is not None and line.strip() and not (line.rstrip() == "$$$$" and fields[name]):
            fields[name].append(line.strip())
        else:
            name = None
    return {name: "\n".join(lines) for name, lines in fields.items()}


_NEAR, _FAR = 0.88, 1.2
"""In sums of covalent radii, between which a hydrogen stands from its atom: from 0.96 in HF to 1.1 in real molecules.
Drawings have one length for all bonds, 0.825 or 1.5 Angstrom as a rule, which is 0.77 or 1.4 for C-H."""


def _is_in_space(mol: Mol, text: str) -> bool:
    """Whether a molecule that lies in a plane, and whose header says neither 2D nor 3D, is no drawing.

    It is when all its hydrogens are atoms, there is one, each stands at a bond's length, and no atom has four
    neighbours, which never lie in one plane.
    """
    from rdkit.Chem import GetPeriodicTable

    header = text.split("\n", 2)[1] if "\n" in text else ""
    if header[20:22].upper() == "2D":
        return False
    if any(atom.GetTotalNumHs() or atom.GetDegree() > 3 for atom in mol.GetAtoms()):
        return False
    table, positions = GetPeriodicTable(), mol.GetConformer().GetPositions()
    ratios = []
    for bond in mol.GetBonds():
        ends = (bond.GetBeginAtom(), bond.GetEndAtom())
        if any(end.GetAtomicNum() == 1 for end in ends):
            first, second = positions[[end.GetIdx() for end in ends]]
            radii = sum(table.GetRcovalent(end.GetAtomicNum()) for end in ends)
            ratios.append(float(np.linalg.norm(first - second)) / radii)
    return bool(ratios) and min(ratios) >= _NEAR and max(ratios) <= _FAR


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
    """The first frame of an XYZ file, plain or extended; symbols in any spelling that says one element.

    Of a comment only ``key=value`` is information, and the line of properties that raw files of QM9 have: a title, or a
    number whose meaning nobody says, is none.

    Raises:
        UserError: not a frame, or a species that is not exactly one element.
    """
    import ase.io

    head, _, rest = text.partition("\n")
    comment, _, sites = rest.partition("\n")
    qm9 = _properties_of_qm9(comment)
    lines = sites.split("\n")
    stated = _PROPERTIES.search(comment)
    if stated:
        check_columns(stated[1], lines[0], where)
    if stated is None or stated[1].lower().startswith("species:s:1:pos:r:3"):
        count = int(head) if head.strip().isdecimal() else 0
        lines[:count] = [_plain(line, f"atom {atom}", where) for atom, line in enumerate(lines[:count])]
    try:
        atoms: Any = ase.io.read(io.StringIO("\n".join([head, "" if qm9 else comment, *lines])), 0, format="extxyz")
    except PARSER_ERRORS as error:
        raise UserError("not a readable XYZ frame", where=where, got=one_line(error)) from error
    # ASE takes the words of a title for keys that are true
    atoms.info = {key: value for key, value in atoms.info.items() if value is not True} | qm9
    return atoms


_PROPERTIES = re.compile(r'(?:^|\s)Properties="?([^\s"]+)')

_QM9 = ("A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "U0", "U", "H", "G", "Cv")
"""The numbers behind ``gdb 17`` in a raw file of QM9, Table 3 of Ramakrishnan et al., Scientific Data 1, 140022 (2014),
by the names that the card of our dataset gives them, which are of the same units."""


def _properties_of_qm9(comment: str) -> dict[str, float]:
    """The properties that a comment of QM9's own files lists, else none."""
    words = comment.split()
    if len(words) != len(_QM9) + 2 or words[0] != "gdb" or not words[1].isdecimal():
        return {}
    try:
        return dict(zip(_QM9, (_decimal(word) for word in words[2:]), strict=True))
    except ValueError:
        return {}


def _decimal(word: str) -> float:
    """A number as Fortran and Mathematica, which wrote some of QM9, may spell its power of ten."""
    return float(word.replace("*^", "e").replace("D", "e").replace("d", "e"))


def _plain(line: str, atom: str, where: str) -> str:
    """The line of an atom with a plain symbol and plain numbers; a label such as ``C12`` is a carbon."""
    words = line.split()
    if len(words) < 4:
        return line  # ASE will say what is missing
    number = atomic_number_of(words[0]) or atomic_number_of(words[0].rstrip("0123456789"))
    if words[0].isdecimal() and 0 < int(words[0]) < len(SYMBOLS):
        number = int(words[0])
    if number is None:
        raise UserError(f"{atom}: unknown species", where=where, got=words[0])
    try:
        places = [repr(_decimal(word)) for word in words[1:4]]
    except ValueError:
        places = words[1:4]
    return " ".join([SYMBOLS[number], *places, *words[4:]])


def write_xyz(atoms: Atoms, *, extended: bool = False) -> str:
    """One XYZ frame."""
    import ase.io

    frame = io.StringIO()
    ase.io.write(frame, atoms, format="extxyz" if extended else "xyz")
    return frame.getvalue()
