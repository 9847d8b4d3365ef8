"""Records of molecules from arrays: the ragged npz form and our own Parquet store.

Ragged npz: ``num_atoms (molecules,)``, flat ``atomic_numbers (atoms,)`` and ``positions (atoms, 3)`` in Angstrom;
optional ``smiles`` (strings, or all of them as one buffer of bytes with line ends between), ``id`` or ``index``,
``split``, and properties: one array of length molecules each, or ``properties (molecules, n)`` with
``property_names (n,)``. Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import numpy as np

from unigen.data.molecule_store import open_molecules
from unigen.data.readers.merge_arrays import load_npz
from unigen.data.readers.record import MoleculeArrays, Record, split_from_name
from unigen.errors import UserError

_NEEDED = ("num_atoms", "atomic_numbers", "positions")


def read_molecule_npz(path: Path) -> Iterator[Record]:
    """Records of a ragged npz; raises UserError when arrays are missing, disagree, or would need unpickling."""
    arrays = load_npz(path)
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise UserError(f"arrays missing: {', '.join(missing)}", where=str(path), wanted=", ".join(_NEEDED))
    numbers, positions = arrays["atomic_numbers"], arrays["positions"]
    count = len(arrays["num_atoms"])
    offsets = np.concatenate([[0], np.cumsum(arrays["num_atoms"], dtype=np.int64)])
    smiles = _texts(arrays.pop("smiles", np.full(count, "")))
    lengths = {"atomic_numbers": len(numbers), "positions": len(positions), "smiles": len(smiles)}
    if lengths != {"atomic_numbers": offsets[-1], "positions": offsets[-1], "smiles": count}:
        raise UserError("array lengths disagree with num_atoms", where=str(path), got=lengths, wanted=int(offsets[-1]))
    columns = _columns(arrays, count)
    ids = columns.pop("id", columns.pop("index", np.arange(count)))
    splits = columns.pop("split", np.full(count, split_from_name(path.stem)))
    values = zip(*(column.tolist() for column in columns.values()), strict=True) if columns else repeat(())
    bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    for row, ((start, end), known) in enumerate(zip(bounds, values, strict=False)):
        content = MoleculeArrays(numbers[start:end], positions[start:end], smiles[row])
        info = dict(zip(columns, known, strict=True))
        yield Record(str(ids[row]), "arrays", content, f"{path} entry {row}", str(splits[row]), info)


def _texts(smiles: np.ndarray) -> list[str]:
    if smiles.dtype == np.uint8:
        return smiles.tobytes().decode().split("\n")
    return [str(text) for text in smiles]


def _columns(arrays: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """One array a property, by name."""
    columns = {name: values for name, values in arrays.items() if values.shape == (count,) and name not in _NEEDED}
    names, table = arrays.get("property_names", np.zeros(0)), arrays.get("properties", np.zeros((count, 0)))
    if table.shape == (count, len(names)):
        columns |= {str(name): table[:, place] for place, name in enumerate(names)}
    return columns


def read_molecule_parquet(name_or_path: str | Path) -> Iterator[Record]:
    """Records of a built dataset, ``NAME``, ``NAME:SPLIT`` or a path; raises UserError when it cannot be opened."""
    dataset = open_molecules(name_or_path)
    for row, molecule in enumerate(dataset):
        content = MoleculeArrays(
            molecule.numbers, molecule.positions, molecule.smiles, molecule.bonds, molecule.charges
        )
        info: dict[str, object] = dict(molecule.properties)
        where = f"{name_or_path} entry {row}"
        yield Record(str(dataset.ids[row]), "arrays", content, where, str(dataset.split[row]), info)
