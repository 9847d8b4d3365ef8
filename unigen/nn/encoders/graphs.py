"""What all encoders read and write: the atoms of a batch one behind the other, and the pairs that see each other.

| field      | shape              | unit, meaning                                                              |
|------------|--------------------|----------------------------------------------------------------------------|
| numbers    | (atoms,)           | atomic number                                                              |
| positions  | (atoms, 3)         | Cartesian, Angstrom                                                        |
| structure  | (atoms,)           | which structure an atom belongs to, ascending                              |
| pairs      | (2, pairs)         | an atom that looks, and the atom that it sees                              |
| offsets    | (pairs, 3)         | Angstrom; the lattice translation that brings the seen atom there          |
| lengths    | (structures,)      | atoms of each                                                              |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from unigen.geometry.neighbours import neighbour_pairs
from unigen.shapes import Float, Int


@dataclass(frozen=True, eq=False)
class AtomGraph:
    """One structure; the fields of the module's table, without a batch."""

    numbers: Int[np.ndarray, "atoms"]
    positions: Float[np.ndarray, "atoms 3"]
    pairs: Int[np.ndarray, "2 pairs"]
    offsets: Float[np.ndarray, "pairs 3"]

    @classmethod
    def of(
        cls,
        numbers: Int[np.ndarray, "atoms"],
        positions: Float[np.ndarray, "atoms 3"],
        lattice: Float[np.ndarray, "3 3"] | None,
        cutoff: float,
    ) -> AtomGraph:
        """A structure whose atoms see each other up to a distance, periodic images too where there is a lattice."""
        pairs, cells = neighbour_pairs(positions, lattice, cutoff)
        offsets = np.zeros(cells.shape) if lattice is None else cells @ lattice
        return cls(np.asarray(numbers, dtype=np.int64), positions, pairs, offsets)


@dataclass(frozen=True, eq=False)
class AtomGraphs:
    """A batch; see the table of fields above."""

    numbers: Int[Tensor, "atoms"]
    positions: Float[Tensor, "atoms 3"]
    structure: Int[Tensor, "atoms"]
    pairs: Int[Tensor, "2 pairs"]
    offsets: Float[Tensor, "pairs 3"]
    lengths: Int[Tensor, "structures"]

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: torch.device | str) -> AtomGraphs:
        """The same on a device."""
        return AtomGraphs(**{each.name: getattr(self, each.name).to(device) for each in fields(self)})

    def select(self, rows: Int[Tensor, "chosen"]) -> AtomGraphs:
        """Some of the structures, each once, in this order."""
        place = torch.full_like(self.lengths, -1).index_put((rows,), torch.arange(len(rows), device=rows.device))
        atoms = torch.cat([torch.nonzero(self.structure == row)[:, 0] for row in rows])
        new = torch.full_like(self.structure, -1).index_put((atoms,), torch.arange(len(atoms), device=atoms.device))
        kept = new[self.pairs[0]] >= 0
        return AtomGraphs(
            numbers=self.numbers[atoms],
            positions=self.positions[atoms],
            structure=place[self.structure[atoms]],
            pairs=new[self.pairs[:, kept]],
            offsets=self.offsets[kept],
            lengths=self.lengths[rows],
        )

    @property
    def separation(self) -> Float[Tensor, "pairs 3"]:
        """From each atom to the one that it sees, Angstrom."""
        looking, seen = self.pairs
        return self.positions[seen] + self.offsets - self.positions[looking]


def collate_graphs(graphs: list[AtomGraph], dtype: torch.dtype = torch.float32) -> AtomGraphs:
    """Structures to a batch; numbers with a point become ``dtype``."""
    lengths = [len(graph.numbers) for graph in graphs]
    starts = np.cumsum([0, *lengths])[:-1].tolist()
    return AtomGraphs(
        numbers=torch.from_numpy(np.concatenate([graph.numbers for graph in graphs])),
        positions=torch.from_numpy(np.concatenate([graph.positions for graph in graphs])).to(dtype),
        structure=torch.arange(len(graphs)).repeat_interleave(torch.tensor(lengths)),
        pairs=torch.from_numpy(
            np.concatenate([graph.pairs + start for graph, start in zip(graphs, starts, strict=True)], axis=1)
        ),
        offsets=torch.from_numpy(np.concatenate([graph.offsets for graph in graphs])).to(dtype),
        lengths=torch.tensor(lengths),
    )


class Encoded(NamedTuple):
    """What an encoder makes.

    Attributes:
        atoms: that no rotation of a structure changes.
        structures: the same of whole structures: a mean over their atoms.
    """

    atoms: Float[Tensor, "atoms width"]
    structures: Float[Tensor, "structures width"]


class Encoder(nn.Module, ABC):
    """A batch of structures to features: the same however each is turned, moved, or has its atoms ordered.

    Attributes:
        width: of the features.
        cutoff: Angstrom; up to where the atoms of the graphs it reads see each other.
    """

    width: int
    cutoff: float

    @abstractmethod
    def of_atoms(self, graphs: AtomGraphs) -> Float[Tensor, "atoms width"]:
        """The features of every atom."""

    def forward(self, graphs: AtomGraphs) -> Encoded:
        """The features of every atom, and of every structure."""
        atoms = self.of_atoms(graphs)
        return Encoded(atoms, mean_by(atoms, graphs.structure, len(graphs)))


def sum_by(x: Float[Tensor, "rows *width"], group: Int[Tensor, "rows"], groups: int) -> Float[Tensor, "groups *width"]:
    """The sum of the rows of each group."""
    return x.new_zeros(groups, *x.shape[1:]).index_add(0, group, x)


def mean_by(x: Float[Tensor, "rows *width"], group: Int[Tensor, "rows"], groups: int) -> Float[Tensor, "groups *width"]:
    """The mean of the rows of each group; zero where there is none."""
    count = torch.bincount(group, minlength=groups).clamp(min=1).to(x.dtype)
    return sum_by(x, group, groups) / count.view(-1, *[1] * (x.dim() - 1))
