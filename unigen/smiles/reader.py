"""Symbols of SMILES to a skeleton; inverse of `unigen.smiles.writer`.

It reads any SMILES of one molecule in Kekule form, whoever wrote it: ring bonds may be written at either end, digits in
any order. Isotopes and atom classes are dropped: the models know elements. Aromatic symbols are refused, since reading
them takes a perception of rings that the data layer has (RDKit).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import numpy as np

from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.errors import UserError
from unigen.shapes import Int, Integer
from unigen.smiles.handedness import odd
from unigen.smiles.skeleton import Skeleton
from unigen.smiles.stereo import Graph, can_have_sides
from unigen.smiles.text import ORGANIC, TEXT
from unigen.smiles.writer import implied_hydrogens, moves_unwritten
from unigen.tokens.vocabulary import AROMATIC

_ATOM = re.compile(r"\d*([A-Z][a-z]?)(@{0,2})(?:(H)(\d*))?(?:([+-])(\d+)|(\++|-+))?(?::\d+)?")
_ORDERS = {"-": 1, "=": 2, "#": 3, "/": 1, "\\": 1}
_DIRECTIONS = {"/": 1, "\\": -1}


class ReadSmiles(NamedTuple):
    """What a SMILES says.

    Attributes:
        skeleton: its atoms in the order of the text.
        atom: index of the atom that each token belongs to, shape (tokens,): an element and what stands with it in
            brackets; -1 of bonds, branches and ring digits.
        place: token of the element of each atom, shape (atoms,).
    """

    skeleton: Skeleton
    atom: Int[np.ndarray, "tokens"]
    place: Int[np.ndarray, "atoms"]


def read_smiles(symbols: Sequence[int] | Integer[np.ndarray, "tokens"]) -> ReadSmiles:
    """Read a molecule.

    Args:
        symbols: of SMILES only, as `smiles_symbols` and `write_smiles` give them.

    Raises:
        UserError: naming the SMILES, the token and what is wrong: not balanced, a ring that is not closed or leads to
            a neighbour, too many bonds of an atom without brackets, several molecules, aromatic symbols.

    Example:
        >>> read_smiles(smiles_symbols("C[NH3+]")).skeleton.hydrogens
        array([3, 3])
    """
    return _Reader([TEXT[int(symbol)] for symbol in symbols]).read()


@dataclass
class _Ring:
    """A ring that is open: where, and what its bond is there."""

    atom: int
    slot: int
    bond: str


@dataclass
class _Reader:
    """Reads one SMILES token by token."""

    tokens: list[str]
    at: int = 0
    numbers: list[int] = field(default_factory=list)
    charges: list[int] = field(default_factory=list)
    hydrogens: list[int] = field(default_factory=list)
    hands: list[int] = field(default_factory=list)
    near: list[list[int]] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    bonds: dict[tuple[int, int], int] = field(default_factory=dict)
    directions: dict[tuple[int, int], int] = field(default_factory=dict)
    rings: dict[int, _Ring] = field(default_factory=dict)
    branches: list[int] = field(default_factory=list)
    last: int = -1
    bond: str = ""

    def read(self) -> ReadSmiles:
        """All tokens, then what only the whole tells."""
        owner = []
        while self.at < len(self.tokens):
            start, atoms = self.at, len(self.numbers)
            self._take()
            self.at += 1
            owner += [atoms if len(self.numbers) > atoms else -1] * (self.at - start)
        if not self.numbers or self.bond or self.branches or self.rings:
            ring = next(iter(self.rings), "")
            what = f"ring {ring} is not closed" if self.rings else "it ends in the middle"
            self._refuse(what if self.numbers else "it has no atoms")
        return ReadSmiles(self._skeleton(), np.array(owner), np.array(self.place))

    def _refuse(self, what: str, wanted: str | None = None, next_step: str = "") -> NoReturn:
        got = f"{self.tokens[self.at]!r}, token {self.at + 1}" if self.at < len(self.tokens) else None
        text = "".join(self.tokens)
        raise UserError(what, where=f"SMILES {text[:80]!r}", got=got, wanted=wanted, next_step=next_step)

    def _take(self) -> None:
        """One atom, bond, branch or ring."""
        piece = self.tokens[self.at]
        if piece == "[":
            self._take_bracket()
        elif piece in ORGANIC:
            self._add(ATOMIC_NUMBER[piece])
        elif piece.isdigit() or piece == "%":
            self._take_ring(piece)
        elif piece in _ORDERS and self.last >= 0 and not self.bond:
            self.bond = piece
        elif piece == "(" and self.last >= 0 and not self.bond and self.tokens[self.at - 1] != "(":
            self.branches.append(self.last)
        elif piece == ")" and self.branches and not self.bond and self.tokens[self.at - 1] != "(":
            self.last = self.branches.pop()
        elif piece in AROMATIC or piece == ":":
            self._refuse("an aromatic symbol", "the Kekule form", "let RDKit write it: MolToSmiles(kekuleSmiles=True)")
        elif piece == ".":
            self._refuse("several fragments", "one molecule")
        else:
            self._refuse("this cannot stand here")

    def _take_bracket(self) -> None:
        """An atom in brackets."""
        try:
            end = self.tokens.index("]", self.at)
        except ValueError:
            self._refuse("a bracket that is not closed")
        inner = "".join(self.tokens[self.at + 1 : end])
        atom = _ATOM.fullmatch(inner)
        if atom is None or atom[1] not in ATOMIC_NUMBER:
            aromatic = inner.lstrip("0123456789")[:1].islower()
            step = "let RDKit write the Kekule form: MolToSmiles(kekuleSmiles=True)" if aromatic else ""
            self._refuse(f"cannot read the atom [{inner}]", "element, @ or @@, hydrogens, charge", step)
        element, hand, hydrogen, times, sign, size, signs = atom.groups()
        charge = len(signs or "") or int(size or 0)
        negative = (sign or (signs or "+")[0]) == "-"
        hydrogens = int(times or 1) if hydrogen else 0
        place = self.at + 1 + next(i for i, token in enumerate(self.tokens[self.at + 1 :]) if token == element)
        self.at = end
        self._add(ATOMIC_NUMBER[element], -charge if negative else charge, hydrogens, len(hand), place)

    def _add(self, number: int, charge: int = 0, hydrogens: int = -1, hand: int = 0, place: int = -1) -> None:
        """An atom, bonded to the last one."""
        atom = len(self.numbers)
        if self.last < 0 and atom:
            self._refuse("this cannot stand here")
        self.numbers.append(number)
        self.charges.append(charge)
        self.hydrogens.append(hydrogens)
        self.hands.append((0, -1, 1)[hand])
        self.place.append(place if place >= 0 else self.at)
        self.parent.append(self.last)
        self.near.append([self.last] if self.last >= 0 else [])
        if self.last >= 0:
            self.near[self.last].append(atom)
            self._join(self.last, atom, self.bond)
        self.last, self.bond = atom, ""

    def _join(self, start: int, end: int, bond: str) -> None:
        if start == end or (min(start, end), max(start, end)) in self.bonds:
            self._refuse("a ring of fewer than three atoms")
        self.bonds[min(start, end), max(start, end)] = _ORDERS.get(bond, 1)
        if bond in _DIRECTIONS:
            self.directions[start, end], self.directions[end, start] = _DIRECTIONS[bond], -_DIRECTIONS[bond]

    def _take_ring(self, piece: str) -> None:
        """A ring opens or closes at the last atom."""
        if piece == "%":
            piece = "".join(self.tokens[self.at + 1 : self.at + 3])
            self.at += 2
        if self.last < 0 or not piece.isdigit():
            self._refuse("this cannot stand here")
        ring, number, bond = self.rings.pop(int(piece), None), int(piece), self.bond
        self.bond = ""
        if ring is None:
            self.rings[number] = _Ring(self.last, len(self.near[self.last]), bond)
            self.near[self.last].append(-1)
            return
        if bond and ring.bond and _ORDERS[bond] != _ORDERS[ring.bond]:
            self._refuse(f"ring {number} has bonds of two orders")
        self.near[ring.atom][ring.slot] = self.last
        self.near[self.last].append(ring.atom)
        if bond and not ring.bond:
            self._join(self.last, ring.atom, bond)
        else:
            self._join(ring.atom, self.last, ring.bond)

    def _skeleton(self) -> Skeleton:
        rows = [[one, two, order] for (one, two), order in sorted(self.bonds.items())]
        graph = Graph.of(self.numbers, self.charges, self.hydrogens, rows)
        for atom, number in enumerate(self.numbers):
            if self.hydrogens[atom] < 0:
                self.hydrogens[atom] = implied_hydrogens(number, graph.valence[atom])
                if self.hydrogens[atom] < 0:
                    self.at = self.place[atom]
                    self._refuse(f"{SYMBOLS[number]} has {graph.valence[atom]} bonds", "brackets, or fewer")
        return Skeleton(
            numbers=np.array(self.numbers),
            charges=np.array(self.charges),
            hydrogens=np.array(self.hydrogens),
            bonds=np.array(rows, dtype=np.int64).reshape(-1, 3),
            chirality=np.array([self._chirality(graph, atom) for atom in range(len(self.numbers))]),
            double_bond=np.array([self._side(graph, row) for row in range(len(rows))], dtype=np.int64),
        )

    def _chirality(self, graph: Graph, atom: int) -> int:
        """With the neighbours in ascending order what ``@`` and ``@@`` say of them as written; none where too few."""
        near = self.near[atom]
        if not self.hands[atom] or len(near) + min(self.hydrogens[atom], 1) not in (3, 4) or len(near) < 3:
            return 0
        return self.hands[atom] * (-1 if odd(near) != moves_unwritten(graph, atom, self.parent[atom]) else 1)

    def _side(self, graph: Graph, row: int) -> int:
        """Side of the lowest neighbours of a bond, by the directions at its ends; zero where one has none."""
        if not self.directions or not can_have_sides(graph, row):
            return 0
        one, two, _ = graph.bonds[row]
        side = 1
        for atom, bonded in ((one, two), (two, one)):
            others = [other for other in graph.neighbours[atom] if other != bonded]
            said = {self.directions.get((atom, other), 0) * (1, -1)[place] for place, other in enumerate(others)} - {0}
            if len(said) > 1:
                self.at = self.place[atom]
                self._refuse("both neighbours of a double bond are on one side")
            side *= said.pop() if said else 0
        return side
