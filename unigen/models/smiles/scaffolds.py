"""SMILES that begin with atoms that are given and stay where they are: one scaffold, or two fragments to be linked.

Two fragments are linked by a molecule that is written onto the first of them, at one of whose atoms the second is
bonded then. Where that is follows from the graph: the two stand where they stand, and of the atoms that were written
only some are so many bonds away that the distances between the fragments can be as they are
(``molecules/distance_bounds.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import NamedTuple

import numpy as np

from unigen.errors import UserError
from unigen.models.smiles.tokens import atoms_of_symbols, plan
from unigen.molecules.distance_bounds import distance_bounds
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_graph import mol_of_graph
from unigen.shapes import Float, Int
from unigen.smiles.grammar import SmilesGrammar
from unigen.smiles.hydrogens import Hydrogens, with_hydrogens
from unigen.smiles.reader import read_smiles
from unigen.smiles.scaffold import ScaffoldPrefix, attachment_points, begin_smiles
from unigen.smiles.skeleton import Skeleton, skeleton_of
from unigen.smiles.writer import write_smiles

_BOND = 1.5
"""Angstrom from an atom that is added to to the first atom of the linker, where one of its hydrogens was."""

_REACH_OF_A_BOND = 1.3
"""Angstrom by which a stretched chain gets longer with every bond."""

_LONGER = 5
"""Atoms by which a linker may be longer than the shortest that reaches: it need not be stretched."""

_NEARER = 1.5
"""Angstrom by which two atoms have to be nearer to each other to be chosen e times as often: what faces away from the
other fragment is rarely linked to it."""

FixedPositions = dict[int, np.ndarray]
"""Positions in Angstrom of atoms that stay where they are, by their number in the molecule."""


@dataclass(frozen=True, eq=False)
class Beginning:
    """How the SMILES of one draw begins, and what it becomes when it is written. This one begins with nothing.

    Attributes:
        grammar: what may be written.
        symbols: that stand already.
    """

    grammar: SmilesGrammar
    symbols: Sequence[int] = ()

    def finished(self, symbols: list[int]) -> tuple[list[int], FixedPositions]:
        """The SMILES of the molecule, of what was written, hydrogens implied; and which of its atoms do not move.

        Raises:
            UserError: it cannot be made a molecule of.
        """
        return symbols, {}


class Exit(NamedTuple):
    """Where a bond can lead to.

    Attributes:
        atom: of the skeleton of a scaffold, that can be added to.
        place: about where the atom that is added will stand, Angstrom.
    """

    atom: int
    place: Float[np.ndarray, "3"]


@dataclass(frozen=True, eq=False)
class Scaffold:
    """Atoms that are kept where they are.

    Attributes:
        skeleton: their graph, hydrogens implied.
        positions: of the atoms of the skeleton, Angstrom.
        hydrogens: positions of the hydrogens of each.
        attachment_points: atoms that can be added to.
        grammar: what may be written, the scaffold included.
    """

    skeleton: Skeleton
    positions: Float[np.ndarray, "heavy 3"]
    hydrogens: tuple[Float[np.ndarray, "_ 3"], ...]
    attachment_points: tuple[int, ...]
    grammar: SmilesGrammar

    @classmethod
    def of(cls, molecule: Molecule, grammar: SmilesGrammar, attach: Mapping[int, int] | None = None) -> Scaffold:
        """A scaffold that can be added to.

        Args:
            molecule: in one piece.
            grammar: what may be written.
            attach: atoms of the molecule that may be added to, each with the number by which it was named; none named:
                all that can be.

        Raises:
            UserError: nothing can be added to it, or to an atom that is named.
        """
        stripped = skeleton_of(molecule.numbers, molecule.charges, molecule.bonds)
        rng = np.random.default_rng(0)  # one SMILES an atom is tried, always the same
        points = [
            atom
            for atom in attachment_points(stripped.skeleton)
            if _is_legal(_begun(stripped.skeleton, atom, rng, grammar.hydrogens), grammar)
        ]
        if attach:
            open_atoms = {int(stripped.atoms[point]): point for point in points}
            closed = [name for atom, name in attach.items() if atom not in open_atoms]
            if closed:
                raise UserError(
                    "attach: nothing can be bonded to this atom of the scaffold",
                    got=closed[0],
                    wanted="a heavy atom with a hydrogen and no charge",
                )
            points = sorted(open_atoms[atom] for atom in attach)
        if not points:
            raise UserError(
                "scaffold: nothing can be added to it", got=molecule.formula, wanted="an atom with hydrogens"
            )
        hydrogens = tuple(molecule.positions[list(atoms)] for atoms in stripped.hydrogens)
        return cls(stripped.skeleton, molecule.positions[stripped.atoms], hydrogens, tuple(points), grammar)

    def begin(self, rng: np.random.Generator) -> Beginning:
        """A SMILES that goes on at one of its atoms."""
        prefix = _begun(self.skeleton, int(rng.choice(self.attachment_points)), rng, self.grammar.hydrogens)
        return _OnScaffold(self.grammar, prefix.symbols, scaffold=self, order=prefix.order)

    def exits(self) -> list[Exit]:
        """Where bonds can lead to: past every hydrogen of the atoms that can be added to."""
        return [
            Exit(atom, self.positions[atom] + _BOND * (hydrogen - self.positions[atom]) / length)
            for atom in self.attachment_points
            for hydrogen in self.hydrogens[atom]
            if (length := float(np.linalg.norm(hydrogen - self.positions[atom]))) > 0
        ]

    def fixed(self, places: Mapping[int, int], skeleton: Skeleton) -> FixedPositions:
        """Its positions, by atom of a molecule that holds it; hydrogens of an atom that was added to move.

        Args:
            places: atom of the molecule of each atom of the scaffold.
            skeleton: of the molecule, whose hydrogens follow all of its atoms.
        """
        fixed = {place: self.positions[atom] for atom, place in places.items()}
        first_hydrogen = len(skeleton) + np.cumsum(skeleton.hydrogens) - skeleton.hydrogens
        for atom, place in places.items():
            if len(self.hydrogens[atom]) == skeleton.hydrogens[place]:
                first = int(first_hydrogen[place])
                fixed |= {first + n: position for n, position in enumerate(self.hydrogens[atom])}
        return fixed


@dataclass(frozen=True, eq=False, kw_only=True)
class _OnScaffold(Beginning):
    """A SMILES that begins with a scaffold.

    Attributes:
        scaffold: whose atoms stay.
        order: its atoms as they are written, that which is added to first.
    """

    scaffold: Scaffold
    order: Int[np.ndarray, "heavy"]

    def finished(self, symbols: list[int]) -> tuple[list[int], FixedPositions]:
        """See Beginning."""
        places = {atom: place for place, atom in enumerate(self.order.tolist())}
        return symbols, self.scaffold.fixed(places, read_smiles(symbols).skeleton)


@dataclass(frozen=True, eq=False)
class FragmentPair:
    """Two fragments that a linker is to be written between.

    Attributes:
        fragments: each with the grammar of what may be written onto it, the other fragment left out.
        grammar: of a fragment and a linker: its number in the pair, and the least and most heavy atoms of both.
    """

    fragments: tuple[Scaffold, Scaffold]
    grammar: Callable[[int, int, int], SmilesGrammar]

    def begin(self, rng: np.random.Generator) -> Beginning:
        """A SMILES that goes on at an atom of either, with room for a linker that can reach the other."""
        first = int(rng.integers(2))
        one, other = self.fragments[first], self.fragments[1 - first]
        pairs = list(product(one.exits(), other.exits()))
        gaps = np.array([np.linalg.norm(here.place - there.place) for here, there in pairs])
        weight = np.exp((gaps.min() - gaps) / _NEARER)
        chosen = int(rng.choice(len(pairs), p=weight / weight.sum()))
        here, there = pairs[chosen]
        least = len(one.skeleton) + ceil(gaps[chosen] / _REACH_OF_A_BOND)
        grammar = self.grammar(first, least, least + int(rng.integers(_LONGER + 1)))
        prefix = _begun(one.skeleton, here.atom, rng, grammar.hydrogens)
        return _OnFragment(
            grammar,
            prefix.symbols,
            scaffold=one,
            order=prefix.order,
            other=other,
            point=there.atom,
            ends=(here.place, there.place),
            rng=rng,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class _OnFragment(_OnScaffold):
    """A SMILES that begins with a fragment, and to which another will be bonded.

    Attributes:
        other: fragment.
        point: its atom that will be bonded.
        ends: about where the first and the last atom of the linker will be, Angstrom.
        rng: draws which atom is tried first.
    """

    other: Scaffold
    point: int
    ends: tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]
    rng: np.random.Generator

    def finished(self, symbols: list[int]) -> tuple[list[int], FixedPositions]:
        """See Beginning. The other fragment is bonded to an atom of the linker from which it can stand where it does.

        Raises:
            UserError: there is no such atom.
        """
        held, own = read_smiles(symbols).skeleton, len(self.order)
        of_linker = [atom for atom in attachment_points(held) if atom >= own]
        # where nothing was written the two are bonded to each other
        candidates = of_linker if len(held) > own else [0]
        for atom in self.rng.permutation(candidates).tolist():
            text, fixed, fits = self._joined(held, atom)
            if fits:
                return text, fixed
        raise UserError("linker: does not reach", got=f"{len(held) - own} heavy atoms between the fragments")

    def _joined(self, held: Skeleton, atom: int) -> tuple[list[int], FixedPositions, bool]:
        """The molecule with the other fragment at this atom, and whether its graph allows the fragments' distances."""
        from scipy.spatial.distance import cdist

        own = len(self.order)
        skeleton = _bonded(held, self.other.skeleton, atom, self.point)
        # in ascending order: all of the first fragment, then the linker, then the other fragment
        written = write_smiles(skeleton, root=0, stereo=False)
        symbols = np.asarray(written.symbols).tolist()
        read = read_smiles(symbols)
        place = {each: index for index, each in enumerate(written.order.tolist())}
        of_one = {each: place[index] for index, each in enumerate(self.order.tolist())}
        of_other = {each: place[len(held) + each] for each in range(len(self.other.skeleton))}
        one, other = self.scaffold.fixed(of_one, read.skeleton), self.other.fixed(of_other, read.skeleton)
        fixed = one | other
        # the ends of the linker stand about where hydrogens of the fragments were
        if atom == own:
            one = one | {place[own]: (self.ends[0] + self.ends[1]) / 2}
        elif atom > own:
            one, other = one | {place[own]: self.ends[0]}, other | {place[atom]: self.ends[1]}
        planned = plan(np.array(symbols), read.atom, read.skeleton)
        limits = distance_bounds(mol_of_graph(planned.numbers, planned.charges, planned.bonds))
        between = np.ix_(list(one), list(other))
        distance = cdist(list(one.values()), list(other.values()))
        fits = (limits.lower[between] <= distance) & (distance <= limits.upper[between])
        return symbols, fixed, bool(fits.all())


def _bonded(one: Skeleton, other: Skeleton, atom: int, point: int) -> Skeleton:
    """Two molecules as one, bonded to each other at these atoms, each of which loses a hydrogen."""
    own = len(one)
    hydrogens = np.concatenate([one.hydrogens, other.hydrogens])
    hydrogens[[atom, own + point]] -= 1
    shifted = other.bonds + np.array([own, own, 0])
    bonds = np.concatenate([one.bonds, shifted, [[atom, own + point, 1]]])
    return Skeleton(
        numbers=np.concatenate([one.numbers, other.numbers]),
        charges=np.concatenate([one.charges, other.charges]),
        hydrogens=hydrogens,
        bonds=bonds[np.lexsort((bonds[:, 1], bonds[:, 0]))],
    )


def without_fragment(counts: Mapping[int, int], fragment: Skeleton) -> dict[int, int]:
    """Atoms that are left of a formula when a fragment is taken off, both ends of the bond with a hydrogen instead.

    Raises:
        UserError: the formula does not hold the fragment.
    """
    left = dict(counts)
    for number, count in fragment.counts.items():
        left[number] = left.get(number, 0) - count
    left[1] = left.get(1, 0) + 2
    if min(left.values()) < 0:
        raise UserError("formula: the fragments have more atoms than it")
    return {number: count for number, count in left.items() if count}


def _begun(skeleton: Skeleton, attachment: int, rng: np.random.Generator, hydrogens: Hydrogens) -> ScaffoldPrefix:
    """As ``begin_smiles``; with written hydrogens the atom to go on at has one fewer, in whose place the rest comes."""
    prefix = begin_smiles(skeleton, attachment, rng)
    if hydrogens == "implied":
        return prefix
    counts = skeleton.hydrogens[prefix.order]
    counts[0] -= 1
    return ScaffoldPrefix(
        with_hydrogens(prefix.symbols, atoms_of_symbols(prefix.symbols), counts.tolist())[0], prefix.order
    )


def _is_legal(prefix: ScaffoldPrefix, grammar: SmilesGrammar) -> bool:
    """Whether the grammar lets a SMILES begin so."""
    walk = grammar.start()
    for symbol in prefix.symbols:
        if not walk.legal()[symbol]:
            return False
        walk = walk.write(symbol)
    return True
