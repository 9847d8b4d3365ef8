"""What is fitted to a table of known structures before anything is looked for in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.retrieval.bond_lengths import BondLengths
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.neighbours import NeighbourIndex
from unigen.retrieval.table import TemplateTable
from unigen.retrieval.volume import VolumeModel
from unigen.shapes import Float


@dataclass(frozen=True, eq=False)
class TableFit:
    """The index of a table, and what it says of volumes.

    Attributes:
        compositions: of all crystals.
        index: finds the nearest of them.
        volume: of atoms.
        facts: of each crystal: ln(volume / volume by the volume model), and energy above the hull in eV per atom (NaN:
            unknown).
        bonds: their lengths, where they were fitted before; None: `BondLengths.fit` does it where they are asked for.
    """

    compositions: Compositions
    index: NeighbourIndex
    volume: VolumeModel
    facts: Float[np.ndarray, "crystals 2"]
    bonds: BondLengths | None = None

    @classmethod
    def of(cls, table: TemplateTable, volume: VolumeModel | None = None) -> TableFit:
        """Fit a table; tenths of a second for thirty thousand structures.

        Args:
            table: known structures.
            volume: of atoms; by default fitted to the table.
        """
        compositions = table.compositions
        index = NeighbourIndex.fit(compositions)
        volume = volume or VolumeModel.fit(compositions)
        predicted = np.bincount(
            compositions.owner,
            weights=compositions.count * volume.per_atom[compositions.number],
            minlength=len(table),
        )
        excess = np.log(compositions.volume / predicted)
        return cls(compositions, index, volume, np.stack([excess, compositions.stability], axis=1))
