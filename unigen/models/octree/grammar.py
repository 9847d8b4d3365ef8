"""Which tokens of an octree may come next: exactly so many atoms of each element, by construction.

A node of level l that holds c atoms may have the children of a mask b if there is a place for each atom and an atom for
each child: ``1 <= popcount(b) <= c <= sum of capacities of b``. Its children in b, in order, hold ``k_j`` atoms with
``max(1, rest - capacity of later ones) <= k_j <= min(capacity_j, rest - later ones)``, where rest is what the earlier
ones have left. Then every path of legal tokens ends in exactly N leaves, whose elements are drawn from what is left of
the composition; and every octree is such a path. A capacity is how many atoms a cube can hold in what of it lies in the
box: two in a cell never, in touching cells only where the grid has ``separation`` 1.

The functions work on many nodes at once, for losses and scores; ``OctreeWalk`` holds a batch that is being drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor

from unigen.errors import UserError
from unigen.geometry.morton import deinterleave, octants
from unigen.models.octree.separation import BlockPlaces
from unigen.models.octree.tokens import OctreeGrid, Octrees, length_bound
from unigen.shapes import Bool, Float, Int

MASKS = 256
"""Values of a mask; 0 names no child, and is never legal."""


def child_capacities(
    grid: OctreeGrid, level: Int[Tensor, "nodes"], code: Int[Tensor, "nodes"], box: Int[Tensor, "nodes 3"]
) -> Int[Tensor, "nodes 8"]:
    """The most atoms that each child of some nodes can hold.

    Args:
        grid: how space is divided.
        level: of the nodes, at least 1.
        code: of the nodes, on their level.
        box: leaf cells along each axis that atoms may be in; the whole cube has ``grid.cells`` each.
    """
    child_level = (level - 1)[:, None, None]
    octant = deinterleave(torch.arange(8, device=code.device), 1)
    corner = (2 * deinterleave(code, grid.depth)[:, None] + octant) << child_level
    # Atoms of which none are within the separation fit as many as there are blocks of so many cells: at their corners.
    left = torch.div(box[:, None] - corner + grid.separation - 1, grid.separation, rounding_mode="floor")
    most = torch.div(1 << child_level, grid.separation, rounding_mode="floor").clamp(min=1)
    return torch.minimum(left, most).clamp(min=0).prod(-1)


def legal_masks(capacities: Int[Tensor, "nodes 8"], count: Int[Tensor, "nodes"]) -> Bool[Tensor, "nodes 256"]:
    """Which masks nodes may have that hold so many atoms."""
    names = octants(capacities.device)
    # in floating point, as GPUs multiply no matrices of integers; exact, since no more than the count matters
    places = torch.minimum(capacities, count[:, None]).double() @ names.T.double()
    impossible = ((capacities == 0).double() @ names.T.double()) > 0
    enough = places >= count[:, None]
    return enough & ~impossible & (names.sum(1) <= count[:, None]) & (names.sum(1) > 0)


def count_bounds(
    capacities: Int[Tensor, "nodes 8"], mask: Int[Tensor, "nodes"], child_counts: Int[Tensor, "nodes 8"]
) -> tuple[Int[Tensor, "nodes 8"], Int[Tensor, "nodes 8"]]:
    """The fewest and the most atoms that each child may hold, given those before it; 0 for children that are not there.

    Args:
        capacities: of the children.
        mask: which there are.
        child_counts: atoms of each. Where children from some on are not decided yet, all that is left may stand at any
            of them: bounds depend on the sum and on the children before.
    """
    there = octants(mask.device)[mask]
    rest = child_counts.sum(-1, keepdim=True) - (child_counts.cumsum(-1) - child_counts)
    room = (capacities * there).flip(-1).cumsum(-1).flip(-1) - capacities * there
    later = there.flip(-1).cumsum(-1).flip(-1) - there
    low = (rest - room).clamp(min=1)
    high = torch.minimum(capacities, rest - later)
    return low * there, high * there


def masked_log_probabilities(
    logits: Float[Tensor, "*rest choices"], legal: Bool[Tensor, "*rest choices"]
) -> Float[Tensor, "*rest choices"]:
    """Log probabilities of the legal choices, which add up to one; ``-inf`` for the others."""
    return logits.float().masked_fill(~legal, float("-inf")).log_softmax(-1)


class OctreeWalk:
    """A batch of octrees that are being drawn: the next token of each row, and what is legal there.

    All memory is there from the beginning, of the length that cannot be exceeded, and is **written in place**. Rows
    need not stand at the same place: every method takes the rows that it is about.

    Args:
        grid: how space is divided.
        composition: atoms of each element (by atomic number) of each row, at least one.
        box: leaf cells along each axis that may be occupied, rounded down to whole blocks of ``separation``; None: all.

    Raises:
        UserError: more atoms than the grid, or what of it is in the box, can hold.
    """

    def __init__(
        self, grid: OctreeGrid, composition: Int[Tensor, "rows elements"], box: Int[Tensor, "rows 3"] | None = None
    ) -> None:
        device, rows = composition.device, len(composition)
        self.grid = grid
        box = torch.full((rows, 3), grid.cells, device=device) if box is None else box.clamp(0, grid.cells)
        self.box = box - box % grid.separation
        self.left = composition.clone()
        self.atoms = composition.sum(1)
        self._check_room()
        most = int(self.atoms.max())
        nodes = max(length_bound(grid, most) - most, 1)  # one, never used, where a single atom is all there is
        offset = torch.int64 if grid.is_binned else torch.float64

        def memory(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.zeros(rows, *shape, dtype=dtype, device=device)

        self.level, self.code, self.count, self.child_counts = *(memory(nodes) for _ in range(3)), memory(nodes, 8)
        self.leaf_level, self.leaf_code, self.element = (memory(most) for _ in range(3))
        self.offset = memory(most, 3, dtype=offset)
        self.node, self.nodes, self.leaf, self.leaves = (memory() for _ in range(4))
        self.places = [BlockPlaces(grid) for _ in range(rows)] if grid.separation == 2 else []
        self._append(torch.arange(rows, device=device), self.node + grid.depth, memory(1), self.atoms[:, None])

    @property
    def at_node(self) -> Bool[Tensor, "rows"]:
        """Whether the next token of each row is a node's."""
        return self.node < self.nodes

    @property
    def at_leaf(self) -> Bool[Tensor, "rows"]:
        """Whether it is a leaf's; if neither, the row is finished."""
        return ~self.at_node & (self.leaf < self.atoms)

    @property
    def known(self) -> Int[Tensor, "rows"]:
        """How many tokens from the next one on have a known target: the nodes that have been told, then all leaves."""
        return torch.where(self.at_node, self.nodes - self.node, self.atoms - self.leaf)

    def next_node(
        self, rows: Int[Tensor, "some"], ahead: Int[Tensor, "some"] | int = 0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Level, code and number of atoms of the next node of rows that stand at one, or of one behind it.

        Args:
            rows: that stand at a node.
            ahead: so many nodes behind the next one, less than are ``known``.
        """
        at = rows, self.node[rows] + ahead
        return self.level[at], self.code[at], self.count[at]

    def next_leaf(self, rows: Int[Tensor, "some"], ahead: Int[Tensor, "some"] | int = 0) -> tuple[Tensor, Tensor]:
        """Level and code of the next leaf of rows that stand at one, or of one behind it; as ``next_node``."""
        at = rows, self.leaf[rows] + ahead
        return self.leaf_level[at], self.leaf_code[at]

    def capacities(self, rows: Int[Tensor, "some"], ahead: Int[Tensor, "some"] | int = 0) -> Int[Tensor, "some 8"]:
        """The most atoms that each child of these nodes can hold: what ``count_bounds`` asks for."""
        level, code, _ = self.next_node(rows, ahead)
        return child_capacities(self.grid, level, code, self.box[rows])

    def legal_masks(self, rows: Int[Tensor, "some"], ahead: Int[Tensor, "some"] | int = 0) -> Bool[Tensor, "some 256"]:
        """Masks that these nodes may have."""
        level, code, count = self.next_node(rows, ahead)
        legal = legal_masks(child_capacities(self.grid, level, code, self.box[rows]), count)
        if self.places and not self.grid.stops_at_single:
            at_block = (level == 1).nonzero()[:, 0]
            octants_there = torch.ones(len(at_block), 8, dtype=torch.bool, device=rows.device)
            self._only_free(octants_there, rows[at_block], level[at_block], code[at_block])
            legal[at_block[:, None], 1 << torch.arange(8, device=rows.device)] &= octants_there
        return legal

    def write_node(self, rows: Int[Tensor, "some"], child_counts: Int[Tensor, "some 8"]) -> None:
        """The next node of each row has children that hold so many atoms."""
        level, code, _ = self.next_node(rows)
        self.child_counts[rows, self.node[rows]] = child_counts
        children = code[:, None] << 3 | torch.arange(8, device=code.device)
        self._append(rows, level - 1, children, child_counts)
        self.node[rows] += 1
        complete = rows[self.node[rows] == self.nodes[rows]]
        if self.grid.stops_at_single:  # leaves of all levels have come together: they stand in Morton order
            self._sort_leaves(complete)

    def legal_elements(
        self, rows: Int[Tensor, "some"], taken: Int[Tensor, "some elements"] | None = None
    ) -> Bool[Tensor, "some elements"]:
        """Elements that the next leaves of these rows may have: those of which atoms are left.

        Args:
            rows: that stand at a leaf.
            taken: atoms that go to leaves before the one that is meant; None: it is the next one.
        """
        return self.left[rows] > 0 if taken is None else self.left[rows] > taken

    def legal_octants(
        self, rows: Int[Tensor, "some"], level: Int[Tensor, "some"], code: Int[Tensor, "some"]
    ) -> Bool[Tensor, "some 8"]:
        """Children of a cube within the next leaf that its atom may be in, where leaves are larger than a cell.

        Args:
            rows: that stand at a leaf.
            level: of the cube, at least 1.
            code: of the cube, on its level.
        """
        legal = child_capacities(self.grid, level, code, self.box[rows]) > 0
        if self.places:
            self._only_free(legal, rows, level, code)
        return legal

    def write_leaf(self, rows: Int[Tensor, "some"], element: Int[Tensor, "some"], offset: Tensor) -> None:
        """The next leaf of each row is an atom of this element, this far from the lower corner of its leaf.

        Args:
            rows: that stand at a leaf.
            element: atomic number.
            offset: (some, 3) as in ``Octrees``.
        """
        at = rows, self.leaf[rows]
        self.element[at] = element
        self.offset[at] = offset
        self.left[rows, element] -= 1
        self.leaf[rows] += 1
        if self.places and self.grid.stops_at_single:
            cells = (deinterleave(self.leaf_code[at], self.grid.depth) << self.leaf_level[at][:, None]) + torch.div(
                offset, self.grid.steps, rounding_mode="floor"
            ).long()
            for row, cell in zip(rows.tolist(), cells.tolist(), strict=True):
                self.places[row].settle(*_in_block(*cell))

    def octrees(self) -> Octrees:
        """What has been drawn, once all rows are finished; origins are 0."""
        assert not bool((self.at_node | self.at_leaf).any()), "a row is not finished"
        nodes, leaves = (
            torch.arange(table.shape[1], device=table.device) < lengths[:, None]
            for table, lengths in ((self.level, self.nodes), (self.element, self.leaves))
        )
        child_counts = self.child_counts[nodes]
        return Octrees(
            level=self.level[nodes],
            code=self.code[nodes],
            mask=mask_of(child_counts),
            child_counts=child_counts,
            node_lengths=self.nodes.clone(),
            leaf_level=self.leaf_level[leaves],
            leaf_code=self.leaf_code[leaves],
            element=self.element[leaves],
            offset=self.offset[leaves],
            leaf_lengths=self.leaves.clone(),
            origin=torch.zeros(len(self.nodes), 3, dtype=torch.float64, device=self.nodes.device),
        )

    def _check_room(self) -> None:
        room = torch.div(self.box, self.grid.separation, rounding_mode="floor").prod(1)
        full = (self.atoms > room).nonzero()
        if len(full):
            row = int(full[0, 0])
            raise UserError(
                "more atoms than the box can hold",
                got=int(self.atoms[row]),
                wanted=f"at most {int(room[row])} in {self.box[row].tolist()} cells",
            )

    def _append(self, rows: Tensor, level: Tensor, codes: Tensor, counts: Tensor) -> None:
        """Put the children (some, children) that hold atoms behind what is there, as nodes or as leaves."""
        single = counts == 1 if self.grid.stops_at_single else level[:, None] == 0
        levels = level[:, None].expand_as(codes)
        for chosen, filled, tables in (
            ((counts > 0) & ~single, self.nodes, ((self.level, levels), (self.code, codes), (self.count, counts))),
            ((counts > 0) & single, self.leaves, ((self.leaf_level, levels), (self.leaf_code, codes))),
        ):
            place = filled[rows][:, None] + chosen.cumsum(1) - 1
            at = rows[:, None].expand_as(codes)[chosen], place[chosen]
            for table, values in tables:
                table[at] = values[chosen]
            filled[rows] += chosen.sum(1)
        if self.places:
            self._tell_places(rows, levels, codes, counts)

    def _tell_places(self, rows: Tensor, levels: Tensor, codes: Tensor, counts: Tensor) -> None:
        """Which blocks hold an atom, and which cell of a block."""
        for row, place in ((counts > 0) & (levels <= 1)).nonzero().tolist():
            x, y, z = deinterleave(codes[row, place], self.grid.depth).tolist()
            places = self.places[int(rows[row])]
            if int(levels[row, place]) == 1:
                places.occupy((x, y, z))
            else:
                places.settle(*_in_block(x, y, z))

    def _only_free(self, legal: Tensor, rows: Tensor, level: Tensor, code: Tensor) -> None:
        """Take out of the octants (some, 8), in place, those that leave this or a later atom no place."""
        for index, (row, at) in enumerate(zip(rows.tolist(), level.tolist(), strict=True)):
            if at > 2:
                continue
            x, y, z = deinterleave(code[index], self.grid.depth).tolist()
            if at == 1:
                free = self.places[row].octants((x, y, z))
            else:
                blocks = [(2 * x | o & 1, 2 * y | o >> 1 & 1, 2 * z | o >> 2) for o in range(8)]
                free = [self.places[row].has_place(block) for block in blocks]
            legal[index] &= torch.tensor(free, device=legal.device)

    def _sort_leaves(self, rows: Tensor) -> None:
        beyond = torch.arange(self.leaf_code.shape[1], device=rows.device) >= self.leaves[rows, None]
        corner = (self.leaf_code[rows] << 3 * self.leaf_level[rows]).masked_fill(beyond, 1 << 62)
        order = corner.argsort(1)
        for table in (self.leaf_level, self.leaf_code):
            table[rows] = table[rows].gather(1, order)


def _in_block(x: int, y: int, z: int) -> tuple[tuple[int, int, int], int]:
    """The block of a leaf cell, and its octant there."""
    return (x >> 1, y >> 1, z >> 1), x & 1 | (y & 1) << 1 | (z & 1) << 2


def mask_of(child_counts: Int[Tensor, "*nodes 8"]) -> Int[Tensor, "*nodes"]:
    """Which children hold atoms, as the bits of a mask."""
    return ((child_counts > 0).long() << torch.arange(8, device=child_counts.device)).sum(-1)
