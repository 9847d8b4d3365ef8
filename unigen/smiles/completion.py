"""Whether what is begun as a SMILES can be completed: a proof by construction, never a guess.

With a formula, hydrogens say how unsaturated the rest must be. Let free be the bonds that the written atoms can still
have, v the valences of the atoms to come, n their number, o the orders of the open rings, H the hydrogens to come. Then

    free + sum v + charge - 2 n - sum o = H + 2 D

where D counts the rings still to be opened and the orders above one still to be written. D < 0 or no integer: there is
no completion. Otherwise, when atoms enough are left, one is known: a chain of a spacer and one carbon that closes each
open ring, D/2 pairs of carbons with triple bonds (or D pairs of carbons and nitrogens with double ones), which follow
it or fill other places that must be filled; then the other atoms wherever bonds are free. Where this is not enough, a
bounded search looks for one. What it does not find is taken as impossible, so a few paths that could be completed are
forbidden. None that is allowed has a dead end: what `completes` has a completion by steps of the search, and without a
bound the search finds it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

from unigen.smiles.atoms import NEUTRAL, Kind, bonded, fewest
from unigen.smiles.state import (
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

BOUND = 1000
"""States that one search looks at."""

_BOUND_OF_FIRST = 5000
"""The same before the first atom."""

_REMEMBERED = 1 << 19
"""Verdicts that are kept."""

CARBON, NITROGEN, OXYGEN = 6, 7, 8


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
    _given_up: dict[tuple[object, ...], int] = field(default_factory=dict, repr=False)
    _sums: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict, repr=False)

    def begins(self, rest: Rest) -> bool:
        """Whether any molecule is as wanted, as far as a longer search sees."""
        starts = [state for kind in self.kinds if (state := first(kind, self.place[kind.number], rest))]
        return any(self.completes(state, bound) for bound in (BOUND, _BOUND_OF_FIRST) for state in starts)

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
        start = left[0]
        if start <= self._given_up.get(key, -1):
            return False
        found = False
        for following in self._moves(state):
            found = self._search(following, left)
            if found or left[0] < 0:
                break
        if found or left[0] >= 0:
            self._known[key] = found
        else:
            self._given_up[key] = start
        return found

    def _verdict(self, state: State) -> bool | None:
        """What is clear at once; None where only a search tells."""
        rest = state.rest
        if rest.atoms < len(state.parents) + (state.stage == BRANCHES) or (rest.charge and not self._balances(rest)):
            return False
        if rest.atoms == 0 and not state.rings:
            return may_end(state)
        if len(state.site) == 2 and not state.parents:
            return may_end(state)
        needed = [fewest(state.site, state.stage == BRANCHES), *[fewest(parent.site, 1) for parent in state.parents]]
        return self._verdict_of_any(state, needed) if rest.hydrogens < 0 else self._verdict_of_formula(state, needed)

    def _verdict_of_any(self, state: State, needed: list[int]) -> bool | None:
        """Without a formula: carbons enough for every ring, branch, bond and charge."""
        if may_end(state):
            return True
        needs = sum(needed) + 2 * len(state.rings) + 2 * abs(state.rest.charge) + 2
        return True if CARBON in self.elements and state.rest.atoms >= needs else None

    def _balances(self, rest: Rest) -> bool:
        """Whether atoms enough are left that can be charged as is needed."""
        able = {kind.number for kind in self._charged if kind.charge * rest.charge > 0}
        most = sum([rest.counts[self.place[number]] for number in able]) if rest.counts else rest.atoms * bool(able)
        return most >= abs(rest.charge)

    def _verdict_of_formula(self, state: State, needed: list[int]) -> bool | None:
        """With a formula: the unsaturation to come, and whether the atoms left can hold it."""
        rest, sites = state.rest, [state.site, *[parent.site for parent in state.parents]]
        orders = sum([ring.order for ring in state.rings])
        low, high = self._valences(rest.counts)
        fixed = rest.charge - 2 * rest.atoms - orders - rest.hydrogens
        twice = sum([need + site[1 + need] for need, site in zip(needed, sites, strict=True)]) + low + fixed
        most = sum(map(len, sites)) - 2 * len(sites) + high + fixed
        if twice % 2 or most < 0 or twice > 2 * (high - rest.atoms + abs(rest.charge)):
            return False
        pieces = self._pieces(state, twice // 2) if twice >= 0 else -1
        return True if pieces >= sum(needed) else None

    def _pieces(self, state: State, unsaturation: int) -> int:
        """Into how many pieces the atoms to come can be cut, of which one closes all rings and some are unsaturated.

        Each is one atom, two with a bond of higher order, or the chain that closes the rings. -1 where we know of none.
        """
        rest, rings = state.rest, len(state.rings)
        count = {number: rest.counts[place] for number, place in self.place.items()}
        carbons, nitrogens = count.get(CARBON, 0) - (rings + 1 if rings else 0), count.get(NITROGEN, 0)
        if rest.charge:  # as ammonium somewhere, as alkoxide somewhere
            bearer = (NITROGEN, 1) if rest.charge > 0 else (OXYGEN, -1)
            if count.get(bearer[0], 0) < abs(rest.charge) or all(kind[1:3] != bearer for kind in self._charged):
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
        if counts not in self._sums:
            pairs = [(NEUTRAL[number], count) for number, count in zip(self.elements, counts, strict=True)]
            self._sums[counts] = sum([v[0] * count for v, count in pairs]), sum([v[-1] * count for v, count in pairs])
        return self._sums[counts]

    def _moves(self, state: State) -> Iterator[State]:
        """Where the writing may go from here, promising ways first, charges that balance none last."""
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
        orders = (3, 2, 1) if formula else (1, 2, 3)
        yield from self._placements(state, self._neutral if formula else self._simplest, orders, (False, True))
        if back and not early:
            yield back
        if formula:
            yield from [way for order in (1, 2, 3) if (way := opened(state, order, self.most_rings))]
            yield from self._placements(state, [] if rest.charge else self._charged, (3, 2, 1), (False, True))

    def _placements(
        self, state: State, kinds: list[Kind], orders: tuple[int, ...], branches: tuple[bool, ...]
    ) -> Iterator[State]:
        counts = state.rest.counts
        kinds = [kind for kind in kinds if not counts or counts[self.place[kind.number]]]
        orders = tuple([order for order in orders if bonded(state.site, order)])
        for branch, order, kind in product(branches, orders, kinds):
            way = placed(state, kind, self.place[kind.number], order, branch=branch)
            if way:
                yield way
