"""How large a known structure becomes when its elements are exchanged: additive volumes, bonds, and other polymorphs.

Additive volumes are the best estimate between elements that are alike, and wrong by a half between silicon and
diamond, where the lengths of bonds still tell it; so do, wherever the exchange is large, the bonds in another known
structure of the same formula with the same surroundings of its atoms. Of 8,641 pairs of one structure in the bundled
table (own formulas left out), additive volumes are off by more than a tenth for 5.0 % at a chemical distance of 0.1 to
0.2, 15 % at 0.3 to 0.5 and 67 % beyond 1; with bonds it is 4.2, 10 and 28 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.retrieval.bond_lengths import bonded_pairs
from unigen.retrieval.shortlist import Retriever, Shortlist
from unigen.retrieval.table import TemplateTable
from unigen.shapes import Float, Int, UInt8

_HALF_WAY = 0.7
"""Chemical distance at which bonds count as much as additive volumes, and a known polymorph as much as both: near the
best weights in each of seven ranges of distance, which rise from a tenth at 0.1 to more than a half beyond 1."""

MOST = 0.5
"""Difference of the two logarithms, at most: bonds inside a molecule or an ion do not say how far it is to the next,
and are off by a factor of two when carbonate becomes an oxide."""

SAME_SURROUNDINGS = 0.05
"""Mean difference of the logarithms of distances, in shortest ones, up to which the neighbours of bonded elements count
as arranged alike. Below it the bonds of 403 other polymorphs predict volumes at a chemical distance of 0.1 to 9 about
as well as the rest does, and half of each is better than either; above it they are wrong."""


@dataclass(frozen=True, eq=False)
class VolumeEstimate:
    """Estimates volumes of substituted structures.

    Attributes:
        known: structures that bonds are fitted to and polymorphs looked for among, and the volumes of atoms.
    """

    known: Retriever

    def log_correction(
        self, source: TemplateTable, shortlist: Shortlist, neighbour: int, *, exclude_formula: bool
    ) -> float:
        """The logarithm of what the volume of ``Retriever.substitute`` is to be multiplied by.

        Args:
            source: the table that the shortlist's neighbours are in.
            shortlist: of the wanted cell.
            neighbour: which of them is followed.
            exclude_formula: know no polymorph.
        """
        distance = float(shortlist.distance[neighbour])
        weight = distance / (distance + _HALF_WAY)
        if weight == 0:  # a known structure of the formula itself has its own volume
            return 0.0
        place, roles = int(shortlist.sources[neighbour]), shortlist.roles[neighbour]
        additive = float(np.log(self.known.volume_ratio(shortlist, neighbour)))
        _, contacts = source.site_geometry(place, roles)
        bonds = self.known.bonds.log_volume_ratio(contacts[..., 0].astype(float), roles, shortlist.elements)
        estimate = additive + weight * float(np.clip(bonds - additive, -MOST, MOST))
        if not exclude_formula:
            polymorph = self._by_polymorph(shortlist, contacts, source, place)
            if polymorph is not None:
                estimate = (1 - weight) * estimate + weight * polymorph
        return estimate - additive

    def _by_polymorph(
        self,
        shortlist: Shortlist,
        contacts: UInt8[np.ndarray, "elements elements contacts"],
        source: TemplateTable,
        place: int,
    ) -> float | None:
        """The logarithm of the change of volume that gives the bonds of the polymorph most alike; None: none is."""
        ours = contacts.astype(float)
        first, second = bonded_pairs(ours[..., 0])
        if not len(first):
            return None
        arrangement = _arrangement(ours, first, second)
        table, spacing = self.known.table, _spacing(source, place)
        nearest, change = SAME_SURROUNDINGS, None
        cell = dict(zip(shortlist.elements.tolist(), shortlist.counts.tolist(), strict=True))
        for polymorph in self.known.index.same_formula(cell).tolist():
            _, theirs = table.site_geometry(polymorph, shortlist.elements)
            theirs = theirs.astype(float)
            unlike = float(np.abs(_arrangement(theirs, first, second) - arrangement).mean())
            if unlike < nearest:
                # contacts are counted in spacings, which differ between the two
                bonds = np.log(theirs[first, second, 0] / ours[first, second, 0]).mean()
                nearest, change = unlike, 3 * float(bonds + np.log(_spacing(table, polymorph) / spacing))
        return change


def _spacing(table: TemplateTable, place: int) -> float:
    """``(V / atoms)^(1/3)`` of a structure, Angstrom: the unit of its contacts."""
    return float(np.cbrt(table.volume_of(place) / sum(table.counts(place).values())))


def _arrangement(
    contacts: Float[np.ndarray, "elements elements contacts"],
    first: Int[np.ndarray, "bonds"],
    second: Int[np.ndarray, "bonds"],
) -> Float[np.ndarray, "numbers"]:
    """How far the further neighbours are, relative to the nearest one, seen from both ends of each bond."""
    seen = np.concatenate([contacts[first, second], contacts[second, first]])
    return np.log(seen[:, 1:] / seen[:, :1]).ravel()
