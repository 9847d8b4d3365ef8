"""A built dataset of molecules: one Parquet file, opened by memory map; needs numpy and pyarrow alone.

Columns: ``id`` string, ``split`` string, ``numbers`` list<uint8>, ``positions`` list<float> (3 numbers an atom,
Angstrom), ``bonds`` list<uint16> (first atom, second atom, order; 3 numbers a bond), ``charges`` list<int8>, ``smiles``
string, then one double column a property (NaN = unknown). Single precision is a millionth of an Angstrom in a molecule,
finer than any method that made the positions, at half the memory.

The heavy atoms stand in the order in which ``smiles`` lists them (canonical, with the stereo of the positions), the
hydrogens behind them in the order of their parents: who trains needs no chemistry library to tell text from atoms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from unigen.data.dataset_file import (
    chosen_items,
    flat,
    list_offsets,
    open_table,
    resolve_dataset,
    row_index,
    rows_of_split,
)
from unigen.molecules.molecule import Molecule
from unigen.shapes import Float, Int, Integer, UInt8

COLUMNS = ("id", "split", "numbers", "positions", "bonds", "charges", "smiles")


@dataclass(frozen=True, eq=False)
class MoleculeDataset:
    """Molecules as flat columns; ``dataset[i]`` is a Molecule.

    Attributes:
        name: dataset name, for messages.
        ids: one string a molecule.
        split: one string a molecule ("train", "val", "test").
        numbers: atomic numbers of all atoms.
        positions: float32 Cartesian coordinates of all atoms, Angstrom.
        charges: formal charges of all atoms.
        offsets: atoms of molecule i are ``offsets[i]:offsets[i + 1]``.
        bonds: of all molecules: two atoms, counted within their molecule, and an order.
        bond_offsets: bonds of molecule i are ``bond_offsets[i]:bond_offsets[i + 1]``.
        smiles: one string a molecule, heavy atoms in the order of the rows.
        properties: one array a property, NaN where unknown.
    """

    name: str
    ids: np.ndarray
    split: np.ndarray
    numbers: UInt8[np.ndarray, "sites"]
    positions: Float[np.ndarray, "sites 3"]
    charges: Integer[np.ndarray, "sites"]
    offsets: Int[np.ndarray, "molecules_plus_1"]
    bonds: Integer[np.ndarray, "links 3"]
    bond_offsets: Int[np.ndarray, "molecules_plus_1"]
    smiles: np.ndarray
    properties: dict[str, Float[np.ndarray, "molecules"]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Molecule:
        atoms = slice(self.offsets[index], self.offsets[index + 1])
        known = {name: float(values[index]) for name, values in self.properties.items()}
        return Molecule(
            self.numbers[atoms],
            self.positions[atoms],
            self.bonds[self.bond_offsets[index] : self.bond_offsets[index + 1]],
            self.charges[atoms],
            {name: value for name, value in known.items() if np.isfinite(value)},
            str(self.smiles[index]),
        )

    def __iter__(self) -> Iterator[Molecule]:
        return (self[index] for index in range(len(self)))

    @property
    def num_atoms(self) -> Int[np.ndarray, "molecules"]:
        """Atoms of each molecule, hydrogens counted."""
        return np.diff(self.offsets)

    def select(self, keep: np.ndarray) -> MoleculeDataset:
        """The molecules at the given indices (or where a boolean mask holds), in that order."""
        index = row_index(keep)
        offsets, atoms = chosen_items(self.offsets, index)
        bond_offsets, links = chosen_items(self.bond_offsets, index)
        return MoleculeDataset(
            name=self.name,
            ids=self.ids[index],
            split=self.split[index],
            numbers=self.numbers[atoms],
            positions=self.positions[atoms],
            charges=self.charges[atoms],
            offsets=offsets,
            bonds=self.bonds[links],
            bond_offsets=bond_offsets,
            smiles=self.smiles[index],
            properties={name: values[index] for name, values in self.properties.items()},
        )

    def only(self, split: str) -> MoleculeDataset:
        """The molecules of one split; raises UserError, naming the splits there are, when it is empty."""
        return self.select(rows_of_split(self.split, split, self.name))


def schema(property_names: Iterable[str]) -> pa.Schema:
    """The Parquet schema of a dataset with these property columns."""
    fields = [
        pa.field("id", pa.string()),
        pa.field("split", pa.string()),
        pa.field("numbers", pa.list_(pa.uint8())),
        pa.field("positions", pa.list_(pa.float32())),
        pa.field("bonds", pa.list_(pa.uint16())),
        pa.field("charges", pa.list_(pa.int8())),
        pa.field("smiles", pa.string()),
    ]
    return pa.schema(fields + [pa.field(name, pa.float64()) for name in property_names])


def to_table(molecules: list[Molecule], ids: list[str], splits: list[str], property_names: list[str]) -> pa.Table:
    """A Parquet-ready table of these molecules."""
    columns: dict[str, list] = {
        "id": ids,
        "split": splits,
        "numbers": [molecule.numbers.tolist() for molecule in molecules],
        "positions": [molecule.positions.ravel().tolist() for molecule in molecules],
        "bonds": [molecule.bonds.ravel().tolist() for molecule in molecules],
        "charges": [molecule.charges.tolist() for molecule in molecules],
        "smiles": [molecule.smiles for molecule in molecules],
    }
    for name in property_names:
        columns[name] = [molecule.properties.get(name, float("nan")) for molecule in molecules]
    return pa.table(columns, schema=schema(property_names))


def open_molecules(name: str | Path) -> MoleculeDataset:
    """Open a built dataset by name (``"qm9"``, ``"qm9:test"``) or by the path of its Parquet file.

    Raises:
        UserError: the dataset is not built or holds crystals, the file is not a readable store, the split is empty.
    """
    path, split = resolve_dataset(name, "molecules")
    dataset = from_table(str(name), open_table(path, COLUMNS))
    return dataset.only(split) if split else dataset


def from_table(name: str, table: pa.Table) -> MoleculeDataset:
    """The dataset in a table of the store's columns."""
    return MoleculeDataset(
        name=name,
        ids=table["id"].to_numpy(),
        split=table["split"].to_numpy(),
        numbers=flat(table["numbers"]).astype(np.uint8, copy=False),
        positions=flat(table["positions"]).astype(np.float32, copy=False).reshape(-1, 3),
        charges=flat(table["charges"]).astype(np.int8, copy=False),
        offsets=list_offsets(table["numbers"]),
        bonds=flat(table["bonds"]).astype(np.uint16, copy=False).reshape(-1, 3),
        bond_offsets=list_offsets(table["bonds"], width=3),
        smiles=table["smiles"].to_numpy(),
        properties={column: table[column].to_numpy() for column in table.column_names if column not in COLUMNS},
    )
