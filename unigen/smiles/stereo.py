"""Where a molecular graph can have stereo: centres and double bonds whose neighbours differ.

Atoms are told apart by refining what is seen of them and around them (Weisfeiler and Lehman 1968; Morgan 1965), bonds
of any order alike, so that the choice of a Kekule form changes nothing. Known handedness then tells further atoms
apart, until nothing changes. Centres that have stereo only together (the 1 and 4 positions of cyclohexane) are found
where two or more of a ring system have neighbours that are equal in pairs within the ring; this may take a few too
many, and never finds axes (allenes, biphenyls) nor phosphines with a hydrogen.

What can be a centre is what RDKit reads off positions: four neighbours, at most one an implied hydrogen; or three and
a lone pair on P, As, S(IV), Se(IV) and sulfonium. Nitrogen with a lone pair turns over, so it is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from unigen.molecules.handedness import odd

SMALLEST_RING = 8
"""A double bond in a smaller ring is cis, and has no stereo; RDKit draws the same line."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A molecular graph as lists, which are faster than arrays for one molecule.

    Attributes:
        numbers: atomic number of each atom.
        charges: formal charge of each atom.
        hydrogens: implied hydrogens of each atom.
        bonds: (i, j, order), i < j, ascending.
        neighbours: of each atom, ascending.
    """

    numbers: list[int]
    charges: list[int]
    hydrogens: list[int]
    bonds: list[tuple[int, int, int]]
    neighbours: list[list[int]]

    @classmethod
    def of(cls, numbers: list[int], charges: list[int], hydrogens: list[int], bonds: list[list[int]]) -> Graph:
        """From arrays turned to lists."""
        neighbours: list[list[int]] = [[] for _ in numbers]
        for one, two, _ in bonds:
            neighbours[one].append(two)
            neighbours[two].append(one)
        for others in neighbours:
            others.sort()
        return cls(numbers, charges, hydrogens, [(one, two, order) for one, two, order in bonds], neighbours)

    @cached_property
    def order(self) -> dict[tuple[int, int], int]:
        """Order of the bond of each pair, both ways round."""
        ways = {(one, two): order for one, two, order in self.bonds}
        return ways | {(two, one): order for (one, two), order in ways.items()}

    @cached_property
    def valence(self) -> list[int]:
        """Sum of the orders of each atom's bonds, hydrogens left out."""
        sums = [0] * len(self.numbers)
        for one, two, order in self.bonds:
            sums[one] += order
            sums[two] += order
        return sums

    @cached_property
    def ring_system(self) -> list[int]:
        """Number of the ring system of each atom, ring bonds holding it together; -1 outside rings."""
        system = [-1] * len(self.numbers)
        for one, two, _ in self.bonds:
            if self.ring(one, two):
                low, high = sorted((system[one] if system[one] >= 0 else one, system[two] if system[two] >= 0 else two))
                system[one] = system[two] = low
                system = [low if number == high else number for number in system]
        return system

    def ring(self, start: int, end: int) -> list[int]:
        """The smallest ring that holds the bond between two atoms, which are its last and its first; empty for none."""
        return next(self.rings(start, end), [])

    def rings(self, start: int, end: int) -> Iterator[list[int]]:
        """All the smallest rings that hold the bond between two atoms, each from one of them to the other."""
        distance, queue = {start: 0}, deque([start])
        while queue:
            atom = queue.popleft()
            if atom == end:
                break
            for other in self.neighbours[atom]:
                if other not in distance and not (other == end and atom == start):
                    distance[other] = distance[atom] + 1
                    queue.append(other)
        if end not in distance:
            return
        trails = [[end]]
        while trails:
            trail = trails.pop()
            if trail[-1] == start:
                yield trail
                continue
            nearer = distance[trail[-1]] - 1
            before = [other for other in self.neighbours[trail[-1]] if distance.get(other) == nearer]
            trails += [[*trail, other] for other in before if not (trail[-1] == end and other == start)]


def can_be_centre(graph: Graph, atom: int) -> bool:
    """Whether an atom's neighbours stand around it in space and stay where they are."""
    degree, hydrogens, number = len(graph.neighbours[atom]), graph.hydrogens[atom], graph.numbers[atom]
    if degree + hydrogens == 4:
        return hydrogens <= 1
    if degree != 3 or hydrogens:
        return False
    if number in (16, 34):  # S, Se: sulfoxides and sulfonium
        return graph.valence[atom] == 4 or (graph.valence[atom] == 3 and graph.charges[atom] == 1)
    return number in (15, 33)  # P, As: their lone pair does not turn over, as nitrogen's does


def can_have_sides(graph: Graph, row: int) -> bool:
    """Whether a bond is a double bond between carbons or nitrogens that holds its ends' other neighbours in place."""
    one, two, order = graph.bonds[row]
    if order != 2:
        return False
    for atom in (one, two):
        degree = len(graph.neighbours[atom])
        if graph.numbers[atom] not in (6, 7) or not 2 <= degree <= 3 or degree + graph.hydrogens[atom] > 3:
            return False
        if graph.valence[atom] != degree + 1:
            return False
    return not 0 < len(graph.ring(one, two)) < SMALLEST_RING


def stereo_elements(
    graph: Graph, chirality: Sequence[int] | None = None, sides: Sequence[int] | None = None
) -> tuple[list[bool], list[bool]]:
    """Which atoms are centres of stereo and which bonds have stereo.

    Args:
        graph: the molecule.
        chirality: of every atom that can have one, zero elsewhere; None to look at the graph alone.
        sides: of every double bond that can have some; None to look at the graph alone.
    """
    atoms = [atom for atom in range(len(graph.numbers)) if can_be_centre(graph, atom)]
    atoms = [atom for atom in atoms if not chirality or chirality[atom]]
    rows = [row for row in range(len(graph.bonds)) if can_have_sides(graph, row) and (not sides or sides[row])]
    centres, bonds = _distinguished(graph, atoms, rows, chirality or [], sides or []) if atoms or rows else ([], [])
    return [atom in centres for atom in range(len(graph.numbers))], [row in bonds for row in range(len(graph.bonds))]


def _distinguished(
    graph: Graph, atoms: list[int], rows: list[int], chirality: Sequence[int], sides: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Of the atoms and rows of bonds that might have stereo, those whose neighbours differ."""
    ranks = _refined(list(zip(graph.numbers, graph.charges, graph.hydrogens, graph.valence, strict=True)), graph)
    while True:
        centres = [atom for atom in atoms if _differ(ranks, graph.neighbours[atom])]
        bonds = [row for row in rows if _ends_differ(graph, ranks, row)]
        labels = [[rank] for rank in ranks]
        for atom in centres if chirality else ():
            labels[atom].append(chirality[atom] * _sign([ranks[other] for other in graph.neighbours[atom]]))
        for row in bonds if sides else ():
            for atom in graph.bonds[row][:2]:
                labels[atom].append(_side_by_rank(graph, ranks, row, sides[row]))
        finer = _refined([tuple(label) for label in labels], graph)
        if max(finer) == max(ranks):
            return centres + _dependent_centres(graph, ranks, [atom for atom in atoms if atom not in centres]), bonds
        ranks = finer


def _refined(labels: Sequence[tuple[int, ...]], graph: Graph) -> list[int]:
    """Classes of atoms, numbered, that agree in their labels, in those of their neighbours, and so on."""
    ranks = _numbered(labels)
    while True:
        finer = _numbered(
            [(ranks[atom], *sorted([ranks[other] for other in near])) for atom, near in enumerate(graph.neighbours)]
        )
        if max(finer) == max(ranks):
            return ranks
        ranks = finer


def _numbered(labels: Sequence[tuple[int, ...]]) -> list[int]:
    rank = {label: number for number, label in enumerate(sorted(set(labels)))}
    return [rank[label] for label in labels]


def _differ(ranks: list[int], atoms: Sequence[int]) -> bool:
    return len({ranks[atom] for atom in atoms}) == len(atoms)


def _sign(order: list[int]) -> int:
    return -1 if odd(order) else 1


def _ends_differ(graph: Graph, ranks: list[int], row: int) -> bool:
    one, two, _ = graph.bonds[row]
    return all(_differ(ranks, [o for o in graph.neighbours[i] if o != j]) for i, j in ((one, two), (two, one)))


def _side_by_rank(graph: Graph, ranks: list[int], row: int, side: int) -> int:
    """The side as seen from the neighbours of higher rank in place of those of lowest index."""
    one, two, _ = graph.bonds[row]
    for atom, bonded in ((one, two), (two, one)):
        others = [other for other in graph.neighbours[atom] if other != bonded]
        side *= _sign([-ranks[other] for other in others])
    return side


def _dependent_centres(graph: Graph, ranks: list[int], atoms: list[int]) -> list[int]:
    """Those of the atoms that are centres only with others: two neighbours are equal, in the ring, the rest differ."""
    candidates = [atom for atom in atoms if _has_equal_pair_in_ring(graph, ranks, atom)]
    systems = [graph.ring_system[atom] for atom in candidates]
    return [atom for atom, system in zip(candidates, systems, strict=True) if systems.count(system) > 1]


def _has_equal_pair_in_ring(graph: Graph, ranks: list[int], atom: int) -> bool:
    neighbours, system = graph.neighbours[atom], graph.ring_system
    classes = [ranks[other] for other in neighbours]
    equal = [other for other in neighbours if classes.count(ranks[other]) > 1]
    if len(equal) != 2 or len(set(classes)) != len(neighbours) - 1:
        return False
    return all(system[other] == system[atom] >= 0 for other in equal)
