"""Which of a request's candidates are one structure: answers are distinct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unigen.crystals.crystal import Crystal
from unigen.molecules.molecule import Molecule

if TYPE_CHECKING:
    from unigen.crystals.matching import BoundedMatcher, ReducedCell

LENGTHS, SITES, ANGLES = 0.1, 0.2, 5.0
"""Tolerances of `unigen.crystals.matching.MatchSettings`, narrower than pymatgen's own and those of match rates: the
ends of a Bain path are two answers."""


@dataclass(frozen=True)
class Distinct:
    """The best of each class.

    Attributes:
        kept: places of the structures that are like none before them, in order.
        same_as: for every other structure that was looked at, the place of the one it is like.
    """

    kept: tuple[int, ...]
    same_as: dict[int, int]


def distinct_structures(structures: Sequence[Crystal | Molecule], limit: int) -> Distinct:
    """Walk through structures, the best first, and keep those that are none of the kept ones.

    Crystals are the same where pymatgen's StructureMatcher maps one on the other, within the tolerances above,
    molecules where they have one SMILES.

    Args:
        structures: of one request, ranked.
        limit: stop once so many are kept.

    Example:
        >>> import numpy as np
        >>> cell = [Crystal(np.array([29]), np.zeros((1, 3)), edge * np.eye(3)) for edge in (3.0, 3.01)]
        >>> distinct_structures(cell, 2)
        Distinct(kept=(0,), same_as={1: 0})
    """
    # imported here: drawing runs where there is no chemistry
    from unigen.crystals.matching import BoundedMatcher, MatchSettings

    matcher = BoundedMatcher(MatchSettings(ltol=LENGTHS, stol=SITES, angle_tol=ANGLES))
    kept: dict[int, ReducedCell | str] = {}
    same_as: dict[int, int] = {}
    for place, structure in enumerate(structures):
        if len(kept) == limit:
            break
        key = matcher.reduce(structure) if isinstance(structure, Crystal) else structure.to_smiles()
        like = (other for other, seen in kept.items() if _same(matcher, key, seen))
        first = next(like, None)
        if first is None:
            kept[place] = key
        else:
            same_as[place] = first
    return Distinct(tuple(kept), same_as)


def _same(matcher: BoundedMatcher, first: ReducedCell | str, second: ReducedCell | str) -> bool:
    if isinstance(first, str) or isinstance(second, str):
        return first == second
    return matcher.same(first, second).rms is not None
