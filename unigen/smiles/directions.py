r"""Which single bonds are written ``/`` and ``\`` so that double bonds have their sides.

The direction of a bond from x to y is +1, written ``/``, when y is above x, and -1 the other way round. At a double
bond i=j with neighbours a and b, a and b are cis when the directions of i-a and j-b are equal. One bond at each end is
marked; where one serves two double bonds, their directions follow from one another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from unigen.smiles.stereo import Graph

Directions = dict[tuple[int, int], int]


def bond_directions(graph: Graph, sides: Sequence[int], parent: Sequence[int], order: Sequence[int]) -> Directions:
    """Direction, +1 or -1, of every marked bond, both ways round; the first one written is ``/``.

    A ring of alternating double bonds with an odd number of cis ones cannot be written: of its last double bond the
    side is lost.

    Args:
        graph: the molecule.
        sides: of each bond; +1 cis, -1 trans, 0 none.
        parent: the atom before each atom as it is written, -1 for none.
        order: atoms as they are written.
    """
    double = [(one, two, side) for (one, two, _), side in zip(graph.bonds, sides, strict=True) if side]
    marked = _marked(graph, double, parent)
    directions: Directions = {}
    links = _links(graph, double, marked)
    for end in order:
        start = parent[end]
        if start >= 0 and (start, end) in marked and (start, end) not in directions:
            _spread((start, end), links, directions)
    for start, end in sorted(marked - directions.keys()):
        if (start, end) not in directions:
            _spread((start, end), links, directions)
    return directions


def _marked(graph: Graph, double: list[tuple[int, int, int]], parent: Sequence[int]) -> set[tuple[int, int]]:
    """A bond at each end of each double bond, both ways round: rather one that serves two, and none that misleads."""
    ends = {atom for one, two, _ in double for atom in (one, two)}
    marked: set[tuple[int, int]] = set()
    for one, two, _ in double:
        for atom, bonded in ((one, two), (two, one)):
            others = _others(graph, atom, bonded)
            if not any((atom, other) in marked for other in others):
                best = min(others, key=lambda other: _cost(graph, ends, parent, atom, other))
                marked |= {(atom, best), (best, atom)}
    return marked


def _cost(graph: Graph, ends: set[int], parent: Sequence[int], atom: int, other: int) -> tuple[bool, ...]:
    """What speaks against marking a bond: it closes a ring, or another double bond would seem to have a side."""
    in_tree = parent[atom] == other or parent[other] == atom
    misleads = other not in ends and graph.valence[other] > len(graph.neighbours[other])
    return not in_tree, misleads, other not in ends


def _links(
    graph: Graph, double: list[tuple[int, int, int]], marked: set[tuple[int, int]]
) -> dict[tuple[int, int], list[tuple[tuple[int, int], int]]]:
    """For each marked bond, seen from an end of a double bond: the bonds whose direction follows, and equal or not."""
    links: dict[tuple[int, int], list[tuple[tuple[int, int], int]]] = defaultdict(list)
    for one, two, side in double:
        # The side is that of the lowest neighbours; the second neighbour of an end lies opposite.
        at_one = [(one, other, 1 if index == 0 else -1) for index, other in enumerate(_others(graph, one, two))]
        at_two = [(two, other, side if index == 0 else -side) for index, other in enumerate(_others(graph, two, one))]
        bonds = [(atom, other, sign) for atom, other, sign in at_one + at_two if (atom, other) in marked]
        for atom, other, sign in bonds:
            links[atom, other] += [((i, j), sign * sign2) for i, j, sign2 in bonds if (i, j) != (atom, other)]
    return links


def _others(graph: Graph, atom: int, bonded: int) -> list[int]:
    """The neighbours of an end of a double bond but the other end, ascending."""
    return [other for other in graph.neighbours[atom] if other != bonded]


def _spread(
    first: tuple[int, int], links: dict[tuple[int, int], list[tuple[tuple[int, int], int]]], directions: Directions
) -> None:
    """Give the first bond direction +1, and all that follows from it."""
    todo = [(first, 1)]
    while todo:
        (start, end), sign = todo.pop()
        if (start, end) in directions:
            continue
        directions[start, end], directions[end, start] = sign, -sign
        todo += [(bond, sign * factor) for bond, factor in links.get((start, end), ())]
        todo += [(bond, -sign * factor) for bond, factor in links.get((end, start), ())]
