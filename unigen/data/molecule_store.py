"""A built dataset of molecules; see `unigen.data.store`.

The heavy atoms stand in the order in which ``smiles`` lists them (canonical, with the stereo of the positions), the
hydrogens behind them in the order of their parents: who trains needs no chemistry library to tell text from atoms.
Single precision is a millionth of an Angstrom in a molecule, finer than any method that made the positions, at half the
memory.

Beside it, or alone, may stand a table of SMILES without positions, graphs that a model learns to write:
``smiles.parquet`` has a row a molecule, ``smiles`` (in Kekule form), ``split``, and ``atoms``, the hydrogens counted
(`unigen.data.smiles_build`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from unigen.data.dataset_file import datasets_home, name_and_split, open_table
from unigen.data.ragged import items, numbers, rows_of_split
from unigen.data.store import Column, Dataset
from unigen.errors import UserError
from unigen.molecules.molecule import Molecule
from unigen.shapes import Float, Int, Integer

SMILES_TABLE = "smiles.parquet"

SMILES_SCHEMA = pa.schema([("smiles", pa.string()), ("split", pa.string()), ("atoms", pa.int32())])


@dataclass(frozen=True, eq=False, kw_only=True)
class MoleculeDataset(Dataset[Molecule]):
    """Molecules as flat columns; ``dataset[i]`` is a Molecule.

    Attributes:
        positions: float32 Cartesian coordinates of all atoms, Angstrom.
        bonds: of all molecules: two atoms, counted within their molecule, and an order.
        bond_offsets: bonds of molecule i are ``bond_offsets[i]:bond_offsets[i + 1]``.
        charges: formal charges of all atoms.
        smiles: one string a molecule, heavy atoms in the order of the rows.
    """

    kind = "molecules"
    columns = (
        # a byte holds every element and every charge, two bytes count more atoms than a molecule has
        Column("numbers", pa.uint8(), offsets="offsets"),
        Column("positions", pa.float32(), (3,), offsets="offsets"),
        Column("bonds", pa.uint16(), (3,), offsets="bond_offsets"),
        Column("charges", pa.int8(), offsets="offsets"),
        Column("smiles", pa.string()),
    )

    positions: Float[np.ndarray, "sites 3"]
    bonds: Integer[np.ndarray, "links 3"]
    bond_offsets: Int[np.ndarray, "structures_plus_1"]
    charges: Integer[np.ndarray, "sites"]
    smiles: np.ndarray

    def structure(self, index: int, atoms: slice, properties: dict[str, float]) -> Molecule:
        """One molecule, of its atoms and its known properties."""
        return Molecule(
            self.numbers[atoms],
            self.positions[atoms],
            self.bonds[self.bond_offsets[index] : self.bond_offsets[index + 1]],
            self.charges[atoms],
            properties,
            str(self.smiles[index]),
        )


def open_molecules(name: str | Path) -> MoleculeDataset:
    """Open a built dataset of molecules, ``"qm9"``, ``"qm9:test"`` or a path; raises UserError as `Dataset.open`."""
    return MoleculeDataset.open(name)


@dataclass(frozen=True, eq=False)
class SmilesTable:
    """Molecules as texts; ``table[i]`` is a Kekule SMILES.

    Attributes:
        name: of the dataset, for messages.
        smiles: one text a molecule.
        split: one word a molecule.
        num_atoms: of each, hydrogens counted.
    """

    name: str
    smiles: pa.StringArray
    split: np.ndarray
    num_atoms: Int[np.ndarray, "molecules"]

    def __len__(self) -> int:
        return len(self.smiles)

    def __getitem__(self, index: int) -> str:
        return str(self.smiles[int(index)].as_py())

    def select(self, rows: Int[np.ndarray, "chosen"]) -> SmilesTable:
        """The molecules at these indices, in that order."""
        return SmilesTable(self.name, self.smiles.take(pa.array(rows)), self.split[rows], self.num_atoms[rows])


def smiles_table_path(dataset: str) -> Path:
    """Where the table of ``"moses"`` or ``"moses:train"`` lies, or would."""
    return datasets_home() / name_and_split(dataset)[0] / SMILES_TABLE


def open_smiles_table(dataset: str) -> SmilesTable:
    """The SMILES of ``"moses"`` or ``"moses:train"``.

    Raises:
        UserError: there is no such table or split, or it cannot be read.
    """
    name, split = name_and_split(dataset)
    path = smiles_table_path(dataset)
    command = f"run: unigen data smiles {name}"
    if not path.exists():
        raise UserError(f"dataset {name!r} has no table of SMILES yet", where=str(path), next_step=command)
    columns = open_table(path, tuple(SMILES_SCHEMA.names), "a table of SMILES", command)
    splits = items(columns, "split", pa.string(), str(path))
    smiles = columns["smiles"].combine_chunks()
    if not pa.types.is_string(smiles.type) or smiles.null_count:
        raise UserError("column smiles: not a text a row", where=str(path), got=smiles.type, next_step=command)
    table = SmilesTable(dataset, smiles, splits, numbers(columns, "atoms", str(path)).astype(np.int64))
    return table if split is None else table.select(rows_of_split(splits, split, dataset))
