"""The choice of cell: primitive and Niggli reduction, the smallest distance, the space group. Lattice rows are vectors.

A crystal has endlessly many cells; learning and comparing want one. `reduce_cell` finds the primitive cell (spglib,
without idealising the coordinates: nothing is moved but by averaging atoms that a translation maps onto each other)
and then the Niggli cell (Krivy and Gruber, Acta Cryst. A32, 297, 1976), right-handed.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from unigen.elements import reduce_counts
from unigen.errors import UserError
from unigen.shapes import Float, Int, Integer

LONGEST = 1e7
"""Angstrom, a millimetre: no cell has such a vector, and volumes of longer ones overflow in the end."""

MOST_LATTICE_POINTS = 2e6
"""Lattice points nearer than the longest vector of a reduced cell, at most. The longest polytypes of silicon carbide, a
= 3.1, c = 1500 Angstrom, have 1e6; the largest of 105,000 crystals of MP and OQMD 2e3; a needle of 1 x 1 x 1e5 Angstrom
4e10. Reducing, matching and finding neighbours list such points: 400 MB for a million of them."""


SMALLEST_VOLUME = 1e-3
"""Cubic Angstrom: less than any atom needs."""


def check_volume(lattice: Float[np.ndarray, "3 3"], where: str = "") -> None:
    """Raises UserError for a cell without volume; NaN is none."""
    volume = abs(float(np.linalg.det(lattice)))
    if not volume > SMALLEST_VOLUME:
        raise UserError("the cell has no volume", where=where, got=f"{volume:.3g} A^3")


class SpaceGroup(NamedTuple):
    """International number and Hermann-Mauguin symbol."""

    number: int
    symbol: str


class Cell(NamedTuple):
    """What spglib calls a cell: lattice (rows, Angstrom), fractional coordinates, atomic numbers."""

    lattice: Float[np.ndarray, "3 3"]
    frac_coords: Float[np.ndarray, "atoms 3"]
    numbers: Int[np.ndarray, "atoms"]


def wrap(frac_coords: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
    """Into [0, 1), also after rounding to single precision (the store holds float32)."""
    wrapped = frac_coords - np.floor(frac_coords)
    wrapped[wrapped.astype(np.float32) >= 1.0] = 0.0
    return wrapped


def right_handed(cell: Cell) -> Cell:
    """The same crystal in a basis of positive determinant: all three vectors and all coordinates change sign."""
    if np.linalg.det(cell.lattice) > 0:
        return cell
    return Cell(-cell.lattice, -cell.frac_coords, cell.numbers)


def reduce_cell(cell: Cell, symprec: float = 0.01) -> Cell:
    """The primitive Niggli cell, right-handed, coordinates in [0, 1).

    Args:
        cell: any cell of the crystal.
        symprec: Angstrom; atoms this close to a translated copy of another count as that copy (0.01 is the default of
            pymatgen's SpacegroupAnalyzer too). Where spglib finds no consistent symmetry at this tolerance the cell
            stays as large as it is and is only Niggli-reduced.
    """
    import spglib

    primitive = right_handed(_primitive(right_handed(cell), symprec))
    with quiet_spglib():
        niggli = spglib.niggli_reduce(primitive.lattice)
    if niggli is None:
        return primitive._replace(frac_coords=wrap(primitive.frac_coords))
    coords = primitive.frac_coords @ primitive.lattice @ np.linalg.inv(niggli)
    reduced = right_handed(Cell(niggli, coords, primitive.numbers))
    return reduced._replace(frac_coords=wrap(reduced.frac_coords))


def primitive_atoms(cell: Cell, symprec: float = 0.01) -> int:
    """The number of atoms of the primitive cell, as `reduce_cell` finds it."""
    counts = np.unique(cell.numbers, return_counts=True)[1].tolist()
    # of several copies of a smaller cell there would be a common divisor, and a translation
    if math.gcd(*counts) == 1 or _is_surely_primitive(cell, symprec):
        return len(cell.numbers)
    return len(_primitive(right_handed(cell), symprec).numbers)


_SURELY = 10.0
"""Tolerances by which every translation misses an atom of a cell that is not even given to spglib, which searches
within one of them or less. Of a thousand drawn cells whose counts have a common divisor this spares 994."""

_FEW = 50
"""Atoms of a cell in which the search for translations here is faster than spglib's."""


def _is_surely_primitive(cell: Cell, symprec: float) -> bool:
    """Whether no translation comes near to bringing the cell onto itself; False where it is not looked for here."""
    tolerance = _SURELY * symprec
    heights = 1 / np.linalg.norm(np.linalg.inv(cell.lattice), axis=0)
    # in flatter cells the nearest image is not found by rounding
    if len(cell.numbers) > _FEW or heights.min() < 4 * tolerance:
        return False
    numbers, counts = np.unique(cell.numbers, return_counts=True)
    rarest = cell.frac_coords[cell.numbers == numbers[counts.argmin()]]
    between = cell.frac_coords[:, None] - cell.frac_coords
    unlike = cell.numbers[:, None] != cell.numbers
    for shift in rarest[1:] - rarest[0]:
        difference = between + shift
        difference -= np.round(difference)
        squared = ((difference @ cell.lattice) ** 2).sum(axis=-1)
        squared[unlike] = np.inf
        if (squared.min(axis=1) <= tolerance**2).all():
            return False
    return True


def _primitive(cell: Cell, symprec: float) -> Cell:
    import spglib

    with quiet_spglib():
        standardized = spglib.standardize_cell(_plain(cell), to_primitive=True, no_idealize=True, symprec=symprec)
    if standardized is None:
        return cell
    primitive = Cell(*map(np.asarray, standardized))
    # A tolerance near the distances between atoms can merge unlike numbers of them; such an answer is no reduction.
    if reduced_counts(primitive.numbers) != reduced_counts(cell.numbers):
        return cell
    return primitive


def reduced_counts(numbers: Integer[np.ndarray, "atoms"]) -> dict[int, int]:
    """The composition by atomic number, divided by the greatest common divisor of its counts."""
    species, counts = np.unique(numbers, return_counts=True)
    return reduce_counts(dict(zip(species.tolist(), counts.tolist(), strict=True)))[0]


MOST_ATOMS_SEARCHED = 2_000
"""Atoms of a cell in which spglib is still asked for symmetry: its time grows faster than their square, 3,375 atoms
at random take 17 s. The primitive cells of the Materials Project have up to some 450."""


def too_large(atoms: int) -> str:
    """Why no symmetry is searched in a cell of so many atoms; empty where it is."""
    if atoms <= MOST_ATOMS_SEARCHED:
        return ""
    return f"too many atoms for a search of symmetry; got {atoms:,}; wanted at most {MOST_ATOMS_SEARCHED:,}"


def find_space_group(cell: Cell, symprec: float = 0.01) -> SpaceGroup:
    """The space group at a tolerance in Angstrom; P1 where spglib finds none."""
    import spglib

    with quiet_spglib():
        dataset = spglib.get_symmetry_dataset(_plain(right_handed(cell)), symprec=symprec)
    return SpaceGroup(dataset.number, dataset.international) if dataset is not None else SpaceGroup(1, "P1")


def _plain(cell: Cell) -> Any:
    return tuple(cell)  # spglib unpacks a tuple by its type, not by its length


_RAISES = "SPGLIB_OLD_ERROR_HANDLING"
"""What spglib reads at every call: whether it returns None for a failure or raises."""


@contextmanager
def quiet_spglib() -> Iterator[None]:
    """No words from spglib about a failure, nor about how it will report failures one day: None says all we need.

    Nor does it raise: ASE's `FixSymmetry` has it do so, and leaves it at that for the rest of the process.
    """
    os.environ.setdefault("SPGLIB_WARNING", "OFF")
    before = os.environ.get(_RAISES)
    os.environ[_RAISES] = "true"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        if before is None:
            del os.environ[_RAISES]
        else:
            os.environ[_RAISES] = before


def smallest_distance(lattice: Float[np.ndarray, "3 3"], frac_coords: Float[np.ndarray, "atoms 3"]) -> float:
    """Shortest distance in Angstrom between two atoms, an atom and its own periodic images included."""
    return closest_pair(lattice, frac_coords).distance


class Pair(NamedTuple):
    """Two sites (or one and its own image) and their distance in Angstrom."""

    first: int
    second: int
    distance: float


def closest_pair(lattice: Float[np.ndarray, "3 3"], frac_coords: Float[np.ndarray, "atoms 3"]) -> Pair:
    """The two nearest atoms, an atom and its own periodic images included; exact in any cell.

    In a basis of short vectors, atoms nearer than R differ by at most R / h_i + 1/2 cells along axis i, where h_i is
    the distance between the lattice planes; R is the shortest basis vector, the distance to an own image, or less where
    the atoms could not be farther apart if they were packed as densely as spheres can.
    """
    basis = _short_basis(lattice)
    inverse = np.linalg.inv(basis)
    coords = frac_coords @ lattice @ inverse
    own = float(np.linalg.norm(basis, axis=1).min())
    # spheres fill at most pi / sqrt(18) of space; a thousandth more for rounding
    packed = 1.001 * (np.sqrt(2.0) * abs(np.linalg.det(basis)) / len(coords)) ** (1 / 3)
    radius = min(own, packed)
    if len(coords) > 50:  # fewer are faster one by one
        return _closest_of_many(basis, coords, own, radius * np.linalg.norm(inverse, axis=0))
    reach = np.floor(radius * np.linalg.norm(inverse, axis=0) + 0.5).astype(int)
    translations = np.array(list(product(*(range(-r, r + 1) for r in reach)))) @ basis
    lengths = np.linalg.norm(translations, axis=1)
    best = Pair(0, 0, min(own, float(lengths[lengths > 0].min(initial=np.inf))))
    for site in range(len(coords) - 1):
        difference = coords[site + 1 :] - coords[site]
        cartesian = (difference - np.round(difference)) @ basis
        squared = ((cartesian[:, None] + translations) ** 2).sum(-1).min(axis=1)
        nearest = int(squared.argmin())
        if squared[nearest] < best.distance**2:
            best = Pair(site, site + 1 + nearest, float(np.sqrt(squared[nearest])))
    return best


def shortest_by_pair(given: Cell, radius: float) -> dict[tuple[int, int], float]:
    """The shortest distance of every pair of elements that come nearer than a radius, Angstrom.

    By atomic numbers, the smaller first; own periodic images included. Images are searched as in `closest_pair`.
    """
    basis = _short_basis(given.lattice)
    inverse = np.linalg.inv(basis)
    coords = given.frac_coords @ given.lattice @ inverse
    reach = np.floor(radius * np.linalg.norm(inverse, axis=0) + 0.5).astype(int)
    translations = np.array(list(product(*(range(-r, r + 1) for r in reach)))) @ basis
    lengths = np.linalg.norm(translations, axis=1)
    own = float(lengths[lengths > 0].min(initial=np.inf))
    shortest: dict[tuple[int, int], float] = {}
    for site, number in enumerate(given.numbers.tolist()):
        difference = coords[site + 1 :] - coords[site]
        cartesian = (difference - np.round(difference)) @ basis
        nearest = np.sqrt(((cartesian[:, None] + translations) ** 2).sum(-1).min(axis=1))
        others = given.numbers[site + 1 :].tolist()
        for other, distance in [(number, own), *zip(others, nearest.tolist(), strict=True)]:
            pair = (min(number, other), max(number, other))
            if distance < min(radius, shortest.get(pair, np.inf)):
                shortest[pair] = distance
    return shortest


def needle(lattice: Float[np.ndarray, "3 3"]) -> list[float] | None:
    """The lengths of the shortest cell if it has more than `MOST_LATTICE_POINTS`; None for cells as crystals have."""
    volume = abs(float(np.linalg.det(lattice)))
    if _lattice_points(lattice, volume) <= MOST_LATTICE_POINTS:  # reducing only makes it fewer
        return None
    basis = _short_basis(lattice)
    if _lattice_points(basis, volume) <= MOST_LATTICE_POINTS:
        return None
    return sorted(np.linalg.norm(basis, axis=1).tolist())


SKEWED = 1e4
"""Lattice points nearer than the longest vector of a cell as it is given, from which on it is worth another basis: five
times what any crystal of MP and OQMD has."""


def unskewed(cell: Cell) -> Cell:
    """The same lattice and atoms, in their order, in a basis of short vectors where the given one is far from it.

    Searches for neighbours go through the images of the cell as it is: of a skewed one through millions.
    """
    if _lattice_points(cell.lattice, abs(float(np.linalg.det(cell.lattice)))) <= SKEWED:
        return cell
    basis = _short_basis(cell.lattice)
    return Cell(basis, wrap(cell.frac_coords @ cell.lattice @ np.linalg.inv(basis)), cell.numbers)


def _lattice_points(basis: Float[np.ndarray, "3 3"], volume: float) -> float:
    """Nearer than the longest vector: the volume of that sphere over that of the cell."""
    return 4 / 3 * math.pi * float(np.linalg.norm(basis, axis=1).max()) ** 3 / volume


def _closest_of_many(
    basis: Float[np.ndarray, "3 3"], coords: Float[np.ndarray, "atoms 3"], own: float, reach: Float[np.ndarray, "3"]
) -> Pair:
    """The closest pair by a tree of all atoms within ``reach`` (fractions of the cell) of the cell."""
    from scipy.spatial import cKDTree

    home = wrap(coords)
    images, atoms = [home], [np.arange(len(home))]
    for shift in product(*(range(-r, r + 1) for r in np.ceil(reach).astype(int))):
        moved = home + np.array(shift)
        inside = ((moved >= -reach) & (moved <= 1.0 + reach)).all(axis=1)
        if any(shift):
            images.append(moved[inside])
            atoms.append(np.flatnonzero(inside))
    atom = np.concatenate(atoms)
    distances, indices = cKDTree(np.concatenate(images) @ basis).query(home @ basis, k=2)
    itself = indices[:, 0] == np.arange(len(home))  # where two atoms coincide it may come second
    nearest = np.where(itself, distances[:, 1], distances[:, 0])
    site = int(nearest.argmin())
    if nearest[site] >= own:
        return Pair(0, 0, own)
    other = int(atom[indices[site, int(itself[site])]])
    return Pair(min(site, other), max(site, other), float(nearest[site]))


def _short_basis(lattice: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """Pairwise reduced: no vector gets shorter by adding whole multiples of one other."""
    basis = lattice.copy()
    for _ in range(100):  # each turn shortens a vector; a sound lattice needs a handful
        basis = basis[np.argsort((basis**2).sum(axis=1))]
        gram = basis @ basis.T
        steps = [
            (long, short, round(gram[long, short] / gram[short, short])) for long in (2, 1) for short in range(long)
        ]
        long, short, times = max(steps, key=lambda step: abs(step[2]))
        if times == 0:
            break
        basis[long] -= times * basis[short]
    return basis
