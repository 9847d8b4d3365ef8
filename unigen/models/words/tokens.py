"""The ``words`` tokenizer: composition, then the lattice in one slot, then one slot an atom.

After UniGenX (Zhang et al. 2025), with four changes: counts in place of repeated elements; six lattice numbers in one
slot; every slot knows the atom it places (target descriptor); the first atom is the origin and has no slot. A crystal
is encoded in its reduced cell; what is left free - which atom of the first element is the origin, which basis of the
same cell, which mirror image - is drawn at random in training, so symmetry is learned from data.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.elements import composition_pairs
from unigen.errors import UserError
from unigen.geometry.lattice import automorphisms, lattice_matrix, lattice_parameters
from unigen.request import CrystalRequest
from unigen.shapes import Float, Int
from unigen.tokens import vocabulary
from unigen.tokens.composition import CompositionGrammar, composition_symbols, grammar_for, read_pairs
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, SLOT_WIDTH, VECTOR_WIDTH, Channel, Sequence

_GRID = 48  # common fractions lie on it, so noise does not reorder symmetric sites


class WordsTokenizer:
    """Crystals as words.

    Args:
        max_atoms: the largest cell that is encoded.
    """

    def __init__(self, max_atoms: int = 20) -> None:
        self.max_atoms = max_atoms

    def encode(
        self,
        crystal: Crystal,
        rng: np.random.Generator | None = None,
        bases: Int[np.ndarray, "bases 3 3"] | None = None,
    ) -> Sequence:
        """One encoding of a crystal given in its reduced cell (``Crystal.reduced``).

        Args:
            crystal: at most ``max_atoms`` atoms.
            rng: draws origin, basis and mirror image; None takes the first origin and the cell as it is.
            bases: ``automorphisms(crystal.lattice)``, when the caller keeps them (they cost more than the rest).

        Raises:
            UserError: more atoms than ``max_atoms``.
        """
        origins = self._origins(crystal)
        if rng is None:
            return self._write(crystal, origins[0], np.eye(3, dtype=np.int64), mirror=False)
        bases = automorphisms(crystal.lattice) if bases is None else bases
        basis = bases[rng.integers(len(bases))]
        return self._write(crystal, origins[rng.integers(len(origins))], basis, mirror=bool(rng.integers(2)))

    def encodings(self, crystal: Crystal) -> Iterator[Sequence]:
        """Every encoding that keeps handedness: all origins and bases. As a multiset it is a crystal invariant."""
        for origin in self._origins(crystal):
            for basis in automorphisms(crystal.lattice):
                yield self._write(crystal, origin, basis, mirror=False)

    def decode(self, sequence: Sequence) -> Crystal:
        """The crystal a complete sequence describes; inverse of ``encode`` up to origin, orientation and order."""
        pairs = read_pairs([int(s) for s in sequence.symbols if s != vocabulary.SLOT])
        numbers = np.repeat([number for number, _ in pairs], [count for _, count in pairs])
        is_site = sequence.channel == Channel.FRACTIONAL
        sites = sequence.vectors[is_site, : SLOT_WIDTH[Channel.FRACTIONAL]]
        six = sequence.vectors[sequence.channel == Channel.LATTICE][0].astype(np.float64)
        lattice = lattice_matrix(np.concatenate([np.exp(six[:3]), six[3:]]))
        coords = np.concatenate([np.zeros((1, 3)), sites.astype(np.float64)])
        return Crystal(numbers, coords - np.floor(coords), lattice)

    def grammar(self, request: CrystalRequest, counts: dict[int, int] | None = None) -> CompositionGrammar:
        """The composition grammar of a request; see ``grammar_for``."""
        return grammar_for(request, self.max_atoms, counts)

    @staticmethod
    def length(counts: dict[int, int]) -> int:
        """Positions in the encoding of a cell."""
        return 2 * len(counts) + 2 + sum(counts.values())

    def _origins(self, crystal: Crystal) -> list[int]:
        if len(crystal) > self.max_atoms:
            raise UserError("more atoms than the tokenizer takes", got=len(crystal), wanted=f"<= {self.max_atoms}")
        first, _ = composition_pairs(crystal.counts)[0]
        return np.flatnonzero(crystal.numbers == first).tolist()

    def _write(self, crystal: Crystal, origin: int, basis: Int[np.ndarray, "3 3"], *, mirror: bool) -> Sequence:
        """Encode with this atom at the origin and ``basis @ lattice`` as the cell."""
        coords = (crystal.frac_coords - crystal.frac_coords[origin]) @ np.linalg.inv(basis)
        coords = -coords if mirror else coords
        numbers, sites = _ordered(crystal, coords - np.floor(coords), origin)
        six = lattice_parameters(basis @ crystal.lattice)
        return write_sequence(crystal.counts, np.concatenate([np.log(six[:3]), six[3:]]), numbers, sites)


def _ordered(crystal: Crystal, coords: np.ndarray, origin: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and coordinates in canonical order: by element, origin first, then along z, y, x on a coarse grid."""
    rank_of = {number: rank for rank, (number, _) in enumerate(composition_pairs(crystal.counts))}
    element = np.array([rank_of[number] for number in crystal.numbers.tolist()])
    grid = np.rint(coords * _GRID).astype(np.int64) % _GRID
    fine = coords.round(6) % 1.0  # where sites share a grid point, their order is not that of the last bits
    behind = np.arange(len(coords)) != origin
    order = np.lexsort((fine[:, 0], fine[:, 1], fine[:, 2], grid[:, 0], grid[:, 1], grid[:, 2], behind, element))
    return crystal.numbers[order], coords[order]


def descriptors(counts: dict[int, int]) -> tuple[Int[np.ndarray, "tokens"], Int[np.ndarray, "tokens 3"]]:
    """Channel and target descriptor of every position: all known once the composition is."""
    prompt = 2 * len(counts) + 2
    length = WordsTokenizer.length(counts)
    channel = np.full(length, Channel.SYMBOL, dtype=np.int64)
    channel[prompt] = Channel.LATTICE
    channel[prompt + 1 :] = Channel.FRACTIONAL
    descriptor = np.zeros((length, DESCRIPTOR_WIDTH), dtype=np.int64)
    atoms = [(number, index, count) for number, count in composition_pairs(counts) for index in range(count)]
    descriptor[prompt + 1 :] = np.array(atoms[1:], dtype=np.int64).reshape(-1, DESCRIPTOR_WIDTH)
    return channel, descriptor


def write_sequence(
    counts: dict[int, int],
    lattice: Float[np.ndarray, "6"],
    numbers: Int[np.ndarray, "atoms"],
    coords: Float[np.ndarray, "atoms 3"],
) -> Sequence:
    """Put the parts in order; ``numbers`` and ``coords`` are in canonical order with the first atom at the origin."""
    assert len(numbers) == sum(counts.values()), "composition and sites disagree"
    channel, descriptor = descriptors(counts)
    prompt = composition_symbols(counts)
    symbols = np.full(len(channel), vocabulary.SLOT, dtype=np.int64)
    symbols[: len(prompt)] = prompt
    vectors = np.zeros((len(channel), VECTOR_WIDTH), dtype=np.float32)
    vectors[len(prompt), :6] = lattice
    vectors[len(prompt) + 1 :, :3] = coords[1:]
    return Sequence(symbols, vectors, channel, descriptor)
