"""The known structures that a composition may look like, as arrays: what a model is shown in its prompt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from unigen.crystals.symmetric import SymmetricCrystal
from unigen.elements import SPACE_GROUPS, written_order
from unigen.errors import UserError
from unigen.retrieval.bond_lengths import BondLengths
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.fingerprint import CONTACTS
from unigen.retrieval.neighbours import Neighbour, NeighbourIndex, whole_parts
from unigen.retrieval.table import FEATURES, UNIT, TemplateTable
from unigen.retrieval.table_fit import TableFit
from unigen.retrieval.volume import VolumeModel
from unigen.shapes import Bool, Float, Int, Integer, UInt8

NEIGHBOURS = 32
"""Known structures on a shortlist, at most. For 300 crystals of the bundled table, own formulas left out, a list takes
a millisecond; 46 % are ended by this number, 38 % by KINDS; on average it has 24 neighbours of 8 kinds."""

_LOOKED_AT = 64
"""Known structures that are looked at for each that may stand on a list: tables of the same structures from many
sources would else fill it with one of them."""

KINDS = 12
"""Different structures among them, at most."""

SAME_KIND = 0.1
"""Two neighbours propose the same structure when none of their averaged distances differ by more, in spacings: a third
of the default site tolerance of pymatgen's StructureMatcher (``stol`` 0.3, in the same unit)."""


@dataclass(frozen=True, eq=False)
class Shortlist:
    """The neighbours of one cell, nearest first.

    Attributes:
        elements: atomic numbers of the wanted cell, rarest element first.
        counts: atoms of each.
        sources: which crystal of the table each neighbour is.
        distance: chemical distance of each.
        roles: the element of the neighbour that each wanted element takes the place of.
        fingerprints: of the sites of those elements (``TemplateTable.fingerprints``).
        contacts: how far they are from each other (``TemplateTable.contacts``).
        kind: neighbours of one kind propose the same structure; counted in order of appearance.
        spacing: expected distance between atoms, ``(V / n)^(1/3)`` by the volume model, Angstrom.
        facts: of each neighbour: ln(volume / volume by the volume model), and energy above the hull in eV per atom
            (NaN: unknown).
    """

    elements: Int[np.ndarray, "elements"]
    counts: Int[np.ndarray, "elements"]
    sources: Int[np.ndarray, "neighbours"]
    distance: Float[np.ndarray, "neighbours"]
    roles: Int[np.ndarray, "neighbours elements"]
    fingerprints: UInt8[np.ndarray, "neighbours elements features"]
    contacts: UInt8[np.ndarray, "neighbours elements elements contacts"]
    kind: Int[np.ndarray, "neighbours"]
    spacing: float
    facts: Float[np.ndarray, "neighbours 2"]

    def __len__(self) -> int:
        return len(self.sources)

    @classmethod
    def empty(cls, counts: dict[int, int]) -> Shortlist:
        """Of a cell that no known structure resembles."""
        elements = np.array(written_order(counts))
        n = len(elements)
        none = np.zeros(0, dtype=np.int64)
        return cls(
            elements=elements,
            counts=np.array([counts[number] for number in elements.tolist()]),
            sources=none,
            distance=np.zeros(0),
            roles=np.zeros((0, n), dtype=np.int64),
            fingerprints=np.zeros((0, n, FEATURES), dtype=np.uint8),
            contacts=np.zeros((0, n, n, len(CONTACTS)), dtype=np.uint8),
            kind=none,
            spacing=1.0,
            facts=np.zeros((0, 2)),
        )

    @property
    def representatives(self) -> Int[np.ndarray, "kinds"]:
        """The nearest neighbour of each kind."""
        return np.unique(self.kind, return_index=True)[1]


class Retriever:
    """Finds shortlists in a table of templates and puts wanted elements into them.

    Args:
        table: known structures.
        volume: of atoms; by default fitted to the table.
        fit: of this table, where it was made before; else it is made.
    """

    def __init__(self, table: TemplateTable, volume: VolumeModel | None = None, fit: TableFit | None = None) -> None:
        self.table = table
        self._given, self._volume = fit, volume

    @cached_property
    def fit(self) -> TableFit:
        """What is fitted to the table, where it is asked for."""
        return self._given or TableFit.of(self.table, self._volume)

    @property
    def compositions(self) -> Compositions:
        """Of the table."""
        return self.fit.compositions

    @property
    def index(self) -> NeighbourIndex:
        """Of the table."""
        return self.fit.index

    @property
    def volume(self) -> VolumeModel:
        """Of atoms."""
        return self.fit.volume

    @cached_property
    def bonds(self) -> BondLengths:
        """How long bonds are in the table."""
        return self.fit.bonds or BondLengths.fit(self.table)

    def shortlist(
        self,
        counts: dict[int, int],
        *,
        exclude_formula: bool = False,
        neighbours: int = NEIGHBOURS,
        most_kinds: int = KINDS,
        space_groups: frozenset[int] = SPACE_GROUPS,
    ) -> Shortlist:
        """The neighbours of a primitive cell with these atoms; empty where no known cell has such counts.

        A longer list begins with the shorter one.

        Args:
            counts: atoms by atomic number.
            exclude_formula: leave out all structures of the cell's own reduced formula (for training, benchmarks).
            neighbours: how many, at most; those of the same elements in the same roles and of one kind count once.
            most_kinds: how many different structures among them, at most.
            space_groups: only structures of these. A list of what is wanted is not a part of the list of everything:
                that ends long before a rare group comes.
        """
        elements = written_order(counts)
        chosen: list[Neighbour] = []
        kinds: list[int] = []
        sites: list[tuple[np.ndarray, np.ndarray]] = []
        # of the nearest neighbour of each kind; wider than bytes, whose differences would wrap
        seen = np.zeros((most_kinds, len(elements), FEATURES), dtype=np.int16)
        n_kinds = 0
        try:
            nearest = self.index.of_cell(counts, exclude_formula=exclude_formula, among=self._in(space_groups))
        except UserError:  # no cell has such counts
            nearest = iter(())
        listed: set[tuple[tuple[int, ...], int]] = set()
        for neighbour in islice((each for each in nearest if each.copies == 1), _LOOKED_AT * neighbours):
            if len(chosen) == neighbours:
                break
            roles = np.array([neighbour.roles[number] for number in elements])
            geometry = self.table.site_geometry(neighbour.source, roles)
            kind = _kind(geometry[0], seen[:n_kinds])
            if kind == most_kinds:
                break
            if kind == n_kinds:
                seen[n_kinds], n_kinds = geometry[0], n_kinds + 1
            # of one structure that is known again and again the most stable stands for all
            if (same := (tuple(roles.tolist()), kind)) in listed:
                continue
            listed.add(same)
            chosen.append(neighbour)
            kinds.append(kind)
            sites.append(geometry)
        roles_of = [[neighbour.roles[number] for number in elements] for neighbour in chosen]
        return self._listed(
            counts,
            sources=np.array([neighbour.source for neighbour in chosen], dtype=np.int64),
            roles=np.array(roles_of, dtype=np.int64).reshape(-1, len(elements)),
            kind=np.array(kinds, dtype=np.int64),
            distance=np.array([neighbour.distance for neighbour in chosen], dtype=np.float64),
            sites=sites,
        )

    def _in(self, space_groups: frozenset[int]) -> Bool[np.ndarray, "crystals"] | None:
        """Which known structures have one of these space groups; None: all may be taken."""
        if space_groups == SPACE_GROUPS:
            return None
        return np.isin(self.table.space_group, list(space_groups))

    def part_shortlist(
        self,
        counts: dict[int, int],
        *,
        exclude_formula: bool = False,
        space_groups: frozenset[int] = SPACE_GROUPS,
    ) -> tuple[Shortlist, int]:
        """The shortlist of the largest part of a cell that known cells resemble, and how often it stands in the cell.

        The part is the cell itself where there are known cells with its counts; else a half or a third of it.
        """
        for copies in whole_parts(counts):
            part = {number: count // copies for number, count in counts.items()}
            shortlist = self.shortlist(part, exclude_formula=exclude_formula, space_groups=space_groups)
            if len(shortlist):
                return shortlist, copies
        return Shortlist.empty(counts), 1

    def rebuild(
        self, counts: dict[int, int], sources: np.ndarray, roles: np.ndarray, kind: np.ndarray, distance: np.ndarray
    ) -> Shortlist:
        """A shortlist made before, from what was kept of it."""
        roles = roles.reshape(-1, len(counts)).astype(np.int64)
        sites = [self.table.site_geometry(source, role) for source, role in zip(sources.tolist(), roles, strict=True)]
        return self._listed(counts, sources.astype(np.int64), roles, kind.astype(np.int64), distance, sites)

    def _listed(
        self,
        counts: dict[int, int],
        sources: Int[np.ndarray, "neighbours"],
        roles: Int[np.ndarray, "neighbours elements"],
        kind: Int[np.ndarray, "neighbours"],
        distance: Float[np.ndarray, "neighbours"],
        sites: list[tuple[np.ndarray, np.ndarray]],
    ) -> Shortlist:
        """A shortlist, from its neighbours and the geometry of their sites."""
        elements = written_order(counts)
        n = len(elements)
        numbers, amounts = np.array(elements), np.array([counts[number] for number in elements])
        return Shortlist(
            elements=numbers,
            counts=amounts,
            sources=sources,
            distance=distance.astype(np.float64),
            roles=roles,
            fingerprints=np.array([fingerprint for fingerprint, _ in sites], dtype=np.uint8).reshape(-1, n, FEATURES),
            contacts=np.array([contacts for _, contacts in sites], dtype=np.uint8).reshape(-1, n, n, len(CONTACTS)),
            kind=kind,
            spacing=float((amounts @ self.volume.per_atom[numbers] / amounts.sum()) ** (1 / 3)),
            facts=self.fit.facts[sources],
        )

    def volume_ratio(self, shortlist: Shortlist, neighbour: int) -> float:
        """By how much a neighbour grows with the wanted elements in it, by the volume model."""
        per_atom, counts = self.volume.per_atom, shortlist.counts
        return float((counts @ per_atom[shortlist.elements]) / (counts @ per_atom[shortlist.roles[neighbour]]))

    def substitute(self, shortlist: Shortlist, neighbour: int) -> SymmetricCrystal:
        """A neighbour with the wanted elements in their roles and its cell scaled by the volume model."""
        source = self.table[int(shortlist.sources[neighbour])]
        roles, wanted = shortlist.roles[neighbour], shortlist.elements
        becomes = dict(zip(roles.tolist(), wanted.tolist(), strict=True))
        lattice = source.lattice.copy()
        lattice[:3] *= self.volume_ratio(shortlist, neighbour) ** (1 / 3)
        numbers = np.array([becomes[number] for number in source.numbers.tolist()])
        return SymmetricCrystal(source.space_group, lattice, numbers, source.letters, source.free)


def _kind(
    fingerprint: UInt8[np.ndarray, "elements features"], seen: Integer[np.ndarray, "kinds elements features"]
) -> int:
    """Which of the structures seen before this is; their number when it is a new one."""
    alike = np.abs(seen - fingerprint).max(axis=(1, 2), initial=0) * UNIT < SAME_KIND
    return int(alike.argmax()) if alike.any() else len(seen)
