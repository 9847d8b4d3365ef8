"""What a file or folder holds, told before reading it: crystals or molecules, and how many.

Most endings tell the kind. Of those that both kinds have: molecules are in CSV with a ``smiles`` column and none called
``cif``, in XYZ whose first frame has no lattice, in npz of ``positions`` without ``lattice``, in stores with ``bonds``.
Everything else that can be read holds crystals.
"""

from __future__ import annotations

import re
from itertools import dropwhile, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unigen.cards import Kind
from unigen.data.readers.arrays import npz_headers
from unigen.data.readers.ase_files import open_database
from unigen.data.readers.crystals import CRYSTAL_FORMATS
from unigen.data.readers.file_names import is_left_over, is_report
from unigen.data.readers.formats import Formats
from unigen.data.readers.molecules import MOLECULE_FORMATS
from unigen.data.readers.text import suffix
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, open_text

FORMATS: dict[Kind, Formats] = {"crystals": CRYSTAL_FORMATS, "molecules": MOLECULE_FORMATS}
"""How the files of each kind of structure are read."""

_ONE_STRUCTURE = (".cif", ".vasp", ".poscar")
"""Endings of files that hold one structure each."""


def kind_of(path: Path) -> Kind:
    """What a file or folder holds.

    Raises:
        UserError: a folder that holds both.
    """
    if not path.is_dir():
        return _kind_of_file(path) or "crystals"
    first: dict[Kind, Path] = {}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    # molecules that were made or relaxed stand beside their facts in JSON
    made = {file.parent: file for file in files if file.name in ("samples.sdf", "relaxed.sdf")}
    for file in files:
        if is_left_over(file.relative_to(path)) or is_report(file, path):
            continue
        run = next((made[parent] for parent in file.parents if parent in made), None)
        kind = "molecules" if run else _kind_of_file(file)
        if kind is not None:
            first.setdefault(kind, file)
    if len(first) > 1:
        raise mixed(str(path), first)
    return next(iter(first), "crystals")


def mixed(where: str, examples: dict[Kind, Path]) -> UserError:
    """The error of a source that holds both kinds."""
    got = ", ".join(f"{kind} in {file.name}" for kind, file in sorted(examples.items()))
    return UserError("crystals and molecules together", where=where, got=got, next_step="build a dataset of each")


def _kind_of_file(path: Path) -> Kind | None:
    """None where the name says nothing, or the file does not open: whoever reads it will say why."""
    kinds = [kind for kind, formats in FORMATS.items() if formats.reader(path)]
    if len(kinds) < 2:
        return next(iter(kinds), None)
    try:
        return _look_inside(path, suffix(path))
    except (pa.ArrowException, *PARSER_ERRORS):
        return None


def _look_inside(path: Path, ending: str) -> Kind | None:
    match ending:
        case ".csv":
            with open_text(path) as file:
                columns = {name.strip(' "\r\n\t').lower() for name in re.split("[,;\t]", file.readline())}
            return _by_names(columns, "cif", "smiles")
        case ".xyz" | ".extxyz":
            with open_text(path) as file:
                head = list(islice(dropwhile(lambda line: not line.strip(), file), 2))
            return "crystals" if len(head) == 2 and "lattice=" in head[1].lower() else "molecules"
        case ".npz":
            return _by_names(set(npz_headers(path)), "lattice", "positions")
        case ".parquet":
            return _by_names(set(pq.read_schema(path).names), "lattice", "bonds")
        case _:
            return None


def _by_names(names: set[str], crystal: str, molecule: str) -> Kind | None:
    if crystal in names:
        return "crystals"
    return "molecules" if molecule in names else None


def count_entries(path: Path) -> int | None:
    """Entries of a file or folder, for the progress bar; None when only reading it all would tell."""
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        single = [file for file in files if file.suffix.lower() in _ONE_STRUCTURE]
        return len(single) if len(single) > len(files) / 2 else None
    try:
        return _count_file(path)
    except (pa.ArrowException, *PARSER_ERRORS):
        return None  # whoever reads it will say what is wrong with it


def _count_file(path: Path) -> int | None:
    match path.suffix:
        case ".npz":
            return npz_headers(path)["num_atoms"].shape[0]
        case ".parquet":
            return pq.read_metadata(path).num_rows
        case ".jsonl" | ".smi" | ".smiles":
            with path.open("rb") as file:
                return sum(1 for _ in file)
        case ".sdf":
            with path.open("rb") as file:
                return sum(line.startswith(b"$$$$") for line in file)
        case ".db":
            with open_database(path) as database:
                return database.count()
        case _:
            return None
