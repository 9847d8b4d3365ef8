"""The ``wyckoff`` tokenizer: composition, space group, Wyckoff letters, then only what symmetry leaves free.

    ``BEGIN (element count)... END  COPY|NEW  group  letter...  [lattice]  [parameters of an orbit]...``

The composition is that of the primitive cell. An orbit is one letter: which element it belongs to is known beforehand
(target descriptor), since elements follow each other in the order of the composition, each until it has all its atoms.
After COPY group and letters are those of a known structure, and every slot starts from that structure's numbers; after
NEW they are drawn, and slots start from a plain guess. The lattice is one slot (ln lengths in Angstrom, angles in
radians, conventional cell); orbits without freedom have none. What is decoded has its space group and composition by
construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.crystals.cell import wrap
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.elements import composition_pairs
from unigen.shapes import Bool, Float, Int
from unigen.symmetry.crystal_systems import complete_lattice, free_lattice
from unigen.symmetry.space_groups import SpaceGroupTable, space_group
from unigen.tokens import vocabulary
from unigen.tokens.composition import composition_symbols
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, VECTOR_WIDTH, Channel, Sequence

_WIDE_ANGLE_FACTOR = 2 / np.sqrt(3)  # a cell on hexagonal axes has a^2 c sin(120 deg)


@dataclass(frozen=True, eq=False)
class WyckoffSequence:
    """A crystal, or the plan of one, as tokens; fields as in ``wyckoff.batch.WyckoffBatch``."""

    tokens: Sequence
    start: Float[np.ndarray, "tokens 6"]
    free: Float[np.ndarray, "tokens 6"]
    role: Int[np.ndarray, "tokens"]
    written: Bool[np.ndarray, "tokens"]

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, eq=False)
class Start:
    """What the slots of a crystal start from.

    Attributes:
        crystal: space group, elements and letters that the crystal will have, and the numbers it starts from.
        roles: the element of the neighbour at each orbit; None where no neighbour is followed.
    """

    crystal: SymmetricCrystal
    roles: Int[np.ndarray, "orbits"] | None = None

    @property
    def order(self) -> Int[np.ndarray, "orbits"]:
        """The orbits in the order in which they are written."""
        rank_of = {number: rank for rank, (number, _) in enumerate(composition_pairs(self.crystal.counts))}
        ranks = np.array([rank_of[number] for number in self.crystal.numbers.tolist()])
        return np.lexsort((self.crystal.letters, ranks))


def plain_start(
    number: int, numbers: Int[np.ndarray, "orbits"], letters: Int[np.ndarray, "orbits"], volume: float
) -> Start:
    """A template that follows no known structure: equal lengths and right angles where they are free, all zeros else.

    Args:
        number: space group.
        numbers: atomic number of each orbit.
        letters: Wyckoff letter of each orbit.
        volume: of the primitive cell, cubic Angstrom.
    """
    group = space_group(number)
    conventional = volume / float(np.linalg.det(group.to_primitive))
    angles = complete_lattice(group.crystal_system, np.array([0.0, 0.0, 0.0, *[np.pi / 2] * 3]))
    if angles[5] > np.pi / 2 + 0.1:  # 120 degrees, and not 90 with a rounding error
        conventional *= _WIDE_ANGLE_FACTOR
    angles[:3] = conventional ** (1 / 3)
    return Start(SymmetricCrystal(number, angles, numbers, letters, np.zeros((len(letters), 3))))


def plan_sequence(start: Start) -> WyckoffSequence:
    """Everything that is known before the numbers are drawn; the vectors are zero."""
    crystal, order = start.crystal, start.order
    group = space_group(crystal.space_group)
    letters, numbers = crystal.letters[order], crystal.numbers[order]
    prompt = composition_symbols(crystal.counts)
    placed = np.flatnonzero(group.dof[letters] > 0)
    head = len(prompt) + 2 + len(letters)
    length = head + 1 + len(placed)
    symbols = np.full(length, vocabulary.SLOT, dtype=np.int64)
    marker = vocabulary.NEW if start.roles is None else vocabulary.COPY
    template = [vocabulary.group_symbol(group.number), *map(vocabulary.letter_symbol, letters.tolist())]
    symbols[:head] = [*prompt, marker, *template]
    channel = np.full(length, Channel.SYMBOL, dtype=np.int64)
    channel[head], channel[head + 1 :] = Channel.LATTICE, Channel.FRACTIONAL
    written = np.zeros(length, dtype=bool)
    written[1 : len(prompt)] = True
    written[len(prompt) + 1 : head] = start.roles is None
    role = np.zeros(length, dtype=np.int64)
    if start.roles is not None:
        role[head + 1 :] = start.roles[order][placed]
    tokens = Sequence(
        symbols=symbols,
        vectors=np.zeros((length, VECTOR_WIDTH), dtype=np.float32),
        channel=channel,
        descriptor=_descriptor(group, numbers, letters, crystal.counts, head, placed),
    )
    start_vectors = _slots(length, head, crystal.lattice, crystal.free[order][placed])
    free = np.zeros((length, VECTOR_WIDTH), dtype=np.float32)
    free[head] = free_lattice(group.crystal_system)
    free[head + 1 :, :3] = np.arange(3) < group.dof[letters[placed]][:, None]
    return WyckoffSequence(tokens, start_vectors, free, role, written)


def encode(target: SymmetricCrystal, start: Start) -> WyckoffSequence:
    """The sequence of a crystal.

    Args:
        target: with the space group, elements and letters of ``start.crystal``, orbit by orbit (see
            ``unigen.crystals.symmetric.align``).
        start: what its slots start from.
    """
    sequence = plan_sequence(start)
    placed = space_group(target.space_group).dof[target.letters[start.order]] > 0
    head = int(np.flatnonzero(sequence.tokens.channel == Channel.LATTICE)[0])
    sequence.tokens.vectors[:] = _slots(len(sequence), head, target.lattice, target.free[start.order][placed])
    return sequence


def decode(sequence: WyckoffSequence) -> SymmetricCrystal:
    """The crystal of a complete sequence: inverse of ``encode``, orbits in the order of writing."""
    tokens = sequence.tokens
    number = next(n for n in map(vocabulary.group_of, tokens.symbols.tolist()) if n is not None)
    group = space_group(number)
    is_letter = tokens.symbols >= vocabulary.letter_symbol(0)
    letters = tokens.symbols[is_letter] - vocabulary.letter_symbol(0)
    numbers = tokens.descriptor[is_letter, 0]
    free = np.zeros((len(letters), 3))
    parameters = tokens.vectors[tokens.channel == Channel.FRACTIONAL, :3].astype(np.float64)
    free[group.dof[letters] > 0] = wrap(parameters)
    free *= np.arange(3) < group.dof[letters][:, None]
    six = tokens.vectors[tokens.channel == Channel.LATTICE][0].astype(np.float64)
    six[:3] = np.exp(six[:3])
    return SymmetricCrystal(number, complete_lattice(group.crystal_system, six), numbers, letters, free)


def _descriptor(
    group: SpaceGroupTable,
    numbers: Int[np.ndarray, "orbits"],
    letters: Int[np.ndarray, "orbits"],
    counts: dict[int, int],
    head: int,
    placed: Int[np.ndarray, "placed"],
) -> Int[np.ndarray, "tokens 3"]:
    """Letters know their element, how much of it is left and how much there is; slots their orbit."""
    points = group.primitive_multiplicity[letters]
    total = np.array([counts[number] for number in numbers.tolist()])
    before = np.array([points[:i][numbers[:i] == numbers[i]].sum() for i in range(len(letters))])
    rows = np.zeros((head + 1 + len(placed), DESCRIPTOR_WIDTH), dtype=np.int64)
    rows[head - len(letters) : head] = np.stack([numbers, total - before, total], axis=1)
    rows[head + 1 :] = np.stack([numbers, letters + 1, points], axis=1)[placed]
    return rows


def _slots(
    length: int, head: int, lattice: Float[np.ndarray, "6"], free: Float[np.ndarray, "placed 3"]
) -> Float[np.ndarray, "tokens 6"]:
    slots = np.zeros((length, VECTOR_WIDTH), dtype=np.float32)
    slots[head] = np.concatenate([np.log(lattice[:3]), lattice[3:]])
    slots[head + 1 :, :3] = free
    return slots
