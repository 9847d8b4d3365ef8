"""Atoms to numbers of the whole structure: how depends on what physics says of a property."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.utils import softmax

from unigen.nn.encoders.choice import Pooling
from unigen.nn.encoders.graphs import mean_by, sum_by
from unigen.nn.encoders.monoid import MonoidFold
from unigen.shapes import Float, Int


class Pool(nn.Module):
    """``f(pooled g(x_i))``, a column each of what is pooled alike.

    Args:
        how: see ``choice.py``.
        width: of the atoms' features.
        columns: numbers that are told.
    """

    def __init__(self, how: Pooling, width: int, columns: int) -> None:
        super().__init__()
        self.how = how
        self.of_atom = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.weight = nn.Linear(width, _HEADS) if how == "attention" else None
        self.out: nn.Module = nn.Linear(width, columns)
        if how == "attention":
            self.out = nn.Sequential(nn.Linear(_HEADS * width, width), nn.SiLU(), nn.Linear(width, columns))
        self.fold = MonoidFold(width) if how == "monoid" else None
        if how == "monoid":
            self.out = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, columns))

    def forward(
        self, atoms: Float[Tensor, "atoms width"], group: Int[Tensor, "atoms"], count: int
    ) -> Float[Tensor, "structures columns"]:
        """One row a structure: ``group`` says to which each atom belongs, ascending."""
        x = self.of_atom(atoms)
        if self.fold is not None:
            return self.out(self.fold(x, group, count))
        if self.weight is None:
            pooled = sum_by if self.how == "sum" else mean_by
            return pooled(self.out(x), group, count)
        weight = softmax(self.weight(atoms), group, num_nodes=count)
        return self.out(sum_by((weight[:, :, None] * x[:, None]).flatten(1), group, count))


_HEADS = 4
"""Sets of weights: where an orbital lies, where its neighbours do, and the mean."""


class Readout(nn.Module):
    """Several columns of each property, pooled as it is told.

    Args:
        pooling: of each property, in their order.
        width: of the atoms' features.
        columns: numbers a property.
    """

    def __init__(self, pooling: tuple[Pooling, ...], width: int, columns: int) -> None:
        super().__init__()
        self.columns = columns
        kinds = dict.fromkeys(pooling)
        self.places = [[place for place, how in enumerate(pooling) if how == kind] for kind in kinds]
        self.pools = nn.ModuleList(
            Pool(kind, width, columns * len(places)) for kind, places in zip(kinds, self.places, strict=True)
        )

    def forward(
        self, atoms: Float[Tensor, "atoms width"], structure: Int[Tensor, "atoms"], count: int
    ) -> Float[Tensor, "structures properties columns"]:
        """One row a structure, of which there are so many, and to which each atom belongs, ascending."""
        found = torch.cat([pool(atoms, structure, count).unflatten(-1, (-1, self.columns)) for pool in self.pools], 1)
        order = [place for places in self.places for place in places]
        return found[:, sorted(range(len(order)), key=order.__getitem__)]
