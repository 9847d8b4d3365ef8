"""Where atoms may go so that no two are in touching leaf cells, and there is a place left for those to come.

With ``separation`` 2 a **block** of 2 x 2 x 2 leaf cells holds one atom at most. Whatever blocks hold one, there is a
place for all: the lower corner of each. Only where atoms of neighbouring blocks choose their cells, one after the
other, can one choice leave a later atom no cell; so a cell is legal if the atoms of all blocks that are connected to it
by undecided ones can still be placed, which a search finds out. Cubes of more than a block always have a place: their
inner cells touch nothing outside.
"""

from __future__ import annotations

from functools import cache
from itertools import product

from unigen.models.octree.tokens import OctreeGrid

Block = tuple[int, int, int]
Domains = dict[Block, int]
"""Of each block that holds an atom, the octants it may be in, as bits."""

_ANYWHERE = 255
_MOST_BRANCHES = 2_000
"""Of one search; real structures need none or a few. What is not found by then is not legal, except what is known to
be possible: so there always is a legal cell."""

_NEIGHBOURS: list[Block] = [(x, y, z) for x, y, z in product((-1, 0, 1), repeat=3) if x or y or z]


class BlockPlaces:
    """The blocks of one structure that hold an atom, and the cells that these may take.

    Args:
        grid: of separation 2.
    """

    def __init__(self, grid: OctreeGrid) -> None:
        self.blocks_along = grid.cells // 2
        self.periodic = grid.periodic
        self.domains: Domains = {}
        self.known: dict[Block, int] = {}
        """Octants of one way to place all atoms."""

    def occupy(self, block: Block) -> None:
        """A block holds an atom from now on; there must be a place for it."""
        self._keep(block, _ANYWHERE)

    def settle(self, block: Block, octant: int) -> None:
        """The atom of a block takes one of the legal octants."""
        self._keep(block, 1 << octant)

    def octants(self, block: Block) -> list[bool]:
        """Which of its cells the atom of a block, which may be a new one, may take."""
        return [self._placed(block, 1 << octant) is not None for octant in range(8)]

    def has_place(self, block: Block) -> bool:
        """Whether a block may hold an atom."""
        return self._placed(block, _ANYWHERE) is not None

    def _keep(self, block: Block, domain: int) -> None:
        placed = self._placed(block, domain)
        assert placed is not None, "a choice that is not legal"
        self.known |= placed
        self.domains[block] = domain

    def _placed(self, block: Block, domain: int) -> dict[Block, int] | None:
        """A place for the atom of this block in this domain and for those that depend on it; None: there is none."""
        if block in self.known and domain >> self.known[block] & 1:
            return {block: self.known[block]}
        domains = self._connected(block) | {block: domain}
        branches = [_MOST_BRANCHES]
        found = self._search(domains, list(domains), branches)
        return None if found is None else {each: bits.bit_length() - 1 for each, bits in found.items()}

    def _connected(self, block: Block) -> Domains:
        """This block and all that are connected to it by undecided ones, those decided that touch them included."""
        found, open_blocks = {block: self.domains.get(block, _ANYWHERE)}, [block]
        while open_blocks:
            for neighbour, _ in self._touching(open_blocks.pop()):
                if neighbour in self.domains and neighbour not in found:
                    found[neighbour] = self.domains[neighbour]
                    if found[neighbour] == _ANYWHERE:
                        open_blocks.append(neighbour)
        return found

    def _search(self, domains: Domains, changed: list[Block], branches: list[int]) -> Domains | None:
        """Domains of one octant each of which none touch, by propagation and then, block by block, by trial."""
        domains = dict(domains)
        branches[0] -= 1
        if branches[0] < 0 or not self._propagate(domains, changed):
            return None
        undecided = [block for block, bits in domains.items() if bits & (bits - 1)]
        if not undecided:
            return domains
        block = min(undecided, key=lambda each: domains[each].bit_count())
        for octant in range(8):
            if domains[block] >> octant & 1:
                found = self._search(domains | {block: 1 << octant}, [block], branches)
                if found is not None:
                    return found
        return None

    def _propagate(self, domains: Domains, changed: list[Block]) -> bool:
        """Take out of domains, in place, what touches all that a neighbour can do; False: one is empty."""
        while changed:
            block = changed.pop()
            for neighbour, shift in self._touching(block):
                if neighbour in domains:
                    left = domains[neighbour] & _free_cells(shift, domains[block])
                    if left != domains[neighbour]:
                        domains[neighbour] = left
                        changed.append(neighbour)
                    if not left:
                        return False
        return True

    def _touching(self, block: Block) -> list[tuple[Block, Block]]:
        """Blocks around one, and how far they are from it."""
        size = self.blocks_along
        around = []
        for shift in _NEIGHBOURS:
            x, y, z = block[0] + shift[0], block[1] + shift[1], block[2] + shift[2]
            if self.periodic:
                x, y, z = x % size, y % size, z % size
            if (x, y, z) != block and min(x, y, z) >= 0 and max(x, y, z) < size:
                around.append(((x, y, z), shift))
        return around


@cache  # 26 shifts, 255 domains
def _free_cells(shift: Block, domain: int) -> int:
    """Octants of the block at this shift that at least one octant of a domain leaves free, as bits."""
    free = 0
    for octant, other in product(range(8), repeat=2):
        apart = (abs(2 * by + (other >> axis & 1) - (octant >> axis & 1)) for axis, by in enumerate(shift))
        if domain >> octant & 1 and max(apart) > 1:
            free |= 1 << other
    return free
