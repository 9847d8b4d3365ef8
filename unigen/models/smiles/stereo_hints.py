"""Chirality and sides of double bonds that a SMILES asks for, in the frame in which the next atom is placed.

A sign at an atom of a SMILES speaks of the order of its neighbours (``unigen.molecules.handedness``). As soon as two
neighbours of such a centre stand, it says of a third on which side of the plane through these and the centre it lies:
a direction, which turns with the molecule. A sign at a double bond says on which side of it an atom lies.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from unigen.geometry.local_frame import LocalFrames
from unigen.models.smiles.batch import MoleculeBatch
from unigen.shapes import Bool, Float, Int

_NEIGHBOURS = 4
"""Of a centre, at most."""

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
    planes = _Planes.of(batch)
    direction = planes.summed(planes.signs(chosen)[..., None] * planes.normals(batch.positions)[:, None], len(batch))
    direction = torch.einsum("bcij,bcj->bci", frames.axes, direction)
    return torch.cat([direction, _side_of_double_bond(batch, frames, chosen)[..., None]], dim=-1)


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
    planes = _Planes.of(batch)
    from_centres = frames.place(vectors)[planes.row] - batch.positions[planes.row, planes.centre][:, None]
    heights = (from_centres * planes.normals(batch.positions)[:, None]).sum(-1)
    wrong = planes.summed((planes.signs(chosen) * heights < 0).long(), len(batch)) > 0
    return wrong | (_side_of_double_bond(batch, frames, chosen) * vectors[..., 1] < 0)


class _Planes(NamedTuple):
    """The planes that say where an atom ought to lie, of all molecules of a batch one behind the other.

    Attributes:
        row: molecule.
        centre: in the plane.
        first: its lowest neighbour, in the plane, too.
        second: the next one.
        atom: of which something is said, a higher neighbour.
        sign: of its height above the plane.
    """

    row: Int[Tensor, "planes"]
    centre: Int[Tensor, "planes"]
    first: Int[Tensor, "planes"]
    second: Int[Tensor, "planes"]
    atom: Int[Tensor, "planes"]
    sign: Int[Tensor, "planes"]

    @classmethod
    def of(cls, batch: MoleculeBatch) -> _Planes:
        """Two planes a centre at most: of its third neighbour, and of its fourth."""
        row, centre = (batch.chirality != 0).nonzero(as_tuple=True)
        bonded = (batch.bond_order[row, centre] > 0) & (batch.numbers[row] > 1)
        # neighbours in ascending order, and a number that no atom has behind them
        none = bonded.shape[1]
        index = torch.arange(none, device=row.device)
        near = torch.where(bonded, index, none).sort(1).values[:, :_NEIGHBOURS]
        near = functional.pad(near, (0, _NEIGHBOURS - near.shape[1]), value=none)
        first, second, third, fourth = near.unbind(1)
        # the fourth lies on the other side of the third
        sign = batch.chirality[row, centre]
        signs = torch.cat([torch.where(fourth < none, -sign, sign), sign])
        atom = torch.cat([third, fourth])
        # of an atom below its centre nothing can be said: it is placed before
        said = (atom < none) & (centre.repeat(2) < atom)
        row, centre, first, second = (each.repeat(2)[said] for each in (row, centre, first, second))
        return cls(row, centre, first, second, atom[said], signs[said])

    def signs(self, chosen: Int[Tensor, "batch chosen"]) -> Int[Tensor, "planes chosen"]:
        """The sign of the height of each chosen atom, 0 where the plane is not about it."""
        return self.sign[:, None] * (self.atom[:, None] == chosen[self.row])

    def normals(self, positions: Float[Tensor, "batch atoms 3"]) -> Float[Tensor, "planes 3"]:
        """Unit vectors."""
        centre = positions[self.row, self.centre]
        arms = [positions[self.row, atom] - centre for atom in (self.first, self.second)]
        return functional.normalize(torch.linalg.cross(*arms), dim=-1)

    def summed(self, values: Tensor, rows: int) -> Tensor:
        """Values (planes, ...) summed over the planes of each molecule: (rows, ...)."""
        return values.new_zeros(rows, *values.shape[1:]).index_add(0, self.row, values)


def _side_of_double_bond(
    batch: MoleculeBatch, frames: LocalFrames, chosen: Int[Tensor, "batch chosen"]
) -> Float[Tensor, "batch chosen"]:
    """1 where an atom lies on the side of the second atom of a double bond of its parent, -1 opposite."""
    row = torch.arange(len(batch), device=chosen.device)[:, None]

    def bonded(one: Int[Tensor, "batch chosen"], other: Int[Tensor, "batch chosen"]) -> Bool[Tensor, "batch chosen"]:
        heavy = (batch.numbers[row, one] > 1) & (batch.numbers[row, other] > 1)
        return (batch.bond_order[row, one, other] > 0) & heavy

    cis_trans = batch.cis_trans[row, frames.parent, frames.first] * (frames.free[..., 2] > 0)
    spans_bond = bonded(frames.parent, chosen) & bonded(frames.first, frames.second)
    return (cis_trans * (spans_bond & (frames.second != frames.parent))).float()
