"""A crystal as its space group, its orbits and what is left free: exact symmetry, few numbers, one canonical form.

`unigen.crystals.symmetry_finder.find_symmetric` describes a crystal so, `align` in the setting of another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unigen.crystals.cell import wrap
from unigen.crystals.crystal import Crystal
from unigen.errors import UserError
from unigen.geometry.lattice import lattice_matrix
from unigen.shapes import Float, Integer
from unigen.symmetry.crystal_systems import free_lattice
from unigen.symmetry.nearest_setting import nearest_description
from unigen.symmetry.setting import Description
from unigen.symmetry.space_groups import orbit_operations, representative, space_group, transform

if TYPE_CHECKING:
    from pymatgen.core import Structure


@dataclass(frozen=True, eq=False)
class SymmetricCrystal:
    """A crystal described by its space group.

    Attributes:
        space_group: international number, 1 to 230.
        lattice: a, b, c in Angstrom and alpha, beta, gamma in radians of the **conventional** cell, shape (6,).
        numbers: atomic number of each orbit.
        letters: Wyckoff letter of each orbit, 0 = 'a'.
        free: free parameters of each orbit in [0, 1), shape (orbits, 3), those beyond its freedom 0.
        symprec: tolerance in Angstrom at which the symmetry was found; 0 where none was looked for.

    Raises:
        UserError: shapes that disagree, no such space group or letter.
    """

    space_group: int
    lattice: Float[np.ndarray, "6"]
    numbers: Integer[np.ndarray, "orbits"]
    letters: Integer[np.ndarray, "orbits"]
    free: Float[np.ndarray, "orbits 3"]
    symprec: float = 0.0

    def __post_init__(self) -> None:
        orbits, group = len(self.numbers), space_group(self.space_group)
        if self.letters.shape != (orbits,) or self.free.shape != (orbits, 3) or self.lattice.shape != (6,):
            raise UserError(
                "array shapes disagree",
                got=f"numbers {self.numbers.shape}, letters {self.letters.shape}, free {self.free.shape}",
                wanted="(orbits,), (orbits,), (orbits, 3)",
            )
        if orbits and not (self.letters.min() >= 0 and self.letters.max() < len(group.dof)):
            raise UserError(f"{group.symbol} has no such Wyckoff position", got=self.letters.tolist())
        dtypes = {"numbers": np.int64, "letters": np.int64, "lattice": np.float64, "free": np.float64}
        for name, dtype in dtypes.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def counts(self) -> dict[int, int]:
        """Atoms of the primitive cell by atomic number, ascending."""
        total: Counter[int] = Counter()
        points = space_group(self.space_group).primitive_multiplicity[self.letters]
        for number, multiplicity in zip(self.numbers.tolist(), points.tolist(), strict=True):
            total[number] += multiplicity
        return dict(sorted(total.items()))

    @property
    def n_free(self) -> int:
        """How many real numbers are left: free coordinates and free numbers of the lattice."""
        group = space_group(self.space_group)
        return int(group.dof[self.letters].sum()) + int(free_lattice(group.crystal_system).sum())

    def to_crystal(self) -> Crystal:
        """All atoms of the primitive cell, orbit after orbit; a as in `unigen.geometry.lattice.lattice_matrix`."""
        group = space_group(self.space_group)
        points = []
        for letter, free in zip(self.letters.tolist(), self.free, strict=True):
            operations = orbit_operations(self.space_group, letter, primitive=True)
            points.append(transform(operations, representative(group, letter, free)))
        lattice = group.to_primitive @ lattice_matrix(self.lattice)
        coords = wrap(np.concatenate(points) @ np.linalg.inv(group.to_primitive))
        return Crystal(np.repeat(self.numbers, [len(p) for p in points]), coords, lattice)


SAME_POINT = 1e-3
"""Fractional distance below which two images of a typed site are one; thirds are written to five digits."""


def structure_of_sites(
    space_group_number: int, cell: Sequence[int | float], sites: Sequence[Sequence[str | int | float]]
) -> Structure:
    """A structure as handbooks list it, in pymatgen's class: all atoms of the conventional cell.

    Args:
        space_group_number: in its standard setting (unique axis b, hexagonal axes, origin choice 2). pymatgen's own
            ``Structure.from_spacegroup`` takes origin choice 1 of some groups.
        cell: a, b, c in Angstrom and the angles in degrees; a alone of a cubic cell; a, c of a tetragonal, hexagonal or
            trigonal one.
        sites: element and fractional coordinates of one atom of each orbit.

    Example:
        >>> structure_of_sites(225, [5.64], [("Na", 0, 0, 0), ("Cl", 0.5, 0.5, 0.5)]).formula
        'Na4 Cl4'
    """
    from pymatgen.core import Lattice, Structure

    group = space_group(space_group_number)
    species: list[str] = []
    places: list[np.ndarray] = []
    for element, *position in sites:
        orbit: list[np.ndarray] = []
        for image in transform(group.operations, np.array(position, dtype=float)).reshape(-1, 3) % 1:
            between = [image - other for other in orbit]
            if not any(np.abs(each - np.round(each)).max() < SAME_POINT for each in between):
                orbit.append(image)
        species += [str(element)] * len(orbit)
        places += orbit
    if len(cell) == 6:
        a, b, c, alpha, beta, gamma = cell
        lattice = Lattice.from_parameters(a, b, c, alpha, beta, gamma)
    elif group.crystal_system == "cubic":
        lattice = Lattice.cubic(cell[0])
    else:
        a, c = cell
        lattice = Lattice.tetragonal(a, c) if group.crystal_system == "tetragonal" else Lattice.hexagonal(a, c)
    return Structure(lattice, species, places)


def align(target: SymmetricCrystal, reference: SymmetricCrystal) -> SymmetricCrystal | None:
    """The target described in the reference's setting, or None where their templates differ.

    They have the same template when they are of one space group and, in some setting of it, have the same elements at
    the same letters. The orbits of the result are in the reference's order, ``numbers`` and ``letters`` are the
    reference's; origin, axes and representatives are those for which free parameters and cell are nearest to it.

    Args:
        target: the crystal to describe anew; its handedness is kept.
        reference: the crystal that gives the setting, with the elements of the target in their places.
    """
    if target.space_group != reference.space_group or len(target.numbers) != len(reference.numbers):
        return None
    if not np.array_equal(np.sort(target.numbers), np.sort(reference.numbers)):
        return None
    aligned = nearest_description(
        target.space_group, _description(target), _description(reference), target.numbers, reference.numbers
    )
    if aligned is None:
        return None
    return SymmetricCrystal(
        target.space_group, aligned.lattice, reference.numbers, reference.letters, aligned.free, target.symprec
    )


def _description(crystal: SymmetricCrystal) -> Description:
    return Description(crystal.lattice, crystal.letters, crystal.free, np.arange(len(crystal.letters)))
