"""A built dataset: one Parquet file of crystals, opened by memory map; needs numpy and pyarrow alone.

Columns: ``id`` string, ``split`` string, ``numbers`` list<uint8>, ``frac_coords`` list<float> (3 numbers an atom),
``lattice`` fixed_size_list<double>[9] (rows are vectors, Angstrom), then one double column a property (NaN = unknown).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from unigen.crystals.crystal import Crystal
from unigen.data.dataset_file import (
    chosen_items,
    flat,
    list_offsets,
    open_table,
    resolve_dataset,
    row_index,
    rows_of_split,
)
from unigen.shapes import Float, Int, UInt8

COLUMNS = ("id", "split", "numbers", "frac_coords", "lattice")


@dataclass(frozen=True, eq=False)
class CrystalDataset:
    """Crystals as flat columns; ``dataset[i]`` is a Crystal.

    Attributes:
        name: dataset name, for messages.
        ids: one string a crystal.
        split: one string a crystal ("train", "val", "test").
        numbers: atomic numbers of all sites.
        frac_coords: float32 fractional coordinates of all sites.
        offsets: sites of crystal i are ``offsets[i]:offsets[i + 1]``.
        lattice: rows are vectors, Angstrom.
        properties: one array a property, NaN where unknown.
    """

    name: str
    ids: np.ndarray
    split: np.ndarray
    numbers: UInt8[np.ndarray, "sites"]
    frac_coords: Float[np.ndarray, "sites 3"]
    offsets: Int[np.ndarray, "crystals_plus_1"]
    lattice: Float[np.ndarray, "crystals 3 3"]
    properties: dict[str, Float[np.ndarray, "crystals"]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Crystal:
        sites = slice(self.offsets[index], self.offsets[index + 1])
        known = {name: float(values[index]) for name, values in self.properties.items()}
        return Crystal(
            self.numbers[sites].astype(np.int64),
            self.frac_coords[sites],
            self.lattice[index],
            {name: value for name, value in known.items() if np.isfinite(value)},
        )

    def __iter__(self) -> Iterator[Crystal]:
        return (self[index] for index in range(len(self)))

    @property
    def num_atoms(self) -> Int[np.ndarray, "crystals"]:
        """Atoms in each cell."""
        return np.diff(self.offsets)

    def select(self, keep: np.ndarray) -> CrystalDataset:
        """The crystals at the given indices (or where a boolean mask holds), in that order."""
        index = row_index(keep)
        offsets, sites = chosen_items(self.offsets, index)
        return CrystalDataset(
            name=self.name,
            ids=self.ids[index],
            split=self.split[index],
            numbers=self.numbers[sites],
            frac_coords=self.frac_coords[sites],
            offsets=offsets,
            lattice=self.lattice[index],
            properties={name: values[index] for name, values in self.properties.items()},
        )

    def only(self, split: str) -> CrystalDataset:
        """The crystals of one split; raises UserError, naming the splits there are, when it is empty."""
        return self.select(rows_of_split(self.split, split, self.name))


def schema(property_names: Iterable[str]) -> pa.Schema:
    """The Parquet schema of a dataset with these property columns."""
    fields = [
        pa.field("id", pa.string()),
        pa.field("split", pa.string()),
        pa.field("numbers", pa.list_(pa.uint8())),
        pa.field("frac_coords", pa.list_(pa.float32())),
        pa.field("lattice", pa.list_(pa.float64(), 9)),
    ]
    return pa.schema(fields + [pa.field(name, pa.float64()) for name in property_names])


def to_table(crystals: list[Crystal], ids: list[str], splits: list[str], property_names: list[str]) -> pa.Table:
    """A Parquet-ready table of these crystals."""
    columns: dict[str, list] = {
        "id": ids,
        "split": splits,
        "numbers": [crystal.numbers.tolist() for crystal in crystals],
        "frac_coords": [crystal.frac_coords.ravel().tolist() for crystal in crystals],
        "lattice": [crystal.lattice.ravel().tolist() for crystal in crystals],
    }
    for name in property_names:
        columns[name] = [crystal.properties.get(name, float("nan")) for crystal in crystals]
    return pa.table(columns, schema=schema(property_names))


def open_dataset(name: str | Path) -> CrystalDataset:
    """Open a built dataset by name (``"mp-20"``, ``"mp-20:test"``) or by the path of its Parquet file.

    Raises:
        UserError: the dataset is not built, the file is not a readable Parquet store, or the split is empty.
    """
    path, split = resolve_dataset(name)
    dataset = from_table(str(name), open_table(path, COLUMNS))
    return dataset.only(split) if split else dataset


def from_table(name: str, table: pa.Table) -> CrystalDataset:
    """The dataset in a table of the store's columns."""
    return CrystalDataset(
        name=name,
        ids=table["id"].to_numpy(),
        split=table["split"].to_numpy(),
        numbers=flat(table["numbers"]).astype(np.uint8, copy=False),
        frac_coords=flat(table["frac_coords"]).astype(np.float32, copy=False).reshape(-1, 3),
        offsets=list_offsets(table["numbers"]),
        lattice=flat(table["lattice"]).reshape(-1, 3, 3),
        properties={column: table[column].to_numpy() for column in table.column_names if column not in COLUMNS},
    )
