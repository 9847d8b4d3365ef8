"""Molecules as atoms in space with what is known of each, padded to the largest.

A ``PropertyBatch`` holds atoms without bonds and what is known of each molecule:

| field        | shape                   | unit, meaning                                                  |
|--------------|-------------------------|----------------------------------------------------------------|
| numbers      | (batch, atoms)          | atomic number, 0 beyond the end                                |
| positions    | (batch, atoms, 3)       | Cartesian, Angstrom                                            |
| values       | (batch, properties)     | in the units of the data, NaN where unknown                    |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unigen.batch import TensorRows, pad
from unigen.shapes import Float, Int


@dataclass(frozen=True, eq=False)
class PropertyItem:
    """One molecule.

    Attributes:
        numbers: atomic numbers.
        positions: Angstrom.
        values: in the units of the data, NaN where unknown.
    """

    numbers: Int[np.ndarray, "atoms"]
    positions: Float[np.ndarray, "atoms 3"]
    values: Float[np.ndarray, "properties"]


@dataclass(frozen=True, eq=False)
class PropertyBatch(TensorRows):
    """Molecules as atoms in space, with properties; see the table of fields above."""

    numbers: Int[Tensor, "batch atoms"]
    positions: Float[Tensor, "batch atoms 3"]
    values: Float[Tensor, "batch properties"]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def lengths(self) -> Int[Tensor, "batch"]:
        """Atoms of each molecule."""
        return (self.numbers > 0).sum(1)


def collate_properties(items: list[PropertyItem]) -> PropertyBatch:
    """Pad to the largest molecule."""
    atoms = max(len(item.numbers) for item in items)
    return PropertyBatch(
        numbers=pad([item.numbers for item in items], atoms),
        positions=pad([item.positions for item in items], atoms),
        values=torch.from_numpy(np.stack([item.values for item in items])),
    )
