"""Whether what is begun as a SMILES can be completed: a proof by construction, never a guess.

With a formula, hydrogens say how unsaturated the rest must be. Let free be the bonds that the written atoms can still
have, v the valences of the atoms to come, n their number, o the orders of the open rings, H the hydrogens to come. Then

    free + sum v + charge - 2 n - sum o = H + 2 D

where D counts the rings still to be opened and the orders above one still to be written. D < 0 or no integer: there is
no completion. Otherwise, when carbons enough are left, one is known: a chain of a spacer, one carbon that closes each
open ring, and D/2 pairs of carbons with triple bonds (a double one if D is odd), then the other atoms wherever bonds
are free. Where this is not enough, a bounded search looks for one. What it does not find is taken as impossible, so a
few paths that could be completed are forbidden. None that is allowed has a dead end: what `completes` has a completion
by steps of the search, and without a bound the search finds it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from unigen.tokens.smiles_atoms import NEUTRAL, Kind, fewest
from unigen.tokens.smiles_state import (
    BRANCHES,
    CLOSES,
    Rest,
    State,
    closed,
    essence,
    first,
    may_end,
    opened,
    placed,
    returned,
)

BOUND = 100
"""States that one search looks at."""

_REMEMBERED = 1 << 19
"""Verdicts that are kept."""

CARBON = 6


@dataclass(frozen=True, eq=False)
class Completion:
    """Answers for one grammar, remembered.

    Attributes:
        elements: atomic numbers, ascending; counts of a formula follow them.
        kinds: ways to write an atom.
        most_rings: most rings open at once.
    """

    elements: tuple[int, ...]
    kinds: tuple[Kind, ...]
    most_rings: int
    _known: dict[tuple[object, ...], bool] = field(default_factory=dict, repr=False)
    _given_up: set[tuple[object, ...]] = field(default_factory=set, repr=False)

    def begins(self, rest: Rest) -> bool:
        """Whether any molecule is as wanted; looks without a bound only when the bounded search finds none."""
        starts = [state for kind in self.kinds if (state := first(kind, self.place[kind.number], rest))]
        return any(self.completes(state) for state in starts) or any(self.completes(state, None) for state in starts)

    @cached_property
    def place(self) -> dict[int, int]:
        """Place of each element among the elements."""
        return {number: place for place, number in enumerate(self.elements)}

    @cached_property
    def _neutral(self) -> list[Kind]:
        """Neutral atoms, those with many bonds first."""
        found = [kind for kind in self.kinds if not kind.charge and kind.site[0] > 1]
        return sorted(found, key=lambda kind: (kind.number != CARBON, -len(kind.site)))

    @cached_property
    def _simplest(self) -> list[Kind]:
        """Neutral atoms that suffice where no formula asks for others."""
        return self._neutral[:1] if CARBON in self.elements else self._neutral

    @cached_property
    def _charged(self) -> list[Kind]:
        """Charged atoms, those with few bonds first."""
        return sorted(
            [kind for kind in self.kinds if kind.charge and kind.site[0] > 1], key=lambda kind: len(kind.site)
        )

    def completes(self, state: State | None, bound: int | None = BOUND) -> bool:
        """Whether symbols lead from here to the end; with a bound, whether a search of that many states finds them."""
        if state is None:
            return False
        verdict = self._verdict(state)
        if verdict is not None:
            return verdict
        if len(self._known) + len(self._given_up) > _REMEMBERED:
            self._known.clear()
            self._given_up.clear()
        return self._search(state, [bound if bound is not None else 1 << 62])

    def _search(self, state: State, left: list[int]) -> bool:
        """Look for a way that ends, as long as there is something left of the bound."""
        left[0] -= 1
        verdict = self._verdict(state)
        if verdict is not None:
            return verdict
        key = essence(state)
        if key in self._known:
            return self._known[key]
        if left[0] < 0 or (left[0] < BOUND and key in self._given_up):
            return False
        found = any(self._search(following, left) for following in self._moves(state))
        if found or left[0] >= 0:
            self._known[key] = found
        else:
            self._given_up.add(key)
        return found

    def _verdict(self, state: State) -> bool | None:
        """What is clear at once; None where only a search tells."""
        rest = state.rest
        tails = len(state.parents) + (state.stage == BRANCHES)
        if rest.atoms < tails:
            return False
        if rest.atoms == 0 and not state.rings:
            return may_end(state)
        if len(state.site) == 2 and not state.parents:
            return may_end(state)
        return self._verdict_of_any(state, tails) if rest.hydrogens < 0 else self._verdict_of_formula(state, tails)

    def _verdict_of_any(self, state: State, tails: int) -> bool | None:
        """Without a formula: carbons enough for every ring, branch, bond and charge."""
        if may_end(state):
            return True
        needs = sum(max(fewest(parent.site) - 1, 0) for parent in state.parents) + fewest(state.site)
        needs += 2 * len(state.rings) + 2 * abs(state.rest.charge) + tails + 2
        charge = state.rest.charge
        able = not charge or any(kind.charge * charge > 0 and len(kind.site) == 3 for kind in self.kinds)
        return True if able and CARBON in self.elements and state.rest.atoms >= needs else None

    def _verdict_of_formula(self, state: State, tails: int) -> bool | None:
        """With a formula: the unsaturation to come, and whether the carbons left can hold it."""
        rest, sites = state.rest, [state.site, *[parent.site for parent in state.parents]]
        orders = [ring.order for ring in state.rings]
        low, high = self._valences(rest)
        fixed = rest.charge - 2 * rest.atoms - sum(orders) - rest.hydrogens
        needed = [fewest(site) for site in sites]
        twice = sum(need + site[1 + need] for need, site in zip(needed, sites, strict=True)) + low + fixed
        most = sum(len(site) - 2 for site in sites) + high + fixed
        if twice % 2 or most < 0 or rest.hydrogens < 0:
            return False
        if twice < 0:
            return None
        pairs = (twice // 2 + 1) // 2
        chain = 2 * pairs + (len(orders) + 1 if orders else 0)
        carbons = rest.counts[self.place[CARBON]] if CARBON in self.elements else 0
        if rest.charge or max(orders, default=1) > 2 or carbons < chain:
            return None
        tails += sum(max(need - 1, 0) for need in needed) + (needed[0] > 0 and state.stage != BRANCHES)
        return True if rest.atoms - chain + (chain > 0) >= tails else None

    def _valences(self, rest: Rest) -> tuple[int, int]:
        """Sums of the lowest and of the highest valences of the atoms to come."""
        low = high = 0
        for number, count in zip(self.elements, rest.counts, strict=True):
            low, high = low + count * NEUTRAL[number][0], high + count * NEUTRAL[number][-1]
        return low, high

    def _moves(self, state: State) -> Iterator[State]:
        """Where the writing may go from here, promising ways first; charges are only written to balance others."""
        if state.stage == CLOSES:
            yield from [way for ring in state.rings if (way := closed(state, ring))]
        rest, back = state.rest, returned(state)
        formula = rest.hydrogens >= 0
        spare = rest.atoms - len(state.parents) - (state.stage == BRANCHES)
        early = spare <= 0 if formula else not (state.rings or rest.charge)
        if back and early:
            yield back
        charged = [kind for kind in self._charged if kind.charge * rest.charge > 0] if rest.charge else []
        yield from self._placements(state, charged, (1, 2, 3), (True, False))
        neutral, orders = (self._neutral, (3, 2, 1)) if formula else (self._simplest, (1, 2, 3))
        yield from self._placements(state, neutral, orders, (False, True))
        if back and not early:
            yield back
        if formula:
            yield from [way for order in (1, 2, 3) if (way := opened(state, order, self.most_rings))]

    def _placements(
        self, state: State, kinds: list[Kind], orders: tuple[int, ...], branches: tuple[bool, ...]
    ) -> Iterator[State]:
        for branch in branches:
            for order in orders:
                for kind in kinds:
                    way = placed(state, kind, self.place[kind.number], order, branch=branch)
                    if way:
                        yield way
