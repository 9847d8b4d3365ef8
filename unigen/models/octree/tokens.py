"""The ``octree`` tokenizer: which cells are occupied, from coarse to fine, then what sits in each, and where in it.

After Uni-3DAR (Lu et al. 2025). A cube of ``2^depth`` **leaf cells** an axis is halved along every axis again and
again. A **node** of level l is a cube of ``2^l`` leaf cells; its token says which of its eight children are occupied (a
mask) and by how many atoms each. A **leaf** is an atom: its element, and its offset within its cell. Nodes come first,
level by level from the root, then leaves, both in Morton order, so atoms have one encoding in
whatever order they are given.
With four changes:

* crystals are encoded in fractional coordinates on the torus, with no atoms at the corners of the cell and no cell to
  be fitted afterwards: the lattice is told in a slot of its own,
* molecules are anchored at a corner of the cube, at the smallest coordinate of each axis, not in its middle: fewer
  boundaries are crossed,
* tokens say how many atoms each child holds, so that a grammar can hold the decoder to a composition,
* a node of one atom can be a leaf (``stops_at_single``): the tree is then less than half as long, and more is left to
  whatever draws offsets.

All structures of a batch are encoded together, with one sort, on any device; nothing in here loops over structures.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from unigen.config import check_ranges
from unigen.errors import UserError
from unigen.geometry.morton import (
    MAX_DEPTH,
    coarsen,
    deinterleave,
    interleave,
    popcount,
    transform_cells,
    transform_codes,
)
from unigen.geometry.morton import (
    operations as cube_operations,
)
from unigen.shapes import Float, Int

CELL = 0.24
"""Angstrom, side of a leaf cell of molecules: two atoms closer than its diagonal of 0.42 are not two atoms."""


@dataclass(frozen=True, kw_only=True)
class OctreeGrid:
    """How space is divided.

    Attributes:
        depth: levels of nodes; the cube has ``2^depth`` leaf cells an axis. Molecules: 64 of 0.24 Angstrom, 15.4.
        periodic: coordinates are fractional, on the torus; else Cartesian, in Angstrom.
        cell: side of a leaf cell in Angstrom; on the torus it is ``2^-depth`` of a lattice vector.
        bins: places in a leaf cell along each axis. 24 of 0.24 Angstrom are 0.01; with 64 cells they hold halves,
            thirds, quarters, sixths and eighths of a lattice vector exactly.
        position: "bins": an offset is a whole number of bins, and a coordinate is off by half a bin at most;
            "continuous": it is the rest itself, for a head that draws vectors.
        stops_at_single: a node of one atom is a leaf.
        separation: leaf cells of two atoms differ by at least so much along some axis: 1: they are two; 2: they do not
            touch either, so atoms are more than one cell apart.

    Raises:
        UserError: a value out of its range.
    """

    depth: int = 6
    periodic: bool = False
    cell: float = CELL
    bins: int = 24
    position: Literal["bins", "continuous"] = "bins"
    stops_at_single: bool = False
    separation: Literal[1, 2] = 1

    def __post_init__(self) -> None:
        # bins: 4,096 of a cell are finer than single precision tells in a box
        check_ranges(self, depth=(1, MAX_DEPTH), cell=(1e-3, 1e3), bins=(1, 4096))
        if self.separation == 2 and self.stops_at_single and not self.is_binned:
            raise UserError(
                "separation 2 cannot be kept by continuous offsets in leaves of many cells",
                got="position continuous, stops_at_single true",
                next_step="take bins, or separation 1",
            )

    @property
    def cells(self) -> int:
        """Leaf cells an axis."""
        return 1 << self.depth

    @property
    def cell_side(self) -> float:
        """Of a leaf cell, in the unit of the coordinates."""
        return 1.0 / self.cells if self.periodic else self.cell

    @property
    def side(self) -> float:
        """Of the cube, in the unit of the coordinates."""
        return self.cells * self.cell_side

    @property
    def is_binned(self) -> bool:
        """Whether offsets are whole numbers of bins."""
        return self.position == "bins"

    @property
    def steps(self) -> int:
        """Of offsets in a leaf cell: its bins, or 1, of which offsets are fractions."""
        return self.bins if self.is_binned else 1

    @property
    def capacity(self) -> int:
        """The most atoms that it can hold."""
        return (self.cells // self.separation) ** 3


@dataclass(frozen=True, eq=False)
class Octrees:
    """Tokens of a batch of structures, those of one behind those of the other.

    | field        | shape           | meaning                                                                   |
    |--------------|-----------------|---------------------------------------------------------------------------|
    | level        | (nodes,)        | its side is 2^level leaf cells                                            |
    | code         | (nodes,)        | Morton code among the nodes of its level                                  |
    | mask         | (nodes,)        | which children are occupied, 1 to 255                                     |
    | child_counts | (nodes, 8)      | atoms in each child                                                       |
    | node_lengths | (structures,)   | nodes of each structure                                                   |
    | leaf_level   | (atoms,)        | 0, or more where a node of one atom is a leaf                             |
    | leaf_code    | (atoms,)        | Morton code among the nodes of its level                                  |
    | element      | (atoms,)        | atomic number                                                             |
    | offset       | (atoms, 3)      | from the lower corner of the leaf: bins (int64), or leaf cells (floating) |
    | leaf_lengths | (structures,)   | atoms of each structure                                                   |
    | origin       | (structures, 3) | the lower corner of the cube, in the unit of the coordinates              |
    """

    level: Int[Tensor, "nodes"]
    code: Int[Tensor, "nodes"]
    mask: Int[Tensor, "nodes"]
    child_counts: Int[Tensor, "nodes 8"]
    node_lengths: Int[Tensor, "structures"]
    leaf_level: Int[Tensor, "atoms"]
    leaf_code: Int[Tensor, "atoms"]
    element: Int[Tensor, "atoms"]
    offset: Tensor
    leaf_lengths: Int[Tensor, "structures"]
    origin: Float[Tensor, "structures 3"]

    def __len__(self) -> int:
        return len(self.node_lengths)

    @property
    def count(self) -> Int[Tensor, "nodes"]:
        """Atoms in each node."""
        return self.child_counts.sum(-1)

    @property
    def lengths(self) -> Int[Tensor, "structures"]:
        """Tokens of each structure."""
        return self.node_lengths + self.leaf_lengths

    def __getitem__(self, index: int) -> Octrees:
        """One structure."""
        nodes, leaves = (
            slice(int(lengths[:index].sum()), int(lengths[: index + 1].sum()))
            for lengths in (self.node_lengths, self.leaf_lengths)
        )
        parts = {"origin": slice(index, index + 1), "node_lengths": slice(index, index + 1)}
        parts |= {"leaf_lengths": slice(index, index + 1)}
        parts |= dict.fromkeys(("level", "code", "mask", "child_counts"), nodes)
        parts |= dict.fromkeys(("leaf_level", "leaf_code", "element", "offset"), leaves)
        return Octrees(**{each.name: getattr(self, each.name)[parts[each.name]] for each in fields(self)})


def encode(
    grid: OctreeGrid,
    numbers: Int[Tensor, "atoms"],
    coords: Float[Tensor, "atoms 3"],
    lengths: Int[Tensor, "structures"],
    operations: Int[Tensor, "structures"] | None = None,
) -> Octrees:
    """Structures as octrees.

    Args:
        grid: how space is divided.
        numbers: atomic numbers, those of one structure behind those of the other.
        coords: Angstrom, or fractional coordinates (any representatives) where the grid is periodic.
        lengths: atoms of each structure, at least one.
        operations: symmetry of the cube (a number, see ``geometry.morton.operations``) that is applied to each
            structure, exactly: codes and bins are permuted. None: none is.

    Raises:
        UserError: coordinates that are not finite, atoms outside the cube, or in the same or in touching cells where
            the grid does not have that. Nothing is dropped.
    """
    _check(coords, lengths)
    structure = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    cells, offset, origin = _cells(grid, coords, lengths, structure)
    codes = interleave(cells, grid.depth)
    if operations is not None:
        operation = operations[structure]
        codes = transform_codes(codes, operation, grid.depth)
        cells = deinterleave(codes, grid.depth)
        offset = _transform_offset(grid, offset, operation)
    codes, order = (structure << 3 * grid.depth | codes).sort()
    _check_separation(grid, codes, order, lengths)
    leaf_level, offset = torch.zeros_like(codes), offset.index_select(0, order)
    if grid.stops_at_single:  # then an offset counts the cells of its leaf, too
        leaf_level = _single_level(codes, grid.depth)
        offset = offset + (cells.index_select(0, order) & ((1 << leaf_level) - 1)[:, None]) * grid.steps
    return Octrees(
        **_nodes(grid, codes, len(lengths)),
        leaf_level=leaf_level,
        leaf_code=(codes & (1 << 3 * grid.depth) - 1) >> 3 * leaf_level,
        element=numbers.index_select(0, order),
        offset=offset,
        leaf_lengths=lengths,
        origin=origin,
    )


def decode(grid: OctreeGrid, octrees: Octrees) -> tuple[Int[Tensor, "atoms"], Float[Tensor, "atoms 3"]]:
    """Atomic numbers and coordinates of all atoms, structure by structure in the order of the leaves.

    Inverse of ``encode`` up to the order of the atoms and, for bins, half a bin an axis.
    """
    corner = deinterleave(octrees.leaf_code, grid.depth) << octrees.leaf_level[:, None]
    origin = octrees.origin.repeat_interleave(octrees.leaf_lengths, 0)
    steps = (corner * grid.steps + octrees.offset).to(origin.dtype)
    return octrees.element, origin + steps * (grid.cell_side / grid.steps)


def length_bound(grid: OctreeGrid, atoms: int) -> int:
    """The most tokens that so many atoms can need: on every level as many nodes as there are places or atoms for.

    Args:
        grid: how space is divided.
        atoms: of one structure.
    """
    most = atoms // 2 if grid.stops_at_single else atoms
    return sum(min(most, 8 ** (grid.depth - level)) for level in range(1, grid.depth + 1)) + atoms


def always_fits(grid: OctreeGrid, coords: Float[np.ndarray, "atoms 3"]) -> bool:
    """Whether a structure can be encoded from any origin, a molecule in any orientation."""
    between = np.abs(coords[:, None] - coords)[np.triu_indices(len(coords), 1)]
    if not len(between):
        return True
    if grid.periodic:
        apart = np.abs(between - np.round(between)).max(1)
        return bool(apart.min() > grid.separation * grid.cell_side)
    distance = np.linalg.norm(between, axis=1)
    # cells apart along some axis, whatever the orientation, with a bin for rounding
    near = (grid.separation * np.sqrt(3.0) + 2.0 / grid.bins) * grid.cell_side
    return bool(distance.min() > near and distance.max() < grid.side - grid.cell_side)


def _check(coords: Tensor, lengths: Tensor) -> None:
    assert len(coords) == int(lengths.sum()), "lengths and atoms disagree"
    if not bool((lengths > 0).all()):
        raise UserError(
            "a structure without atoms", where=f"structure {int((lengths <= 0).nonzero()[0, 0])} of the batch"
        )
    if not bool(torch.isfinite(coords).all()):
        atom = int((~torch.isfinite(coords)).any(-1).nonzero()[0, 0])
        raise UserError("coordinates are not finite", where=_place(atom, lengths), got=coords[atom].tolist())


def _place(atom: int, lengths: Tensor) -> str:
    """Which atom of which structure, for messages."""
    ends = lengths.cumsum(0)
    structure = int(torch.searchsorted(ends, atom, right=True))
    return f"structure {structure} of the batch, atom {atom - int(ends[structure] - lengths[structure])}"


def _cells(grid: OctreeGrid, coords: Tensor, lengths: Tensor, structure: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Leaf cell of each atom, its offset in it, and the origin of each structure."""
    if grid.periodic:
        origin = coords.new_zeros(len(lengths), 3)
        along = coords - coords.floor()
    else:
        origin = torch.segment_reduce(coords, "min", lengths=lengths, axis=0, unsafe=True)
        along = coords - origin[structure]
    along = along * (grid.steps / grid.cell_side)
    place = along.round() if grid.is_binned else along.floor()
    cells = torch.div(place, grid.steps, rounding_mode="floor").long()
    offset = place.long() - cells * grid.steps if grid.is_binned else along - place
    if grid.periodic:  # what was rounded up to the whole lattice vector is at 0
        return cells % grid.cells, offset, origin
    if bool((cells >= grid.cells).any()):
        atom = int((cells >= grid.cells).any(-1).nonzero()[0, 0])
        raise UserError(
            "an atom outside the box",
            where=_place(atom, lengths),
            got=f"{along[atom].max().item() * grid.cell_side / grid.steps:.6g} from the outermost atom along an axis",
            wanted=f"less than {grid.side:.6g}",
            next_step="take a deeper octree, or leave this structure out",
        )
    return cells, offset, origin


def _transform_offset(grid: OctreeGrid, offset: Tensor, operation: Tensor) -> Tensor:
    if grid.is_binned:
        return transform_cells(offset, operation, grid.bins)
    turned = torch.einsum("aij,aj->ai", cube_operations(offset.device)[operation].to(offset.dtype), offset - 0.5)
    return turned + 0.5


def _check_separation(grid: OctreeGrid, codes: Tensor, order: Tensor, lengths: Tensor) -> None:
    """Raise where two atoms are closer than the grid has it; ``codes`` are sorted."""
    same = (codes[1:] == codes[:-1]).nonzero()
    if len(same):
        first, second = sorted(order[same[0, 0] : same[0, 0] + 2].tolist())
        raise UserError(
            "two atoms in the same cell",
            where=_place(first, lengths),
            got=_place(second, lengths),
            wanted=f"one in a cell of {grid.cell_side:.6g}",
            next_step="take a finer octree, or leave this structure out",
        )
    if grid.separation == 1:
        return
    above = codes >> 3 * grid.depth << 3 * grid.depth
    cells = deinterleave(codes, grid.depth)
    half = torch.cartesian_prod(*[torch.arange(-1, 2, device=codes.device)] * 3)[14:]  # one of each pair of opposites
    for shift in half:
        near = cells + shift
        inside = ((near >= 0) & (near < grid.cells)).all(-1) | grid.periodic
        wanted = above | interleave(near % grid.cells, grid.depth)
        found = torch.searchsorted(codes, wanted).clamp(max=len(codes) - 1)
        touching = ((codes[found] == wanted) & inside & (wanted != codes)).nonzero()
        if len(touching):
            first, second = (int(order[atom]) for atom in (touching[0, 0], found[touching[0, 0]]))
            raise UserError(
                "two atoms in touching cells",
                where=_place(first, lengths),
                got=_place(second, lengths),
                wanted=f"a cell of {grid.cell_side:.6g} between them",
                next_step="take separation 1, or leave this structure out",
            )


def _single_level(codes: Tensor, depth: int) -> Int[Tensor, "atoms"]:
    """The highest level on which an atom is alone in its node: below the one where it meets a neighbour in the order.

    Bits beyond the code tell structures apart, so atoms of two structures meet above the root.
    """
    # frexp's exponent of an integer is how many bits it has: exact within a structure, whose 36 bits at most are less
    # than the 53 of a double
    bits = torch.frexp((codes[1:] ^ codes[:-1]).double()).exponent
    meet = torch.div(bits + 2, 3, rounding_mode="floor").long()
    outermost = torch.full((1,), depth + 1, device=codes.device)
    before, behind = torch.cat([outermost, meet]), torch.cat([meet, outermost])
    return torch.minimum(before, behind).clamp(max=depth + 1) - 1


def _nodes(grid: OctreeGrid, codes: Tensor, structures: int) -> dict[str, Tensor]:
    """The fields of ``Octrees`` that are of nodes, from the sorted codes of all atoms."""
    counts = torch.ones_like(codes)
    levels: list[tuple[Tensor, ...]] = []
    for level in range(1, grid.depth + 1):
        parents, held, masks = coarsen(codes, counts)
        children = held.new_zeros(len(parents), 8)
        children.view(-1).scatter_(0, torch.repeat_interleave(popcount(masks)) << 3 | codes & 7, counts)
        found: tuple[Tensor, ...] = torch.full_like(parents, level), parents, masks, children
        if grid.stops_at_single:  # then a node of one atom is a leaf
            found = tuple(part[held > 1] for part in found)
        levels.append(found)
        codes, counts = parents, held
    level_of, code, mask, children = (torch.cat(parts) for parts in zip(*reversed(levels), strict=True))
    above = 3 * (grid.depth - level_of)
    structure = code >> above
    # On each level nodes are sorted by structure; what is wanted is sorted by structure, then by level.
    in_level = torch.bincount((grid.depth - level_of) * structures + structure, minlength=grid.depth * structures)
    by_structure = in_level.view(grid.depth, structures).T
    start_there = (by_structure.flatten().cumsum(0) - by_structure.flatten()).view(structures, -1).T.flatten()
    move = start_there - (in_level.cumsum(0) - in_level)
    place = torch.arange(len(level_of), device=level_of.device) + move.repeat_interleave(in_level)
    order = torch.empty_like(place).scatter_(0, place, torch.arange(len(level_of), device=level_of.device))
    parts = {"level": level_of, "code": code - (structure << above), "mask": mask, "child_counts": children}
    ordered = {name: part.index_select(0, order) for name, part in parts.items()}  # thrice as fast as indexing
    return ordered | {"node_lengths": by_structure.sum(1)}
