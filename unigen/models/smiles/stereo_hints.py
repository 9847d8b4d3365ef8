"""Chirality and sides of double bonds that a SMILES asks for, in the frame in which the next atom is placed.

A sign at an atom of a SMILES speaks of the order of its neighbours (``unigen.molecules.handedness``). As soon as two
neighbours of such a centre stand, it says of a third on which side of the plane through these and the centre it lies:
a direction, which turns with the molecule. A sign at a double bond says on which side of it an atom lies.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unigen.geometry.local_frame import LocalFrames, rows
from unigen.models.smiles.batch import MoleculeBatch
from unigen.shapes import Bool, Float, Int

HINTS = 4
"""Numbers a chosen atom: a direction in its frame, and the sign of the second number of its vector."""


def stereo_hints(
    batch: MoleculeBatch, frames: LocalFrames, chosen: Int[Tensor, "batch chosen"]
) -> Float[Tensor, "batch chosen 4"]:
    """Where stereo that is asked for wants the chosen atoms; zeros where it says nothing.

    Args:
        batch: graphs with the stereo asked for; positions as the chosen atoms see them.
        frames: of the chosen atoms.
        chosen: which atoms are to be placed.
    """
    bonded = _heavy_bonds(batch)
    sides_of_planes = rows(_sides_of_planes(batch.chirality, bonded), chosen)
    direction = torch.einsum("bca,bai->bci", sides_of_planes, _plane_normals(batch.positions, bonded))
    direction = torch.einsum("bcij,bcj->bci", frames.axes, direction)
    return torch.cat([direction, _side_of_double_bond(batch, bonded, frames, chosen)[..., None]], dim=-1)


def against_stereo(
    batch: MoleculeBatch,
    frames: LocalFrames,
    chosen: Int[Tensor, "batch chosen"],
    vectors: Float[Tensor, "batch chosen 3"],
) -> Bool[Tensor, "batch chosen"]:
    """Whether atoms would lie on another side of a centre or a double bond than the SMILES asks for.

    Args:
        batch: graphs with the stereo asked for; positions of the atoms that stand.
        frames: of the chosen atoms.
        chosen: which atoms are placed.
        vectors: where, in their frames.
    """
    bonded = _heavy_bonds(batch)
    normals = _plane_normals(batch.positions, bonded)
    from_centres = frames.place(vectors)[:, :, None] - batch.positions[:, None]
    heights = torch.einsum("bcai,bai->bca", from_centres, normals)
    wrong = (rows(_sides_of_planes(batch.chirality, bonded), chosen) * heights < 0).any(-1)
    return wrong | (_side_of_double_bond(batch, bonded, frames, chosen) * vectors[..., 1] < 0)


def _heavy_bonds(batch: MoleculeBatch) -> Bool[Tensor, "batch atoms atoms"]:
    heavy = batch.numbers > 1
    return (batch.bond_order > 0) & heavy[:, None] & heavy[:, :, None]


def _sides_of_planes(
    chirality: Int[Tensor, "batch atoms"], bonded: Bool[Tensor, "batch atoms atoms"]
) -> Float[Tensor, "batch atoms atoms"]:
    """For atom i and centre j: the sign of i's height above the plane of j and its two lowest neighbours."""
    earlier = bonded.long().cumsum(2) - bonded.long()  # how many neighbours of centre j come before i
    index = torch.arange(bonded.shape[1], device=bonded.device)
    decided = bonded & (earlier >= 2) & (index[:, None] < index)
    opposite = (bonded.sum(2, keepdim=True) == 4) & (earlier == 2)  # the fourth lies on the other side of the third
    sign = chirality[:, :, None] * torch.where(opposite, -1, 1) * decided
    return sign.transpose(1, 2).float()


def _plane_normals(
    positions: Float[Tensor, "batch atoms 3"], bonded: Bool[Tensor, "batch atoms atoms"]
) -> Float[Tensor, "batch atoms 3"]:
    """Unit normals of the planes of all atoms and their two lowest neighbours."""
    rank = bonded.long().cumsum(2) * bonded
    lowest = [(rank == n).long().argmax(2)[..., None].expand_as(positions) for n in (1, 2)]
    arms = [positions.gather(1, neighbour) - positions for neighbour in lowest]
    return functional.normalize(torch.linalg.cross(*arms), dim=-1)


def _side_of_double_bond(
    batch: MoleculeBatch,
    bonded: Bool[Tensor, "batch atoms atoms"],
    frames: LocalFrames,
    chosen: Int[Tensor, "batch chosen"],
) -> Float[Tensor, "batch chosen"]:
    """1 where an atom lies on the side of the second atom of a double bond of its parent, -1 opposite."""
    cis_trans = _at(rows(batch.cis_trans, frames.parent), frames.first) * (frames.free[..., 2] > 0)
    spans_bond = _at(rows(bonded, frames.parent), chosen) & _at(rows(bonded, frames.first), frames.second)
    return (cis_trans * (spans_bond & (frames.second != frames.parent))).float()


def _at(table: Tensor, column: Int[Tensor, "batch chosen"]) -> Tensor:
    return table.gather(2, column[..., None])[..., 0]
