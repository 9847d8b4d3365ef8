"""Substitution augmentation: a crystal with one element exchanged for a similar one, as if it were known too.

Chemistry's own augmentation (Hautier et al., Inorg. Chem. 50, 656 (2011)): SrTiO3 as BaTiO3, the cell scaled by the
volume model, all verdicts about its neighbours kept. Their distances and their order are those of the new composition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from unigen.crystals.symmetric import SymmetricCrystal
from unigen.element_similarity import element_distances
from unigen.elements import written_order
from unigen.retrieval.lessons import Lesson
from unigen.retrieval.shortlist import Retriever, Shortlist
from unigen.shapes import Float

SIMILAR = 0.5
"""Elements that may be exchanged are no farther from each other (``chemistry.py``)."""

_LAST = 94
"""Plutonium: hardly any known crystal holds a heavier element."""

_OWN = 1e-6
"""Nearer than this a neighbour has the new formula itself: its structure is known, and may be another."""


@dataclass(frozen=True)
class Exchange:
    """One element of a crystal in place of another.

    Attributes:
        old: atomic number of the element that goes.
        new: of the one that comes.
        scale: by which lengths of the cell change.
    """

    old: int
    new: int
    scale: float

    def crystal(self, crystal: SymmetricCrystal) -> SymmetricCrystal:
        """The crystal with the new element."""
        numbers = np.where(crystal.numbers == self.old, self.new, crystal.numbers)
        return replace(crystal, numbers=numbers, lattice=self.lattice(crystal.lattice))

    def lattice(self, six: Float[np.ndarray, "*cells 6"]) -> Float[np.ndarray, "*cells 6"]:
        """Cells with their lengths scaled."""
        return six * np.array([self.scale] * 3 + [1.0] * 3)


def draw_exchange(shortlist: Shortlist, retriever: Retriever, rng: np.random.Generator) -> Exchange | None:
    """An exchange of one element for a similar one at random; None where the draw has no such element.

    The elements keep their order (rarest first), so that nothing else about the crystal is written differently.
    """
    elements = shortlist.elements.tolist()
    place = int(rng.integers(len(elements)))
    similar = element_distances()[elements[place], : _LAST + 1] <= SIMILAR
    choices = np.setdiff1d(np.flatnonzero(similar), elements)
    if not len(choices):
        return None
    new = int(rng.choice(choices))
    renamed = [*elements[:place], new, *elements[place + 1 :]]
    if written_order(dict(zip(renamed, shortlist.counts.tolist(), strict=True))) != renamed:
        return None
    volume = retriever.volume.per_atom
    ratio = (shortlist.counts @ volume[renamed]) / (shortlist.counts @ volume[elements])
    return Exchange(elements[place], new, float(ratio ** (1 / 3)))


def exchanged_lesson(lesson: Lesson, exchange: Exchange, retriever: Retriever) -> Lesson | None:
    """The lesson of the crystal after the exchange; None where the new formula is among its neighbours."""
    known = lesson.shortlist
    place = known.elements.tolist().index(exchange.old)
    share = known.counts[place] / known.counts.sum()
    table, roles = element_distances(), known.roles[:, place]
    distance = known.distance + share * (table[exchange.new, roles] - table[exchange.old, roles])
    if (distance < _OWN).any():
        return None
    order = np.argsort(distance, kind="stable")
    kinds, first = np.unique(known.kind[order], return_index=True)
    kinds = kinds[np.argsort(first)]  # in order of appearance, as always
    counts = dict(zip(known.elements.tolist(), known.counts.tolist(), strict=True))
    counts = {exchange.new if number == exchange.old else number: count for number, count in counts.items()}
    shortlist = retriever.recall(
        counts,
        sources=known.sources[order],
        roles=known.roles[order],
        kind=np.argsort(kinds)[known.kind[order]],
        distance=distance[order],
    )
    return Lesson(
        shortlist=shortlist,
        rms=lesson.rms[kinds],
        aligned_at=np.argsort(order)[lesson.aligned_at],
        aligned_lattice=exchange.lattice(lesson.aligned_lattice),
        aligned_free=lesson.aligned_free,
    )
