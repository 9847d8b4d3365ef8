"""A built dataset of crystals; see `unigen.data.store`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from unigen.crystals.crystal import Crystal
from unigen.data.store import Column, Dataset
from unigen.shapes import Float


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalDataset(Dataset[Crystal]):
    """Crystals as flat columns; ``dataset[i]`` is a Crystal.

    Attributes:
        frac_coords: float32 fractional coordinates of all sites.
        lattice: rows are vectors, Angstrom.
    """

    kind = "crystals"
    columns = (
        # a byte holds every element
        Column("numbers", pa.uint8(), offsets="offsets"),
        Column("frac_coords", pa.float32(), (3,), offsets="offsets"),
        Column("lattice", pa.float64(), (3, 3)),
    )

    frac_coords: Float[np.ndarray, "sites 3"]
    lattice: Float[np.ndarray, "structures 3 3"]

    def structure(self, index: int, atoms: slice, properties: dict[str, float]) -> Crystal:
        """One crystal, of its sites and its known properties."""
        return Crystal(self.numbers[atoms].astype(np.int64), self.frac_coords[atoms], self.lattice[index], properties)


def open_crystals(name: str | Path) -> CrystalDataset:
    """Open a built dataset of crystals, ``"mp-20"``, ``"mp-20:test"`` or a path; raises UserError as `Dataset.open`."""
    return CrystalDataset.open(name)
