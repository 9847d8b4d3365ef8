"""Whether what is begun as a SMILES can be completed: a proof by construction, never a guess.

With a formula, hydrogens say how unsaturated the rest must be. Let free be the bonds that the written atoms can still
have, v the valences of the atoms to come, n their number, o the orders of the open rings, H the hydrogens to come. Then

    free + sum v + charge - 2 n - sum o = H + 2 D

where D counts the rings still to be opened and the orders above one still to be written. D < 0 or no integer: there is
no completion. Otherwise, when atoms enough are left, one is known: a chain of a spacer and one carbon that closes each
open ring, D/2 pairs of carbons with triple bonds (or D pairs of carbons and nitrogens with double ones), which follow
it or fill other places that must be filled; then the other atoms wherever bonds are free. Where this is not enough, a
bounded search looks for one. What it does not find is taken as impossible, so a few paths that could be completed are
forbidden. None that is allowed has a dead end: what `completes` within a bound has a completion by steps of the search,
and the search finds it again from each of them, within the same bound.

Hydrogens that are written have to be counted before an atom's branches: the search tries each number of them, and what
is clear where they are implied serves to say no.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import NamedTuple

from unigen.bounded_cache import BoundedCache
from unigen.smiles.atoms import NEUTRAL, AtomSpelling, after_bond, fewest_orders
from unigen.smiles.hydrogens import Hydrogens
from unigen.smiles.state import (
    BRANCHES,
    CLOSES,
    Rest,
    State,
    add_atom,
    close_branch,
    close_ring,
    completion_key,
    first_atom,
    may_end,
    open_ring,
    with_settled_hydrogens,
)

BOUND = 1000
"""Steps of one search: some hundredths of a second at most. With the formulas of 60 molecules of QM9 73 % of 14,700
questions need no search, 90 % of the searches end within 60 steps, and 68 searches end at this bound. With three times
as many a walk takes a third longer, for one symbol in a thousand."""

LONG_BOUND = 30_000
"""The same before the first atom, where a search is made once a grammar and a wrong no would refuse the request, and
behind it for as long as the shorter searches find nothing: what follows takes fewer steps than what is begun."""

_REMEMBERED = 1 << 15
"""Answers that are kept, of a few hundred bytes each, so that a long run does not fill the memory. All walks of a
grammar share them."""

CARBON, NITROGEN, OXYGEN = 6, 7, 8


class _Finding(NamedTuple):
    """What a search found out about a state.

    Attributes:
        completes: whether symbols lead from it to the end; None where that takes more steps.
        steps: states that the search looks at when it knows nothing, each as often as it is met.
    """

    completes: bool | None
    steps: int


@dataclass(frozen=True, eq=False)
class Completion:
    """Answers for one grammar, remembered.

    Attributes:
        elements: atomic numbers, ascending; counts of a formula follow them.
        spellings: ways to write an atom.
        most_rings: most rings open at once.
        hydrogens: implied, or written behind each atom.
    """

    elements: tuple[int, ...]
    spellings: tuple[AtomSpelling, ...]
    most_rings: int
    hydrogens: Hydrogens = "implied"
    _known: BoundedCache[tuple[object, ...], _Finding] = field(
        default_factory=lambda: BoundedCache(_REMEMBERED), repr=False
    )
    _valence_sums: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict, repr=False)

    def begins(self, rest: Rest) -> bool:
        """Whether any molecule is as wanted, as far as a longer search sees."""
        index = self.element_index
        starts = [state for atom in self.spellings if (state := first_atom(atom, index[atom.number], rest))]
        return any(self.completes(state, bound) for bound in (BOUND, LONG_BOUND) for state in starts)

    @cached_property
    def element_index(self) -> dict[int, int]:
        """Index of each element among the elements."""
        return {number: index for index, number in enumerate(self.elements)}

    @cached_property
    def _neutral(self) -> list[AtomSpelling]:
        """Neutral atoms, those with many bonds first."""
        neutral = [spelling for spelling in self.spellings if not spelling.charge and spelling.valence[0] > 1]
        return sorted(neutral, key=lambda spelling: (spelling.number != CARBON, -len(spelling.valence)))

    @cached_property
    def _simplest(self) -> list[AtomSpelling]:
        """Neutral atoms that suffice where no formula asks for others."""
        return self._neutral[:1] if CARBON in self.elements else self._neutral

    @cached_property
    def _charged(self) -> list[AtomSpelling]:
        """Charged atoms, those with few bonds first."""
        return sorted(
            [spelling for spelling in self.spellings if spelling.charge and spelling.valence[0] > 1],
            key=lambda spelling: len(spelling.valence),
        )

    def completes(self, state: State | None, bound: int = BOUND) -> bool:
        """Whether a search of that many steps finds symbols that lead from here to the end.

        The answer depends on the state and the bound alone, never on what was asked before.
        """
        return state is not None and bool(self._search(state, bound).completes)

    def _search(self, state: State, budget: int) -> _Finding:
        """Look for symbols that lead to the end, depth first, in at most so many steps.

        What is known of a state counts as the steps that it took: so it does not matter whether it was asked before.
        """
        if budget < 1:
            return _Finding(None, 0)
        verdict = self._verdict(state)
        if verdict is not None:
            return _Finding(verdict, 1)
        # digits too: which one a new ring gets decides the order in which rings may close, and so the steps
        key = (completion_key(state), tuple([ring.digit for ring in state.rings]), state.closed)
        known = self._known.get(key)
        if known is not None and known.steps >= budget + (known.completes is not None):
            return _Finding(None, budget)
        if known is not None and known.completes is not None:
            return known
        found, steps = False, 1
        for following in self._moves(state):
            finding = self._search(following, budget - steps)
            if finding.completes is None:
                self._known[key] = _Finding(None, budget)  # a longer search may ask again
                return self._known[key]
            found, steps = finding.completes, steps + finding.steps
            if found:
                break
        self._known[key] = _Finding(found, steps)
        return self._known[key]

    def _verdict(self, state: State) -> bool | None:
        """What is clear at once; None where only a search decides."""
        verdict = self._verdict_of_implied(state)
        return None if verdict and self._is_open(state) else verdict

    def _is_open(self, state: State) -> bool:
        """Whether the hydrogens of the last atom are still to be written."""
        return self.hydrogens == "written" and state.stage < BRANCHES

    def _verdict_of_implied(self, state: State) -> bool | None:
        """The same where hydrogens are implied."""
        rest = state.rest
        if rest.atoms < len(state.branch_points) + (state.stage == BRANCHES):
            return False
        if rest.charge and not self._balances(rest):
            return False
        if rest.atoms == 0 and not state.rings:
            return may_end(state)
        if len(state.valence) == 2 and not state.branch_points:
            return may_end(state)
        needed = [fewest_orders(state.valence, state.stage == BRANCHES)]
        needed += [fewest_orders(point.valence, 1) for point in state.branch_points]
        return self._verdict_of_any(state, needed) if rest.hydrogens < 0 else self._verdict_of_formula(state, needed)

    def _verdict_of_any(self, state: State, needed: list[int]) -> bool | None:
        """Without a formula: carbons enough for every ring, branch, bond and charge."""
        if may_end(state):
            return True
        needs = sum(needed) + 2 * len(state.rings) + 2 * abs(state.rest.charge) + 2
        return True if CARBON in self.elements and state.rest.atoms >= needs else None

    def _balances(self, rest: Rest) -> bool:
        """Whether atoms enough are left that can be charged as is needed."""
        able = {spelling.number for spelling in self._charged if spelling.charge * rest.charge > 0}
        index = self.element_index
        most = sum([rest.counts[index[number]] for number in able]) if rest.counts else rest.atoms * bool(able)
        return most >= abs(rest.charge)

    def _verdict_of_formula(self, state: State, needed: list[int]) -> bool | None:
        """With a formula: the unsaturation to come, and whether the atoms left can hold it."""
        rest, valences = state.rest, [state.valence, *[point.valence for point in state.branch_points]]
        orders = sum([ring.order for ring in state.rings])
        low, high = self._valences(rest.counts)
        fixed = rest.charge - 2 * rest.atoms - orders - rest.hydrogens
        twice = sum([need + valence[1 + need] for need, valence in zip(needed, valences, strict=True)]) + low + fixed
        most = sum(map(len, valences)) - 2 * len(valences) + high + fixed
        if twice % 2 or most < 0 or twice > 2 * (high - rest.atoms + abs(rest.charge)):
            return False
        pieces = self._pieces(state, twice // 2) if twice >= 0 else -1
        return True if pieces >= sum(needed) else None

    def _pieces(self, state: State, unsaturation: int) -> int:
        """Into how many pieces the atoms to come can be cut, of which one closes all rings and some are unsaturated.

        Each is one atom, two with a bond of higher order, or the chain that closes the rings. -1 where we know of none.
        """
        rest, rings = state.rest, len(state.rings)
        count = {number: rest.counts[index] for number, index in self.element_index.items()}
        carbons, nitrogens = count.get(CARBON, 0) - (rings + 1 if rings else 0), count.get(NITROGEN, 0)
        if rest.charge:  # as ammonium somewhere, as alkoxide somewhere
            bearer = (NITROGEN, 1) if rest.charge > 0 else (OXYGEN, -1)
            if count.get(bearer[0], 0) < abs(rest.charge) or all(spelling[1:3] != bearer for spelling in self._charged):
                return -1
            nitrogens -= max(rest.charge, 0)
        if carbons < 0 or any(ring.order > 2 for ring in state.rings):
            return -1
        triple = min((unsaturation + 1) // 2, carbons // 2)
        double = max(unsaturation - 2 * triple, 0)
        if 2 * double > carbons - 2 * triple + nitrogens:
            return -1
        return rest.atoms - triple - double - rings

    def _valences(self, counts: tuple[int, ...]) -> tuple[int, int]:
        """Sums of the lowest and of the highest valences of the atoms to come."""
        if counts not in self._valence_sums:
            pairs = [(NEUTRAL[number], count) for number, count in zip(self.elements, counts, strict=True)]
            lowest, highest = sum([v[0] * count for v, count in pairs]), sum([v[-1] * count for v, count in pairs])
            self._valence_sums[counts] = lowest, highest
        return self._valence_sums[counts]

    def _moves(self, state: State) -> Iterator[State]:
        """Where the writing may go from here, promising ways first, charges that balance none last."""
        if state.stage == CLOSES:
            yield from [following for ring in state.rings if (following := close_ring(state, ring))]
        if self._is_open(state):
            yield from self._settled(state)
            return
        rest, behind_branch = state.rest, close_branch(state)
        formula = rest.hydrogens >= 0
        spare = rest.atoms - len(state.branch_points) - (state.stage == BRANCHES)
        early = spare <= 0 if formula else not (state.rings or rest.charge)
        if behind_branch and early:
            yield behind_branch
        charged = [spelling for spelling in self._charged if spelling.charge * rest.charge > 0] if rest.charge else []
        yield from self._placements(state, charged, (1, 2, 3), (True, False))
        orders = (3, 2, 1) if formula else (1, 2, 3)
        yield from self._placements(state, self._neutral if formula else self._simplest, orders, (False, True))
        if behind_branch and not early:
            yield behind_branch
        if formula:
            yield from [following for order in (1, 2, 3) if (following := open_ring(state, order, self.most_rings))]
            yield from self._placements(state, [] if rest.charge else self._charged, (3, 2, 1), (False, True))

    def _settled(self, state: State) -> Iterator[State]:
        """With each number of hydrogens at the last atom, or another ring."""
        for count in sorted({number for number in state.valence[1:] if number >= 0}, reverse=True):
            settled = with_settled_hydrogens(state, count)
            if settled is not None:
                yield settled
        if state.rest.hydrogens >= 0:
            yield from [following for order in (1, 2, 3) if (following := open_ring(state, order, self.most_rings))]

    def _placements(
        self, state: State, spellings: list[AtomSpelling], orders: tuple[int, ...], branches: tuple[bool, ...]
    ) -> Iterator[State]:
        counts = state.rest.counts
        spellings = [spelling for spelling in spellings if not counts or counts[self.element_index[spelling.number]]]
        orders = tuple([order for order in orders if after_bond(state.valence, order)])
        for branch, order, spelling in product(branches, orders, spellings):
            following = add_atom(state, spelling, self.element_index[spelling.number], order, branch=branch)
            if following:
                yield following
