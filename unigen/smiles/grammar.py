"""Which symbol of a SMILES may come next: only molecules that satisfy the request can be written.

Everything that is written ends in END and is the SMILES of one molecule in the normal form of the writer: branches,
brackets and rings are closed, no two atoms are bonded twice, valences are as `unigen.smiles.atoms` has them, and
charges, size and formula are as asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from unigen.bounded_cache import BoundedCache
from unigen.elements import SYMBOLS, hill_formula
from unigen.errors import UserError
from unigen.shapes import Bool
from unigen.smiles.atoms import AtomSpelling, after_bond, atom_spellings
from unigen.smiles.completion import BOUND, LONG_BOUND, Completion
from unigen.smiles.hydrogens import HYDROGEN_BRANCH, Hydrogens
from unigen.smiles.state import (
    BRANCHES,
    Rest,
    State,
    add_atom,
    close_branch,
    close_ring,
    first_atom,
    free_digit,
    may_end,
    open_ring,
    symbols_key,
    with_settled_hydrogens,
)
from unigen.tokens.vocabulary import END, VOCABULARY_SIZE, mark_of, mark_symbol

QM9_ELEMENTS = frozenset({6, 7, 8, 9})
"""The heavy elements of QM9: C, N, O, F."""

QM9_CHARGES = frozenset({(6, -1), (7, 1), (7, -1), (8, -1)})
"""(Atomic number, charge) of the charged atoms in QM9."""

_OPEN, _CLOSE, _BRACKET = mark_symbol("("), mark_symbol(")"), mark_symbol("[")
_ORDER = {mark_symbol("="): 2, mark_symbol("#"): 3}
_SIGN = {mark_symbol("/"): 1, mark_symbol("\\"): -1}

_REMEMBERED = 1 << 14
"""Masks that are kept, a kilobyte each with what they belong to. 300 random walks like QM9 stand at 4,500 places."""


def _mask(symbols: Iterable[int]) -> Bool[np.ndarray, "vocabulary"]:
    mask = np.zeros(VOCABULARY_SIZE, dtype=bool)
    mask[list(symbols)] = True
    mask.flags.writeable = False
    return mask


_NOTHING = _mask([])


@dataclass(frozen=True)
class SmilesGrammar:
    """What may be written.

    Attributes:
        elements: atomic numbers of the heavy atoms that may occur.
        max_heavy: most heavy atoms.
        charges: (atomic number, charge) of the charged atoms that may occur.
        total_charge: their sum.
        formula: exact counts by atomic number, hydrogens (1) among them; None to leave it open.
        stereo: whether chirality and directions of bonds may be written.
        max_rings: most rings open at once, 1 to 9: digits without ``%``.
        hydrogens: implied, or written as `unigen.smiles.hydrogens` does; they are no heavy atoms either way.
        min_heavy: heavy atoms that are written before END may be, unless nothing else can be written.

    Raises:
        UserError: a valence that is not known, a formula that is no molecule of these atoms.

    Example:
        >>> walk = SmilesGrammar(formula={6: 1, 1: 4}).start()
        >>> walk = walk.write(smiles_symbols("C")[0])
        >>> np.flatnonzero(walk.legal()).tolist() == [END]
        True
    """

    elements: frozenset[int] = QM9_ELEMENTS
    max_heavy: int = 9
    charges: frozenset[tuple[int, int]] = QM9_CHARGES
    total_charge: int = 0
    formula: dict[int, int] | None = None
    stereo: bool = False
    max_rings: int = 9
    hydrogens: Hydrogens = "implied"
    min_heavy: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.max_rings <= 9:
            raise UserError("max_rings: too many or too few rings open at once", got=self.max_rings, wanted="1 to 9")
        if self.formula is not None:
            self._check_formula(self.formula)
        if not self.completion.begins(self.rest):
            raise UserError(
                "no molecule of these atoms that the grammar can write",
                got=hill_formula(self.formula) if self.formula else f"charge {self.total_charge:+d}",
                wanted=f"closed shells, one piece, of {_listed(self.elements)} and hydrogen",
            )

    def _check_formula(self, formula: dict[int, int]) -> None:
        foreign = sorted(number for number, count in formula.items() if count and number not in (*self.elements, 1))
        heavy = sum(count for number, count in formula.items() if number != 1)
        if foreign:
            raise UserError("element that may not occur", got=SYMBOLS[foreign[0]], wanted=_listed(self.elements))
        if not 1 <= heavy <= self.max_heavy:
            raise UserError("number of heavy atoms", got=heavy, wanted=f"1 to {self.max_heavy}")

    def start(self) -> SmilesWalk:
        """Before the first symbol."""
        return SmilesWalk(self)

    @cached_property
    def completion(self) -> Completion:
        """Tells what can be completed."""
        allowed = frozenset(charged for charged in self.charges if charged[0] in self.elements)
        spellings = atom_spellings(self.elements, allowed, stereo=self.stereo, hydrogens=self.hydrogens)
        return Completion(tuple(sorted(self.elements)), tuple(spellings), self.max_rings, self.hydrogens)

    @cached_property
    def spelled(self) -> dict[tuple[int, ...], AtomSpelling]:
        """Ways to write an atom, by their symbols."""
        return {spelling.symbols: spelling for spelling in self.completion.spellings}

    @cached_property
    def masks(self) -> BoundedCache[tuple[object, ...], Bool[np.ndarray, "vocabulary"]]:
        """Symbols that may follow, by the places where it was asked."""
        return BoundedCache(_REMEMBERED)

    @cached_property
    def rest(self) -> Rest:
        """What is to be written at the beginning."""
        if self.formula is None:
            return Rest(self.max_heavy, self.total_charge)
        counts = tuple(self.formula.get(number, 0) for number in self.completion.elements)
        return Rest(sum(counts), self.total_charge, counts, self.formula.get(1, 0))


def _listed(elements: Iterable[int]) -> str:
    return ", ".join(SYMBOLS[number] for number in sorted(elements))


@dataclass(frozen=True, eq=False)
class SmilesWalk:
    r"""What is written so far; never changed, so that copies cost nothing.

    Attributes:
        grammar: what may be written.
        state: behind the last atom, ring or branch; None before the first atom.
        branch: whether a parenthesis is open that nothing follows yet.
        order: of the bond that is written and leads nowhere yet; 0 for none.
        sign: its direction, +1 for ``/``, -1 for ``\\``, 0 for none.
        bracket: symbols from an open bracket on; empty outside.
        ended: whether END is written.
        hydrogens: of the last atom that are written.
    """

    grammar: SmilesGrammar
    state: State | None = None
    branch: bool = False
    order: int = 0
    sign: int = 0
    bracket: tuple[int, ...] = ()
    ended: bool = False
    hydrogens: int = 0

    def legal(self) -> Bool[np.ndarray, "vocabulary"]:
        """Mask of the symbols that may follow; none behind END. Every path of legal symbols ends in END.

        It is shared by all walks of the grammar that stand at such a place, and cannot be written to.
        """
        if self.ended:
            return _NOTHING
        place = None if self.state is None else symbols_key(self.state)
        written = 0 if self.state is None else self.grammar.rest.atoms - self.state.rest.atoms
        too_small = written < self.grammar.min_heavy
        asked = (place, self.branch, self.order, self.sign, self.bracket, self.hydrogens, too_small)
        mask = self.grammar.masks.get(asked)
        if mask is None:
            symbols = set(self._following(BOUND)) or set(self._following(LONG_BOUND))
            assert symbols, "what is legal can be completed"
            if too_small and len(symbols) > 1:
                symbols.discard(END)
            mask = self.grammar.masks[asked] = _mask(symbols)
        return mask

    def write(self, symbol: int) -> SmilesWalk:
        """With one more symbol, a legal one."""
        if symbol == END:
            return replace(self, ended=True)
        if self.bracket:
            return self._with_bracket_symbol((*self.bracket, symbol))
        if symbol in _ORDER or symbol in _SIGN:
            return replace(self, order=_ORDER.get(symbol, 1), sign=_SIGN.get(symbol, 0))
        if symbol == _OPEN:
            return replace(self, branch=True)
        if symbol == _BRACKET or (symbol,) in self.grammar.spelled:
            return self._with_bracket_symbol((symbol,))
        assert self.state is not None, "a molecule begins with an atom"
        following = self._closed() if symbol == _CLOSE else self._with_ring(int(mark_of(symbol) or 0))
        return self._after(following)

    @property
    def settled(self) -> State | None:
        """The state with no more hydrogens than are written, where they are: what follows an atom but for its rings."""
        return self._with_hydrogens(self.hydrogens)

    def _with_hydrogens(self, count: int) -> State | None:
        """The state with so many hydrogens at the last atom; None where it cannot have them."""
        if self.state is None or self.grammar.hydrogens == "implied" or self.state.stage >= BRANCHES:
            return self.state
        return with_settled_hydrogens(self.state, count)

    def _after(self, state: State | None) -> SmilesWalk:
        assert state is not None, "an illegal symbol"
        return SmilesWalk(self.grammar, state)

    def _with_bracket_symbol(self, symbols: tuple[int, ...]) -> SmilesWalk:
        """One more symbol of an atom, which may be the last."""
        if self.branch and (_OPEN, *symbols) == HYDROGEN_BRANCH:
            return replace(self, branch=False, bracket=(), hydrogens=self.hydrogens + 1)
        spelling = self.grammar.spelled.get(symbols)
        return replace(self, bracket=symbols) if spelling is None else self._after(self._with_atom(spelling))

    def _closed(self) -> State | None:
        """Where a parenthesis leads."""
        settled = self.settled
        return None if settled is None else close_branch(settled)

    def _with_ring(self, digit: int) -> State | None:
        """Where a digit leads."""
        assert self.state is not None, "a molecule begins with an atom"
        ring = next((ring for ring in self.state.rings if ring.digit == digit), None)
        if ring is None or self.order:
            return open_ring(self.state, self.order or 1, self.grammar.max_rings, self.sign)
        return close_ring(self.state, ring)

    def _with_atom(
        self, spelling: AtomSpelling, order: int = 0, sign: int = 0, *, branch: bool = False
    ) -> State | None:
        """Where an atom leads behind the bond and parenthesis that are written, or behind these."""
        element = self.grammar.completion.element_index[spelling.number]
        if self.state is None:
            return first_atom(spelling, element, self.grammar.rest)
        order, sign, settled = order or self.order or 1, sign or self.sign, self.settled
        if settled is None:
            return None
        return add_atom(settled, spelling, element, order, branch=branch or self.branch, sign=sign)

    def _following(self, bound: int) -> Iterator[int]:
        """The symbols that may follow, as far as searches of this bound see."""
        yield from self._atoms(bound)
        yield from self._hydrogen(bound)
        if self.state is None or self.bracket:
            return
        if not self.order:
            yield from self._bonds(bound)
        if not self.branch and not self.hydrogens:
            yield from self._rings(self.state, bound)
        if not self.branch and not self.order:
            settled = self.settled
            yield from [END] * (settled is not None and may_end(settled))
            yield from [_CLOSE] * self._completes(self._closed(), bound)
            yield from [_OPEN] * any(self._leads(order, 0, bound, branch=True) for order in (1, 2, 3))

    def _hydrogen(self, bound: int) -> Iterator[int]:
        """The next symbol of one more hydrogen of the last atom, if it can have one."""
        begun = (_OPEN,) * self.branch + self.bracket
        if self.grammar.hydrogens == "implied" or self.order or begun != HYDROGEN_BRANCH[: len(begun)]:
            return
        if self.state is not None and self.state.stage < BRANCHES:
            more = [number for number in set(self.state.valence[1:]) if number > self.hydrogens]
            possible = any(self._completes(self._with_hydrogens(number), bound) for number in more)
            yield from [HYDROGEN_BRANCH[len(begun)]] * possible

    def _atoms(self, bound: int) -> Iterator[int]:
        """The next symbols of atoms that may stand here."""
        start, listed = len(self.bracket), set()
        for spelling in self.grammar.completion.spellings:
            symbol = spelling.symbols[start] if spelling.symbols[:start] == self.bracket else 0
            if symbol and symbol not in listed and self._completes(self._with_atom(spelling), bound):
                listed.add(symbol)
                yield symbol

    def _leads(self, order: int, sign: int, bound: int, *, branch: bool = False) -> bool:
        """Whether any atom may follow such a bond."""
        if self.state is not None and after_bond(self.state.valence, order) is None:
            return False  # sparing the look at each atom
        spellings = self.grammar.completion.spellings
        states = (self._with_atom(spelling, order, sign, branch=branch) for spelling in spellings)
        return any(self._completes(state, bound) for state in states if state)

    def _bonds(self, bound: int) -> Iterator[int]:
        """The bonds that may be written here."""
        assert self.state is not None, "a bond stands behind an atom"
        for symbol, order in _ORDER.items():
            ring = None if self.branch or self.hydrogens else open_ring(self.state, order, self.grammar.max_rings)
            if self._completes(ring, bound) or self._leads(order, 0, bound):
                yield symbol
        for symbol, sign in _SIGN.items() if self.grammar.stereo else ():
            no_ring = self.branch or self.hydrogens
            ring = None if no_ring else open_ring(self.state, 1, self.grammar.max_rings, sign)
            if self._completes(ring, bound) or self._leads(1, sign, bound):
                yield symbol

    def _rings(self, state: State, bound: int) -> Iterator[int]:
        """The digits that may be written here."""
        if self._completes(open_ring(state, self.order or 1, self.grammar.max_rings, self.sign), bound):
            yield mark_symbol(str(free_digit(state)))
        for ring in state.rings if not self.order else ():
            if self._completes(close_ring(state, ring), bound):
                yield mark_symbol(str(ring.digit))

    def _completes(self, state: State | None, bound: int) -> bool:
        return self.grammar.completion.completes(state, bound)
