"""Read anyone's molecules: SD files, SMILES lists, CSV, XYZ, ragged npz, Parquet, folders of these.

As with crystals (`sources`), `read_molecules` yields cheap raw records in a fixed order and `parse_molecule` does the
work of one. A bad entry becomes a row with a reason.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unigen.data.readers.arrays import read_molecule_npz, read_molecule_parquet
from unigen.data.readers.record import MoleculeArrays, MoleculeRow, Record, split_from_name
from unigen.data.readers.text import LONGEST_FIELD, number, open_text, read_frames, stem, suffix
from unigen.elements import ATOMIC_NUMBER
from unigen.errors import UserError
from unigen.molecules.bonds_of_smiles import with_bonds_of
from unigen.molecules.molecule import Molecule
from unigen.parsing import PARSER_ERRORS, numeric, one_line

Reader = Callable[[Path], Iterator[Record]]

_NAMES = ("id", "name", "mol_id", "molecule_id", "index")
_NOT_PROPERTIES = frozenset((*_NAMES, "", "unnamed: 0", "split", "smiles", "charge"))
_ELEMENTS, _POSITIONS = "elements", "xyz_ang"
"""Columns of a CSV that holds positions too, as the distribution of QM9 writes them: lists in brackets."""


def read_molecule_rows(path: str | Path) -> Iterator[MoleculeRow]:
    """Every entry of a file or folder, one after the other, in a fixed order; bad ones with the reason why.

    Understands SD and MOL files, ``.smi`` lists (a SMILES and perhaps a name a line), CSV with a ``smiles`` column,
    XYZ of any number of frames, ragged npz, a Parquet store, and folders of these, searched recursively.

    Raises:
        UserError: nothing at the path, or nothing in it that can be read as molecules.
    """
    return map(parse_molecule, read_molecules(path))


def read_molecules(path: str | Path) -> Iterator[Record]:
    """The raw entries of a file or folder; raises UserError as `read_molecule_rows` does."""
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise UserError("no such file or folder", where=str(path))
    reader = _READERS.get(suffix(path))
    if reader is None:
        raise UserError("not a file of molecules", where=str(path), wanted=", ".join(_READERS))
    return reader(path)


def parse_molecule(record: Record, *, largest_fragment: bool = False, max_atoms: int | None = None) -> MoleculeRow:
    """The molecule of a record, or the reason why there is none.

    Args:
        record: as `read_molecules` yields it.
        largest_fragment: of a SMILES of several molecules, take the largest.
        max_atoms: most atoms; a SMILES of more is not embedded.
    """
    row = MoleculeRow(record.id, None, "", record.where, str(record.info.get("split") or record.split), record.info)
    try:
        molecule = _molecule(record, largest_fragment, max_atoms)
    except UserError as error:
        return replace(row, reason=str(error))
    except PARSER_ERRORS as error:
        return replace(row, reason=f"{record.where}: {type(error).__name__}: {one_line(error)}")
    fields = record.info | molecule.properties
    known = numeric({name: value for name, value in fields.items() if name.lower() not in _NOT_PROPERTIES})
    molecule = replace(molecule, properties=known)
    return replace(row, molecule=molecule, origin="ETKDGv3" if record.kind == "smiles" else "given")


def _molecule(record: Record, largest_fragment: bool, max_atoms: int | None) -> Molecule:
    content: Any = record.content
    match record.kind:
        case "smiles":
            return Molecule.from_smiles(
                content, largest_fragment=largest_fragment, max_atoms=max_atoms, where=record.where
            )
        case "sdf":
            return Molecule.from_sdf(content, record.where)
        case "frame":
            return Molecule.from_xyz(content, where=record.where)
        case "arrays":
            charge = number(record.info.get("charge", 0))
            return _from_arrays(content, round(charge) if isinstance(charge, float) else 0, record.where)
        case _:
            raise UserError(str(content), where=record.where)


def _from_arrays(content: MoleculeArrays, charge: int, where: str) -> Molecule:
    """With the bonds that are given, those of the SMILES, or those that the distances say."""
    bare = Molecule.from_arrays(content.numbers, content.positions, where=where)
    if content.bonds is not None and content.charges is not None:
        return replace(bare, bonds=content.bonds, charges=content.charges, smiles=content.smiles)
    if content.smiles:
        return with_bonds_of(bare, content.smiles, where)
    return bare.with_bonds(charge, where)


def _read_folder(folder: Path) -> Iterator[Record]:
    output = folder / "samples.sdf"
    files = [output] if output.exists() else sorted(file for file in folder.rglob("*") if file.is_file())
    files = [file for file in files if suffix(file) in _READERS]
    if not files:
        raise UserError("no molecules in this folder", where=str(folder), wanted=", ".join(_READERS))
    return (record for file in files for record in _contained(file))


def _contained(file: Path) -> Iterator[Record]:
    """A file of a folder: unlike a file the user named, an unreadable one is one bad entry among others."""
    try:
        yield from _READERS[suffix(file)](file)
    except UserError as error:
        yield Record(file.stem, "bad", error.reason, str(file))


def _read_sdf(path: Path) -> Iterator[Record]:
    """Cut into entries without parsing them, so that a bad one does not end the file."""
    with open_text(path) as file:
        lines: list[str] = []
        index = 0
        for line in file:
            lines.append(line)
            if line.startswith("$$$$"):
                index += 1
                yield _entry(path, index, lines)
                lines = []
        if any(line.strip() for line in lines):
            yield _entry(path, index + 1, lines)


def _entry(path: Path, index: int, lines: list[str]) -> Record:
    name = lines[0].strip() or f"{stem(path)}-{index}"
    return Record(name, "sdf", "".join(lines), f"{path} entry {index}", split_from_name(path.stem))


def _read_smiles(path: Path) -> Iterator[Record]:
    """A SMILES and perhaps a name a line; a first line that says ``smiles`` is a heading."""
    with open_text(path) as file:
        for index, line in enumerate(file, start=1):
            words = line.split(maxsplit=1)
            if not words or (index == 1 and words[0].lower() == "smiles"):
                continue
            name = words[1].strip() if len(words) > 1 else f"{stem(path)}-{index}"
            yield Record(name, "smiles", words[0], f"{path} line {index}", split_from_name(path.stem))


def _read_csv(path: Path) -> Iterator[Record]:
    csv.field_size_limit(2**31 - 1)
    with open_text(path) as file:
        rows = csv.DictReader(file)
        if "smiles" not in {name.lower() for name in rows.fieldnames or ()}:
            raise UserError("no column 'smiles'", where=str(path), got=",".join(rows.fieldnames or ())[:80])
        for index, row in enumerate(rows, start=1):
            yield _csv_record(path, index, row)


def _csv_record(path: Path, index: int, row: dict[str, str]) -> Record:
    lowered = {name.lower(): text for name, text in row.items() if name and text}
    name = next((lowered[key] for key in _NAMES if key in lowered), f"{stem(path)}-{index}")
    info = {key: number(text) for key, text in row.items() if key and text and len(text) <= LONGEST_FIELD}
    split = lowered.get("split") or split_from_name(path.stem)
    record = Record(name, "smiles", lowered.get("smiles", "").strip(), f"{path} row {index}", split, info)
    if not record.content:
        return replace(record, kind="bad", content="the smiles field is empty")
    return _placed(record, lowered) if _POSITIONS in lowered and _ELEMENTS in lowered else record


def _placed(record: Record, row: dict[str, str]) -> Record:
    """The same entry with the positions that the row gives."""
    symbols = _items(row[_ELEMENTS])
    unknown = [symbol for symbol in symbols if symbol not in ATOMIC_NUMBER]
    if unknown:
        return replace(record, kind="bad", content=f"unknown element; got {unknown[0]}")
    numbers = np.array([ATOMIC_NUMBER[symbol] for symbol in symbols])
    try:  # Mathematica, which wrote some of QM9, has its own sign for a power of ten
        positions = np.array([float(item.replace("*^", "e")) for item in _items(row[_POSITIONS])]).reshape(-1, 3)
    except ValueError as error:
        return replace(record, kind="bad", content=f"positions are not numbers; got {error}")
    return replace(record, kind="arrays", content=MoleculeArrays(numbers, positions, str(record.content)))


def _items(listed: str) -> list[str]:
    """Of a list of lists in brackets, ``[['a','b'],['c']]``, the items."""
    return listed.translate(str.maketrans("[],'\"", "     ")).split()


_READERS: dict[str, Reader] = {
    ".sdf": _read_sdf,
    ".sd": _read_sdf,
    ".mol": _read_sdf,
    ".smi": _read_smiles,
    ".smiles": _read_smiles,
    ".csv": _read_csv,
    ".xyz": read_frames,
    ".extxyz": read_frames,
    ".npz": read_molecule_npz,
    ".parquet": read_molecule_parquet,
}
