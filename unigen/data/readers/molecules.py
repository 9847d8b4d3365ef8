"""Read anyone's molecules: SD files, SMILES lists, CSV, XYZ, ragged npz, Parquet, folders of these.

As with crystals, `MOLECULE_FORMATS` yields cheap raw records in a fixed order and `parse_molecule` does the work of
one. A bad entry becomes a row with a reason.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from unigen.data.readers.arrays import read_molecule_npz, read_molecule_store
from unigen.data.readers.copies import Description
from unigen.data.readers.formats import Formats, left_out_records, one_of_many
from unigen.data.readers.record import MoleculeArrays, Record, Row, parse_record, split_from_name
from unigen.data.readers.smiles import NAMES, read_smiles_list
from unigen.data.readers.text import LONGEST_FIELD, csv_rows, number, read_frames, stem
from unigen.elements import atomic_number_of
from unigen.errors import UserError
from unigen.molecules.bonds_of_smiles import with_bonds_of
from unigen.molecules.files import parse_sdf
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import parse_smiles
from unigen.molecules.stereoisomers import labels_of, not_compared
from unigen.parsing import PARSER_ERRORS, numeric, open_text, parse_json

_NOT_PROPERTIES = frozenset((*NAMES, "", "unnamed: 0", "split", "smiles", "charge"))
_ELEMENTS, _POSITIONS = "elements", "xyz_ang"
"""Columns of a CSV that holds positions too, as the distribution of QM9 writes them: lists in brackets."""


def read_molecule_rows(path: str | Path) -> Iterator[Row[Molecule]]:
    """Every entry of a file or folder, one after the other, in a fixed order; bad ones with the reason why.

    Understands SD and MOL files, ``.smi`` lists (a SMILES and perhaps a name a line), CSV with a ``smiles`` column,
    XYZ of any number of frames, ragged npz, a Parquet store, and folders of these, searched recursively.

    Raises:
        UserError: nothing at the path, or nothing in it that can be read as molecules.
    """
    return map(parse_molecule, MOLECULE_FORMATS.records(path))


def parse_molecule(record: Record, *, largest_fragment: bool = False, max_atoms: int | None = None) -> Row[Molecule]:
    """The molecule of a record, or the reason why there is none.

    Args:
        record: as `MOLECULE_FORMATS` yields it.
        largest_fragment: of an entry of several molecules, take the largest.
        max_atoms: most atoms; a SMILES of more is not embedded.
    """
    parse = partial(_molecule, largest_fragment=largest_fragment, max_atoms=max_atoms)
    row = parse_record(record, parse, "ETKDGv3" if record.form == "smiles" else "given")
    if row.structure is None:
        return row
    try:
        return replace(row, not_kept=not_kept_of(record, largest_fragment=largest_fragment))
    except UserError:  # a text beside positions and bonds that is no SMILES says nothing
        return row


_LABELLED = re.compile(r"\[\d|:\d+\]|@|\|")
"""What a SMILES has that says an isotope, an atom map, a hand or the extension of ChemAxon."""
_LABELLED_SD = re.compile(
    # isotopes by their list, as D and T, by the difference of mass behind the symbol; the tenth number is the atom map
    r"^M  ISO|V3000|^ +[-\d.]+ +[-\d.]+ +[-\d.]+ +(?:[DT] |[A-Z][a-z]? *(?:-?[1-9]|0(?: +\d+){8} +[1-9]))",
    re.MULTILINE,
)
_LABELLED_ATOM = re.compile(r"^ *(?:\d+[A-Za-z]|[DdTt]\s)", re.MULTILINE)


def not_kept_of(record: Record, *, largest_fragment: bool) -> tuple[str, ...]:
    """What an entry that was read says that a molecule does not hold; see `Row`."""
    content: Any = record.content
    match record.form:
        case "smiles" if _LABELLED.search(content):
            return not_compared(content, largest_fragment=largest_fragment)
        case "arrays" if _LABELLED.search(content.smiles):  # what else it says, the positions say
            return labels_of(parse_smiles(content.smiles, largest_fragment=True))
        case "sdf" if _LABELLED_SD.search(content):
            return labels_of(parse_sdf(content, record.where))
        case "frame" if _LABELLED_ATOM.search(content.split("\n", 2)[-1]):
            return ("isotopes",)
        case _:
            return ()


def _molecule(record: Record, *, largest_fragment: bool, max_atoms: int | None) -> Molecule:
    content: Any = record.content
    where = record.where
    match record.form:
        case "smiles":
            molecule = Molecule.from_smiles(
                content, record.conformer, largest_fragment, max_atoms=max_atoms, where=where
            )
        case "sdf":
            molecule = Molecule.from_sdf(content, where)
        case "frame":
            molecule = Molecule.from_xyz(content, where=where)
        case "arrays":
            molecule = _from_arrays(content, number(record.info.get("charge", 0)), where)
        case _:
            raise UserError(str(content), where=where)
    if largest_fragment:
        molecule = molecule.largest_fragment()
    fields = record.info | molecule.properties
    properties = numeric({name: value for name, value in fields.items() if name.lower() not in _NOT_PROPERTIES})
    return replace(molecule, properties=properties)


def _from_arrays(content: MoleculeArrays, charge: object, where: str) -> Molecule:
    """With the bonds that are given, those of the SMILES, or those that the distances say at a total charge."""
    bare = Molecule.from_arrays(content.numbers, content.positions, where=where)
    if content.bonds is not None and content.charges is not None:
        return replace(bare, bonds=content.bonds, charges=content.charges, smiles=content.smiles)
    if content.smiles:
        return with_bonds_of(bare, content.smiles, where)
    return bare.with_bonds(round(charge) if isinstance(charge, float) else 0, where)


def _read_run(folder: Path) -> Iterator[Record]:
    """A folder written by ``unigen generate``: what was made, and as bad entries the samples that failed."""
    made = one_of_many(folder / "samples.sdf", _read_sdf)
    if not (folder / "samples.jsonl").exists():  # lost, or not copied
        yield from made
        return
    with open_text(folder / "samples.jsonl") as file:
        for number, line in enumerate(filter(str.strip, file), start=1):
            where = f"{folder / 'samples.jsonl'} line {number}"
            facts = parse_json(line, where)
            failed = facts.get("reason") if isinstance(facts, dict) else "not a JSON object"
            lost = Record(f"sample-{number}", "bad", failed or "not in samples.sdf", where)
            yield lost if failed else next(made, lost)
    for record in made:
        yield replace(record, form="bad", content="a molecule that no line of samples.jsonl stands for")


def _read_relaxed(folder: Path) -> Iterator[Record]:
    """A folder written by ``unigen relax``: what was relaxed, and as bad entries what was not."""
    yield from one_of_many(folder / "relaxed.sdf", _read_sdf)
    yield from left_out_records(folder)


def _read_sdf(path: Path) -> Iterator[Record]:
    """Cut into entries without parsing them, so that a bad one does not end the file.

    An entry ends at a line that says ``$$$$`` and nothing else, unless that is the value of a field: it stands below
    the field's name, and behind the empty line below it the fields go on or the entry ends.
    """
    with open_text(path) as file:
        entry: list[str] = []
        index = 0
        ahead: deque[str] = deque(islice(file, 2))
        while ahead:
            line = ahead.popleft()
            ahead.extend(islice(file, 1))
            is_end = line.rstrip() == "$$$$"
            if is_end and entry and entry[-1].startswith(">") and len(ahead) == 2 and not ahead[0].strip():
                is_end = not (ahead[1].startswith(">") or ahead[1].rstrip() == "$$$$")
            entry.append(line)
            if is_end:
                index += 1
                yield _entry(path, index, entry)
                entry = []
        if any(line.strip() for line in entry):
            yield _entry(path, index + 1, entry)


def _entry(path: Path, index: int, lines: list[str]) -> Record:
    name = lines[0].strip() or f"{stem(path)}-{index}"
    return Record(name, "sdf", "".join(lines), f"{path} entry {index}", split_from_name(path.stem))


def _read_smiles(path: Path) -> Iterator[Record]:
    for line, smiles, name in read_smiles_list(path):
        where, split = f"{path} line {line}", split_from_name(path.stem)
        record = Record(name or f"{stem(path)}-{line}", "smiles", smiles, where, split)
        yield record if smiles else replace(record, form="bad", content="the smiles field is empty")


def _read_csv(path: Path) -> Iterator[Record]:
    for index, (where, row) in enumerate(csv_rows(path, "smiles"), start=1):
        lowered = {name.lower(): text for name, text in row.items() if name and text}
        name = next((lowered[key] for key in NAMES if key in lowered), f"{stem(path)}-{index}")
        info = {key: number(text) for key, text in row.items() if key and text and len(text) <= LONGEST_FIELD}
        split = lowered.get("split") or split_from_name(path.stem)
        record = Record(name, "smiles", " ".join(lowered.get("smiles", "").split()), where, split, info)
        if not record.content:
            yield replace(record, form="bad", content="the smiles field is empty")
        elif _POSITIONS in lowered and _ELEMENTS in lowered:
            yield _with_positions(record, lowered)
        else:
            yield record


def _with_positions(record: Record, row: dict[str, str]) -> Record:
    """The same entry with the positions that the row gives."""
    symbols = _items(row[_ELEMENTS])
    found = [atomic_number_of(symbol) for symbol in symbols]
    if None in found:
        return replace(record, form="bad", content=f"unknown element; got {symbols[found.index(None)]}")
    numbers = np.array(found, dtype=np.int64)
    try:  # Mathematica, which wrote some of QM9, has its own sign for a power of ten
        positions = np.array([float(item.replace("*^", "e")) for item in _items(row[_POSITIONS])]).reshape(-1, 3)
    except ValueError as error:
        return replace(record, form="bad", content=f"positions are not numbers; got {error}")
    return replace(record, form="arrays", content=MoleculeArrays(numbers, positions, str(record.content)))


def _items(listed: str) -> list[str]:
    """Of a list of lists in brackets, ``[['a','b'],['c']]``, the items."""
    return listed.translate(str.maketrans("[],'\"", "     ")).split()


def _describe(record: Record) -> Description:
    """Formula, smallest distance and radius of gyration: enough to know the same molecule in another format.

    A SMILES is no copy of positions, nor they of it.
    """
    if record.form == "smiles":
        return "", ()
    try:
        if record.form == "frame":  # without its bonds, which take time to find
            molecule = Molecule.from_xyz(str(record.content), where=record.where, bonds=False)
        else:
            molecule = _molecule(record, largest_fragment=False, max_atoms=None)
    except PARSER_ERRORS:
        return "", ()
    spread = float(np.sqrt(((molecule.positions - molecule.positions.mean(axis=0)) ** 2).sum(axis=1).mean()))
    return molecule.formula, (molecule.closest_pair()[2], spread)


_UNREAD = frozenset(
    # other forms of molecules, macromolecules, input and output of programs, crystals, sets of ASE
    [
        ".mol2",
        ".cml",
        ".mrv",
        ".cdx",
        ".cdxml",
        ".mae",
        ".maegz",
        ".rdf",
        ".pdb",
        ".pdbqt",
        ".pqr",
        ".ent",
        ".mmcif",
        ".bcif",
        ".gjf",
        ".com",
        ".fchk",
        ".molden",
        ".zmat",
        ".cif",
        ".vasp",
        ".poscar",
        ".traj",
        ".db",
    ]
)
"""Endings and names of files that hold structures and are not read; in a folder each is a bad entry."""


MOLECULE_FORMATS = Formats(
    kind="molecules",
    by_ending={
        ".sdf": _read_sdf,
        ".sd": _read_sdf,
        ".mol": _read_sdf,
        ".smi": _read_smiles,
        ".smiles": _read_smiles,
        ".csv": _read_csv,
        ".tsv": _read_csv,
        ".xyz": read_frames,
        ".extxyz": read_frames,
        ".npz": read_molecule_npz,
        ".parquet": read_molecule_store,
    },
    by_start={},
    otherwise=None,
    run_file="samples.sdf",
    read_run=_read_run,
    own_folders={"relaxed.sdf": _read_relaxed},
    journals=frozenset(("run.yaml", "samples.jsonl", "relax.yaml", "relaxed.jsonl")),
    noun="molecules",
    single=frozenset((".mol",)),
    unread=_UNREAD,
    describe=_describe,
)
