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
from unigen.molecules.handedness import odd
from unigen.shapes import Int
from unigen.smiles.directions import bond_directions
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
_MOST_RINGS = 99  # two digits behind %


@dataclass(frozen=True, eq=False)
class WrittenSmiles:
    """A SMILES and which of its tokens is which atom.

    Attributes:
        symbols: symbol of each token, shape (tokens,); neither BEGIN nor END.
        text: the same as text.
        order: atom of the skeleton that is written first, second, ..., shape (atoms,).
        atom: atom of the skeleton that each token belongs to, shape (tokens,): its element and what stands with it in
            brackets; -1 of bonds, branches and ring digits.
        element_token: token of the element of each atom, in the order of ``order``, shape (atoms,).
    """

    symbols: Int[np.ndarray, "tokens"]
    text: str
    order: Int[np.ndarray, "atoms"]
    atom: Int[np.ndarray, "tokens"]
    element_token: Int[np.ndarray, "atoms"]


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
    traversal = _Traversal.through(graph, rank, rank.index(0) if root is None else root)
    directions = {}
    if stereo and skeleton.double_bond.any():
        directions = bond_directions(graph, skeleton.double_bond.tolist(), traversal.parent, traversal.order)
    return _Writer(graph, traversal, skeleton.chirality.tolist() if stereo else [0] * len(skeleton), directions).write()


@dataclass(frozen=True, eq=False)
class _Traversal:
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
    def through(cls, graph: Graph, rank: list[int], root: int) -> _Traversal:
        """Neighbours in the order of their ranks."""
        near = [sorted(others, key=rank.__getitem__) for others in graph.neighbours]
        children, opened, closed = ([list[int]() for _ in near] for _ in range(3))
        traversal = cls([root], [-1] * len(near), children, opened, closed)
        visited = [-1] * len(near)  # when each atom is reached
        visited[root] = 0
        path = [(root, iter(near[root]))]
        while path:
            atom, others = path[-1]
            for other in others:
                if visited[other] < 0:
                    visited[other], traversal.parent[other] = len(traversal.order), atom
                    traversal.order.append(other)
                    traversal.children[atom].append(other)
                    path.append((other, iter(near[other])))
                    break
                if visited[other] < visited[atom] and other != traversal.parent[atom]:
                    traversal.opened[other].append(atom)
                    traversal.closed[atom].append(other)
            else:
                path.pop()
        if len(traversal.order) < len(near):
            raise UserError(
                "several fragments", got=f"{len(traversal.order)} of {len(near)} atoms connected", wanted="one"
            )
        return traversal


class _Writer:
    """Writes one traversal."""

    def __init__(
        self, graph: Graph, traversal: _Traversal, chirality: list[int], directions: dict[tuple[int, int], int]
    ) -> None:
        self.graph, self.traversal, self.chirality, self.directions = graph, traversal, chirality, directions
        self.symbols: list[int] = []
        self.atom: list[int] = []
        self.element_token: list[int] = []
        self.digits: dict[tuple[int, int], int] = {}

    def write(self) -> WrittenSmiles:
        """All atoms, each with its rings, then its branches."""
        stack = [(self.traversal.order[0], False)]
        while stack:
            atom, branches = stack.pop()
            if atom < 0:
                self._append((_CLOSE,))
                continue
            self._append((_OPEN,) if branches else ())
            self._append(self._bond(self.traversal.parent[atom], atom))
            self._write_atom(atom)
            *others, last = self.traversal.children[atom] or [-1]
            stack += [(last, False)] if last >= 0 else []
            for other in reversed(others):
                stack += [(-1, False), (other, True)]
        symbols, order = np.array(self.symbols), np.array(self.traversal.order)
        return WrittenSmiles(
            symbols, smiles_text(self.symbols), order, np.array(self.atom), np.array(self.element_token)
        )

    def _append(self, symbols: Sequence[int], atom: int = -1) -> None:
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
        closed = sorted(self.traversal.closed[atom], key=lambda other: self.digits[other, atom])
        opened = self.traversal.opened[atom]
        graph, mark = self.graph, self._chirality_mark(atom, [*closed, *opened])
        spelled = spelled_atom(
            graph.numbers[atom], graph.charges[atom], graph.hydrogens[atom], mark, graph.valence[atom]
        )
        self.element_token.append(len(self.symbols) + (len(spelled) > 1))
        self._append(spelled, atom)
        # Digits that close here are not free again before the next atom.
        taken = set(self.digits.values())
        for other in closed:
            self._append(_digit(self.digits.pop((other, atom))))
        for other in opened:
            digit = next(number for number in range(1, _MOST_RINGS + 2) if number not in taken)
            self.digits[atom, other] = digit
            taken.add(digit)
            self._append(self._bond(atom, other) + _digit(digit))

    def _chirality_mark(self, atom: int, rings: list[int]) -> int:
        """-1 for ``@``, +1 for ``@@``, 0 for neither: the chirality with the neighbours as they are written."""
        if not self.chirality[atom]:
            return 0
        parent = self.traversal.parent[atom]
        written = [*([parent] if parent >= 0 else []), *rings, *self.traversal.children[atom]]
        return self.chirality[atom] * (-1 if odd(written) != implicit_is_odd(self.graph, atom, parent) else 1)


def implicit_is_odd(graph: Graph, atom: int, parent: int) -> bool:
    """Whether a hydrogen or lone pair stands an odd number of places from the front, where chirality counts it.

    A hydrogen is written behind the atom before (none: in front); RDKit takes a lone pair as the last of four.
    """
    if len(graph.neighbours[atom]) == 4:
        return False
    return parent >= 0 if graph.hydrogens[atom] else True


@lru_cache(maxsize=4096)
def spelled_atom(number: int, charge: int, hydrogens: int, mark: int, bonds: int) -> tuple[int, ...]:
    """The symbols of an atom, in brackets where it needs them.

    Args:
        number: atomic number.
        charge: formal charge.
        hydrogens: attached ones.
        mark: -1 for ``@``, +1 for ``@@``, 0 for neither.
        bonds: sum of the orders of its bonds.
    """
    element = element_symbol(number)
    if not charge and not mark and implied_hydrogens(number, bonds) == hydrogens:
        return (element,)
    marks = [mark_symbol("@" if mark < 0 else "@@")] if mark else []
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
