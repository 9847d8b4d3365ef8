"""Names of structure types: rutile, spinel, half-Heusler, where a crystal is one of some hundred that have such names.

A crystal is of a prototype when it has its space group, as many atoms of each element in its primitive cell, and around
every atom the same surroundings: the nearest atoms of each element are as far, in units of the mean atomic spacing, up
to `TOLERANCE`. Anatase and alpha-ThSi2 have one space group and the same Wyckoff positions, and not the same
surroundings. Cell, origin, orientation and order of atoms make no difference.

``prototypes.json`` is made by ``data/prototypes/make_prototypes.py``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import permutations, product
from math import ceil, inf, pi
from pathlib import Path

import numpy as np

from unigen.crystals.cell import reduced_counts
from unigen.crystals.crystal import Crystal
from unigen.element_similarity import DESCRIPTORS, descriptors
from unigen.elements import ATOMIC_NUMBER
from unigen.shapes import Float

PROTOTYPES = Path(__file__).parent / "prototypes.json"

TOLERANCE = 0.2
"""Largest logarithm of the ratio of two distances."""

NEAREST = 12
"""Atoms of each element whose distances are compared: the first shell of close packing."""

SYMPREC = 0.1
"""Angstrom: the tolerance of the space groups that are printed beside the names."""

Key = tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class Prototype:
    """A structure type.

    Attributes:
        name: such as ``"fluorite"``.
        anti: what it is called with cations and anions exchanged, such as ``"antifluorite"``; empty: the same.
        space_group: international number.
        crystal: the compound that it is known by, in its primitive cell.
    """

    name: str
    anti: str
    space_group: int
    crystal: Crystal

    @property
    def key(self) -> Key:
        """Space group and ratio of the atoms: what a crystal must have to be compared."""
        return _key(self.space_group, self.crystal)

    @cached_property
    def surroundings(self) -> dict[int, Float[np.ndarray, "atoms elements nearest"]]:
        """See `_surroundings`."""
        return _surroundings(self.crystal)


@cache
def prototypes() -> dict[Key, tuple[Prototype, ...]]:
    """All that have names, by `Prototype.key`."""
    found: dict[Key, list[Prototype]] = defaultdict(list)
    for row in json.loads(PROTOTYPES.read_text(encoding="utf-8")):
        numbers = np.array([ATOMIC_NUMBER[symbol] for symbol in row["elements"]])
        crystal = Crystal(numbers, np.array(row["frac_coords"]), np.array(row["lattice"]))
        prototype = Prototype(row["name"], row["anti"], row["space_group"], crystal)
        found[prototype.key].append(prototype)
    return {key: tuple(several) for key, several in found.items()}


def prototype_name(crystal: Crystal, space_group: int | None = None) -> str:
    """What a crystal's structure type is called; empty where it is none of those that are known here.

    Args:
        crystal: any cell of it.
        space_group: its number, where it is known; else it is found at `SYMPREC`.

    Example:
        >>> import numpy as np
        >>> prototype_name(Crystal(np.array([55, 17]), np.array([[0.0] * 3, [0.5] * 3]), np.eye(3) * 4.1))
        'CsCl type'
    """
    number = crystal.space_group(SYMPREC).number if space_group is None else space_group
    candidates = prototypes().get(_key(number, crystal))
    if candidates is None:
        return ""
    # most crystals come in their primitive cells, whose search takes ten times as long as all else
    fewest = min(len(each.crystal) for each in candidates)
    primitive = crystal.reduced(SYMPREC) if len(crystal) > fewest else crystal
    candidates = tuple(each for each in candidates if len(each.crystal) == len(primitive))
    if not candidates:
        return ""
    own = _surroundings(primitive)
    near = [(*_nearest(primitive.counts, own, each), each) for each in candidates]
    distance, elements, prototype = min(near, key=lambda each: each[0])
    if distance > TOLERANCE:
        return ""
    anion = max(prototype.crystal.counts, key=_electronegativity)
    exchanged = max(elements.values(), key=_electronegativity) != elements[anion]
    return prototype.anti if prototype.anti and exchanged else prototype.name


def deviation(crystal: Crystal, prototype: Prototype) -> float:
    """How far a crystal is from a prototype of the same number of atoms: the largest logarithm of two distances."""
    primitive = crystal.reduced(SYMPREC)
    return _nearest(primitive.counts, _surroundings(primitive), prototype)[0]


def _electronegativity(number: int) -> float:
    return float(descriptors()[number, DESCRIPTORS.index("electronegativity")])


def _key(space_group: int, crystal: Crystal) -> Key:
    return space_group, tuple(sorted(reduced_counts(crystal.numbers).values()))


def _nearest(
    counts: dict[int, int], own: dict[int, Float[np.ndarray, "atoms elements nearest"]], prototype: Prototype
) -> tuple[float, dict[int, int]]:
    """The smallest deviation over all ways to give the prototype's sites to the crystal's elements, and that way."""
    wanted, known = prototype.crystal.counts, prototype.surroundings
    best: tuple[float, dict[int, int]] = (inf, {})
    for order in permutations(counts):
        elements = dict(zip(wanted, order, strict=True))
        if any(wanted[first] != counts[second] for first, second in elements.items()):
            continue
        columns = [list(counts).index(element) for element in order]
        worst = 0.0
        for first, second in elements.items():
            between = np.abs(known[first][:, None] - own[second][:, columns][None]).max(axis=(2, 3))
            worst = max(worst, _worst_pair(between))
        best = min(best, (worst, elements), key=lambda each: each[0])
    return best


_EQUIVALENT = 1e-6
"""Deviations that differ by less, in logarithms of distances, are those of atoms that symmetry makes equal."""


def _worst_pair(deviations: Float[np.ndarray, "atoms others"]) -> float:
    """The largest deviation when atoms are paired with others at the least cost."""
    if min(np.ptp(deviations, axis=0).max(), np.ptp(deviations, axis=1).max()) < _EQUIVALENT:
        return float(deviations.max())  # one side is of equal atoms: all pairings are the same

    from scipy.optimize import linear_sum_assignment  # a third of a second to load, and most crystals do without

    return float(deviations[linear_sum_assignment(deviations)].max())


def _surroundings(crystal: Crystal) -> dict[int, Float[np.ndarray, "atoms elements nearest"]]:
    """Logarithms of the distances from each atom to the nearest of each element, in mean atomic spacings.

    Distances end at a radius that depends on the composition alone, so that they change as smoothly as the crystal.

    Returns:
        By element, a row an atom of it; the columns are the elements in ascending order.
    """
    counts, lattice = crystal.counts, crystal.lattice
    spacing = (crystal.volume / len(crystal)) ** (1 / 3)
    # a sphere that would hold NEAREST of the rarest element, were they evenly spread, and a third more
    radius = 1.3 * (NEAREST * len(crystal) / min(counts.values()) * 3 / (4 * pi)) ** (1 / 3)
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice / spacing), axis=0)
    reach = [range(-(far := ceil(radius / height + 0.5)), far + 1) for height in heights]
    images = np.array(list(product(*reach)), dtype=float)
    between = crystal.frac_coords[None] - crystal.frac_coords[:, None]
    between -= np.round(between)
    vectors = (between[:, :, None] + images) @ (lattice / spacing)
    distance = np.sqrt(np.einsum("abci,abci->abc", vectors, vectors))
    distance[distance < 1e-6] = inf  # itself
    distance = np.minimum(distance, radius)
    found = {}
    for element in counts:
        rows = []
        for other in counts:
            near = distance[np.ix_(crystal.numbers == element, crystal.numbers == other)]
            near = near.reshape(len(near), -1)
            rows.append(np.sort(np.partition(near, NEAREST - 1, axis=1)[:, :NEAREST], axis=1))
        found[element] = np.log(np.stack(rows, axis=1))
    return found
