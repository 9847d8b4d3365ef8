"""New crystals without learning: a known one, drawn at random, with one element exchanged for the most similar one.

Ion exchange is a baseline that generative models of new crystals have to beat: Szymanski and Bartel, Materials Horizons
(2025), doi 10.1039/d5mh00010f. How alike two elements are is the distance of ``unigen.element_similarity``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.element_similarity import element_distances
from unigen.elements import ATOMIC_NUMBER
from unigen.errors import UserError
from unigen.request import CrystalRequest
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.neighbours import Neighbour
from unigen.shapes import Bool

TRIES = 100
"""Exchanges tried until one gives a formula that is not known. Only a bound: for data that hold
nearly every exchange of their own, a whole family of one structure type."""


@dataclass(frozen=True, eq=False)
class ElementExchange:
    """Draws exchanges in known cells.

    Attributes:
        cells: the known ones.
    """

    cells: Compositions

    def draw(self, request: CrystalRequest, rng: np.random.Generator) -> Neighbour:
        """A known cell and the roles of the elements in the new one, whose reduced formula no known cell has.

        Args:
            request: without a formula; the number of atoms and the elements it allows are kept to.
            rng: of this draw.

        Raises:
            UserError: no known cell can become what is wanted, or every exchange that was tried is known.
        """
        numbers = np.arange(len(element_distances()))
        allowed: Bool[np.ndarray, "elements"] = np.isin(numbers, self.cells.number)
        if request.elements is not None:
            allowed &= np.isin(numbers, [ATOMIC_NUMBER[symbol] for symbol in request.elements])
        candidates = np.flatnonzero(self._reachable(allowed, request.n_atoms))
        if not (len(candidates) and allowed.any()):
            raise UserError(
                "no known structure can become this by exchanging one element",
                got=f"elements {','.join(request.elements or ('any',))}, atoms {request.n_atoms or 'any'}",
                next_step="allow more elements, or use a trained model",
            )
        for _ in range(TRIES):
            source = int(rng.choice(candidates))
            counts = self.cells.counts(source)
            old = int(rng.choice([number for number in counts if not allowed[number]] or list(counts)))
            replacements = np.setdiff1d(np.flatnonzero(allowed), list(counts))
            if not len(replacements):
                continue
            new = int(replacements[np.argmin(element_distances()[old, replacements])])
            roles = {number: number for number in counts if number != old} | {new: old}
            if not self.cells.knows_formula({number: counts[role] for number, role in roles.items()}):
                share = counts[old] / sum(counts.values())
                return Neighbour(source, float(share * element_distances()[old, new]), roles)
        raise UserError(f"each of {TRIES} exchanges gives a known formula", next_step="use a trained model")

    def _reachable(self, allowed: Bool[np.ndarray, "elements"], n_atoms: int | None) -> Bool[np.ndarray, "cells"]:
        """Cells of the wanted size that one exchange makes allowed: at most one of their elements has to go."""
        outside = np.bincount(self.cells.owner, weights=~allowed[self.cells.number], minlength=len(self.cells))
        if n_atoms is None:
            return outside <= 1
        atoms = np.bincount(self.cells.owner, weights=self.cells.count, minlength=len(self.cells))
        return (outside <= 1) & (atoms == n_atoms)
