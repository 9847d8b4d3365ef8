"""Morton codes: a cell of a cubic grid as one integer, in whose order an octree is walked (Z-order).

Three bits a level, the coarsest level highest: bit i of x, y, z becomes ``x_i | y_i << 1 | z_i << 2`` at level i. So

* ``code >> 3`` is the code of the parent, and ``code & 7`` says which of its eight children a node is (its **octant**),
* sorted codes are sorted on every level at once: one sort makes a whole tree,
* a symmetry of the cube that maps axes to axes acts on each three bits alone: it is exact, and costs a look-up.

Bits above the ``3 depth`` of a code may hold anything that is to be sorted by first, such as which structure of a batch
it belongs to: ``coarsen`` keeps it. Source: Morton 1966; the octree of Lu et al. 2025 (Uni-3DAR).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations, product

import torch
from torch import Tensor

from unigen.shapes import Int

MAX_DEPTH = 12
"""Levels of the deepest grid: 4,096 cells an axis, which leaves 27 bits of an int64 above the code."""

OPERATIONS = 48
"""Symmetries of the cube: six orders of the axes, each axis mirrored or not. Number 0 changes nothing."""


def interleave(cells: Int[Tensor, "*rest 3"], depth: int) -> Int[Tensor, "*rest"]:
    """Morton codes of cells whose coordinates are in ``[0, 2^depth)``.

    Example:
        >>> interleave(torch.tensor([[1, 0, 0], [0, 3, 0]]), depth=2).tolist()
        [1, 18]
    """
    spread = _spread(depth, cells.device)
    x, y, z = cells.unbind(-1)
    return spread[x] | spread[y] << 1 | spread[z] << 2


def deinterleave(codes: Int[Tensor, "*rest"], depth: int) -> Int[Tensor, "*rest 3"]:
    """The cells of Morton codes; what stands above ``3 depth`` bits is left out."""
    axes = torch.arange(3, device=codes.device)
    cells = torch.zeros(*codes.shape, 3, dtype=torch.int64, device=codes.device)
    for level in range(depth):
        cells |= (codes[..., None] >> (3 * level + axes) & 1) << level
    return cells


@lru_cache(maxsize=64)  # depths of the grids in use, times devices
def _spread(depth: int, device: torch.device) -> Int[Tensor, "cells"]:
    """Every coordinate with two zeros put behind each of its bits: one look-up in place of a shift a level."""
    coordinate = torch.arange(1 << depth, device=device)
    spread = torch.zeros_like(coordinate)
    for level in range(depth):
        spread |= (coordinate >> level & 1) << 3 * level
    return spread


def coarsen(
    codes: Int[Tensor, "nodes"], counts: Int[Tensor, "nodes"]
) -> tuple[Int[Tensor, "parents"], Int[Tensor, "parents"], Int[Tensor, "parents"]]:
    """One level of an octree from the level below: the parents of all nodes.

    Args:
        codes: sorted, none twice.
        counts: what each node holds, such as atoms.

    Returns:
        Codes of the parents, sorted; what each holds; which of its children there are, as the bits of a mask.
    """
    parents = codes >> 3
    last = torch.ones_like(parents, dtype=torch.bool)
    torch.ne(parents[1:], parents[:-1], out=last[:-1])
    ends = last.nonzero()[:, 0]
    # Children of a parent stand side by side, so a sum over them is a difference of running sums, and their bits are
    # different, so the sum of the bits is the mask.
    held, masks = (
        torch.diff(summed.cumsum(0)[ends], prepend=summed.new_zeros(1)) for summed in (counts, 1 << (codes & 7))
    )
    return parents[ends], held, masks


def popcount(masks: Int[Tensor, "*rest"]) -> Int[Tensor, "*rest"]:
    """How many children a mask names."""
    return _popcounts(masks.device).take(masks)


@lru_cache(maxsize=8)  # devices
def _popcounts(device: torch.device) -> Int[Tensor, "masks"]:
    return octants(device).sum(-1)


@lru_cache(maxsize=8)
def octants(device: torch.device) -> Int[Tensor, "masks 8"]:
    """Of all 256 masks: 1 for the octants they name, else 0."""
    return torch.arange(256, device=device)[:, None] >> torch.arange(8, device=device) & 1


@lru_cache(maxsize=8)
def operations(device: torch.device) -> Int[Tensor, "operations 3 3"]:
    """The symmetries of the cube as matrices that act on column vectors; number 0 is the identity."""
    signs, orders = product((1, -1), repeat=3), permutations(range(3))
    matrices = torch.zeros(OPERATIONS, 3, 3, dtype=torch.int64, device=device)
    for matrix, (order, sign) in zip(matrices, product(orders, signs), strict=True):
        matrix[range(3), list(order)] = torch.tensor(sign, device=device)
    return matrices


@lru_cache(maxsize=8)
def moved_octants(device: torch.device) -> Int[Tensor, "operations 8"]:
    """Where each operation takes each octant."""
    corners = 2 * deinterleave(torch.arange(8, device=device), 1) - 1
    moved = torch.einsum("oij,cj->oci", operations(device), corners)
    return interleave((moved + 1) // 2, 1)


def transform_codes(codes: Int[Tensor, "nodes"], operation: Int[Tensor, "nodes"], depth: int) -> Int[Tensor, "nodes"]:
    """Codes after a symmetry of the cube that encloses them all; bits above ``3 depth`` stay.

    Args:
        codes: of nodes of a level with ``2^depth`` cells an axis.
        operation: number of the symmetry that moves each.
        depth: levels above.
    """
    moved = moved_octants(codes.device)
    transformed = codes >> 3 * depth << 3 * depth
    for level in range(depth):
        transformed |= moved[operation, codes >> 3 * level & 7] << 3 * level
    return transformed


def transform_masks(masks: Int[Tensor, "nodes"], operation: Int[Tensor, "nodes"]) -> Int[Tensor, "nodes"]:
    """Masks after the same symmetry: their bits are permuted."""
    return (octants(masks.device)[masks] << moved_octants(masks.device)[operation]).sum(-1)


def transform_cells(cells: Int[Tensor, "*rest 3"], operation: Int[Tensor, "*rest"], size: int) -> Tensor:
    """Coordinates on a grid of ``size`` cells an axis after the same symmetry; works within a cell too."""
    turned = torch.einsum("...ij,...j->...i", operations(cells.device)[operation], 2 * cells - (size - 1))
    return torch.div(turned + (size - 1), 2, rounding_mode="floor")
