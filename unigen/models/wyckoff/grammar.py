"""Which space group and which Wyckoff letter may come next: only templates of the requested cell can be written.

A template is a space group and, element by element in the order of ``composition_pairs``, the letters of its orbits in
the order of the alphabet. Positions without a free parameter hold one orbit in a crystal, the others any number. When
an element has all its atoms the next one follows, so the letters need no separators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from typing import NamedTuple

import numpy as np

from unigen.elements import SPACE_GROUPS, composition_pairs, format_formula, reduce_counts
from unigen.errors import UserError
from unigen.models.wyckoff.capacity import Whole, capacity, fills, holds, positions
from unigen.retrieval.table import MAX_ATOMS
from unigen.shapes import Bool
from unigen.symmetry.space_groups import LETTERS
from unigen.tokens.composition import Pairs


class Beginning(NamedTuple):
    """What matters of a partial template for what may come next.

    Attributes:
        space_group: its number.
        done: elements that have all their atoms.
        counts: atoms still to place, of the element at hand and of those that follow; empty at the end.
        first: the first letter allowed.
        used: fixed positions that are taken, as bits.
    """

    space_group: int
    done: int
    counts: Whole
    first: int
    used: int

    def extended(self, letter: int) -> Beginning:
        """With one letter more, which is legal here."""
        table = positions(self.space_group)
        used = self.used | table.fixed[letter] << letter
        rest = self.counts[0] - table.multiplicity[letter]
        assert rest >= 0, "more atoms than the composition has"
        if rest:
            return Beginning(self.space_group, self.done, (rest, *self.counts[1:]), letter, used)
        return Beginning(self.space_group, self.done + 1, self.counts[1:], 0, used)

    def legal_letters(self) -> Bool[np.ndarray, "27"]:
        """Mask of the letters that may follow, of all callers: not to be written into."""
        return _legal_letters(self.space_group, self.counts, self.first, self.used)


@dataclass(frozen=True)
class WyckoffGrammar:
    """The legal next choices while a template is written; every legal choice can be completed.

    Attributes:
        counts: atoms in the primitive cell by atomic number.
        space_groups: numbers of those that may occur.
        max_orbits: only space groups in which no template of the cell has more orbits; None: any number.

    Example:
        >>> perovskite = WyckoffGrammar({38: 1, 22: 1, 8: 3})
        >>> [LETTERS[letter] for letter in np.flatnonzero(perovskite.legal_letters(221, [0, 1]))]
        ['c', 'd']
    """

    counts: dict[int, int]
    space_groups: frozenset[int] = SPACE_GROUPS
    max_orbits: int | None = None

    def __post_init__(self) -> None:
        assert self.counts, "a cell holds atoms"
        assert min(self.counts.values()) > 0, "counts are positive"

    def legal_space_groups(self) -> Bool[np.ndarray, "231"]:
        """Mask by number of the space groups that can hold the cell; entry 0 is False."""
        return self._legal_space_groups.copy()

    def legal_letters(self, space_group: int, letters: Sequence[int]) -> Bool[np.ndarray, "27"]:
        """Mask of the letters (0 = 'a') that may follow; none when the template is complete.

        Args:
            space_group: number of a legal space group.
            letters: those so far, in the order of writing, each of them legal where it stands.
        """
        return self.beginning(space_group, letters).legal_letters().copy()

    def current(self, space_group: int, letters: Sequence[int]) -> tuple[int, int] | None:
        """Atomic number of the element that comes next and how many of its atoms are to be placed; None at the end."""
        return self.next_element(self.beginning(space_group, letters))

    def beginning(self, space_group: int, letters: Sequence[int] = ()) -> Beginning:
        """A partial template, to be extended letter by letter."""
        begun = Beginning(space_group, 0, self._counts, 0, 0)
        for letter in letters:
            begun = begun.extended(letter)
        return begun

    def next_element(self, beginning: Beginning) -> tuple[int, int] | None:
        """As `current`, of a partial template of this composition."""
        return (self.pairs[beginning.done][0], beginning.counts[0]) if beginning.counts else None

    def check(self) -> None:
        """See that some allowed space group can hold the cell.

        Raises:
            UserError: none can; it names those asked for and the numbers of formula units that would do.
        """
        if self._legal_space_groups.any():
            return
        reduced = reduce_counts(self.counts)[0]
        largest = max(MAX_ATOMS // sum(reduced.values()), 1)
        cells = ({number: count * z for number, count in reduced.items()} for z in range(1, largest + 1))
        grammars = (WyckoffGrammar(cell, self.space_groups, self.max_orbits) for cell in cells)
        fitting = (z for z, grammar in enumerate(grammars, start=1) if grammar.legal_space_groups().any())
        units = list(islice(fitting, 4))  # four suggestions are enough for a line of an error message
        advice = f"z = {', '.join(map(str, units))} fits" if units else f"none of up to {MAX_ATOMS} atoms fits"
        orbits = "" if self.max_orbits is None else f" of at most {self.max_orbits} orbits"
        raise UserError(
            f"no allowed space group can hold {format_formula(self.counts)} in its primitive cell{orbits}",
            got=f"space groups {_ranges(self.space_groups)}",
            next_step=f"ask for another z or n_atoms: {advice}",
        )

    @cached_property
    def pairs(self) -> Pairs:
        """(atomic number, count) in the order of writing."""
        return composition_pairs(self.counts)

    @cached_property
    def _counts(self) -> Whole:
        return tuple(count for _, count in self.pairs)

    @cached_property
    def _legal_space_groups(self) -> Bool[np.ndarray, "231"]:
        mask = np.zeros(231, dtype=bool)
        atoms, most = sum(self._counts), self.max_orbits
        for number in self.space_groups:
            table = positions(number)
            few = most is None or atoms <= most or table.most_orbits(atoms) <= most
            mask[number] = few and holds(capacity(number, 0), self._counts)
        return mask


@lru_cache(maxsize=1 << 16)  # 27 bytes and a key each: every sample of a run asks the same first questions
def _legal_letters(space_group: int, counts: Whole, first: int, used: int) -> Bool[np.ndarray, "27"]:
    """The legal letters for the first of the counts, from one letter on, with these fixed positions used."""
    mask = np.zeros(len(LETTERS), dtype=bool)
    table = positions(space_group)
    for letter in range(first, len(table.fixed)):
        mask[letter] = not used >> letter & 1 and _completes(space_group, counts, letter, used)
    return mask


def _completes(space_group: int, counts: Whole, letter: int, used: int) -> bool:
    """Whether all atoms can be placed when this letter takes some of the first element's."""
    table = positions(space_group)
    rest = counts[0] - table.multiplicity[letter] if counts else -1
    if rest < 0:
        return False
    used |= table.fixed[letter] << letter
    if rest == 0:
        return holds(capacity(space_group, used), counts[1:])
    return fills(capacity(space_group, used, letter), capacity(space_group, used), (rest, *counts[1:]))


def _ranges(numbers: frozenset[int]) -> str:
    """``{1, 2, 3, 7}`` as ``1-3, 7``."""
    starts = sorted(number for number in numbers if number - 1 not in numbers)
    ends = sorted(number for number in numbers if number + 1 not in numbers)
    return ", ".join(f"{a}-{b}" if a < b else str(a) for a, b in zip(starts, ends, strict=True)) or "none"
