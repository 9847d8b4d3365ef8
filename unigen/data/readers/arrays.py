"""Records from arrays: the ragged npz form and our own Parquet stores. Nothing is unpickled.

Ragged npz of crystals: ``num_atoms (crystals,)``, flat ``atomic_numbers (sites,)`` and ``frac_coords (sites, 3)``,
``lattice (crystals, 3, 3)`` whose rows are the vectors in Angstrom; optional ``material_id`` or ``id``, ``split``, and
one array of length crystals a property.

Of molecules: ``num_atoms (molecules,)``, flat ``atomic_numbers (atoms,)`` and ``positions (atoms, 3)`` in Angstrom;
optional ``smiles`` (strings, or all of them as one buffer of bytes with line ends between), ``id`` or ``index``,
``split``, and properties: one array of length molecules each, or ``properties (molecules, n)`` with
``property_names (n,)``.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unigen.data.crystal_store import open_crystals
from unigen.data.molecule_store import open_molecules
from unigen.data.readers.record import CrystalArrays, MoleculeArrays, Record, split_from_name
from unigen.elements import atomic_number_of
from unigen.errors import UserError
from unigen.parsing import ZIP_ERRORS, decode, most_unpacked, one_line
from unigen.shapes import Int

_CRYSTAL_ARRAYS = ("num_atoms", "atomic_numbers", "frac_coords", "lattice")
_MOLECULE_ARRAYS = ("num_atoms", "atomic_numbers", "positions")

_ERRORS = (*ZIP_ERRORS, tokenize.TokenError)
"""What numpy and zipfile raise on a broken npz: the header of an array is read as an expression of Python."""


class ArrayHeader(NamedTuple):
    """What an npz says of one of its arrays."""

    shape: tuple[int, ...]
    dtype: np.dtype


def read_crystal_npz(path: Path) -> Iterator[Record]:
    """Records of a ragged npz; raises UserError when arrays are missing, disagree, or would need unpickling."""
    arrays = _load_npz(path, {"num_atoms": (), "atomic_numbers": (), "frac_coords": (3,), "lattice": (3, 3)})
    numbers, frac_coords, lattice = (arrays[name] for name in _CRYSTAL_ARRAYS[1:])
    offsets = _offsets(path, arrays, per_atom=("atomic_numbers", "frac_coords"), per_structure=("lattice",))
    columns = _columns(arrays, _CRYSTAL_ARRAYS)
    ids, splits = _ids_and_splits(path, columns, ("material_id", "id"), len(lattice))

    def content(row: int, atoms: slice) -> CrystalArrays:
        return CrystalArrays(numbers[atoms], frac_coords[atoms], lattice[row])

    yield from _records(str(path), ids, splits, offsets, columns, content)


def read_molecule_npz(path: Path) -> Iterator[Record]:
    """Records of a ragged npz; raises UserError when arrays are missing, disagree, or would need unpickling."""
    arrays = _load_npz(path, {"num_atoms": (), "atomic_numbers": (), "positions": (3,)})
    numbers, positions, count = arrays["atomic_numbers"], arrays["positions"], len(arrays["num_atoms"])
    texts = arrays.pop("smiles", np.full(count, ""))
    smiles = decode(texts.tobytes()).split("\n") if texts.dtype == np.uint8 else _texts(texts)
    if len(smiles) != count:
        raise UserError("smiles: not one a molecule", where=str(path), got=len(smiles), wanted=count)
    offsets = _offsets(path, arrays, per_atom=("atomic_numbers", "positions"), per_structure=())
    columns = _columns(arrays, _MOLECULE_ARRAYS)
    if "properties" in arrays:
        names, table = _texts(arrays.get("property_names", np.zeros(0))), arrays["properties"]
        if table.shape != (count, len(names)):
            raise UserError(
                "properties do not fit property_names", where=str(path), got=table.shape, wanted=(count, len(names))
            )
        columns |= {name: table[:, index] for index, name in enumerate(names)}
    ids, splits = _ids_and_splits(path, columns, ("id", "index"), count)

    def content(row: int, atoms: slice) -> MoleculeArrays:
        return MoleculeArrays(numbers[atoms], positions[atoms], smiles[row])

    yield from _records(str(path), ids, splits, offsets, columns, content)


def npz_headers(path: Path) -> dict[str, ArrayHeader]:
    """Shape and type of every array of an npz, without reading any.

    Raises:
        UserError: no npz, arrays of Python objects, or arrays that the file has not the bytes for.
    """
    headers: dict[str, ArrayHeader] = {}
    held: dict[str, int] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".npy"):
                    name = member.filename.removesuffix(".npy")
                    with archive.open(member) as file:
                        headers[name], held[name] = _header(file), member.file_size - file.tell()
    except _ERRORS as error:
        raise UserError("not a readable npz", where=str(path), got=one_line(error)) from error
    for name, (shape, dtype) in headers.items():
        if dtype.hasobject:
            got = f"Python objects in {name}, which nothing here unpacks"
            raise UserError("not a readable npz", where=str(path), got=got)
        if min(shape, default=0) < 0 or dtype.itemsize * math.prod(shape) != held[name]:
            got = f"{name} of shape {shape} in {held[name]:,} bytes"
            raise UserError("not a readable npz", where=str(path), got=got)
    if sum(held.values()) > most_unpacked(path):
        got = f"{sum(held.values()):,} bytes of {path.stat().st_size:,}"
        raise UserError("unpacks to far more than structures do", where=str(path), got=got)
    return headers


def _header(file: Any) -> ArrayHeader:
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in read:  # 3.0 is of structured arrays with names beyond Latin-1
        raise ValueError(f"an array of version {version}")
    shape, _, dtype = read[version](file)
    return ArrayHeader(shape, dtype)


def _load_npz(path: Path, needed: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """All arrays of an npz, in memory; those that are needed are numbers, with their shapes behind the first axis."""
    headers = npz_headers(path)
    missing = [name for name in needed if name not in headers]
    if missing:
        raise UserError(f"arrays missing: {', '.join(missing)}", where=str(path), wanted=", ".join(needed))
    for name, rest in needed.items():
        if (shape := headers[name].shape)[1:] != rest or not shape:
            wanted = f"({', '.join(('n', *map(str, rest)))})"
            raise UserError(f"{name}: not an array of that shape", where=str(path), got=shape, wanted=wanted)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in headers}
    except _ERRORS as error:
        raise UserError("not a readable npz", where=str(path), got=one_line(error)) from error
    if arrays["atomic_numbers"].dtype.kind in "US":
        arrays["atomic_numbers"] = _numbers_of_symbols(arrays["atomic_numbers"])
    arrays["num_atoms"] = _whole_numbers(path, "num_atoms", arrays["num_atoms"])
    arrays["atomic_numbers"] = _whole_numbers(path, "atomic_numbers", arrays["atomic_numbers"])
    for name in needed:
        if arrays[name].dtype.kind not in "iuf":
            raise UserError(f"{name}: no array of numbers", where=str(path), got=arrays[name].dtype)
    return arrays


def _whole_numbers(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """The same, as integers where floats hold nothing else; raises UserError for other numbers, and for no numbers."""
    if values.dtype.kind not in "iuf" or not (np.isfinite(values) & (values % 1 == 0)).all():
        raise UserError(f"{name}: not a list of whole numbers", where=str(path), got=values.ravel()[:3])
    return values.astype(np.int64) if values.dtype.kind == "f" else values


def _numbers_of_symbols(symbols: np.ndarray) -> Int[np.ndarray, "sites"]:
    """Atomic numbers of symbols, 0 for what is none."""
    known, of_each = np.unique(_texts(symbols), return_inverse=True)
    return np.array([atomic_number_of(symbol) or 0 for symbol in known.tolist()], dtype=np.int64)[of_each]


def _offsets(
    path: Path, arrays: Mapping[str, np.ndarray], *, per_atom: tuple[str, ...], per_structure: tuple[str, ...]
) -> Int[np.ndarray, "structures_plus_1"]:
    """Where the atoms of each structure begin; raises UserError when the other arrays have other lengths."""
    num_atoms, most = arrays["num_atoms"], len(arrays[per_atom[0]])
    if ((num_atoms < 0) | (num_atoms > most)).any():  # so many that their sum might not fit either
        raise UserError("num_atoms: more atoms than there are, or fewer than none", where=str(path), wanted=most)
    # wide: files count atoms in any type, and the sum over all may not fit it
    offsets = np.concatenate([[0], np.cumsum(num_atoms.astype(np.int64))])
    wanted = dict.fromkeys(per_atom, int(offsets[-1])) | dict.fromkeys(per_structure, len(num_atoms))
    lengths = {name: len(arrays[name]) for name in wanted}
    if lengths != wanted:
        raise UserError("array lengths disagree with num_atoms", where=str(path), got=lengths, wanted=int(offsets[-1]))
    return offsets


def _texts(values: np.ndarray) -> list[str]:
    """Of bytes, text or numbers; raises UserError for an array of several axes."""
    if values.ndim != 1:
        raise UserError("not a list of texts", got=f"shape {values.shape}")
    return [decode(value) if isinstance(value, bytes) else str(value) for value in values.tolist()]


def _columns(arrays: Mapping[str, np.ndarray], needed: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays of one value a structure, by name."""
    count = len(arrays["num_atoms"])
    return {name: values for name, values in arrays.items() if values.shape == (count,) and name not in needed}


def _ids_and_splits(
    path: Path, columns: dict[str, np.ndarray], id_names: tuple[str, str], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Taken out of the columns: of two columns of ids the first counts, and neither is a property."""
    first, second = id_names
    other = columns.pop(second, np.arange(count))
    ids, splits = columns.pop(first, other), columns.pop("split", np.full(count, split_from_name(path.stem)))
    return np.array(_texts(ids), dtype=object), np.array(_texts(splits), dtype=object)


def read_crystal_store(name_or_path: str | Path) -> Iterator[Record]:
    """Records of a built dataset, ``NAME``, ``NAME:SPLIT`` or a path; raises UserError when it cannot be opened."""
    dataset = open_crystals(name_or_path)
    numbers, frac_coords, lattice = dataset.numbers, dataset.frac_coords, dataset.lattice

    def content(row: int, atoms: slice) -> CrystalArrays:
        return CrystalArrays(numbers[atoms], frac_coords[atoms], lattice[row])

    yield from _records(str(name_or_path), dataset.ids, dataset.split, dataset.offsets, dataset.properties, content)


def read_molecule_store(name_or_path: str | Path) -> Iterator[Record]:
    """Records of a built dataset, ``NAME``, ``NAME:SPLIT`` or a path; raises UserError when it cannot be opened."""
    dataset = open_molecules(name_or_path)
    numbers, positions, charges, smiles = dataset.numbers, dataset.positions, dataset.charges, dataset.smiles

    def content(row: int, atoms: slice) -> MoleculeArrays:
        bonds = dataset.bonds[dataset.bond_offsets[row] : dataset.bond_offsets[row + 1]]
        return MoleculeArrays(numbers[atoms], positions[atoms], str(smiles[row]), bonds, charges[atoms])

    yield from _records(str(name_or_path), dataset.ids, dataset.split, dataset.offsets, dataset.properties, content)


def _records(
    where: str,
    ids: np.ndarray,
    splits: np.ndarray,
    offsets: Int[np.ndarray, "structures_plus_1"],
    columns: Mapping[str, np.ndarray],
    content: Callable[[int, slice], CrystalArrays | MoleculeArrays],
) -> Iterator[Record]:
    """One record a structure, a column one of its fields."""
    # without columns zip would end before the first structure
    values = zip(*(column.tolist() for column in columns.values()), strict=True) if columns else repeat((), len(ids))
    for row, fields in enumerate(values):
        info = dict(zip(columns, fields, strict=True))
        atoms = slice(offsets[row], offsets[row + 1])
        yield Record(str(ids[row]), "arrays", content(row, atoms), f"{where} entry {row}", str(splits[row]), info)
