"""Are two crystals the same, and how far apart: pymatgen's StructureMatcher, bounded by work and never by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import pi
from typing import Any

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from unigen.crystals.crystal import Crystal
from unigen.shapes import Float, Int

SHELLS = 12
"""Neighbours whose distances order candidates: a closest packing has twelve nearest ones."""

ASSIGNMENT_COST = 30
"""An assignment over 27 images costs about this many times a tolerance test of the same pair of cells."""


EXACT = 1e-3
"""Angstrom: atoms of a supercell this close to a translated copy of another are that copy, to the digits of a file.
pymatgen's own search for a smaller cell forgives 0.25 Angstrom."""


@dataclass(frozen=True, kw_only=True)
class MatchSettings:
    """What counts as a match, and how much work one pair may take.

    The tolerances are those of CDVAE (Xie et al., ICLR 2022) and of those who compare with it. The bounds are of work
    because a clock would give a busy machine other results; they are for the hopeless: a crystal of MP-20 beside itself
    takes some 1e4 site pairs, none of 60 more than 2e5.

    Attributes:
        ltol: fractional tolerance of cell lengths.
        stol: site tolerance in units of (V / atoms)^(1/3); also the RMSE an unmatched structure is given in cRMSE.
        angle_tol: tolerance of cell angles, degrees.
        max_atoms: cells with more atoms are not matched but counted as bounded.
        max_lattice_points: lattice points to search for one cell inside the other, at most.
        max_site_pairs: site pairs compared over all lattice mappings and translations, at most.
    """

    ltol: float = 0.3
    stol: float = 0.5
    angle_tol: float = 10.0
    max_atoms: int = 512
    max_lattice_points: int = 300_000
    max_site_pairs: int = 2_000_000_000


@dataclass(frozen=True)
class Match:
    """The verdict on one pair.

    Attributes:
        rms: root mean square displacement in units of (V / atoms)^(1/3), or None where they do not match.
        bounded: the search ended at a bound of work, so a match may have been missed.
    """

    rms: float | None = None
    bounded: bool = False


@dataclass(frozen=True, eq=False)
class ReducedCell:
    """A crystal prepared for matching once, however many partners it meets.

    Attributes:
        structure: the primitive Niggli cell; None where none could be made.
        bounded: it was not tried, for the number of atoms.
    """

    structure: Structure | None
    bounded: bool = False


class BoundedMatcher(StructureMatcher):
    """pymatgen's matcher that stops, and says so, when a pair has taken more work than the settings allow."""

    def __init__(self, settings: MatchSettings) -> None:
        super().__init__(ltol=settings.ltol, stol=settings.stol, angle_tol=settings.angle_tol)
        self.settings = settings
        self.site_pairs = 0
        self.bounded = False

    def reduce(self, crystal: Crystal) -> ReducedCell:
        """The primitive Niggli cell that pymatgen's matcher would make of this crystal.

        Of a distorted crystal in a supercell pymatgen may make another cell than of the same crystal in its primitive
        one, merging atoms that are not copies: the latter is taken, so that a crystal and its supercell are one.
        """
        if len(crystal) > self.settings.max_atoms:
            return ReducedCell(None, bounded=True)
        try:
            reduced = self._get_reduced_structure(crystal.to_pymatgen())
            primitive = crystal.reduced(EXACT) if len(reduced) < len(crystal) else crystal
            if len(primitive) < len(crystal):
                of_primitive = self._get_reduced_structure(primitive.to_pymatgen())
                if not len(reduced) == len(of_primitive) == len(primitive):  # merged, in one of them at least
                    reduced = of_primitive
            return ReducedCell(reduced)
        except MemoryError:  # a cell so thin that its images do not fit
            return ReducedCell(None, bounded=True)
        except (ValueError, np.linalg.LinAlgError):  # "can't find niggli": cells of hopeless shape
            return ReducedCell(None)

    def rms(self, sample: ReducedCell, reference: ReducedCell) -> Match:
        """RMS displacement of the best mapping, as ``StructureMatcher.get_rms_dist(sample, reference)[0]``."""
        return self._run(sample, reference, use_rms=True, break_on_match=False)

    def same(self, sample: ReducedCell, reference: ReducedCell) -> Match:
        """Whether they match at all, as ``StructureMatcher.fit(sample, reference)``; ``rms`` then holds a distance."""
        return self._run(sample, reference, use_rms=False, break_on_match=True)

    def _run(self, sample: ReducedCell, reference: ReducedCell, *, use_rms: bool, break_on_match: bool) -> Match:
        if sample.structure is None or reference.structure is None:
            return Match(bounded=sample.bounded or reference.bounded)
        first, second = sample.structure, reference.structure
        if first.composition.reduced_composition != second.composition.reduced_composition:
            return Match()
        self.site_pairs, self.bounded = 0, False
        try:
            first, second, supercell_size, first_is_larger = self._preprocess(
                first, second, skip_structure_reduction=True
            )
            match = self._match(
                first, second, supercell_size, first_is_larger, use_rms=use_rms, break_on_match=break_on_match
            )
        except MemoryError:  # as in `reduce`: neither a match nor none
            return Match(bounded=True)
        except (ValueError, np.linalg.LinAlgError):  # degenerate cells: no lattice mapping can be computed
            return Match(bounded=self.bounded)
        return Match(None if match is None else float(match[0]), self.bounded)

    def _get_lattices(self, target_lattice: Any, s: Structure, supercell_size: int = 1) -> Iterator[Any]:
        # pymatgen searches the sphere of the longest vector that could match; its points are known beforehand.
        radius = max(target_lattice.abc) * (1 + self.ltol)
        if 4 / 3 * pi * radius**3 / s.volume > self.settings.max_lattice_points:
            self.bounded = True
            return
        for mapping in super()._get_lattices(target_lattice, s, supercell_size):
            if self._exhausted():
                return
            yield mapping

    def _cmp_fstruct(self, s1: np.ndarray, s2: np.ndarray, frac_tol: np.ndarray, mask: np.ndarray) -> bool:  # type: ignore[override]
        if self._exhausted():
            return False
        self.site_pairs += mask.size
        return super()._cmp_fstruct(s1, s2, frac_tol, mask)

    def _cart_dists(self, s1: np.ndarray, s2: np.ndarray, avg_lattice: Any, mask: np.ndarray, *rest: Any) -> Any:  # type: ignore[override]
        self.site_pairs += ASSIGNMENT_COST * mask.size
        return super()._cart_dists(s1, s2, avg_lattice, mask, *rest)

    def _exhausted(self) -> bool:
        self.bounded = self.bounded or self.site_pairs > self.settings.max_site_pairs
        return self.bounded


def rms_to_reference(samples: list[Crystal], reference: Crystal, settings: MatchSettings) -> list[Match]:
    """Match each sample with one reference crystal; a different composition never matches."""
    matcher = BoundedMatcher(settings)
    target = matcher.reduce(reference)
    formula = reference.reduced_formula
    return [
        matcher.rms(matcher.reduce(sample), target) if sample.reduced_formula == formula else Match()
        for sample in samples
    ]


def average_minimum_distances(crystal: Crystal) -> Float[np.ndarray, "shells"]:
    """Mean distance to the first, second, ... neighbour over all atoms, in units of (V / atoms)^(1/3).

    The average minimum distance of Widdowson et al., MATCH 87, 529 (2022), over the images of the 125 cells around:
    good enough to order candidates, and never used to reject one.
    """
    cell = crystal.reduced()
    translations = np.array(list(product(range(-2, 3), repeat=3)), dtype=float)
    images = (cell.frac_coords[None] + translations[:, None]).reshape(-1, 3) @ cell.lattice
    positions = cell.frac_coords @ cell.lattice
    squared = ((positions[:, None] - images[None]) ** 2).sum(-1)
    nearest = np.sort(squared, axis=1)[:, 1 : SHELLS + 1]  # the first is the atom itself
    return np.sqrt(nearest).mean(axis=0) / (cell.volume / len(cell)) ** (1 / 3)


def nearest_first(
    target: Float[np.ndarray, "shells"], candidates: Float[np.ndarray, "candidates shells"], limit: int
) -> Int[np.ndarray, "tried"]:
    """Indices of the ``limit`` candidates nearest to the target; equal ones in their order."""
    return np.argsort(np.abs(candidates - target).max(axis=1), kind="stable")[:limit]
