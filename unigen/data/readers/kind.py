"""Whether a file or folder holds crystals or molecules, told before reading it.

Molecules are in SD, MOL and SMILES files, in CSV with a ``smiles`` column and none called ``cif``, in XYZ whose first
frame has no lattice, in npz of ``positions`` without ``lattice``. Everything else that can be read holds crystals.
"""

from __future__ import annotations

import zipfile
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unigen.cards import Kind
from unigen.data.readers.text import open_text, suffix
from unigen.errors import UserError

_MOLECULES = (".sdf", ".sd", ".mol", ".smi", ".smiles")
_CRYSTALS = (".cif", ".vasp", ".poscar", ".jsonl", ".ndjson", ".json", ".db", ".traj", ".xsf", ".res", ".cell", ".gen")


def kind_of(path: Path) -> Kind:
    """What a file or folder holds.

    Raises:
        UserError: a folder that holds both.
    """
    if not path.is_dir():
        return _kind_of_file(path) or "crystals"
    if (path / "samples.sdf").exists():  # the output of a generation stands beside its facts in JSON
        return "molecules"
    first: dict[Kind, Path] = {}
    for file in sorted(path.rglob("*")):
        kind = _kind_of_file(file) if file.is_file() else None
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
    ending = suffix(path)
    if ending in _MOLECULES:
        return "molecules"
    if ending in _CRYSTALS or path.name.lower().startswith(("poscar", "contcar")):
        return "crystals"
    try:
        return _look_inside(path, ending)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, pa.ArrowException):
        return None


def _look_inside(path: Path, ending: str) -> Kind | None:
    if ending == ".csv":
        with open_text(path) as file:
            columns = {name.strip(' "\r\n').lower() for name in file.readline().split(",")}
        return _by_names(columns, "cif", "smiles")
    if ending in (".xyz", ".extxyz"):
        with open_text(path) as file:
            head = list(islice(file, 2))
        return "crystals" if len(head) == 2 and "lattice=" in head[1].lower() else "molecules"
    if ending == ".npz":
        with path.open("rb") as binary, np.load(binary, allow_pickle=False) as archive:
            return _by_names(set(archive.files), "lattice", "positions")
    if ending == ".parquet":
        return _by_names(set(pq.read_schema(path).names), "lattice", "bonds")
    return None


def _by_names(names: set[str], crystal: str, molecule: str) -> Kind | None:
    if crystal in names:
        return "crystals"
    return "molecules" if molecule in names else None
