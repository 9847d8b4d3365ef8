"""A skeleton as SMILES: Kekule form, any root, any order of branches, stereo as the skeleton has it.

One normal form, so that there is one way to write what is being written: a ring is opened where it is met first, its
bond is written there and not where it closes; digits that close stand before digits that open, which take the lowest
number that is free before the atom; the last neighbour follows without parentheses; atoms stand in brackets only where
text without them would mean something else. Source: OpenSMILES specification 1.0, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from unigen.elements import ATOMIC_NUMBER
from unigen.errors import UserError
from unigen.shapes import Int
from unigen.smiles.directions import bond_directions
from unigen.smiles.handedness import odd
from unigen.smiles.skeleton import Skeleton
from unigen.smiles.stereo import Graph
from unigen.smiles.text import ORGANIC, smiles_text
from unigen.tokens.vocabulary import element_symbol, mark_symbol

VALENCES = {"B": (3,), "C": (4,), "N": (3,), "O": (2,), "P": (3, 5), "S": (2, 4, 6)} | dict.fromkeys(ORGANIC[6:], (1,))
"""Sums of bond orders, hydrogens counted, of atoms without brackets: OpenSMILES' table as far as RDKit agrees with it
(it does not allow pentavalent nitrogen). Text without brackets has the hydrogens that lead to the next of them."""

_VALENCES = {ATOMIC_NUMBER[element]: valences for element, valences in VALENCES.items()}
_OPEN, _CLOSE = mark_symbol("("), mark_symbol(")")
_ORDER = {1: (), 2: (mark_symbol("="),), 3: (mark_symbol("#"),)}
_DIRECTION = {1: (mark_symbol("/"),), -1: (mark_symbol("\\"),)}
_MOST_RINGS = 99


@dataclass(frozen=True, eq=False)
class WrittenSmiles:
    """A SMILES and which of its tokens is which atom.

    Attributes:
        symbols: symbol of each token, shape (tokens,); neither BEGIN nor END.
        text: the same as text.
        order: atom of the skeleton that is written first, second, ..., shape (atoms,).
        atom: atom of the skeleton that each token belongs to, shape (tokens,): its element and what stands with it in
            brackets; -1 of bonds, branches and ring digits.
        place: token of the element of each atom, in the order of ``order``, shape (atoms,).
    """

    symbols: Int[np.ndarray, "tokens"]
    text: str
    order: Int[np.ndarray, "atoms"]
    atom: Int[np.ndarray, "tokens"]
    place: Int[np.ndarray, "atoms"]


def implied_hydrogens(number: int, bonds: int) -> int:
    """Hydrogens that SMILES add to an atom without brackets whose bonds' orders sum to this; -1 where none are known.

    Example:
        >>> [implied_hydrogens(16, bonds) for bonds in (1, 2, 4, 7)]
        [1, 0, 0, -1]
    """
    return next((valence - bonds for valence in _VALENCES.get(number, ()) if valence >= bonds), -1)


def write_smiles(
    skeleton: Skeleton, rng: np.random.Generator | None = None, root: int | None = None, *, stereo: bool = True
) -> WrittenSmiles:
    """Write a molecule.

    Args:
        skeleton: one connected molecule.
        rng: draws the root and the order of branches; None takes the first atom and ascending order.
        root: atom to begin with.
        stereo: False leaves chirality and sides of double bonds out.

    Raises:
        UserError: several fragments, or more than 99 rings open at once.

    Example:
        >>> bonds = np.array([[0, 1, 1], [1, 2, 1]])
        >>> ethanol = Skeleton(np.array([6, 6, 8]), np.zeros(3, int), np.array([3, 2, 1]), bonds)
        >>> write_smiles(ethanol, root=1).text
        'C(C)O'
    """
    graph = skeleton.graph
    rank = list(range(len(skeleton))) if rng is None else rng.permutation(len(skeleton)).tolist()
    walk = _Walk.through(graph, rank, rank.index(0) if root is None else root)
    directions = {}
    if stereo and skeleton.double_bond.any():
        directions = bond_directions(graph, skeleton.double_bond.tolist(), walk.parent, walk.order)
    return _Pen(graph, walk, skeleton.chirality.tolist() if stereo else [0] * len(skeleton), directions).write()


@dataclass(frozen=True, eq=False)
class _Walk:
    """A depth-first walk: atoms in its order, and for each atom where it is reached from and what follows.

    Attributes:
        order: atoms.
        parent: -1 of the root.
        children: in order.
        opened: atoms further on that a ring leads to, as they come.
        closed: atoms before that a ring leads to.
    """

    order: list[int]
    parent: list[int]
    children: list[list[int]]
    opened: list[list[int]]
    closed: list[list[int]]

    @classmethod
    def through(cls, graph: Graph, rank: list[int], root: int) -> _Walk:
        """Neighbours in the order of their ranks."""
        near = [sorted(others, key=rank.__getitem__) for others in graph.neighbours]
        children, opened, closed = ([list[int]() for _ in near] for _ in range(3))
        walk = cls([root], [-1] * len(near), children, opened, closed)
        place = [-1] * len(near)
        place[root] = 0
        trail = [(root, iter(near[root]))]
        while trail:
            atom, others = trail[-1]
            for other in others:
                if place[other] < 0:
                    place[other], walk.parent[other] = len(walk.order), atom
                    walk.order.append(other)
                    walk.children[atom].append(other)
                    trail.append((other, iter(near[other])))
                    break
                if place[other] < place[atom] and other != walk.parent[atom]:
                    walk.opened[other].append(atom)
                    walk.closed[atom].append(other)
            else:
                trail.pop()
        if len(walk.order) < len(near):
            raise UserError("several fragments", got=f"{len(walk.order)} of {len(near)} atoms connected", wanted="one")
        return walk


class _Pen:
    """Writes one walk."""

    def __init__(self, graph: Graph, walk: _Walk, chirality: list[int], directions: dict[tuple[int, int], int]) -> None:
        self.graph, self.walk, self.chirality, self.directions = graph, walk, chirality, directions
        self.symbols: list[int] = []
        self.atom: list[int] = []
        self.place: list[int] = []
        self.digits: dict[tuple[int, int], int] = {}

    def write(self) -> WrittenSmiles:
        """All atoms, each with its rings, then its branches."""
        todo = [(self.walk.order[0], False)]
        while todo:
            atom, branches = todo.pop()
            if atom < 0:
                self._put((_CLOSE,))
                continue
            self._put((_OPEN,) if branches else ())
            self._put(self._bond(self.walk.parent[atom], atom))
            self._write_atom(atom)
            *others, last = self.walk.children[atom] or [-1]
            todo += [(last, False)] if last >= 0 else []
            for other in reversed(others):
                todo += [(-1, False), (other, True)]
        symbols, order = np.array(self.symbols), np.array(self.walk.order)
        return WrittenSmiles(symbols, smiles_text(self.symbols), order, np.array(self.atom), np.array(self.place))

    def _put(self, symbols: Sequence[int], atom: int = -1) -> None:
        self.symbols += symbols
        self.atom += [atom] * len(symbols)

    def _bond(self, start: int, end: int) -> tuple[int, ...]:
        """What stands between two atoms, written from the first to the second."""
        if start < 0:
            return ()
        if (start, end) in self.directions:
            return _DIRECTION[self.directions[start, end]]
        return _ORDER[self.graph.order[start, end]]

    def _write_atom(self, atom: int) -> None:
        closed = sorted(self.walk.closed[atom], key=lambda other: self.digits[other, atom])
        opened = self.walk.opened[atom]
        graph, hand = self.graph, self._hand(atom, [*closed, *opened])
        spelled = spelled_atom(
            graph.numbers[atom], graph.charges[atom], graph.hydrogens[atom], hand, graph.valence[atom]
        )
        self.place.append(len(self.symbols) + (len(spelled) > 1))
        self._put(spelled, atom)
        taken = set(self.digits.values())
        for other in closed:
            self._put(_digit(self.digits.pop((other, atom))))
        for other in opened:
            digit = next(number for number in range(1, _MOST_RINGS + 2) if number not in taken)
            self.digits[atom, other] = digit
            taken.add(digit)
            self._put(self._bond(atom, other) + _digit(digit))

    def _hand(self, atom: int, rings: list[int]) -> int:
        """-1 for ``@``, +1 for ``@@``, 0 for neither: the chirality with the neighbours as they are written."""
        if not self.chirality[atom]:
            return 0
        parent = self.walk.parent[atom]
        written = [*([parent] if parent >= 0 else []), *rings, *self.walk.children[atom]]
        return self.chirality[atom] * (-1 if odd(written) != moves_unwritten(self.graph, atom, parent) else 1)


def moves_unwritten(graph: Graph, atom: int, parent: int) -> bool:
    """Whether a hydrogen or lone pair stands an odd number of places from the front, where chirality counts it.

    A hydrogen is written behind the atom before (none: in front); RDKit takes a lone pair as the last of four.
    """
    if len(graph.neighbours[atom]) == 4:
        return False
    return parent >= 0 if graph.hydrogens[atom] else True


@lru_cache(maxsize=4096)
def spelled_atom(number: int, charge: int, hydrogens: int, hand: int, bonds: int) -> tuple[int, ...]:
    """The symbols of an atom, in brackets where it needs them.

    Args:
        number: atomic number.
        charge: formal charge.
        hydrogens: attached ones.
        hand: -1 for ``@``, +1 for ``@@``, 0 for neither.
        bonds: sum of the orders of its bonds.
    """
    element = element_symbol(number)
    if not charge and not hand and implied_hydrogens(number, bonds) == hydrogens:
        return (element,)
    marks = [mark_symbol("@" if hand < 0 else "@@")] if hand else []
    if hydrogens:
        marks += [element_symbol(1), *(_figures(hydrogens) if hydrogens > 1 else ())]
    if charge:
        marks += [mark_symbol("+" if charge > 0 else "-"), *(_figures(abs(charge)) if abs(charge) > 1 else ())]
    return (mark_symbol("["), element, *marks, mark_symbol("]"))


def _figures(number: int) -> tuple[int, ...]:
    return tuple(mark_symbol(figure) for figure in str(number))


@lru_cache(maxsize=128)
def _digit(number: int) -> tuple[int, ...]:
    """A ring's number."""
    if number > _MOST_RINGS:
        raise UserError("too many rings open at once", got=number, wanted=f"at most {_MOST_RINGS}")
    return ((mark_symbol("%"),) if number > 9 else ()) + _figures(number)
