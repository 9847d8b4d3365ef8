"""From atoms to a property of the molecule: how depends on what physics says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from unigen.shapes import Bool, Float

Pooling = Literal["sum", "attention", "dipole"]
"""``sum`` over atoms of what grows with the molecule (polarisability, heat capacity); ``attention``: a weighted mean of
what does not (orbital energies); ``dipole``: the length of ``sum_i q_i x_i + d_i`` with neutral charges."""


class PropertyReadout(nn.Module):
    """All properties at once, one column each in the order given.

    Args:
        properties: how each is pooled.
        width: numbers an atom.
        vectors: vectors an atom.
    """

    def __init__(self, properties: Mapping[str, Pooling], width: int, vectors: int) -> None:
        super().__init__()
        columns = {kind: [n for n, pooling in enumerate(properties.values()) if pooling == kind] for kind in _POOLS}
        self.columns = {kind: numbers for kind, numbers in columns.items() if numbers}
        self.pools = nn.ModuleDict({kind: _POOLS[kind](width, vectors, len(n)) for kind, n in self.columns.items()})

    def forward(
        self,
        x: Float[Tensor, "batch atoms width"],
        vectors: Float[Tensor, "batch atoms 3 vectors"],
        positions: Float[Tensor, "batch atoms 3"],
        mask: Bool[Tensor, "batch atoms"],
    ) -> Float[Tensor, "batch properties"]:
        """One number a property."""
        pooled = torch.cat([pool(x, vectors, positions, mask[..., None]) for pool in self.pools.values()], -1)
        order = [number for numbers in self.columns.values() for number in numbers]
        return pooled[:, sorted(range(len(order)), key=order.__getitem__)]


class SumPool(nn.Module):
    """``sum_i f(x_i)``."""

    def __init__(self, width: int, vectors: int, properties: int) -> None:
        super().__init__()
        del vectors
        self.share = _two_layers(width, properties)

    def forward(self, x: Tensor, vectors: Tensor, positions: Tensor, mask: Tensor) -> Float[Tensor, "batch some"]:
        """See the class."""
        del vectors, positions
        return (self.share(x) * mask).sum(1)


class AttentionPool(nn.Module):
    """``f(sum_i a_i g(x_i))`` with several sets of weights ``a`` that add up to one.

    Sharp weights find the atoms where an orbital lies, even ones give the mean.
    """

    def __init__(self, width: int, vectors: int, properties: int, heads: int = 8) -> None:
        super().__init__()
        del vectors
        self.heads = heads
        self.weight = _two_layers(width, heads)
        self.value = nn.Linear(width, width - width % heads)
        self.out = _two_layers(width - width % heads, properties)

    def forward(self, x: Tensor, vectors: Tensor, positions: Tensor, mask: Tensor) -> Float[Tensor, "batch some"]:
        """See the class."""
        del vectors, positions
        weight = self.weight(x).masked_fill(~mask, -torch.inf).softmax(1)
        value = self.value(x).unflatten(-1, (self.heads, -1))
        return self.out((weight[..., None] * value).sum(1).flatten(1))


class DipolePool(nn.Module):
    """``|sum_i (q_i - mean q) x_i + d_i|``: charges that cancel make it the same wherever the origin lies.

    Schuett, Unke and Gastegger 2021 (PaiNN), section 4.2: partial charges beside dipoles of the atoms.
    """

    def __init__(self, width: int, vectors: int, properties: int) -> None:
        super().__init__()
        self.charge = _two_layers(width, properties)
        self.dipole = nn.Linear(vectors, properties, bias=False)

    def forward(self, x: Tensor, vectors: Tensor, positions: Tensor, mask: Tensor) -> Float[Tensor, "batch some"]:
        """See the class."""
        charge = self.charge(x) * mask
        charge = (charge - charge.sum(1, keepdim=True) / mask.sum(1, keepdim=True)) * mask
        moment = (charge[:, :, None] * positions[..., None] + self.dipole(vectors) * mask[..., None]).sum(1)
        # smooth where it vanishes by symmetry: 0.001 standard deviations there
        return (moment.square().sum(1) + 1e-6).sqrt()


_POOLS: dict[Pooling, type[SumPool | AttentionPool | DipolePool]] = {
    "sum": SumPool,
    "attention": AttentionPool,
    "dipole": DipolePool,
}


def _two_layers(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, out))
