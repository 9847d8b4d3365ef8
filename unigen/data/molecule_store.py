"""A built dataset of molecules; see `unigen.data.store`.

The heavy atoms stand in the order in which ``smiles`` lists them (canonical, with the stereo of the positions), the
hydrogens behind them in the order of their parents: who trains needs no chemistry library to tell text from atoms.
Single precision is a millionth of an Angstrom in a molecule, finer than any method that made the positions, at half the
memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from unigen.data.store import Column, Dataset
from unigen.molecules.molecule import Molecule
from unigen.shapes import Float, Int, Integer


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
