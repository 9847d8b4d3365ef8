"""Which compositions a set of Wyckoff positions can hold: fixed points once, the others any number of times.

What is left of a space group's fixed points matters only by how many there are of each multiplicity: at most 27 cases
in any group, so the search over elements is short and its memory small.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import product
from operator import mul
from typing import NamedTuple

from unigen.symmetry.space_groups import space_group

Whole = tuple[int, ...]
"""Whole numbers, one a multiplicity or one an element."""

_ENTRIES = 1 << 17
"""Answers kept, of some hundred bytes each: cells of one composition share nearly all of theirs across 230 groups."""


class Capacity(NamedTuple):
    """What positions can take up; a plain tuple, for it is a key of the memory below.

    Attributes:
        sizes: the different multiplicities of the fixed positions, ascending.
        unused: fixed positions of each of these that are still to be had.
        free: the different multiplicities of the positions with parameters, ascending.
    """

    sizes: Whole
    unused: Whole
    free: Whole


class Positions(NamedTuple):
    """The positions of one space group: multiplicity in the primitive cell, and whether they have no parameter."""

    multiplicity: Whole
    fixed: tuple[bool, ...]
    sizes: Whole

    def capacity(self, used: int, first: int = 0) -> Capacity:
        """What the positions from letter ``first`` on can take up, without the fixed ones whose bits ``used`` has."""
        letters = range(first, len(self.fixed))
        fixed = [self.multiplicity[x] for x in letters if self.fixed[x] and not used >> x & 1]
        free = {self.multiplicity[x] for x in letters if not self.fixed[x]}
        return Capacity(self.sizes, tuple(fixed.count(size) for size in self.sizes), tuple(sorted(free)))

    def most_orbits(self, atoms: int) -> int:
        """At most so many orbits: all in the smallest position with parameters, or in fixed smaller ones."""
        smallest = min(self.capacity(0).free)
        fixed = [m for m, is_fixed in zip(self.multiplicity, self.fixed, strict=True) if is_fixed and m < smallest]
        return len(fixed) + max(atoms - sum(fixed), 0) // smallest


@cache
def positions(number: int) -> Positions:
    """The positions of a space group.

    Raises:
        UserError: the number is not 1 to 230.

    Example:
        >>> positions(221).capacity(used=0)
        Capacity(sizes=(1, 3), unused=(2, 2), free=(6, 8, 12, 24, 48))
    """
    group = space_group(number)
    multiplicity, fixed = tuple(group.primitive_multiplicity.tolist()), tuple((group.dof == 0).tolist())
    return Positions(multiplicity, fixed, tuple(sorted({m for m, f in zip(multiplicity, fixed, strict=True) if f})))


@lru_cache(maxsize=1 << 14)  # 230 groups, and the few dozen states of their fixed positions that a search meets
def capacity(number: int, used: int, first: int = 0) -> Capacity:
    """As `Positions.capacity`, by the number of the space group."""
    return positions(number).capacity(used, first)


@lru_cache(maxsize=_ENTRIES)
def holds(capacity: Capacity, counts: Whole) -> bool:
    """Whether positions can hold so many atoms of one element, of the next, and so on; no atoms always.

    Example:
        >>> holds(positions(221).capacity(used=0), (1, 1, 3)), holds(positions(221).capacity(used=0), (1, 1, 1))
        (True, False)
    """
    return not counts or fills(capacity, capacity, counts)


@lru_cache(maxsize=_ENTRIES)
def fills(now: Capacity, capacity: Capacity, counts: Whole) -> bool:
    """The same where the first element may only use ``now``, a part of ``capacity``.

    Ways that use few fixed positions are tried first: whatever holds the later elements then holds them with more too.
    """
    count, later = counts[0], counts[1:]
    sums = _sums(now.free, count)
    ways = product(*(range(min(n, count // size) + 1) for n, size in zip(now.unused, now.sizes, strict=True)))
    for taken in ways:
        rest = count - sum(map(mul, taken, now.sizes))
        if rest >= 0 and sums >> rest & 1:
            unused = tuple(available - n for available, n in zip(capacity.unused, taken, strict=True))
            if holds(Capacity(capacity.sizes, unused, capacity.free), later):
                return True
    return False


@lru_cache(maxsize=1 << 14)
def _sums(free: Whole, limit: int) -> int:
    """Bit k is set where k <= limit is a sum of these numbers, each any number of times."""
    sums, below = 1, (1 << limit + 1) - 1
    for size in free:
        step = size
        while step <= limit:  # 0 or 1 copies, then 0 to 3, 0 to 7, ...
            sums |= sums << step & below
            step *= 2
    return sums
