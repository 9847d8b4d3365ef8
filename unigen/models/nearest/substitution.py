"""Structures by substitution: the chemically nearest known ones of a formula with their elements exchanged.

Nothing is learned here but volumes; a learned generator that does no better than this has not earned its cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.data.crystal_store import CrystalDataset
from unigen.elements import parse_formula
from unigen.errors import UserError
from unigen.models.nearest.element_exchange import ElementExchange
from unigen.request import CrystalRequest
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.fingerprint import fingerprint
from unigen.retrieval.neighbours import Neighbour, NeighbourIndex
from unigen.retrieval.volume import VolumeModel
from unigen.shapes import Float

SAME_TEMPLATE = 0.1
"""Two proposals are one template when none of their averaged distances differ by more, in atomic spacings: a third of
the default site tolerance of pymatgen's StructureMatcher (``stol`` 0.3, in the same unit)."""


@dataclass(frozen=True)
class Proposal:
    """A known structure with the requested elements in it.

    Attributes:
        crystal: exactly the requested composition.
        distance: chemical distance between the requested and the source composition, 0 for the same composition.
        source_id: the source's id in its dataset.
        source_formula: the source's reduced formula.
    """

    crystal: Crystal
    distance: float
    source_id: str
    source_formula: str


@dataclass(frozen=True, eq=False)
class SubstitutionGenerator:
    """Proposes crystals for a composition from a dataset of known ones.

    The nearest neighbours of the composition (``neighbours.py``) keep their fractional coordinates and the shape of
    their cell, and the wanted elements take the roles of theirs. The volume becomes
    ``V_source V(wanted) / V(source)`` with an additive volume model (``volume.py``).

    Example:
        >>> generator = SubstitutionGenerator.fit(open_crystals("oqmd-icsd"))  # doctest: +SKIP
        >>> generator.propose(CrystalRequest(formula="SrTiO3"), k=5)[0].source_formula  # doctest: +SKIP
        'SrTiO3'
    """

    dataset: CrystalDataset
    index: NeighbourIndex
    volume: VolumeModel
    exchange: ElementExchange
    _fingerprints: dict[int, Float[np.ndarray, "elements features"]] = field(default_factory=dict, repr=False)

    @classmethod
    def fit(cls, dataset: CrystalDataset) -> SubstitutionGenerator:
        """Index a dataset and fit its volumes."""
        cells = Compositions.of_dataset(dataset)
        return cls(dataset, NeighbourIndex.fit(cells), VolumeModel.fit(cells), ElementExchange(cells))

    def propose(self, request: CrystalRequest, k: int, *, exclude_formula: bool = False) -> list[Proposal]:
        """The nearest k proposals of distinct templates, nearest first; fewer where the data holds fewer.

        Where the request leaves the cell's size open, all sizes that the data holds compete by distance. Where no
        known cell has the requested size but smaller ones divide it, supercells of those are proposed.

        Args:
            request: must have a formula.
            k: proposals wanted.
            exclude_formula: use no source of the request's own reduced formula (for training and benchmarks).

        Raises:
            UserError: a request without a formula, or a composition that no structure in the data can hold.
        """
        if request.formula is None:
            raise UserError("no formula to propose structures for", next_step="give one")
        if request.counts is not None:
            neighbours = self.index.of_cell(request.counts, exclude_formula=exclude_formula)
        else:
            neighbours = self.index.of_formula(parse_formula(request.formula), exclude_formula=exclude_formula)
        proposals: list[Proposal] = []
        seen: list[Float[np.ndarray, "elements features"]] = []
        for neighbour in neighbours:
            if len(proposals) == k:
                break
            rows = self._proposal_fingerprint(neighbour)
            if not any(np.abs(rows - other).max() < SAME_TEMPLATE for other in seen):
                seen.append(rows)
                proposals.append(self._substitute(neighbour))
        return proposals

    def draw_new(self, request: CrystalRequest, rng: np.random.Generator) -> Proposal:
        """A crystal of a formula that the data does not hold; raises as `ElementExchange.draw`."""
        return self._substitute(self.exchange.draw(request, rng))

    def _proposal_fingerprint(self, neighbour: Neighbour) -> Float[np.ndarray, "elements features"]:
        """The fingerprint of the proposal, before it is made: the source's rows in the order of the new elements."""
        rows = self._fingerprints.get(neighbour.source)
        numbers = self.dataset.numbers[
            self.dataset.offsets[neighbour.source] : self.dataset.offsets[neighbour.source + 1]
        ]
        elements = np.unique(numbers).astype(np.int64)
        if rows is None:
            crystal = self.dataset[neighbour.source]
            rows = fingerprint(crystal.frac_coords, crystal.lattice, crystal.numbers, elements)
            self._fingerprints[neighbour.source] = rows
        return rows[np.searchsorted(elements, [neighbour.roles[number] for number in sorted(neighbour.roles)])]

    def _substitute(self, neighbour: Neighbour) -> Proposal:
        source = self.dataset[neighbour.source]
        becomes = {old: new for new, old in neighbour.roles.items()}
        counts = {becomes[number]: count for number, count in source.counts.items()}
        ratio = self.volume.predict(counts) / self.volume.predict(source.counts)
        crystal = Crystal(
            numbers=np.array([becomes[number] for number in source.numbers.tolist()]),
            frac_coords=source.frac_coords,
            lattice=source.lattice * ratio ** (1 / 3),
        )
        return Proposal(
            crystal=repeat_cell(crystal, neighbour.copies),
            distance=neighbour.distance,
            source_id=str(self.dataset.ids[neighbour.source]),
            source_formula=source.reduced_formula,
        )
