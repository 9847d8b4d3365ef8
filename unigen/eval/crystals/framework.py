"""New by structure or by elements alone: the frameworks of crystals, and exchanges of one rare earth for another.

A crystal that no set knows may still be a known one with other elements in its places. S.U.N. rates pay for that, so
beside them stands how many samples have a **framework** that no reference crystal has: the space group and, element by
element but without their names, the letters of the occupied Wyckoff positions (what AFLOW's prototype labels hold),
the same for all descriptions of a crystal that the normaliser of its space group makes equivalent, and for a crystal
and its mirror image. Free parameters are no part of it: crystals of one framework may differ in them.

The cheapest novelty is a rare earth in the place of another: they are alike in size and chemistry, and a table holds
most structures for some of them only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.matching import MatchSettings
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.crystals.symmetry_finder import find_symmetric
from unigen.elements import reduce_counts
from unigen.eval.crystals.novelty import find_novel
from unigen.parallel import Workers
from unigen.shapes import Bool, Int
from unigen.symmetry.equivalents import coset_equivalents, equivalents
from unigen.symmetry.space_groups import LETTERS, space_group

RARE_EARTHS = (21, 39, *range(57, 72))
"""Sc, Y and the lanthanides from La to Lu."""

TOLERANCE = 0.1
"""Angstrom: that of the space groups in per-structure tables. Relaxed structures are off by more than the 0.01 at which
stated groups hold."""

_FAITHFUL = 0.05
"""How far idealising may move the atoms, in units of (V/atoms)^(1/3): about what `TOLERANCE` allows. A structure that
is refused is described in P1, which would make it new."""


def framework_of(crystal: Crystal) -> str:
    """The framework of a crystal, such as ``"221 a|b|c"`` for perovskites: elements apart by ``|``, in no order.

    Example:
        >>> salt = Crystal(np.array([11, 17]), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), 2.8 * (1 - np.eye(3)))
        >>> framework_of(salt)
        '225 a|b'
    """
    found = _symmetric(crystal)
    rotations = space_group(found.space_group).operations[:, :, :3]
    if np.linalg.det(rotations).min() < 0:
        return _written(found)
    # only such groups have mirror images that are others, in another group or at other letters
    mirrored = _symmetric(Crystal(crystal.numbers, -crystal.frac_coords, crystal.lattice))
    return min((_written(each) for each in (found, mirrored)), key=lambda text: (int(text.split()[0]), text))


def _symmetric(crystal: Crystal) -> SymmetricCrystal:
    return find_symmetric(crystal, symprecs=(TOLERANCE, TOLERANCE / 10), faithful=_FAITHFUL)


def _written(crystal: SymmetricCrystal) -> str:
    letters_of: dict[int, list[int]] = defaultdict(list)
    for number, letter in zip(crystal.numbers.tolist(), crystal.letters.tolist(), strict=True):
        letters_of[number].append(letter)
    forms = (
        sorted(sorted(int(permutation[letter]) for letter in letters) for letters in letters_of.values())
        for permutation in _letter_permutations(crystal.space_group)
    )
    return f"{crystal.space_group} {'|'.join(''.join(LETTERS[letter] for letter in each) for each in min(forms))}"


@cache
def _letter_permutations(number: int) -> Int[np.ndarray, "permutations letters"]:
    """All that the normaliser of a space group does to its letters: what its representatives generate."""
    group = space_group(number)
    letters = range(len(group.letters))
    if number == 2:
        # P-1 keeps under every change of basis; of its centres only what that does modulo 2 counts, and each of the 168
        # matrices modulo 2 is that of a matrix of zeros and ones with determinant 1 or -1
        matrices = np.array(list(product((0.0, 1.0), repeat=9))).reshape(-1, 3, 3)
        turns = matrices[np.abs(np.linalg.det(matrices)).round() == 1]
        elements = np.concatenate([turns, np.zeros((len(turns), 3, 1))], axis=2)
        steps = np.stack([equivalents(group, elements, letter).letters for letter in letters], axis=1)
        steps = np.concatenate([steps, np.stack([coset_equivalents(number, one).letters for one in letters], axis=1)])
    else:
        steps = np.stack([coset_equivalents(number, letter).letters for letter in letters], axis=1)
    generators = {tuple(step) for step in steps.tolist()}
    identity = tuple(letters)
    found, new = {identity}, [identity]
    while new:
        permutation = new.pop()
        for step in generators:
            moved = tuple(step[letter] for letter in permutation)
            if moved not in found:
                found.add(moved)
                new.append(moved)
    return np.array(sorted(found))


def find_new_frameworks(
    samples: Sequence[Crystal | None], references: Sequence[Crystal], workers: Workers
) -> Bool[np.ndarray, "samples"]:
    """Whether no reference crystal has the framework of a sample; None (a failure) has no new one.

    Args:
        samples: in their order.
        references: what is known; only those with a sample's anonymous formula (AB2) are looked at.
        workers: the processes that find the symmetry (some 20 ms a structure).
    """
    made = [sample for sample in samples if sample is not None]
    wanted = {_anonymous(sample) for sample in made}
    compared = [reference for reference in references if _anonymous(reference) in wanted]
    frameworks = workers.map(framework_of, [*made, *compared], "Frameworks")
    known = {*frameworks[len(made) :]}
    new = iter(framework not in known for framework in frameworks[: len(made)])
    return np.array([sample is not None and next(new) for sample in samples], dtype=bool)


def _anonymous(crystal: Crystal) -> tuple[int, ...]:
    return tuple(sorted(reduce_counts(crystal.counts)[0].values()))


def find_rare_earth_swaps(
    samples: Sequence[Crystal | None],
    references: Sequence[Crystal],
    settings: MatchSettings,
    limit: int,
    workers: Workers,
) -> Bool[np.ndarray, "samples"]:
    """Whether a sample becomes a reference crystal when one of its rare earths is exchanged for one it does not hold.

    Args:
        samples: in their order.
        references: what is known.
        settings: of the matcher; it compares crystals of one shape and any volume.
        limit: as of `find_novel`.
        workers: the processes that do it.
    """
    formulas = {reference.reduced_formula for reference in references}
    owners: list[int] = []
    exchanged: list[Crystal | None] = []
    for position, sample in enumerate(samples):
        held = set() if sample is None else {*sample.counts} & {*RARE_EARTHS}
        for old, new in product(sorted(held), RARE_EARTHS):
            if sample is None or new in sample.counts:
                continue
            other = Crystal(np.where(sample.numbers == old, new, sample.numbers), sample.frac_coords, sample.lattice)
            if other.reduced_formula in formulas:
                owners.append(position)
                exchanged.append(other)
    known = ~find_novel(exchanged, references, settings, limit, workers).holds
    swaps = np.zeros(len(samples), dtype=bool)
    swaps[[owner for owner, found in zip(owners, known, strict=True) if found]] = True
    return swaps
