"""Which symbol may come next: only compositions that satisfy the request can be written.

A composition is written as pairs (element, count), sorted by count, then by chemical rank, then END. Rare elements come
first because the first atom is the origin: the fewer choices, the fewer equivalent encodings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from unigen.elements import ATOMIC_NUMBER, SYMBOLS, chemical_rank, composition_pairs
from unigen.errors import UserError
from unigen.request import CrystalRequest
from unigen.shapes import Bool
from unigen.tokens import vocabulary

Pairs = list[tuple[int, int]]


def composition_symbols(counts: dict[int, int]) -> list[int]:
    """BEGIN, (element, count) pairs, END; the largest count that can be written stands for all beyond it, too."""
    symbols = [vocabulary.BEGIN]
    for number, count in composition_pairs(counts):
        symbols += [vocabulary.element_symbol(number), vocabulary.count_symbol(min(count, vocabulary.MAX_COUNT))]
    return [*symbols, vocabulary.END]


def read_pairs(symbols: list[int]) -> Pairs:
    """The complete (element, count) pairs of a prompt, END or not."""
    body = [symbol for symbol in symbols if symbol not in (vocabulary.BEGIN, vocabulary.END)]
    pairs = []
    for element, count in zip(body[::2], body[1::2], strict=False):
        number, times = vocabulary.element_of(element), vocabulary.count_of(count)
        assert number, "an element must stand here"
        assert times, "a count must stand here"
        pairs.append((number, times))
    return pairs


@dataclass(frozen=True)
class CompositionGrammar:
    """The legal next symbols while a composition is written.

    Attributes:
        counts: the exact composition, or None to leave it open.
        n_atoms: the exact number of atoms, or None.
        elements: atomic numbers that may occur.
        max_atoms: the largest cell.
    """

    counts: dict[int, int] | None = None
    n_atoms: int | None = None
    elements: frozenset[int] = field(default_factory=lambda: frozenset(range(1, len(SYMBOLS))))
    max_atoms: int = 20

    def legal(self, symbols: list[int]) -> Bool[np.ndarray, "vocabulary"]:
        """Mask of the symbols that may follow a prompt; every path of legal symbols ends in END."""
        mask = np.zeros(vocabulary.CRYSTAL_VOCABULARY_SIZE, dtype=bool)
        if self.counts is not None:
            mask[composition_symbols(self.counts)[len(symbols)]] = True
            return mask
        pairs = read_pairs(symbols)
        open_element = vocabulary.element_of(symbols[-1])
        if open_element is not None:
            mask[[vocabulary.count_symbol(c) for c in self._counts_for(open_element, pairs)]] = True
            return mask
        mask[[vocabulary.element_symbol(e) for e in self.elements if self._counts_for(e, pairs)]] = True
        complete = self.n_atoms is None or sum(count for _, count in pairs) == self.n_atoms
        mask[vocabulary.END] = bool(pairs) and complete
        return mask

    def _counts_for(self, element: int, pairs: Pairs) -> list[int]:
        """Counts this element may have as the next pair: in order, and leaving a rest that can be completed."""
        used = sum(count for _, count in pairs)
        if any(element == number for number, _ in pairs):
            return []
        smallest = 1
        if pairs:
            last, smallest = pairs[-1]
            smallest += chemical_rank(element) < chemical_rank(last)  # equal counts are sorted by rank
        limit = min((self.n_atoms or self.max_atoms) - used, vocabulary.MAX_COUNT)
        counts = range(smallest, limit + 1)
        return [count for count in counts if self._completable([*pairs, (element, count)])]

    def _completable(self, pairs: Pairs) -> bool:
        """Whether some further pairs reach n_atoms. If any do, one single pair with all the rest does."""
        if self.n_atoms is None:
            return True
        rest = self.n_atoms - sum(count for _, count in pairs)
        last, count = pairs[-1]
        unused = self.elements - {number for number, _ in pairs}
        if rest == 0 or rest > count:
            return rest == 0 or bool(unused)
        return rest == count and any(chemical_rank(number) > chemical_rank(last) for number in unused)


def grammar_for(
    request: CrystalRequest, max_atoms: int, counts: dict[int, int] | None = None, next_step: str = ""
) -> CompositionGrammar:
    """The grammar of one request; ``counts`` fixes the cell when the request leaves Z open.

    Raises:
        UserError: more atoms than the model takes; ``next_step`` says what to do about it.
    """
    counts = request.counts if counts is None else counts
    n_atoms = sum(counts.values()) if counts else request.n_atoms
    if n_atoms is not None and n_atoms > max_atoms:
        raise UserError(
            "more atoms in the cell than the model takes",
            where=f"request {request.id or request.formula or 'de novo'}",
            got=n_atoms,
            wanted=f"at most {max_atoms}",
            next_step=next_step,
        )
    symbols = request.elements if request.elements is not None else SYMBOLS[1:]
    return CompositionGrammar(
        counts=counts,
        n_atoms=request.n_atoms,
        elements=frozenset(ATOMIC_NUMBER[symbol] for symbol in symbols),
        max_atoms=max_atoms,
    )
