"""Structures as graphs of atoms, with what is known of each.

| field   | shape                    | unit, meaning                                   |
|---------|--------------------------|-------------------------------------------------|
| graphs  | `AtomGraphs`             | see ``nn/encoders/graphs.py``                   |
| values  | (structures, properties) | in the units of the data, NaN where unknown     |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unigen.crystals.crystal import Crystal
from unigen.molecules.molecule import Molecule
from unigen.nn.encoders.graphs import AtomGraph, AtomGraphs, collate_graphs
from unigen.shapes import Float, Int


@dataclass(frozen=True, eq=False)
class LabelledGraph:
    """One structure, and what is known of it."""

    graph: AtomGraph
    values: Float[np.ndarray, "properties"]


@dataclass(frozen=True, eq=False)
class LabelledGraphs:
    """A batch; see the table of fields above."""

    graphs: AtomGraphs
    values: Float[Tensor, "structures properties"]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def lengths(self) -> Int[Tensor, "structures"]:
        """Atoms of each structure."""
        return self.graphs.lengths

    def to(self, device: torch.device | str) -> LabelledGraphs:
        """The same on a device."""
        return LabelledGraphs(self.graphs.to(device), self.values.to(device))

    def select(self, rows: Int[Tensor, "chosen"]) -> LabelledGraphs:
        """Some of the structures."""
        return LabelledGraphs(self.graphs.select(rows), self.values[rows])


def collate_labelled(items: list[LabelledGraph]) -> LabelledGraphs:
    """Items to a batch."""
    values = np.stack([item.values for item in items]).astype(np.float32)
    return LabelledGraphs(collate_graphs([item.graph for item in items]), torch.from_numpy(values))


def graph_of(structure: Crystal | Molecule, cutoff: float) -> AtomGraph:
    """Its atoms, and which of them see each other up to a distance in Angstrom."""
    if isinstance(structure, Crystal):
        positions = structure.frac_coords.astype(np.float64) @ structure.lattice
        return AtomGraph.of(structure.numbers, positions, structure.lattice, cutoff)
    return AtomGraph.of(structure.numbers, structure.positions.astype(np.float64), None, cutoff)
