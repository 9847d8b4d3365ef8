"""A molecule as one sequence: properties asked for, its SMILES, then a slot an atom.

    ``property ... BEGIN symbol ... END slot ...``

Heavy atoms stand in the order of the SMILES, then hydrogens in the order of their parents. Each token of the SMILES and
each slot knows which atom it belongs to. The SMILES is another one at every encoding (root, order of branches,
hydrogens of one parent), and the positions are kept as they are: what the model sees of them does not change when the
molecule is turned (``geometry/local_frame.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unigen.molecules.molecule import Molecule
from unigen.shapes import Float, Int
from unigen.smiles.skeleton import Skeleton, skeleton_of
from unigen.smiles.writer import write_smiles
from unigen.tokens import vocabulary
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, VECTOR_WIDTH, Channel, Sequence

_BRACKET, _BRACKET_END = vocabulary.mark_symbol("["), vocabulary.mark_symbol("]")

SHIFTS, MIDDLE = 32, 16
"""Models know atoms by their number in the molecule plus a shift, in training any below SHIFTS, in drawing MIDDLE: so
every number was seen at every kind of atom, and larger molecules than those of the training hold nothing new."""

UNREACHED = 99
"""Bonds between atoms of different fragments: more than any molecule has on a shortest way."""


@dataclass(frozen=True, eq=False)
class MoleculeSequence:
    """Tokens, and the atoms in the order in which they are placed.

    Attributes:
        tokens: properties, SMILES, slots; vectors hold the properties' values alone.
        atom: which atom each token or slot belongs to, -1 for none, shape (tokens,).
        slot: where each atom's slot stands, shape (atoms,).
        numbers: atomic numbers.
        charges: formal charges.
        order: order of the bond between two atoms, 0 for none.
        near: bonds between two atoms on the shortest way, UNREACHED for none.
        ring: size of the smallest ring that holds both atoms, 0 for none; of those that are smallest for some bond.
        handed: chirality that the SMILES asks for, by the order of the atoms (`unigen.smiles.handedness`), 0 for none.
        sides: of the double bond between two atoms, as the SMILES asks: 1 cis, -1 trans, 0 none.
        positions: Cartesian, Angstrom; zeros where they are still to be drawn.
    """

    tokens: Sequence
    atom: Int[np.ndarray, "tokens"]
    slot: Int[np.ndarray, "atoms"]
    numbers: Int[np.ndarray, "atoms"]
    charges: Int[np.ndarray, "atoms"]
    order: Int[np.ndarray, "atoms atoms"]
    near: Int[np.ndarray, "atoms atoms"]
    ring: Int[np.ndarray, "atoms atoms"]
    handed: Int[np.ndarray, "atoms"]
    sides: Int[np.ndarray, "atoms atoms"]
    positions: Float[np.ndarray, "atoms 3"]

    def __len__(self) -> int:
        return len(self.tokens)


def encode(
    molecule: Molecule,
    rng: np.random.Generator,
    values: Mapping[int, float] | None = None,
    *,
    stereo: bool = True,
    positions: Float[np.ndarray, "atoms 3"] | None = None,
    shuffle: bool = False,
) -> MoleculeSequence:
    """Write a molecule; decoding is drawing, atom after atom (``unigen.models.smiles.decoding``).

    Args:
        molecule: one connected molecule with known bonds.
        rng: draws one of its SMILES.
        values: properties asked for, by their number in the model, from 1.
        stereo: whether the SMILES says the stereo of the positions.
        positions: to use in place of the molecule's own (a turned molecule).
        shuffle: place heavy atoms in any order, then hydrogens in any order: for comparison, it is much harder.

    Raises:
        UserError: several fragments.
    """
    where = molecule.positions if positions is None else positions
    stripped = skeleton_of(molecule.numbers, molecule.charges, molecule.bonds, where if stereo else None)
    written = write_smiles(stripped.skeleton, rng, stereo=stereo)
    order = rng.permutation(written.order) if shuffle else written.order
    hydrogens = [atom for parent in order.tolist() for atom in rng.permutation(stripped.hydrogens[parent])]
    if shuffle:
        rng.shuffle(hydrogens)
    placed = np.concatenate([stripped.atoms[order], np.array(hydrogens, dtype=np.int64)])
    rank = np.full(len(stripped.atoms) + 1, -1)  # the last stands for "no atom"
    rank[order] = np.arange(len(order))
    ordered = molecule.selected(placed)
    return _laid_out(
        written.symbols,
        rank[written.atom],
        (ordered.numbers, ordered.charges, ordered.bonds),
        stripped.skeleton.selected(order),
        where[placed],
        values,
    )


def plan(
    symbols: Int[np.ndarray, "written"],
    token_atom: Int[np.ndarray, "written"],
    skeleton: Skeleton,
    values: Mapping[int, float] | None = None,
) -> MoleculeSequence:
    """A molecule whose positions are still to be drawn.

    Args:
        symbols: its SMILES.
        token_atom: which atom of the skeleton each symbol belongs to, -1 for none.
        skeleton: what the SMILES says, its atoms in the order in which they are written.
        values: properties asked for, as in ``encode``.
    """
    heavy, parents = len(skeleton), np.repeat(np.arange(len(skeleton)), skeleton.hydrogens)
    children = heavy + np.arange(len(parents))
    bonds = np.concatenate([skeleton.bonds, np.column_stack([parents, children, np.ones_like(parents)])])
    numbers = np.concatenate([skeleton.numbers, np.ones_like(parents)])
    charges = np.concatenate([skeleton.charges, np.zeros_like(parents)])
    graph = (numbers, charges, bonds)
    return _laid_out(symbols, token_atom, graph, skeleton, np.zeros((len(numbers), 3)), values)


def _laid_out(
    smiles: Int[np.ndarray, "written"],
    token_atom: Int[np.ndarray, "written"],
    graph: tuple[np.ndarray, np.ndarray, np.ndarray],
    heavy: Skeleton,
    positions: Float[np.ndarray, "atoms 3"],
    values: Mapping[int, float] | None,
) -> MoleculeSequence:
    """Numbers, charges and bonds of all atoms; the skeleton of the heavy ones, which come first, for its stereo."""
    numbers, charges, bonds = graph
    atoms = len(numbers)
    handed = np.zeros(atoms, dtype=np.int64)
    handed[: len(heavy)] = heavy.chirality
    sides = np.zeros((atoms, atoms), dtype=np.int64)
    left, right = heavy.bonds[:, 0], heavy.bonds[:, 1]
    sides[left, right] = sides[right, left] = heavy.double_bond
    end = np.concatenate([smiles, [vocabulary.END], [vocabulary.SLOT] * atoms]).astype(np.int64)
    tokens = _tokens(end, values or {})
    first = len(tokens) - atoms
    tokens.channel[first:] = Channel.CARTESIAN
    none = np.full(first - 1 - len(smiles), -1)
    order = np.zeros((atoms, atoms), dtype=np.int64)
    order[bonds[:, 0], bonds[:, 1]] = order[bonds[:, 1], bonds[:, 0]] = bonds[:, 2]
    return MoleculeSequence(
        tokens=tokens,
        atom=np.concatenate([none, token_atom, [-1], np.arange(atoms)]).astype(np.int64),
        slot=first + np.arange(atoms),
        numbers=numbers.astype(np.int64),
        charges=charges.astype(np.int64),
        order=order,
        near=graph_distances(order > 0),
        ring=_rings(heavy, atoms),
        handed=handed,
        sides=sides,
        positions=positions.astype(np.float32),
    )


def _rings(heavy: Skeleton, atoms: int) -> Int[np.ndarray, "atoms atoms"]:
    """For each pair of atoms the size of the smallest ring that holds both."""
    found = {tuple(sorted(ring)) for one, two, _ in heavy.graph.bonds for ring in heavy.graph.rings(one, two)}
    sizes = np.zeros((atoms, atoms), dtype=np.int64)
    for ring in sorted(found, key=len, reverse=True):
        sizes[np.ix_(ring, ring)] = len(ring)
    return sizes


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


def prompt(smiles: list[int], values: Mapping[int, float]) -> tuple[Sequence, Int[np.ndarray, "tokens"]]:
    """Properties and a SMILES that is still being written, and which atom each token belongs to."""
    atoms, last, inside = [-1] * (len(values) + 1), -1, False
    for symbol in smiles:
        opens = symbol == _BRACKET
        begins = opens or (not inside and vocabulary.element_of(symbol) is not None)
        last, inside = last + begins, (inside or opens) and symbol != _BRACKET_END
        atoms.append(last if begins or inside or symbol == _BRACKET_END else -1)
    return _tokens(np.array(smiles, dtype=np.int64), values), np.array(atoms)


def graph_distances(bonded: np.ndarray) -> Int[np.ndarray, "atoms atoms"]:
    """Bonds between two atoms on the shortest way, UNREACHED where there is none."""
    # scipy's shortest_path says the same and is slower at every size, five times at twenty atoms
    step = bonded.astype(np.float32)
    reached = np.eye(len(bonded), dtype=bool)
    distance = np.where(reached, 0, UNREACHED)
    edge = reached
    for length in range(1, len(bonded)):
        edge = ((edge.astype(np.float32) @ step) > 0) & ~reached
        if not edge.any():
            break
        distance[edge] = length
        reached = reached | edge
    return distance
