"""Where the writing of a SMILES stands, and where each atom, ring, branch and end of a branch leads.

Only what `unigen.smiles.writer` writes is led to: rings are opened with their bonds, digits that close come
first and ascend, a branch is followed by something. Nothing here looks further than one step.
"""

from __future__ import annotations

from typing import NamedTuple

from unigen.smiles.atoms import AtomSpelling, OpenValence, after_bond

CLOSES, OPENS, BRANCHES, SETTLED = 0, 1, 2, 3
"""What may follow an atom: rings that close and all else; rings that open and all else; branches and the chain, one of
which must follow; these or the end, where the atom's hydrogens are written."""


class Rest(NamedTuple):
    """What is still to be written.

    Attributes:
        atoms: at most (without a formula), or exactly.
        charge: the sum of the charges to come.
        counts: exact number of atoms to come by index of the element in the grammar; empty without a formula.
        hydrogens: exact number of hydrogens to come; -1 without a formula.
    """

    atoms: int
    charge: int
    counts: tuple[int, ...] = ()
    hydrogens: int = -1


class Ring(NamedTuple):
    """An open ring: digit, order of its bond, the atom that opened it, +1 where the bond goes up from it, -1 down."""

    digit: int
    order: int
    opener: int
    sign: int = 0


class BranchPoint(NamedTuple):
    """An atom before a parenthesis: its open valence, index and marks."""

    valence: OpenValence
    atom: int
    marks: int


class State(NamedTuple):
    """Behind an atom, its rings or its branches.

    Attributes:
        valence: what is open of the atom that the next one is bonded to.
        atom: its index as written.
        marks: of its bonds: 1 if one goes up from it, 2 if one goes down, 4 if one is double or triple.
        stage: CLOSES, OPENS, BRANCHES or SETTLED.
        blocked: digits of the open rings that may not close here.
        closed: digits that closed here.
        branch_points: atoms whose branches are open, innermost last.
        rings: open ones, by digit.
        written: number of atoms.
        rest: what is to come.
    """

    valence: OpenValence
    atom: int
    marks: int
    stage: int
    blocked: frozenset[int]
    closed: tuple[int, ...]
    branch_points: tuple[BranchPoint, ...]
    rings: tuple[Ring, ...]
    written: int
    rest: Rest


def first_atom(spelling: AtomSpelling, element: int, rest: Rest) -> State | None:
    """An atom at the beginning."""
    left = _rest_after(rest, spelling, element)
    return None if left is None else State(spelling.valence, 0, 0, CLOSES, frozenset(), (), (), (), 1, left)


def _rest_after(rest: Rest, spelling: AtomSpelling, element: int, hydrogens: int = 0) -> Rest | None:
    """What is to come behind an atom, and behind one that is left with these hydrogens."""
    if rest.atoms == 0:
        return None
    if rest.hydrogens < 0:
        return Rest(rest.atoms - 1, rest.charge - spelling.charge)
    counts, left = rest.counts, rest.hydrogens - hydrogens - spelling.hydrogens
    if left < 0 or not counts[element]:
        return None
    fewer = (*counts[:element], counts[element] - 1, *counts[element + 1 :])
    return Rest(rest.atoms - 1, rest.charge - spelling.charge, fewer, left)


def add_atom(
    state: State, spelling: AtomSpelling, element: int, order: int, *, branch: bool, sign: int = 0
) -> State | None:
    """An atom further along the chain, or as the first of a branch; None where it cannot stand.

    Args:
        state: before it.
        spelling: how it is written.
        element: index of its element in the grammar.
        order: of the bond to it.
        branch: whether a parenthesis is opened.
        sign: +1 when the bond is written as going up, -1 down.
    """
    valence, valence_of_new = after_bond(state.valence, order), after_bond(spelling.valence, order)
    if valence is None or valence_of_new is None:
        return None
    if branch and len(valence) == 2:
        return None
    hydrogens = 0 if branch else valence[1]
    rest = _rest_after(state.rest, spelling, element, hydrogens) if hydrogens >= 0 else None
    if rest is None:
        return None
    marked = _marked(state.marks, order, sign)
    if marked is None:
        return None
    marks, single = marked
    valence = (1, *valence[1:]) if single else valence
    branch_points = (*state.branch_points, BranchPoint(valence, state.atom, marks)) if branch else state.branch_points
    blocked = frozenset([ring.digit for ring in state.rings if ring.opener == state.atom])
    return State(
        valence_of_new,
        state.written,
        _marks(order, -sign),
        CLOSES,
        blocked,
        (),
        branch_points,
        state.rings,
        state.written + 1,
        rest,
    )


def _marks(order: int, sign: int) -> int:
    """The marks that a bond leaves at the atom from which it has this direction."""
    return 4 * (order > 1) | (0, 1, 2)[sign]  # bits; an index of -1 is the last, which is down


def _marked(marks: int, order: int, sign: int) -> tuple[int, bool] | None:
    """Marks with those of one more bond, and whether the atom may have no double bond; None where it has one.

    Two bonds that go the same way cannot both stand at one end of a double bond.
    """
    both = bool(sign and marks & _marks(1, sign))
    return None if both and marks & 4 else (marks | _marks(order, sign), both)


def close_ring(state: State, ring: Ring) -> State | None:
    """A ring closes here; None where it cannot."""
    if not _may_close(state, ring):
        return None
    valence = after_bond(state.valence, ring.order)
    if valence is None:
        return None
    same_opener = [other.digit for other in state.rings if other.opener == ring.opener]
    return state._replace(
        valence=valence,
        marks=state.marks | _marks(ring.order, -ring.sign),
        blocked=state.blocked.union(same_opener),
        closed=(*state.closed, ring.digit),
        rings=tuple([other for other in state.rings if other.digit != ring.digit]),
    )


def free_digit(state: State) -> int:
    """The digit of the next ring that opens."""
    taken = {ring.digit for ring in state.rings}.union(state.closed)
    return next(digit for digit in range(1, len(taken) + 2) if digit not in taken)


def open_ring(state: State, order: int, most: int, sign: int = 0) -> State | None:
    """A ring opens here, with a digit that is not above ``most``; None where it cannot."""
    valence, marked = after_bond(state.valence, order), _marked(state.marks, order, sign)
    if state.stage >= BRANCHES or valence is None or marked is None:
        return None
    digit = free_digit(state)
    if digit > most:
        return None
    marks, single = marked
    return state._replace(
        valence=(1, *valence[1:]) if single else valence,
        marks=marks,
        stage=OPENS,
        rings=tuple(sorted((*state.rings, Ring(digit, order, state.atom, sign)))),
    )


def close_branch(state: State) -> State | None:
    """A branch ends here; None where it cannot."""
    hydrogens = state.valence[1]
    if not state.branch_points or hydrogens < 0 or state.stage == BRANCHES:
        return None
    rest = state.rest
    if rest.hydrogens >= 0:
        if hydrogens > rest.hydrogens:
            return None
        rest = rest._replace(hydrogens=rest.hydrogens - hydrogens)
    branch_point, branch_points = state.branch_points[-1], state.branch_points[:-1]
    blocked = frozenset([ring.digit for ring in state.rings])
    return State(
        branch_point.valence,
        branch_point.atom,
        branch_point.marks,
        BRANCHES,
        blocked,
        (),
        branch_points,
        state.rings,
        state.written,
        rest,
    )


def with_settled_hydrogens(state: State, count: int) -> State | None:
    """The hydrogens of the last atom are written, and are so many; None where that cannot be."""
    highest_order, *hydrogens = state.valence
    rest = state.rest
    if state.stage >= BRANCHES or count not in hydrogens or 0 <= rest.hydrogens < count:
        return None
    if rest.hydrogens > 0:
        rest = rest._replace(hydrogens=rest.hydrogens - count)
    most = len(hydrogens) - hydrogens[::-1].index(count)
    valence = (highest_order, *[0 if number == count else -1 for number in hydrogens[:most]])  # as that of a bracket
    return state._replace(valence=valence, stage=SETTLED, rest=rest)


def may_end(state: State) -> bool:
    """Whether the text is a whole molecule, and the one that is wanted."""
    rest, hydrogens = state.rest, state.valence[1]
    if hydrogens < 0 or state.branch_points or state.rings or state.stage == BRANCHES or rest.charge:
        return False
    return rest.hydrogens < 0 or (rest.atoms == 0 and rest.hydrogens == hydrogens)


def completion_key(state: State) -> tuple[object, ...]:
    """What completions depend on: not the names of digits and atoms, only which atom to come may close which rings."""
    rings: tuple[tuple[object, ...], ...] = ()
    if state.rings:
        names = {point.atom: index for index, point in enumerate(state.branch_points)}
        names[state.atom] = len(names)
        rings = tuple(
            [
                (ring.order, ring.sign, names.setdefault(ring.opener, len(names)), _may_close(state, ring))
                for ring in state.rings
            ]
        )
    valences = tuple([point.valence for point in state.branch_points])
    return (state.valence, state.stage, valences, rings, len(state.closed), state.rest)


def symbols_key(state: State) -> tuple[object, ...]:
    """What the symbols that may follow depend on: completions, digits, the last atom's directed bonds."""
    return (completion_key(state), tuple([ring.digit for ring in state.rings]), state.closed, state.marks)


def _may_close(state: State, ring: Ring) -> bool:
    """Whether a ring may close at the last atom, as far as digits, bonds and directions before it say."""
    if state.stage != CLOSES or ring.digit in state.blocked or state.closed[-1:] >= (ring.digit,):
        return False
    return not (ring.sign and state.marks & _marks(1, -ring.sign))
