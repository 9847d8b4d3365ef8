"""Which symbol may come next: only compositions that satisfy the request can be written.

A composition is written as pairs (element, count), sorted by count, then by chemical rank, then END. Rare elements come
first because the first atom is the origin: the fewer choices, the fewer equivalent encodings.
"""

from __future__ import annotations

from collections.abc import Iterator
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
        required: those of them that have to.
        max_atoms: the largest cell.
    """

    counts: dict[int, int] | None = None
    n_atoms: int | None = None
    elements: frozenset[int] = field(default_factory=lambda: frozenset(range(1, len(SYMBOLS))))
    required: frozenset[int] = frozenset()
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
        mask[[vocabulary.element_symbol(e) for e in self.elements if any(self._counts_for(e, pairs))]] = True
        complete = self.n_atoms is None or sum(count for _, count in pairs) == self.n_atoms
        mask[vocabulary.END] = bool(pairs) and complete and self.required <= {number for number, _ in pairs}
        return mask

    def _counts_for(self, element: int, pairs: Pairs) -> Iterator[int]:
        """Counts this element may have as the next pair: in order, and leaving a rest that can be completed.

        One by one, since of most elements no more is asked than whether there are any.
        """
        used = sum(count for _, count in pairs)
        if any(element == number for number, _ in pairs):
            return
        smallest = 1
        if pairs:
            last, smallest = pairs[-1]
            smallest += chemical_rank(element) < chemical_rank(last)  # equal counts are sorted by rank
        limit = min((self.n_atoms or self.max_atoms) - used, vocabulary.MAX_COUNT)
        counts = range(smallest, limit + 1)
        yield from (count for count in counts if self._completable([*pairs, (element, count)]))

    def _completable(self, pairs: Pairs) -> bool:
        """Whether some further pairs bring what is required and reach n_atoms.

        If any do, the required ones do in the order of their ranks, with as few atoms of each as the order of writing
        allows, all the rest being of the last of them; or, where none is required, one single pair with all the rest.
        """
        last, count = pairs[-1]
        used = sum(count for _, count in pairs)
        unused = self.elements - {number for number, _ in pairs}
        missing = self.required & unused
        if missing:
            # of as many atoms as the last pair may be only those that come behind it
            fewest = sum(count + (chemical_rank(number) < chemical_rank(last)) for number in missing)
            return fewest <= (self.n_atoms or self.max_atoms) - used
        if self.n_atoms is None:
            return True
        rest = self.n_atoms - used
        if rest == 0 or rest > count:
            return rest == 0 or bool(unused)
        return rest == count and any(chemical_rank(number) > chemical_rank(last) for number in unused)


def grammar_for(
    request: CrystalRequest,
    max_atoms: int,
    counts: dict[int, int] | None = None,
    next_step: str = "",
    known: frozenset[int] | None = None,
) -> CompositionGrammar:
    """The grammar of one request.

    Args:
        request: what is wanted.
        max_atoms: the largest cell.
        counts: fixes the cell when the request leaves Z open.
        next_step: what to do about more atoms than that.
        known: elements that may be written where the request names none; None: all.

    Raises:
        UserError: more atoms than the model takes, an element asked for that is not known.
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
    allowed = frozenset(range(1, len(SYMBOLS))) if known is None else known
    required = frozenset(ATOMIC_NUMBER[symbol] for symbol in request.must_contain or ())
    if request.elements is not None:
        named = frozenset(ATOMIC_NUMBER[symbol] for symbol in request.elements)
    else:
        named = allowed | required
    if counts is None and not named <= allowed:
        unknown = [SYMBOLS[number] for number in sorted(named - allowed)]
        raise UserError(
            "no known structure has such an element, so none is written",
            got=", ".join(unknown),
            next_step="leave it out, or give a formula",
        )
    if counts is None and n_atoms is None and len(required) > max_atoms:
        raise UserError("must_contain: more elements than atoms in a cell", got=len(required), wanted=max_atoms)
    return CompositionGrammar(
        counts=counts,
        n_atoms=request.n_atoms,
        elements=named,
        required=required,
        max_atoms=max_atoms,
    )
