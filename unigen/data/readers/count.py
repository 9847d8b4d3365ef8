"""How many entries a source holds, where that is quickly known: for the progress bar only."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_ONE_EACH = (".cif", ".vasp", ".poscar")


def count_entries(path: Path) -> int | None:
    """Entries of a file or folder; None when only reading it all would tell."""
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        single = [file for file in files if file.suffix.lower() in _ONE_EACH]
        return len(single) if len(single) > len(files) / 2 else None
    try:
        return _count_file(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, pa.ArrowException):
        return None  # whoever reads it will say what is wrong with it


def _count_file(path: Path) -> int | None:
    match path.suffix:
        case ".npz":
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return len(archive["num_atoms"])
        case ".parquet":
            return pq.read_metadata(path).num_rows
        case ".jsonl" | ".smi" | ".smiles":
            with path.open("rb") as file:
                return sum(1 for _ in file)
        case ".sdf":
            with path.open("rb") as file:
                return sum(line.startswith(b"$$$$") for line in file)
        case ".db":
            from ase.db import connect

            return connect(str(path)).count()
        case _:
            return None
