"""Plausible compositions of a formula type: known ones with one element exchanged for a similar one.

Each known formula of the type gives at most one new one: an element, chosen at random, becomes the nearest one
(`unigen.element_similarity`) of its column of the periodic table, or of the transition metals of columns 4 to 11, so
that a charge stays what it was; then the second nearest, and the third. The new formula is not known, and its charges
can balance (SMACT; alloys pass). Where those run out, known formulas follow of which one element is not allowed, in
whose place comes what is. Ion exchange as a way to new crystals: Szymanski and Bartel, Materials Horizons (2025), doi
10.1039/d5mh00010f; one formula of each parent, since else the lanthanides, all near to each other, fill the list.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from typing import NamedTuple

import numpy as np

from unigen.element_similarity import element_distances
from unigen.elements import ATOMIC_NUMBER, SYMBOLS, chemical_rank, format_formula, period_and_group
from unigen.errors import UserError
from unigen.retrieval.compositions import Formula
from unigen.sample.scan import Composition
from unigen.sample.wildcards import FormulaType

NEAREST = 3
"""Elements tried in the place of one: a column has five or six, and the fourth nearest is at its other end."""

ALIKE = 1.0
"""Element distance up to which another column's element may come where one has to go: oxygen to nitrogen is 0.7, and
fluorine to oxygen, the first that is not meant, 1.01."""

FARTHEST = 2.0
"""Element distance within a column up to which an element that may stay is exchanged. The first row stands apart:
nitrogen from phosphorus by 2.33, oxygen from sulphur by 2.36, fluorine from chlorine by 2.41."""

_UNUSUAL = frozenset((2, 10, 18, 36, 43, 54, 61, *(set(range(84, len(SYMBOLS))) - {90, 92})))
"""Noble gases, and elements without an isotope that lasts (all but Th and U): not tried unless they are named."""

_HYDROGEN_COLUMN = 15.5
"""Where the order of formulas has it, between nitrogen's and oxygen's."""


@dataclass(frozen=True)
class TypeScan:
    """Plausible compositions of a formula type.

    Attributes:
        type: the formula and its letters.
        compositions: one request each, in the order of the draw.
        elements: what the letters are in each.
        wanted: how many were to be found.
        parents: known formulas that could give one.
        first: how many of them have a structure of the symmetry and size that are asked for; None: neither is.
        known: exchanges passed over since what they give is known, or was given before.
        unbalanced: those passed over since no charges balance.
        known_to: what knows the formulas that are not new, in words.
    """

    type: FormulaType
    compositions: tuple[Composition, ...]
    elements: tuple[Mapping[str, str], ...]
    wanted: int
    parents: int
    first: int | None
    known: int
    unbalanced: int
    known_to: tuple[str, ...] = ("the table",)

    @property
    def facts(self) -> dict[str, str | int]:
        """How many, and what was left out, for ``run.yaml``."""
        return {
            "type": self.type.reading,
            "compositions": len(self.compositions),
            "wanted": self.wanted,
            "parents": self.parents,
            **({} if self.first is None else {"parents_of_that_symmetry_and_size": self.first}),
            "known": self.known,
            "unbalanced": self.unbalanced,
        }

    @property
    def shortage(self) -> str | None:
        """A line where there are fewer than wanted."""
        if len(self.compositions) == self.wanted:
            return None
        return (
            f"{self.type.formula}: {len(self.compositions)} compositions of {self.wanted} wanted: "
            f"no more by one exchange in {self.parents} known formulas"
        )

    @property
    def summary(self) -> str:
        """The same in lines: how the formula was read, and what came of it."""
        first = "" if self.first is None else f" ({self.first} with a structure of that symmetry and size, first)"
        account = (
            f"{self.type.formula}: {len(self.compositions)} new compositions, not known to "
            f"{' or '.join(self.known_to)}, each by one exchange in one of {self.parents} known formulas{first}; "
            f"passed over: {self.known} exchanges that give a formula known or chosen, {self.unbalanced} whose charges "
            "do not balance"
        )
        return "\n".join([self.type.reading, account, *([self.shortage] if self.shortage else [])])


class _Exchange(NamedTuple):
    """In the order of preference."""

    distance: float
    new: int
    old: int


@dataclass(frozen=True, eq=False)
class _Places:
    """The places of a formula type, those of fewest atoms first, and what may stand in them.

    Attributes:
        names: letters and elements.
        counts: atoms of each, ascending.
        usual: atomic numbers that belong there.
        allowed: those that may be given.
        end: the place that the formula ends with; None where the user says what it is.
        before: places whose elements stand in no later column than that at the end.
        required: elements that have to occur.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    usual: tuple[frozenset[int], ...]
    allowed: tuple[frozenset[int], ...]
    end: int | None
    before: tuple[int, ...]
    required: frozenset[int]

    @classmethod
    def of(
        cls, kind: FormulaType, seen: frozenset[int], elements: Sequence[str] | None, must_contain: Sequence[str]
    ) -> _Places:
        """Of a type, where only ``elements`` among those that were seen may occur, and ``must_contain`` have to."""
        names = tuple(sorted(kind.symbols, key=kind.counts.__getitem__))
        may = seen if elements is None else seen & _numbers(elements)
        usual, allowed = [], []
        for name in names:
            letter = kind.letters.get(name)
            usual.append(_numbers(letter.elements if letter and letter.said == "habit" else SYMBOLS[1:]))
            if letter is None:
                allowed.append(_numbers((name,)) & may)
            else:
                unusual = frozenset[int]() if letter.said == "listed" or elements is not None else _UNUSUAL
                allowed.append((_numbers(letter.elements) & may) - _numbers(kind.fixed) - unusual)
        by_habit = [name for name in names if name in kind.letters and kind.letters[name].said == "habit"]
        end = kind.symbols[-1]
        return cls(
            names=names,
            counts=tuple(kind.counts[name] for name in names),
            usual=tuple(usual),
            allowed=tuple(allowed),
            end=names.index(end) if end in (*by_habit, *kind.fixed) else None,
            before=tuple(names.index(name) for name in by_habit if name != end),
            required=_numbers(must_contain),
        )

    def are_in_order(self, elements: Sequence[int]) -> bool:
        """Whether the formula ends with what is most like an anion."""
        return self.end is None or all(_column(elements[i]) <= _column(elements[self.end]) for i in self.before)

    def assignments(self, formula: Mapping[int, int]) -> Iterator[tuple[int, ...]]:
        """The ways to give a formula's elements to the places, in the order in which elements are written."""
        written = sorted(formula, key=chemical_rank)
        blocks = ([number for number in written if formula[number] == count] for count in dict.fromkeys(self.counts))
        for ways in product(*map(permutations, blocks)):
            elements = tuple(number for way in ways for number in way)
            if self.are_in_order(elements) and not _misfits(elements, self.usual):
                yield elements

    def exchanges(self, parent: Mapping[int, int]) -> tuple[bool, set[_Exchange]]:
        """Whether a known formula is of the type itself, and the exchanges that make a formula of the type of it."""
        options: dict[bool, set[_Exchange]] = defaultdict(set)
        for elements in self.assignments(parent):
            outside = _misfits(elements, self.allowed)
            for place in range(len(elements)) if not outside else outside if len(outside) == 1 else ():
                for exchange in _alike(elements[place], bool(outside)):
                    new = exchange.new
                    changed = (*elements[:place], new, *elements[place + 1 :])
                    fits = new in self.allowed[place] and new not in parent and self.are_in_order(changed)
                    if fits and self.required <= {*changed}:
                        options[not outside].add(exchange)
        return (True, options[True]) if options[True] else (False, options[False])


@cache
def _alike(old: int, forced: bool) -> list[_Exchange]:
    """What may come in the place of an element; forced where it may not stay."""
    distances = element_distances()[old].round(9)  # so that the last digit of a sum decides no tie
    return [
        _Exchange(float(distances[new]), new, old)
        for new in range(1, len(SYMBOLS))
        if (_charges(old) == _charges(new) and (forced or distances[new] <= FARTHEST))
        or (forced and distances[new] <= ALIKE)
    ]


def _misfits(elements: Sequence[int], places: Sequence[frozenset[int]]) -> list[int]:
    """Places that do not hold their element."""
    return [place for place, number in enumerate(elements) if number not in places[place]]


def exchange_elements(
    kind: FormulaType,
    parents: Collection[Formula],
    limit: int,
    seed: int,
    *,
    known: Collection[Formula] = (),
    known_to: tuple[str, ...] = ("the table",),
    first: Collection[Formula] | None = None,
    elements: Sequence[str] | None = None,
    must_contain: Sequence[str] = (),
) -> TypeScan:
    """Plausible compositions of a formula type that are not known.

    Args:
        kind: with at least one open letter.
        parents: known formulas, of any type.
        limit: compositions, at most; a larger one only adds.
        seed: of their order.
        known: what counts as known, too.
        known_to: what knows the formulas of ``parents`` and ``known``, in words.
        first: parents that come before the others.
        elements: only these may occur.
        must_contain: these have to.

    Raises:
        UserError: none is found.
    """
    # late: the chemistry stack need not be there where only models are trained and drawn from
    from unigen.crystals.plausibility.charge_balance import check_composition

    seen = frozenset(number for formula in parents for number, _ in formula)
    places = _Places.of(kind, seen, elements, must_contain)
    ratio = sorted(places.counts)
    of_ratio = sorted(formula for formula in parents if sorted(count for _, count in formula) == ratio)
    rng = np.random.default_rng(seed)
    tiers: dict[tuple[bool, bool], list[Formula]] = defaultdict(list)
    nearest: dict[Formula, list[list[_Exchange]]] = {}
    for row in rng.permutation(len(of_ratio)).tolist():
        formula = of_ratio[row]
        fits, exchanges = places.exchanges(dict(formula))
        if exchanges:
            tiers[not fits, first is not None and formula not in first].append(formula)
            old = rng.permutation(sorted({each.old for each in exchanges})).tolist()
            nearest[formula] = [sorted(each for each in exchanges if each.old == number) for number in old]
    found: dict[Formula, tuple[Composition, dict[str, str]]] = {}
    used: set[Formula] = set()
    passed: Counter[str] = Counter()
    # the nearest exchanges of all parents, then the second nearest of those that have given nothing yet
    for parent, place in ((each, place) for tier in sorted(tiers) for place in range(NEAREST) for each in tiers[tier]):
        if len(found) == limit:
            break
        for exchange in (each[place] for each in nearest[parent] if parent not in used and place < len(each)):
            counts = {exchange.new if number == exchange.old else number: count for number, count in parent}
            formula = tuple(sorted(counts.items()))
            text = format_formula(counts)
            if formula in parents or formula in known or formula in found:
                passed["known"] += 1
            elif not check_composition(text).valid:
                passed["unbalanced"] += 1
            else:
                used.add(parent)
                atoms = next(each for each in places.assignments(counts) if not _misfits(each, places.allowed))
                found[formula] = (
                    Composition(
                        formula=text,
                        system="-".join(SYMBOLS[number] for number in sorted(counts, key=chemical_rank)),
                        distance=round(counts[exchange.new] / sum(counts.values()) * exchange.distance, 9),
                        known=False,
                        charge_balanced=True,
                        relative=format_formula(dict(parent)),
                    ),
                    {name: SYMBOLS[number] for name, number in zip(places.names, atoms, strict=True)},
                )
                break
    if not found:
        raise UserError(
            f"formula: no plausible composition that is new; {kind.reading}",
            got=f"{len(nearest)} known formulas that one exchange could make one: {passed['known']} exchanges give "
            f"what is known, {passed['unbalanced']} what cannot balance its charges",
            next_step="allow more elements, or list those of every letter: all that is listed is drawn, known or not",
        )
    return TypeScan(
        type=kind,
        compositions=tuple(composition for composition, _ in found.values()),
        elements=tuple(letters for _, letters in found.values()),
        wanted=limit,
        parents=len(nearest),
        first=None if first is None else sum(len(tier) for (_, later), tier in tiers.items() if not later),
        known=passed["known"],
        unbalanced=passed["unbalanced"],
        known_to=known_to,
    )


def _numbers(symbols: Iterable[str]) -> frozenset[int]:
    return frozenset(ATOMIC_NUMBER[symbol] for symbol in symbols)


@cache
def _column(number: int) -> float:
    """Of the periodic table: formulas are written from left to right."""
    return _HYDROGEN_COLUMN if number == 1 else float(period_and_group(number)[1])


def _charges(number: int) -> float:
    """The same for elements that have the same: those of a column, and the transition metals of columns 4 to 11."""
    return 4.0 if 4 <= _column(number) <= 11 else _column(number)
