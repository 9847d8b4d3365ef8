"""Records from arrays: the ragged npz form and our own Parquet store.

Ragged npz: ``num_atoms (crystals,)``, flat ``atomic_numbers (sites,)`` and ``frac_coords (sites, 3)``,
``lattice (crystals, 3, 3)`` whose rows are the vectors in Angstrom; optional ``material_id``, ``split``, and one array
of length crystals a property. Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unigen.data.crystal_store import open_dataset
from unigen.data.readers.record import Record, split_from_name
from unigen.errors import UserError

_NEEDED = ("num_atoms", "atomic_numbers", "frac_coords", "lattice")


def read_npz(path: Path) -> Iterator[Record]:
    """Records of a ragged npz; raises UserError when arrays are missing, disagree, or would need unpickling."""
    arrays = load_npz(path)
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise UserError(f"arrays missing: {', '.join(missing)}", where=str(path), wanted=", ".join(_NEEDED))
    count = len(arrays["num_atoms"])
    offsets = np.concatenate([[0], np.cumsum(arrays["num_atoms"], dtype=np.int64)])
    lengths = {name: len(arrays[name]) for name in ("atomic_numbers", "frac_coords", "lattice")}
    if lengths != {"atomic_numbers": offsets[-1], "frac_coords": offsets[-1], "lattice": count}:
        raise UserError("array lengths disagree with num_atoms", where=str(path), got=lengths, wanted=int(offsets[-1]))
    columns = {name: values for name, values in arrays.items() if values.shape == (count,) and name not in _NEEDED}
    ids = columns.pop("material_id", columns.pop("id", np.arange(count)))
    splits = columns.pop("split", np.full(count, split_from_name(path.stem)))
    for row in range(count):
        sites = slice(offsets[row], offsets[row + 1])
        content = (arrays["atomic_numbers"][sites], arrays["frac_coords"][sites], arrays["lattice"][row])
        info = {name: values[row].item() for name, values in columns.items()}
        yield Record(str(ids[row]), "arrays", content, f"{path} entry {row}", str(splits[row]), info)


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz, in memory; raises UserError when it is not readable or would need unpickling."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError("not a readable npz", where=str(path), got=str(error)[:120]) from error


def read_parquet(name_or_path: str | Path, split: str | None = None) -> Iterator[Record]:
    """Records of a built dataset, by name or path; raises UserError when it cannot be opened."""
    dataset = open_dataset(f"{name_or_path}:{split}" if split else name_or_path)
    for row in range(len(dataset)):
        sites = slice(dataset.offsets[row], dataset.offsets[row + 1])
        content = (dataset.numbers[sites], dataset.frac_coords[sites], dataset.lattice[row])
        info: dict[str, object] = {name: float(values[row]) for name, values in dataset.properties.items()}
        where = f"{name_or_path} entry {row}"
        yield Record(str(dataset.ids[row]), "arrays", content, where, str(dataset.split[row]), info)
