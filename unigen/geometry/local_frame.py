"""Where the next atom of a molecule goes, told from the atoms that stand: frames that turn with the molecule.

Atoms are placed one after the other. Atom i is told from its **parent** p, the nearest atom in the molecular graph
that stands, in right-handed axes that two more atoms a and b that stand give, the nearest to p in the graph:

    ``e1 = (x_a - x_p) / |x_a - x_p|,  e2 = unit(x_b - x_p without its part along e1),  e3 = e1 x e2``

and its vector is ``v = (e1, e2, e3) (x_i - x_p)``: the same for every rotation and translation of the molecule, and
mirrored (v_3 changes sign) for its mirror image. b must not lie on the line through p and a, nor close to it if there
is another. As long as no such atom stands, the molecule can be turned without changing any of it, and less of v is
free: nothing for the first atom, the distance for the second, distance and angle while all that stand lie on a line.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from unigen.shapes import Bool, Float, Int

_STEEP, _ON_A_LINE = 0.1, 1e-3
"""Sine of the angle at p between a and b from which b is taken as soon as it is near, and below which never. An error
of the positions is divided by it in e2: tenfold at the first; at the second single precision leaves four digits."""

_FAR = 10_000
"""More than the cost of any atom that is near: bonds away times atoms, plus an index."""


@dataclass(frozen=True, eq=False)
class LocalFrames:
    """A frame for each of the atoms to be placed.

    Attributes:
        origin: position of the parent, Angstrom; 0 for the first atom.
        axes: rows are e1, e2, e3.
        free: 1 for the numbers of the vector that are free, 0 for those that are 0 by choice of axes.
        parent: which atom the parent is; 0 for the first atom, which has none.
        first: which atom lies along e1, where the first number is free.
        second: which atom lies in the plane of e1 and e2, where the third number is free.
    """

    origin: Float[Tensor, "batch chosen 3"]
    axes: Float[Tensor, "batch chosen 3 3"]
    free: Float[Tensor, "batch chosen 3"]
    parent: Int[Tensor, "batch chosen"]
    first: Int[Tensor, "batch chosen"]
    second: Int[Tensor, "batch chosen"]

    def local(self, positions: Float[Tensor, "batch chosen 3"]) -> Float[Tensor, "batch chosen 3"]:
        """Vectors of atoms at these positions; numbers that are not free are 0."""
        vector = torch.einsum("bcij,bcj->bci", self.axes, positions - self.origin)
        free_axes = self.free.sum(-1)
        length = vector.norm(dim=-1)
        off_axis = vector[..., 1:].norm(dim=-1)
        first = torch.where(free_axes == 1, length, vector[..., 0])
        second = torch.where(free_axes == 2, off_axis, vector[..., 1])
        return torch.stack([first, second, vector[..., 2]], dim=-1) * self.free

    def place(self, vectors: Float[Tensor, "batch chosen 3"]) -> Float[Tensor, "batch chosen 3"]:
        """Positions of atoms with these vectors."""
        return self.origin + torch.einsum("bcij,bci->bcj", self.axes, vectors)

    def seen(self, positions: Float[Tensor, "batch atoms 3"]) -> Float[Tensor, "batch chosen atoms 3"]:
        """All atoms as each frame sees them."""
        return torch.einsum("bcij,bcaj->bcai", self.axes, positions[:, None] - self.origin[:, :, None])


def local_frames(
    positions: Float[Tensor, "batch atoms 3"],
    near: Int[Tensor, "batch atoms atoms"],
    chosen: Int[Tensor, "batch chosen"],
) -> LocalFrames:
    """Frames in which some atoms are placed, told from the atoms of lower index alone.

    Args:
        positions: in the order of placement; those not placed yet may hold anything finite.
        near: bonds between two atoms on the shortest way.
        chosen: which atoms are to be placed.
    """
    index = torch.arange(positions.shape[1], device=positions.device)
    stands = index < chosen[..., None]
    parent = _nearest(rows(near, chosen), stands)
    origin = rows(positions, parent) * stands.any(-1, keepdim=True)
    others = stands & (index != parent[..., None])
    from_parent = rows(near, parent)
    first = _nearest(from_parent, others)
    direction = functional.normalize(positions[:, None] - origin[:, :, None], dim=-1)
    e1 = _pick(direction, first)
    sine = torch.linalg.cross(e1[:, :, None].expand_as(direction), direction).norm(dim=-1) * others
    steepest = (sine == sine.amax(-1, keepdim=True)) & (sine > _ON_A_LINE)
    apart = torch.where((sine > _STEEP).any(-1, keepdim=True), sine > _STEEP, steepest)
    second = _nearest(from_parent, apart)
    has_first, has_second = others.any(-1), apart.any(-1)
    e1 = torch.where(has_first[..., None], e1, torch.eye(3, dtype=e1.dtype, device=e1.device)[0])
    # Where nothing fixes e2, the Cartesian axis that lies least along e1 does.
    least_along_e1 = functional.one_hot(e1.abs().argmin(-1), 3).to(e1.dtype)
    e2 = torch.where(has_second[..., None], _pick(direction, second), least_along_e1)
    e2 = functional.normalize(e2 - (e2 * e1).sum(-1, keepdim=True) * e1, dim=-1)
    axes = torch.stack([e1, e2, torch.linalg.cross(e1, e2)], dim=-2)
    free = torch.stack([stands.any(-1), has_first, has_second], dim=-1).to(positions.dtype)
    return LocalFrames(origin, axes, free, parent, first, second)


def _nearest(distance: Int[Tensor, "batch chosen atoms"], among: Bool[Tensor, "batch chosen atoms"]) -> Tensor:
    """The nearest atom in the graph, the first of equals; 0 where there is none."""
    cost = distance.long() * distance.shape[-1] + torch.arange(distance.shape[-1], device=distance.device)
    return cost.masked_fill(~among, _FAR).argmin(-1) * among.any(-1)


def rows(table: Tensor, index: Int[Tensor, "batch chosen"]) -> Tensor:
    """``table[b, index[b, c]]`` of a table (batch, atoms, width)."""
    return table.gather(1, index[..., None].expand(*index.shape, table.shape[-1]))


def _pick(table: Float[Tensor, "batch chosen atoms 3"], index: Int[Tensor, "batch chosen"]) -> Tensor:
    return table.gather(2, index[..., None, None].expand(*index.shape, 1, 3))[:, :, 0]
