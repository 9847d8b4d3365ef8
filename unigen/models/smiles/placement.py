"""What the atoms that stand say about where the next one goes: attention over them, as its own frame sees them.

For atom i and every atom j that stands, the pair is described by where j is in the frame of i (``local_frame.py``), by
bonds between them and between j and the parent of i, and by the two atoms' own vectors. A small network turns each
description into weights and values; they are summed. Nothing here changes when the molecule is turned or moved.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unigen.geometry.local_frame import LocalFrames, rows
from unigen.models.smiles.batch import MoleculeBatch
from unigen.models.smiles.springs import SPRINGS, Springs
from unigen.shapes import Bool, Float, Int

_RADII, _REACH = 16, 7.5
"""Gaussians along the distance, up to so many Angstrom."""

_HEADS = 4
_SPRUNG = 8
"""Atoms that springs lead to: the nearest in the graph."""

_LENGTHS = (0.9, 3.8)
"""Angstrom; springs begin with these lengths and those between."""

_FAR = 1 << 30
FARTHEST, HIGHEST, LARGEST = 11, 3, 9
"""Largest number of bonds between two atoms that is told from larger ones; largest bond order; so with rings."""


class PlacementContext(nn.Module):
    """A vector for each atom that is to be placed, and springs to the nearest of those that stand.

    Args:
        atom_width: of the atoms' own vectors.
        width: of the description of a pair.
        out: of the result.
    """

    def __init__(self, atom_width: int, width: int, out: int) -> None:
        super().__init__()
        self.placed, self.standing = nn.Linear(atom_width, width), nn.Linear(atom_width, width)
        self.where = nn.Linear(6 + _RADII, width)
        self.bonds_apart, self.bonds_from_parent = nn.Embedding(FARTHEST + 1, width), nn.Embedding(FARTHEST + 1, width)
        self.bond_order = nn.Embedding(HIGHEST + 1, width)
        self.ring, self.ring_of_parent = nn.Embedding(LARGEST + 1, width), nn.Embedding(LARGEST + 1, width)
        self.hidden = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.weight, self.value = nn.Linear(width, _HEADS), nn.Linear(width, 2 * width)
        self.out = nn.Linear(4 * width, out)
        self.springs = nn.Linear(width, 2 * SPRINGS)
        with torch.no_grad():
            self.springs.bias[:SPRINGS] = torch.linspace(*_LENGTHS, SPRINGS)

    def forward(
        self,
        atoms: Float[Tensor, "batch atoms width"],
        seen: Float[Tensor, "batch chosen atoms 3"],
        batch: MoleculeBatch,
        frames: LocalFrames,
        chosen: Int[Tensor, "batch chosen"],
    ) -> tuple[Float[Tensor, "batch chosen out"], Springs]:
        """Of the chosen atoms, from the atoms of lower index alone.

        Args:
            atoms: what each atom is.
            seen: where each atom is in the frame of each chosen one, Angstrom.
            batch: their graph.
            frames: of the chosen atoms.
            chosen: which atoms are to be placed.
        """
        near, order, ring = batch.near, batch.order, batch.ring.clamp(max=LARGEST)
        stands = torch.arange(near.shape[-1], device=near.device) < chosen[..., None]
        pair = self.where(_where(seen)) + self.placed(rows(atoms, chosen))[:, :, None] + self.standing(atoms)[:, None]
        pair = pair + self.bonds_apart(rows(near, chosen).clamp(max=FARTHEST))
        pair = pair + self.bonds_from_parent(rows(near, frames.parent).clamp(max=FARTHEST))
        pair = pair + self.bond_order(rows(order, chosen).clamp(max=HIGHEST))
        pair = pair + self.ring(rows(ring, chosen)) + self.ring_of_parent(rows(ring, frames.parent))
        pair = self.hidden(pair)
        nearest = _nearest(rows(near, chosen), stands)
        lengths, strengths = self.springs(_picked(pair, nearest)).chunk(2, dim=-1)
        strengths = strengths * stands.gather(2, nearest)[..., None]
        springs = (part.flatten(0, 1) for part in (_picked(seen, nearest), lengths, strengths))
        return self.out(self._pooled(pair, stands)), Springs(*springs)

    def _pooled(
        self, pair: Float[Tensor, "batch chosen atoms width"], stands: Bool[Tensor, "batch chosen atoms"]
    ) -> Float[Tensor, "batch chosen pooled"]:
        """Attention's weighted mean and the plain sum; zeros where nothing stands."""
        weight = self.weight(pair).masked_fill(~stands[..., None], -1e9).softmax(2) * stands[..., None]
        value = self.value(pair)
        mean = torch.einsum("bcah,bcahw->bchw", weight, value.unflatten(-1, (_HEADS, -1))).flatten(2)
        return torch.cat([mean, (value * stands[..., None]).sum(2) / _HEADS], dim=-1)


def _nearest(
    apart: Int[Tensor, "batch chosen atoms"], stands: Bool[Tensor, "batch chosen atoms"]
) -> Int[Tensor, "batch chosen nearest"]:
    """The nearest standing atoms in the graph, of equals the first; others where fewer stand."""
    atoms = apart.shape[-1]
    cost = (apart.long() * atoms + torch.arange(atoms, device=apart.device)).masked_fill(~stands, _FAR)
    return cost.topk(min(_SPRUNG, atoms), dim=-1, largest=False).indices


def _picked(
    table: Float[Tensor, "batch chosen atoms width"], index: Int[Tensor, "batch chosen nearest"]
) -> Float[Tensor, "batch chosen nearest width"]:
    return table.gather(2, index[..., None].expand(*index.shape, table.shape[-1]))


def _where(seen: Float[Tensor, "batch chosen atoms 3"]) -> Float[Tensor, "batch chosen atoms features"]:
    """Coordinates, direction and distance."""
    distance = seen.norm(dim=-1, keepdim=True)
    radii = torch.linspace(0.0, _REACH, _RADII, device=seen.device)
    return torch.cat([seen / 3.0, seen / (distance + 1e-3), torch.exp(-2.0 * (distance - radii) ** 2)], dim=-1)
