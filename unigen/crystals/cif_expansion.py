"""All atoms of the cell from the sites of a CIF, and the choice among the symmetries it may mean."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import gcd

import numpy as np

from unigen.crystals.cell import Cell, find_space_group, smallest_distance, wrap
from unigen.crystals.cif_sites import Formula, Sites
from unigen.crystals.cif_symmetry import Operations, Reading
from unigen.elements import SMALLEST_DISTANCE, SYMBOLS
from unigen.errors import UserError
from unigen.shapes import Bool, Float, Int

MOST_ATOMS = 100_000
"""In a cell, with all images; the largest cells of databases have some thousands."""

_NO_CRYSTAL = 0.5
"""Angstrom; a reading that brings atoms closer than this is none, where another reading does not."""


@dataclass(frozen=True, eq=False)
class Expanded:
    """What a reading makes of the sites.

    Attributes:
        cell: all atoms, in the order of their sites.
        site: index of the site of each atom.
        conflict: sites whose images lie on top of each other, without which nothing is wrong.
    """

    reading: Reading
    cell: Cell
    site: Int[np.ndarray, "atoms"]
    conflict: str = ""

    @property
    def counts(self) -> Counter[int]:
        """Number of atoms in the cell by atomic number."""
        return Counter(self.cell.numbers.tolist())


def expand(reading: Reading, sites: Sites, lattice: Float[np.ndarray, "3 3"], where: str) -> Expanded:
    """All images of all sites; images of one site that coincide are one atom, on the special position between them."""
    operations = reading.operations
    if len(sites.numbers) * len(operations.rotations) > MOST_ATOMS:
        raise UserError(
            f"more than {MOST_ATOMS:,} atoms in a cell",
            where=where,
            got=f"{len(sites.numbers)} sites in {operations.symbol}",
        )
    if len(operations.rotations) == 1:
        return Expanded(reading, Cell(lattice, wrap(sites.coords), sites.numbers), np.arange(len(sites.numbers)))
    images, near = _special_positions(operations, sites, lattice)
    orbits = [
        image[_distinct(image, lattice, merge)] if stabiliser.sum() > 1 else image
        for image, stabiliser, merge in zip(images, near, sites.merge, strict=True)
    ]
    site = np.repeat(np.arange(len(orbits)), [len(orbit) for orbit in orbits])
    cell = Cell(lattice, wrap(np.concatenate(orbits)), sites.numbers[site])
    close = _close_pairs(cell, SMALLEST_DISTANCE)
    between = close[site[close[:, 0]] != site[close[:, 1]]]
    if not len(between):
        return Expanded(reading, cell, site)
    # A file may list every atom of the cell beside the operators: then each atom of each orbit is on one site.
    listed = Cell(lattice, wrap(sites.coords), sites.numbers)
    merged = len(_groups(len(site), close))
    same = (cell.numbers[between[:, 0]] == cell.numbers[between[:, 1]]).all()
    if same and merged == len(sites.numbers) and not len(_close_pairs(listed, SMALLEST_DISTANCE)):
        return Expanded(reading, listed, np.arange(len(sites.numbers)))
    first, second = (sites.labels[site[index]] for index in between[0])
    return Expanded(reading, cell, site, conflict=f"{first} and {second}")


def _special_positions(
    operations: Operations, sites: Sites, lattice: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, "sites operations 3"], Bool[np.ndarray, "sites operations"]]:
    """The images of all sites, and which of them are the site itself, after each was moved to its special position.

    The mean of the images that coincide is on all symmetry elements they lie on. Where it comes close to more of them
    it is taken again, so that what coincides is a group and the number of images follows the Wyckoff position.
    """
    coords = sites.coords
    for _ in range(8):  # each turn adds elements of symmetry, of which at most 48 meet in a point
        images = np.einsum("oij,sj->soi", operations.rotations, coords) + operations.translations
        offset = images - coords[:, None]
        offset -= np.round(offset)
        near = np.linalg.norm(offset @ lattice, axis=-1) < sites.merge[:, None]
        moved = (offset * near[..., None]).sum(axis=1) / near.sum(axis=1, keepdims=True)
        if abs(moved).max() < 1e-12:
            break
        coords = coords + moved
    return images, near


def _distinct(
    points: Float[np.ndarray, "points 3"], lattice: Float[np.ndarray, "3 3"], merge: float
) -> Bool[np.ndarray, "points"]:
    """Which points are not a translate of an earlier one; those of a special position coincide but for rounding."""
    difference = points[:, None] - points
    difference -= np.round(difference)
    same = np.linalg.norm(difference @ lattice, axis=-1) < merge
    return same.argmax(axis=1) == np.arange(len(points))


def _close_pairs(cell: Cell, radius: float) -> Int[np.ndarray, "pairs 2"]:
    """The pairs of atoms closer than ``radius``, where that is less than half of the cell's height."""
    from scipy.spatial import cKDTree

    # a vector of length r has fractional coordinates of length up to r / (smallest singular value of the lattice)
    reach = radius / np.linalg.svd(cell.lattice, compute_uv=False)[-1]
    tree = cKDTree(np.mod(cell.frac_coords, 1.0) % 1.0, boxsize=1.0)
    pairs = tree.query_pairs(min(reach, 0.499), output_type="ndarray")
    difference = cell.frac_coords[pairs[:, 0]] - cell.frac_coords[pairs[:, 1]]
    difference -= np.round(difference)
    return pairs[np.linalg.norm(difference @ cell.lattice, axis=1) < radius]


def _groups(atoms: int, pairs: Int[np.ndarray, "pairs 2"]) -> list[list[int]]:
    """The atoms that pairs connect, one list a connected set."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(atoms, atoms))
    count, group = connected_components(graph, directed=False)
    return [np.flatnonzero(group == index).tolist() for index in range(count)]


def decide(
    expanded: list[Expanded],
    named: set[int],
    contradiction: UserError | None,
    formula: Formula | None,
    sites: Sites,
    where: str,
) -> Expanded:
    """The one reading that contradicts nothing the block says.

    Args:
        expanded: what each reading that fits the cell makes of the sites.
        named: numbers of the space groups that the symbols tell.
        contradiction: why these do not fit the cell, where none of them does.
        formula: the declared one.
        sites: of the file.
        where: file and entry, for messages.

    Raises:
        UserError: none is left, or several that differ.
    """
    sound = [each for each in expanded if not each.conflict]
    if not sound:
        raise UserError(
            "two sites of the file are the same place",
            where=where,
            got=f"{expanded[0].conflict} under the operations of {expanded[0].reading.operations.symbol}",
            next_step="keep one of them",
        )
    best = max(_agreement(each, formula) for each in sound)
    left = [each for each in sound if _agreement(each, formula) == best]
    if formula is not None and (
        best == _OTHER_ELEMENTS or (best == _OTHER_AMOUNT and not _is_certain(left[0].reading))
    ):
        raise _contradiction(left[0], formula, where)
    left = _apart(_with_multiplicities(_different(left), sites))
    if best < _AGREES and left[0].reading.identity:
        # all atoms listed, or only the asymmetric unit? The former have the symmetry that the symbol tells, or nearly.
        whole = any(find_space_group(left[0].cell, symprec).number in named for symprec in (0.01, 0.1))
        whole = whole or any(_is_listed(each, len(sites.numbers)) for each in expanded if not each.reading.identity)
        if not whole and contradiction is not None:
            raise contradiction
        left = left if whole else left[1:]
    if len(left) == 1:
        _check_special_positions(left[0], sites, where)
        return left[0]
    if not left:
        raise UserError(
            "'x, y, z' alone, and sites that are neither all atoms nor one of each kind",
            where=where,
            got=f"{expanded[-1].conflict or 'images of them'} coincide or nearly so in "
            f"{expanded[-1].reading.operations.symbol}",
            next_step="list the operators or all atoms",
        )
    ways = [f"{each.reading.told}: {_text(each.counts)}" for each in left[:3]]
    raise UserError(
        "the CIF does not tell which structure is meant",
        where=where,
        got="; ".join(ways),
        next_step="list the symmetry operators, or add _chemical_formula_sum and _cell_formula_units_Z",
    )


def _is_listed(expanded: Expanded, sites: int) -> bool:
    """Whether the images fall on one another, nearly, until as many places are left as the file has sites."""
    close = _close_pairs(expanded.cell, _NO_CRYSTAL)
    like = close[expanded.cell.numbers[close[:, 0]] == expanded.cell.numbers[close[:, 1]]]
    return len(_groups(len(expanded.site), like)) == sites


_AGREES, _SILENT, _OTHER_AMOUNT, _OTHER_ELEMENTS = 3, 2, 1, 0


def _agreement(expanded: Expanded, formula: Formula | None) -> int:
    """What the declared formula says of a reading.

    The formula is of a unit, or of the whole cell (as pymatgen and ASE write it); where the number of units is told
    the atoms must be as many as one of these. Amounts are compared to 0.5 %: a third is written as 0.333.
    """
    if formula is None:
        return _SILENT
    counts, amounts = expanded.counts, formula.amounts
    ratio = counts.total() / sum(amounts.values())
    if counts.keys() != amounts.keys() or any(
        abs(counts[number] - ratio * amount) > 0.005 * counts[number] for number, amount in amounts.items()
    ):
        return _OTHER_ELEMENTS
    whole = [round(amount) for amount in amounts.values() if abs(amount - round(amount)) < 1e-6]
    units = gcd(*whole) if len(whole) == len(amounts) else 1
    if abs(ratio - 1.0) < 0.005 and units > 1 and (not formula.units or units % formula.units == 0):
        return _AGREES
    if not formula.units:
        return _SILENT
    return _AGREES if abs(ratio - formula.units) < 0.005 * ratio else _OTHER_AMOUNT


def _is_certain(reading: Reading) -> bool:
    """A group that operators and symbols tell alike: a wrong number of formula units does not make it doubtful."""
    return reading.confirmed and len(reading.operations.rotations) > 1


def _contradiction(expanded: Expanded, formula: Formula, where: str) -> UserError:
    """The error that names what the sites lack, have too much, or in other amounts."""
    counts = expanded.counts
    missing = [SYMBOLS[number] for number in sorted(formula.amounts.keys() - counts.keys())]
    undeclared = [SYMBOLS[number] for number in sorted(counts.keys() - formula.amounts.keys())]
    if missing:
        what = f"no site of {', '.join(missing)}, which the declared formula has"
    elif undeclared:
        what = f"sites of {', '.join(undeclared)}, which the declared formula has not"
    else:
        what = "the sites contradict the declared formula"
    declared = f"{' '.join(formula.text.split())!r}" + (f" with Z {formula.units:g}" if formula.units else "")
    return UserError(
        what,
        where=where,
        got=f"{_text(counts)} in the cell ({expanded.reading.told}), declared {declared}",
    )


def _text(counts: Counter[int]) -> str:
    return " ".join(f"{SYMBOLS[number]}{counts[number]}" for number in sorted(counts))


def _different(expanded: list[Expanded]) -> list[Expanded]:
    """Without those that are the same atoms at the same places as an earlier one."""
    kept: list[Expanded] = []
    for each in expanded:
        if not any(_same(each.cell, other.cell) for other in kept):
            kept.append(each)
    return kept


def _same(first: Cell, second: Cell) -> bool:
    if sorted(first.numbers) != sorted(second.numbers):
        return False
    both = Cell(
        first.lattice,
        np.concatenate([first.frac_coords, second.frac_coords]),
        np.concatenate([first.numbers, second.numbers]),
    )
    pairs = np.sort(_close_pairs(both, SMALLEST_DISTANCE), axis=1)
    across = pairs[(pairs[:, 0] < len(first.numbers)) & (pairs[:, 1] >= len(first.numbers))]
    alike = across[both.numbers[across[:, 0]] == both.numbers[across[:, 1]]]
    return len(np.unique(alike[:, 0])) == len(np.unique(alike[:, 1])) == len(first.numbers)


def _with_multiplicities(expanded: list[Expanded], sites: Sites) -> list[Expanded]:
    """Those with as many images a site as the block declares, where there are such; some programs declare others."""
    if len(expanded) < 2 or not sites.multiplicity.all():
        return expanded
    agreeing = [
        each for each in expanded if (np.bincount(each.site, minlength=len(sites.numbers)) == sites.multiplicity).all()
    ]
    return agreeing or expanded


def _check_special_positions(expanded: Expanded, sites: Sites, where: str) -> None:
    """Raises UserError where a site has more images than it declares because it is beside its special position."""
    images = np.bincount(expanded.site, minlength=len(sites.numbers))
    wrong = (sites.multiplicity > 0) & (images > sites.multiplicity)
    if not wrong.any():
        return
    close = _close_pairs(expanded.cell, _NO_CRYSTAL)
    first, second = expanded.site[close].T
    split = first[(first == second) & wrong[first]]
    if len(split):
        site = split[0]
        raise UserError(
            "a site that is nearly on a special position, and whose images are no crystal",
            where=where,
            got=f"{sites.labels[site]} with {images[site]} images, some closer than {_NO_CRYSTAL} A; "
            f"declared multiplicity {sites.multiplicity[site]}",
            next_step="write its place with all digits",
        )


def _apart(expanded: list[Expanded]) -> list[Expanded]:
    """Those without atoms nearer than `_NO_CRYSTAL`, where there are such."""
    if len(expanded) < 2:
        return expanded
    return [
        each for each in expanded if smallest_distance(each.cell.lattice, each.cell.frac_coords) > _NO_CRYSTAL
    ] or expanded
