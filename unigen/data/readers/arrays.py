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

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sized
from itertools import repeat
from pathlib import Path

import numpy as np

from unigen.data.crystal_store import open_crystals
from unigen.data.molecule_store import open_molecules
from unigen.data.readers.record import CrystalArrays, MoleculeArrays, Record, split_from_name
from unigen.elements import atomic_number_of
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, UNPACKED_FREELY, UNPACKED_RATIO
from unigen.shapes import Int

_CRYSTAL_ARRAYS = ("num_atoms", "atomic_numbers", "frac_coords", "lattice")
_MOLECULE_ARRAYS = ("num_atoms", "atomic_numbers", "positions")


def read_crystal_npz(path: Path) -> Iterator[Record]:
    """Records of a ragged npz; raises UserError when arrays are missing, disagree, or would need unpickling."""
    arrays = _load_npz(path, {"num_atoms": (), "atomic_numbers": (), "frac_coords": (3,), "lattice": (3, 3)})
    numbers, frac_coords, lattice = (arrays[name] for name in _CRYSTAL_ARRAYS[1:])
    per_atom = {"atomic_numbers": numbers, "frac_coords": frac_coords}
    offsets = _offsets(path, arrays["num_atoms"], per_atom, {"lattice": lattice})
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
    smiles = texts.tobytes().decode().split("\n") if texts.dtype == np.uint8 else [str(text) for text in texts]
    per_atom = {"atomic_numbers": numbers, "positions": positions}
    offsets = _offsets(path, arrays["num_atoms"], per_atom, {"smiles": smiles})
    columns = _columns(arrays, _MOLECULE_ARRAYS)
    names, table = arrays.get("property_names", np.zeros(0)), arrays.get("properties", np.zeros((count, 0)))
    if table.shape == (count, len(names)):
        columns |= {str(name): table[:, index] for index, name in enumerate(names)}
    ids, splits = _ids_and_splits(path, columns, ("id", "index"), count)

    def content(row: int, atoms: slice) -> MoleculeArrays:
        return MoleculeArrays(numbers[atoms], positions[atoms], smiles[row])

    yield from _records(str(path), ids, splits, offsets, columns, content)


def _load_npz(path: Path, needed: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """All arrays of an npz, in memory; those that are needed with their shapes behind the first axis."""
    try:
        _check_sizes(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
    except UserError:
        raise
    except (*PARSER_ERRORS, zipfile.BadZipFile, zlib.error) as error:
        raise UserError("not a readable npz", where=str(path), got=str(error)[:120]) from error
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise UserError(f"arrays missing: {', '.join(missing)}", where=str(path), wanted=", ".join(needed))
    for name, rest in needed.items():
        array = arrays[name]
        if array.ndim < 1 or array.shape[1:] != rest:
            wanted = f"({', '.join(('n', *map(str, rest)))})"
            raise UserError(f"{name}: not an array of that shape", where=str(path), got=array.shape, wanted=wanted)
        if name == "atomic_numbers" and array.dtype.kind in "US":
            array = _numbers_of_symbols(array)
        whole = name in ("num_atoms", "atomic_numbers")
        if array.dtype.kind not in "iuf" or (whole and not (array == np.round(array)).all()):
            raise UserError(f"{name}: not {'whole ' if whole else ''}numbers", where=str(path), got=array.dtype)
        arrays[name] = array.astype(np.int64) if whole and array.dtype.kind == "f" else array
    if (arrays["num_atoms"] < 0).any():
        raise UserError("num_atoms: a negative count", where=str(path), got=int(arrays["num_atoms"].min()))
    return arrays


def _check_sizes(path: Path) -> None:
    """Refuse an archive that unpacks to far more than arrays of numbers do: they shrink a few times."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(UNPACKED_FREELY, UNPACKED_RATIO * path.stat().st_size):
        raise UserError("unpacks to far more than structures do", where=str(path), got=f"{unpacked >> 20:,} MiB")


def _numbers_of_symbols(symbols: np.ndarray) -> Int[np.ndarray, "sites"]:
    """Atomic numbers of symbols, 0 for what is none."""
    known, of_each = np.unique(symbols.astype(str), return_inverse=True)
    return np.array([atomic_number_of(symbol) or 0 for symbol in known.tolist()], dtype=np.int64)[of_each]


def _offsets(
    path: Path, num_atoms: np.ndarray, per_atom: Mapping[str, Sized], per_structure: Mapping[str, Sized]
) -> Int[np.ndarray, "structures_plus_1"]:
    """Where the atoms of each structure begin; raises UserError when the other arrays have other lengths."""
    # wide: files count atoms in any type, and the sum over all may not fit it
    offsets = np.concatenate([[0], np.cumsum(num_atoms, dtype=np.int64)])
    lengths = {name: len(array) for name, array in {**per_atom, **per_structure}.items()}
    wanted = dict.fromkeys(per_atom, int(offsets[-1])) | dict.fromkeys(per_structure, len(num_atoms))
    if lengths != wanted:
        raise UserError("array lengths disagree with num_atoms", where=str(path), got=lengths, wanted=int(offsets[-1]))
    return offsets


def _columns(arrays: Mapping[str, np.ndarray], needed: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays of one value a structure, by name."""
    count = len(arrays["num_atoms"])
    return {name: values for name, values in arrays.items() if values.shape == (count,) and name not in needed}


def _ids_and_splits(
    path: Path, columns: dict[str, np.ndarray], id_names: tuple[str, str], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Taken out of the columns: of two columns of ids the first counts, and neither is a property."""
    first, second = id_names
    ids = columns.pop(first, columns.pop(second, np.arange(count)))
    return ids, columns.pop("split", np.full(count, split_from_name(path.stem)))


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
