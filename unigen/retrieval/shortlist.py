"""The known structures that a composition may look like, as arrays: what a model is shown in its prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from unigen.data.symmetric import SymmetricCrystal
from unigen.elements import chemical_rank
from unigen.errors import UserError
from unigen.retrieval.neighbours import Neighbour, NeighbourIndex
from unigen.retrieval.table import FEATURES, UNIT, TemplateTable
from unigen.retrieval.volume import VolumeModel
from unigen.shapes import Float, Int, UInt8

NEIGHBOURS = 32
"""Known structures on a shortlist, at most."""

KINDS = 12
"""Different structures among them, at most."""

SAME_KIND = 0.1
"""Two neighbours propose the same structure when none of their averaged distances differ by more, in spacings."""


@dataclass(frozen=True, eq=False)
class Shortlist:
    """The neighbours of one cell, nearest first.

    Attributes:
        elements: atomic numbers of the wanted cell, rarest element first.
        counts: atoms of each.
        sources: which crystal of the table each neighbour is.
        distance: chemical distance of each.
        roles: the element of the neighbour that each wanted element takes the place of.
        looks: what the sites of those elements look like (``TemplateTable.fingerprints``).
        kind: neighbours of one kind propose the same structure; counted in order of appearance.
        facts: of each neighbour: ln(volume / volume by the volume model), and energy above the hull in eV per atom
            (NaN: unknown).
    """

    elements: Int[np.ndarray, "elements"]
    counts: Int[np.ndarray, "elements"]
    sources: Int[np.ndarray, "neighbours"]
    distance: Float[np.ndarray, "neighbours"]
    roles: Int[np.ndarray, "neighbours elements"]
    looks: UInt8[np.ndarray, "neighbours elements features"]
    kind: Int[np.ndarray, "neighbours"]
    facts: Float[np.ndarray, "neighbours 2"]

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def heads(self) -> Int[np.ndarray, "kinds"]:
        """The nearest neighbour of each kind."""
        return np.unique(self.kind, return_index=True)[1]


class Retriever:
    """Finds shortlists in a table of templates and puts wanted elements into them.

    Args:
        table: known structures.
    """

    def __init__(self, table: TemplateTable) -> None:
        self.table = table
        compositions = table.compositions
        self.index = NeighbourIndex.fit(compositions)
        self.volume = VolumeModel.fit(compositions)
        predicted = np.bincount(
            compositions.owner,
            weights=compositions.count * self.volume.per_atom[compositions.number],
            minlength=len(table),
        )
        excess = np.log(compositions.volume / predicted)
        self._facts = np.stack([excess, compositions.stability], axis=1)

    def shortlist(self, counts: dict[int, int], *, exclude_formula: bool = False) -> Shortlist:
        """The neighbours of a primitive cell with these atoms; empty where no known cell has such counts.

        Args:
            counts: atoms by atomic number.
            exclude_formula: leave out all structures of the cell's own reduced formula (for training, benchmarks).
        """
        elements = sorted(counts, key=lambda number: (counts[number], chemical_rank(number)))
        chosen, looks, kinds = self._distinct(counts, elements, exclude_formula=exclude_formula)
        sources = np.array([neighbour.source for neighbour in chosen], dtype=np.int64)
        roles = [[neighbour.roles[number] for number in elements] for neighbour in chosen]
        return Shortlist(
            elements=np.array(elements),
            counts=np.array([counts[number] for number in elements]),
            sources=sources,
            distance=np.array([neighbour.distance for neighbour in chosen], dtype=np.float64),
            roles=np.array(roles, dtype=np.int64).reshape(-1, len(elements)),
            looks=np.array(looks, dtype=np.uint8).reshape(-1, len(elements), FEATURES),
            kind=np.array(kinds, dtype=np.int64),
            facts=self._facts[sources],
        )

    def substitute(self, shortlist: Shortlist, neighbour: int) -> SymmetricCrystal:
        """A neighbour with the wanted elements in their roles and its cell scaled by the volume model."""
        source = self.table[int(shortlist.sources[neighbour])]
        roles, wanted = shortlist.roles[neighbour], shortlist.elements
        becomes = dict(zip(roles.tolist(), wanted.tolist(), strict=True))
        per_atom = self.volume.per_atom
        ratio = (shortlist.counts @ per_atom[wanted]) / (shortlist.counts @ per_atom[roles])
        lattice = source.lattice.copy()
        lattice[:3] *= ratio ** (1 / 3)
        numbers = np.array([becomes[number] for number in source.numbers.tolist()])
        return SymmetricCrystal(source.space_group, lattice, numbers, source.letters, source.free)

    def _distinct(
        self, counts: dict[int, int], elements: list[int], *, exclude_formula: bool
    ) -> tuple[list[Neighbour], list[np.ndarray], list[int]]:
        chosen: list[Neighbour] = []
        looks: list[np.ndarray] = []
        kinds: list[int] = []
        seen: list[np.ndarray] = []
        for neighbour in islice(self._neighbours(counts, exclude_formula=exclude_formula), NEIGHBOURS):
            roles = [neighbour.roles[number] for number in elements]
            look = self.table.fingerprints[self._rows(neighbour.source, roles)]
            kind = _kind(look, seen)
            if kind == KINDS:
                break
            if kind == len(seen):
                seen.append(look.astype(np.int16))
            chosen.append(neighbour)
            looks.append(look)
            kinds.append(kind)
        return chosen, looks, kinds

    def _rows(self, source: int, roles: list[int]) -> Int[np.ndarray, "elements"]:
        return self.table.element_rows(source, roles)

    def _neighbours(self, counts: dict[int, int], *, exclude_formula: bool) -> Iterator[Neighbour]:
        try:
            found = self.index.of_cell(counts, exclude_formula=exclude_formula)
        except UserError:  # no cell has such counts
            return
        yield from (neighbour for neighbour in found if neighbour.copies == 1)


def _kind(look: UInt8[np.ndarray, "elements features"], seen: list[np.ndarray]) -> int:
    """Which of the structures seen before this is; their number when it is a new one."""
    for kind, other in enumerate(seen):
        if np.abs(look - other).max() * UNIT < SAME_KIND:
            return kind
    return len(seen)
