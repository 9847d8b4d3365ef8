"""A molecule as one sequence: properties asked for, its SMILES, then a slot an atom.

    ``example ... property ... BEGIN symbol ... END slot ...``

Examples are known molecules, each with its own values of the properties that are asked for, its SMILES and its placed
atoms; they are read and never drawn (``examples.py``). Heavy atoms stand in the order of the SMILES, then hydrogens in
the order of their parents. Each token of the SMILES and each slot knows which atom it belongs to. The SMILES is another
one at every encoding (root, order of branches, hydrogens of one parent), and the positions are kept as they are: what
the model sees of them does not change when the molecule is turned (``geometry/local_frame.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from unigen.molecules.molecule import Molecule
from unigen.shapes import Float, Int
from unigen.smiles.hydrogens import HYDROGEN_BRANCH, Hydrogens, with_hydrogens
from unigen.smiles.skeleton import Skeleton, skeleton_of
from unigen.smiles.writer import write_smiles
from unigen.tokens import vocabulary
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, VECTOR_WIDTH, Channel, Sequence

_BRACKET, _BRACKET_END = vocabulary.mark_symbol("["), vocabulary.mark_symbol("]")

SHIFTS, MIDDLE = 32, 16
"""Models know atoms by a label, their number in the molecule plus a shift, in training any below SHIFTS, in drawing
MIDDLE: so every label was seen at every kind of atom, and molecules with up to SHIFTS - MIDDLE more atoms than those of
the training hold no label that was never seen (QM9: 29 atoms)."""

UNREACHED = 99
"""Bonds between atoms of different fragments: more than any molecule has on a shortest way."""


IN_EXAMPLE = 1
"""The column of the descriptors that is 1 in the tokens of examples and 0 in those of the molecule itself."""


class Example(NamedTuple):
    """A known molecule as it stands in a prompt.

    Attributes:
        tokens: its values of the properties asked for, its SMILES, its slots; these hold the atoms' vectors in their
            local frames, in Angstrom, and their descriptors the atomic numbers.
        token_atom: which of its atoms each token belongs to, -1 for none.
    """

    tokens: Sequence
    token_atom: Int[np.ndarray, "tokens"]


@dataclass(frozen=True, eq=False)
class MoleculeSequence:
    """Tokens, and the atoms in the order in which they are placed.

    Attributes:
        tokens: examples, properties, SMILES, slots; vectors hold the properties' values, and the atoms of examples.
        token_atom: which atom each token or slot belongs to, of an example one of its own; -1 for none, shape
            (tokens,).
        slot: where each atom's slot stands, shape (atoms,).
        numbers: atomic numbers.
        charges: formal charges.
        bond_order: order of the bond between two atoms, 0 for none.
        graph_distance: bonds between two atoms on the shortest way, UNREACHED for none.
        ring_size: of the smallest ring that holds both atoms, 0 for none; of those that are smallest for some bond.
        chirality: that the SMILES asks for, by the order of the atoms (`unigen.molecules.handedness`), 0 for none.
        cis_trans: of the double bond between two atoms, as the SMILES asks: 1 cis, -1 trans, 0 none.
        positions: Cartesian, Angstrom; zeros where they are still to be drawn.
    """

    tokens: Sequence
    token_atom: Int[np.ndarray, "tokens"]
    slot: Int[np.ndarray, "atoms"]
    numbers: Int[np.ndarray, "atoms"]
    charges: Int[np.ndarray, "atoms"]
    bond_order: Int[np.ndarray, "atoms atoms"]
    graph_distance: Int[np.ndarray, "atoms atoms"]
    ring_size: Int[np.ndarray, "atoms atoms"]
    chirality: Int[np.ndarray, "atoms"]
    cis_trans: Int[np.ndarray, "atoms atoms"]
    positions: Float[np.ndarray, "atoms 3"]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def bonds(self) -> Int[np.ndarray, "bonds 3"]:
        """Two atoms, the lower first, and an order."""
        first, second = np.nonzero(np.triu(self.bond_order))
        return np.column_stack([first, second, self.bond_order[first, second]])


def encode(
    molecule: Molecule,
    rng: np.random.Generator,
    values: Mapping[int, float] | None = None,
    *,
    stereo: bool = True,
    positions: Float[np.ndarray, "atoms 3"] | None = None,
    shuffle: bool = False,
    hydrogens: Hydrogens = "implied",
    examples: Iterable[Example] = (),
) -> MoleculeSequence:
    """Write a molecule; decoding is drawing, atom after atom (``unigen.models.smiles.conformer_decoding``).

    Args:
        molecule: one connected molecule with known bonds.
        rng: draws one of its SMILES.
        values: properties asked for, by their number in the model, from 1.
        stereo: whether the SMILES says the stereo of the positions.
        positions: to use in place of the molecule's own (a turned molecule).
        shuffle: place heavy atoms in any order, then hydrogens in any order: for comparison, it is much harder.
        hydrogens: of the SMILES.
        examples: that stand before the properties.

    Raises:
        UserError: several fragments.
    """
    positions = molecule.positions if positions is None else positions
    stripped = skeleton_of(molecule.numbers, molecule.charges, molecule.bonds, positions if stereo else None)
    written = write_smiles(stripped.skeleton, rng, stereo=stereo)
    order = rng.permutation(written.order) if shuffle else written.order
    placed_last = [atom for parent in order.tolist() for atom in rng.permutation(stripped.hydrogens[parent])]
    if shuffle:
        rng.shuffle(placed_last)
    atom_order = np.concatenate([stripped.atoms[order], np.array(placed_last, dtype=np.int64)])
    rank = np.full(len(stripped.atoms) + 1, -1)  # the last stands for "no atom"
    rank[order] = np.arange(len(order))
    ordered = molecule.selected(atom_order)
    symbols, token_atom = _spelled(written.symbols, rank[written.atom], stripped.skeleton.hydrogens[order], hydrogens)
    sequence = _graph_first(
        symbols,
        token_atom,
        (ordered.numbers, ordered.charges, ordered.bonds),
        stripped.skeleton.selected(order),
        positions[atom_order],
        values,
    )
    return _behind(examples, sequence)


def encode_graph(
    skeleton: Skeleton,
    rng: np.random.Generator,
    values: Mapping[int, float] | None = None,
    *,
    stereo: bool = True,
    hydrogens: Hydrogens = "implied",
    examples: Iterable[Example] = (),
) -> MoleculeSequence:
    """Write a molecule that has no positions: its SMILES, and no slots behind it.

    Args:
        skeleton: the molecule.
        rng: draws one of its SMILES.
        values: properties asked for, as in ``encode``.
        stereo: whether the SMILES says what stereo the skeleton has.
        hydrogens: of the SMILES.
        examples: that stand before the properties.
    """
    written = write_smiles(skeleton, rng, stereo=stereo)
    rank = np.full(len(skeleton) + 1, -1)  # the last stands for "no atom"
    rank[written.order] = np.arange(len(skeleton))
    count = skeleton.hydrogens[written.order]
    symbols, token_atom = _spelled(written.symbols, rank[written.atom], count, hydrogens)
    none, no_bonds = np.zeros(0, dtype=np.int64), np.zeros((0, 3), dtype=np.int64)
    nothing = Skeleton(numbers=none, charges=none, hydrogens=none, bonds=no_bonds)
    sequence = _graph_first(symbols, token_atom, (none, none, no_bonds), nothing, np.zeros((0, 3)), values)
    return _behind(examples, sequence)


def plan(
    symbols: Int[np.ndarray, "written"],
    token_atom: Int[np.ndarray, "written"],
    skeleton: Skeleton,
    values: Mapping[int, float] | None = None,
    *,
    hydrogens: Hydrogens = "implied",
    examples: Iterable[Example] = (),
) -> MoleculeSequence:
    """A molecule whose positions are still to be drawn.

    Args:
        symbols: its SMILES, with implied hydrogens.
        token_atom: which atom of the skeleton each symbol belongs to, -1 for none.
        skeleton: what the SMILES says, its atoms in the order in which they are written.
        values: properties asked for, as in ``encode``.
        hydrogens: as the model reads the SMILES.
        examples: that stand before the properties.
    """
    heavy, parents = len(skeleton), np.repeat(np.arange(len(skeleton)), skeleton.hydrogens)
    children = heavy + np.arange(len(parents))
    bonds = np.concatenate([skeleton.bonds, np.column_stack([parents, children, np.ones_like(parents)])])
    numbers = np.concatenate([skeleton.numbers, np.ones_like(parents)])
    charges = np.concatenate([skeleton.charges, np.zeros_like(parents)])
    graph = (numbers, charges, bonds)
    symbols, token_atom = _spelled(symbols, token_atom, skeleton.hydrogens, hydrogens)
    sequence = _graph_first(symbols, token_atom, graph, skeleton, np.zeros((len(numbers), 3)), values)
    return _behind(examples, sequence)


def _spelled(
    symbols: Int[np.ndarray, "implied"],
    token_atom: Int[np.ndarray, "implied"],
    count: Int[np.ndarray, "heavy"],
    hydrogens: Hydrogens,
) -> tuple[Int[np.ndarray, "written"], Int[np.ndarray, "written"]]:
    """A SMILES and the atoms of its symbols, its hydrogens implied or written."""
    if hydrogens == "implied":
        return symbols, token_atom
    written, belonging = with_hydrogens(symbols.tolist(), token_atom.tolist(), count.tolist())
    return np.array(written, dtype=np.int64), np.array(belonging, dtype=np.int64)


def _behind(examples: Iterable[Example], sequence: MoleculeSequence) -> MoleculeSequence:
    """A sequence with examples before it."""
    joined = _joined(examples, sequence.tokens, sequence.token_atom)
    before = len(joined.tokens) - len(sequence)
    return replace(sequence, tokens=joined.tokens, token_atom=joined.token_atom, slot=sequence.slot + before)


def _joined(examples: Iterable[Example], tokens: Sequence, token_atom: Int[np.ndarray, "tokens"]) -> Example:
    """Examples and what follows them."""
    parts = [*examples, Example(tokens, token_atom)]
    if len(parts) == 1:
        return parts[0]
    names = ("symbols", "vectors", "channel", "descriptor")
    columns = (np.concatenate([getattr(part.tokens, name) for part in parts]) for name in names)
    return Example(Sequence(*columns), np.concatenate([part.token_atom for part in parts]))


def written_example(
    sequence: MoleculeSequence, vectors: Float[np.ndarray, "atoms 3"], values: Mapping[int, float]
) -> Example:
    """A molecule as an example.

    Args:
        sequence: without properties and examples.
        vectors: of its atoms in their local frames, Angstrom.
        values: of its properties that are asked for, by their number in the model.
    """
    told = _tokens(np.zeros(0, dtype=np.int64), values)  # properties and BEGIN, which the sequence begins with, too
    marked = replace(
        sequence.tokens, vectors=sequence.tokens.vectors.copy(), descriptor=sequence.tokens.descriptor.copy()
    )
    marked.vectors[sequence.slot, :3] = vectors
    marked.descriptor[sequence.slot, 0] = sequence.numbers
    properties = [part[: len(values)] for part in (told.symbols, told.vectors, told.channel, told.descriptor)]
    whole = _joined([Example(Sequence(*properties), np.full(len(values), -1))], marked, sequence.token_atom)
    whole.tokens.descriptor[:, IN_EXAMPLE] = 1
    return whole


def _graph_first(
    smiles: Int[np.ndarray, "written"],
    token_atom: Int[np.ndarray, "written"],
    graph: tuple[np.ndarray, np.ndarray, np.ndarray],
    heavy: Skeleton,
    positions: Float[np.ndarray, "atoms 3"],
    values: Mapping[int, float] | None,
) -> MoleculeSequence:
    """The sequence of a molecule, its whole SMILES before its slots.

    Args:
        smiles: its symbols.
        token_atom: which atom each belongs to, -1 for none.
        graph: numbers, charges and bonds of all atoms.
        heavy: skeleton of the heavy ones, which come first.
        positions: Angstrom.
        values: properties asked for.
    """
    numbers, charges, bonds = graph
    atoms = len(numbers)
    chirality = np.zeros(atoms, dtype=np.int64)
    chirality[: len(heavy)] = heavy.chirality
    cis_trans = np.zeros((atoms, atoms), dtype=np.int64)
    left, right = heavy.bonds[:, 0], heavy.bonds[:, 1]
    cis_trans[left, right] = cis_trans[right, left] = heavy.double_bond
    bond_order = np.zeros((atoms, atoms), dtype=np.int64)
    bond_order[bonds[:, 0], bonds[:, 1]] = bond_order[bonds[:, 1], bonds[:, 0]] = bonds[:, 2]
    ring_size = np.zeros((atoms, atoms), dtype=np.int64)
    rings = {tuple(sorted(ring)) for left, right, _ in heavy.graph.bonds for ring in heavy.graph.rings(left, right)}
    for ring in sorted(rings, key=len, reverse=True):  # smaller rings overwrite larger ones
        ring_size[np.ix_(ring, ring)] = len(ring)
    symbols = np.concatenate([smiles, [vocabulary.END], [vocabulary.SLOT] * atoms]).astype(np.int64)
    tokens = _tokens(symbols, values or {})
    first_slot = len(tokens) - atoms
    tokens.channel[first_slot:] = Channel.CARTESIAN
    no_atom = np.full(first_slot - 1 - len(smiles), -1)  # properties and BEGIN
    return MoleculeSequence(
        tokens=tokens,
        token_atom=np.concatenate([no_atom, token_atom, [-1], np.arange(atoms)]).astype(np.int64),
        slot=first_slot + np.arange(atoms),
        numbers=numbers.astype(np.int64),
        charges=charges.astype(np.int64),
        bond_order=bond_order,
        graph_distance=graph_distances(bond_order > 0),
        ring_size=ring_size,
        chirality=chirality,
        cis_trans=cis_trans,
        positions=positions.astype(np.float32),
    )


def _tokens(symbols: Int[np.ndarray, "written"], values: Mapping[int, float]) -> Sequence:
    """Properties, BEGIN, and these symbols."""
    length = len(values) + 1 + len(symbols)
    channel = np.full(length, Channel.SYMBOL, dtype=np.int64)
    channel[: len(values)] = Channel.PROPERTY
    vectors = np.zeros((length, VECTOR_WIDTH), dtype=np.float32)
    vectors[: len(values), 0] = list(values.values())
    descriptor = np.zeros((length, DESCRIPTOR_WIDTH), dtype=np.int64)
    descriptor[: len(values), 0] = list(values)
    before = [vocabulary.SLOT] * len(values) + [vocabulary.BEGIN]
    return Sequence(np.concatenate([before, symbols]).astype(np.int64), vectors, channel, descriptor)


def prompt(
    smiles: list[int],
    values: Mapping[int, float],
    *,
    hydrogens: Hydrogens = "implied",
    examples: Iterable[Example] = (),
) -> tuple[Sequence, Int[np.ndarray, "tokens"]]:
    """Examples, properties and a SMILES that is still being written, and which atom each token belongs to."""
    token_atom = [-1] * (len(values) + 1) + atoms_of_symbols(smiles, hydrogens)
    whole = _joined(examples, _tokens(np.array(smiles, dtype=np.int64), values), np.array(token_atom))
    return whole.tokens, whole.token_atom


def atoms_of_symbols(smiles: list[int], hydrogens: Hydrogens = "implied") -> list[int]:
    """Which atom each symbol of a SMILES belongs to, -1 for none; each is known as soon as the symbol is written."""
    if hydrogens == "written":
        return _atoms_with_hydrogens(smiles)
    token_atom, atom, in_bracket = [], -1, False
    for symbol in smiles:
        opens = symbol == _BRACKET
        names_atom = opens or (not in_bracket and vocabulary.element_of(symbol) is not None)
        atom, in_bracket = atom + names_atom, (in_bracket or opens) and symbol != _BRACKET_END
        token_atom.append(atom if names_atom or in_bracket or symbol == _BRACKET_END else -1)
    return token_atom


def _atoms_with_hydrogens(smiles: list[int]) -> list[int]:
    """The same where hydrogens are written, as ``with_hydrogens`` has it: they stand right behind their atom."""
    token_atom, atom, in_bracket = [], -1, False
    for position, symbol in enumerate(smiles):
        begins_hydrogen = tuple(smiles[max(position - 2, 0) : position + 1]) == HYDROGEN_BRANCH[:3]
        names_element = vocabulary.element_of(symbol) is not None
        atom += names_element and not begins_hydrogen
        token_atom.append(atom if symbol != _BRACKET and (names_element or in_bracket) else -1)
        in_bracket = (in_bracket or symbol == _BRACKET) and symbol != _BRACKET_END
    return token_atom


def graph_distances(bonded: np.ndarray) -> Int[np.ndarray, "atoms atoms"]:
    """Bonds between two atoms on the shortest way, UNREACHED where there is none."""
    # scipy's shortest_path says the same and is slower at every size, five times at twenty atoms
    step = bonded.astype(np.float32)
    reached = np.eye(len(bonded), dtype=bool)
    distance = np.where(reached, 0, UNREACHED)
    frontier = reached
    for length in range(1, len(bonded)):
        frontier = ((frontier.astype(np.float32) @ step) > 0) & ~reached
        if not frontier.any():
            break
        distance[frontier] = length
        reached = reached | frontier
    return distance
