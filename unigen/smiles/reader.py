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
from unigen.molecules.handedness import odd
from unigen.shapes import Int, Integer
from unigen.smiles.skeleton import Skeleton
from unigen.smiles.stereo import Graph, can_have_sides
from unigen.smiles.text import ORGANIC, TEXT
from unigen.smiles.writer import implicit_is_odd, implied_hydrogens
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
        element_token: token of the element of each atom, shape (atoms,).
    """

    skeleton: Skeleton
    atom: Int[np.ndarray, "tokens"]
    element_token: Int[np.ndarray, "atoms"]


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
    """A ring that is open: its atom, its slot among the neighbours as written, and the bond written there."""

    atom: int
    slot: int
    bond: str


@dataclass
class _Reader:
    """Reads one SMILES token by token."""

    tokens: list[str]
    position: int = 0
    numbers: list[int] = field(default_factory=list)
    charges: list[int] = field(default_factory=list)
    hydrogens: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)  # -1 of @, +1 of @@, 0 of neither
    written: list[list[int]] = field(
        default_factory=list
    )  # neighbours in the order of the text; -1 while a ring is open
    parent: list[int] = field(default_factory=list)
    element_token: list[int] = field(default_factory=list)
    bonds: dict[tuple[int, int], int] = field(default_factory=dict)
    directions: dict[tuple[int, int], int] = field(default_factory=dict)
    rings: dict[int, _Ring] = field(default_factory=dict)
    branches: list[int] = field(default_factory=list)
    last: int = -1
    bond: str = ""

    def read(self) -> ReadSmiles:
        """All tokens, then what only the whole tells."""
        atom_of_token = []
        while self.position < len(self.tokens):
            start, atoms = self.position, len(self.numbers)
            self._read_token()
            self.position += 1
            atom_of_token += [atoms if len(self.numbers) > atoms else -1] * (self.position - start)
        if not self.numbers or self.bond or self.branches or self.rings:
            ring = next(iter(self.rings), "")
            what = f"ring {ring} is not closed" if self.rings else "it ends in the middle"
            self._refuse(what if self.numbers else "it has no atoms")
        return ReadSmiles(self._skeleton(), np.array(atom_of_token), np.array(self.element_token))

    def _refuse(self, what: str, wanted: str | None = None, next_step: str = "") -> NoReturn:
        got = f"{self.tokens[self.position]!r}, token {self.position + 1}" if self.position < len(self.tokens) else None
        text = "".join(self.tokens)
        raise UserError(what, where=f"SMILES {text[:80]!r}", got=got, wanted=wanted, next_step=next_step)

    def _read_token(self) -> None:
        """One atom, bond, branch or ring."""
        lexeme = self.tokens[self.position]
        if lexeme == "[":
            self._read_bracket()
        elif lexeme in ORGANIC:
            self._add_atom(ATOMIC_NUMBER[lexeme])
        elif lexeme.isdigit() or lexeme == "%":
            self._read_ring(lexeme)
        elif lexeme in _ORDERS and self.last >= 0 and not self.bond:
            self.bond = lexeme
        elif lexeme == "(" and self.last >= 0 and not self.bond and self.tokens[self.position - 1] != "(":
            self.branches.append(self.last)
        elif lexeme == ")" and self.branches and not self.bond and self.tokens[self.position - 1] != "(":
            self.last = self.branches.pop()
        elif lexeme in AROMATIC or lexeme == ":":
            self._refuse("an aromatic symbol", "the Kekule form", "let RDKit write it: MolToSmiles(kekuleSmiles=True)")
        elif lexeme == ".":
            self._refuse("several fragments", "one molecule")
        else:
            self._refuse("this cannot stand here")

    def _read_bracket(self) -> None:
        """An atom in brackets."""
        try:
            end = self.tokens.index("]", self.position)
        except ValueError:
            self._refuse("a bracket that is not closed")
        text = "".join(self.tokens[self.position + 1 : end])
        atom = _ATOM.fullmatch(text)
        if atom is None or atom[1] not in ATOMIC_NUMBER:
            aromatic = text.lstrip("0123456789")[:1].islower()
            step = "let RDKit write the Kekule form: MolToSmiles(kekuleSmiles=True)" if aromatic else ""
            self._refuse(f"cannot read the atom [{text}]", "element, @ or @@, hydrogens, charge", step)
        element, mark, hydrogen, times, sign, size, signs = atom.groups()
        charge = len(signs or "") or int(size or 0)
        negative = (sign or (signs or "+")[0]) == "-"
        hydrogens = int(times or 1) if hydrogen else 0
        element_token = self.tokens.index(element, self.position + 1)
        self.position = end
        self._add_atom(ATOMIC_NUMBER[element], -charge if negative else charge, hydrogens, len(mark), element_token)

    def _add_atom(
        self, number: int, charge: int = 0, hydrogens: int = -1, mark: int = 0, element_token: int = -1
    ) -> None:
        """An atom, bonded to the last one."""
        atom = len(self.numbers)
        if self.last < 0 and atom:
            self._refuse("this cannot stand here")
        self.numbers.append(number)
        self.charges.append(charge)
        self.hydrogens.append(hydrogens)
        self.marks.append((0, -1, 1)[mark])
        self.element_token.append(element_token if element_token >= 0 else self.position)
        self.parent.append(self.last)
        self.written.append([self.last] if self.last >= 0 else [])
        if self.last >= 0:
            self.written[self.last].append(atom)
            self._add_bond(self.last, atom, self.bond)
        self.last, self.bond = atom, ""

    def _add_bond(self, start: int, end: int, bond: str) -> None:
        if start == end or (min(start, end), max(start, end)) in self.bonds:
            self._refuse("a ring of fewer than three atoms")
        self.bonds[min(start, end), max(start, end)] = _ORDERS.get(bond, 1)
        if bond in _DIRECTIONS:
            self.directions[start, end], self.directions[end, start] = _DIRECTIONS[bond], -_DIRECTIONS[bond]

    def _read_ring(self, lexeme: str) -> None:
        """A ring opens or closes at the last atom."""
        if lexeme == "%":
            lexeme = "".join(self.tokens[self.position + 1 : self.position + 3])
            self.position += 2
        if self.last < 0 or not lexeme.isdigit():
            self._refuse("this cannot stand here")
        ring, number, bond = self.rings.pop(int(lexeme), None), int(lexeme), self.bond
        self.bond = ""
        if ring is None:
            self.rings[number] = _Ring(self.last, len(self.written[self.last]), bond)
            self.written[self.last].append(-1)
            return
        if bond and ring.bond and _ORDERS[bond] != _ORDERS[ring.bond]:
            self._refuse(f"ring {number} has bonds of two orders")
        self.written[ring.atom][ring.slot] = self.last
        self.written[self.last].append(ring.atom)
        if bond and not ring.bond:
            self._add_bond(self.last, ring.atom, bond)
        else:
            self._add_bond(ring.atom, self.last, ring.bond)

    def _skeleton(self) -> Skeleton:
        rows = [[one, two, order] for (one, two), order in sorted(self.bonds.items())]
        graph = Graph.of(self.numbers, self.charges, self.hydrogens, rows)
        for atom, number in enumerate(self.numbers):
            if self.hydrogens[atom] < 0:
                self.hydrogens[atom] = implied_hydrogens(number, graph.valence[atom])
                if self.hydrogens[atom] < 0:
                    self.position = self.element_token[atom]
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
        written = self.written[atom]
        if not self.marks[atom] or len(written) + min(self.hydrogens[atom], 1) not in (3, 4) or len(written) < 3:
            return 0
        return self.marks[atom] * (-1 if odd(written) != implicit_is_odd(graph, atom, self.parent[atom]) else 1)

    def _side(self, graph: Graph, row: int) -> int:
        """Side of the lowest neighbours of a bond, by the directions at its ends; zero where one has none."""
        if not self.directions or not can_have_sides(graph, row):
            return 0
        one, two, _ = graph.bonds[row]
        side = 1
        for atom, bonded in ((one, two), (two, one)):
            others = [other for other in graph.neighbours[atom] if other != bonded]
            marked = [self.directions.get((atom, other), 0) for other in others]
            # The second neighbour lies opposite the first, so its direction says the same the other way round.
            directions = {direction * sign for direction, sign in zip(marked, (1, -1), strict=False)} - {0}
            if len(directions) > 1:
                self.position = self.element_token[atom]
                self._refuse("both neighbours of a double bond are on one side")
            side *= directions.pop() if directions else 0
        return side
