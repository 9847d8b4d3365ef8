"""A crystal as its space group, its orbits and what is left free: exact symmetry, few numbers, one canonical form."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from unigen.crystals.cell import wrap
from unigen.crystals.crystal import Crystal
from unigen.errors import UserError
from unigen.geometry.lattice import lattice_matrix
from unigen.shapes import Float, Integer
from unigen.symmetry.crystal_systems import free_lattice
from unigen.symmetry.space_groups import orbit_operations, representative, space_group, transform

SYMPRECS = (0.1, 0.01, 0.001)
"""Tolerances in Angstrom tried one after the other."""

FAITHFUL = 1e-3
"""Root mean square displacement, in units of (V/atoms)^(1/3), below which two crystals count as the same."""


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
        kinds = {"numbers": np.int64, "letters": np.int64, "lattice": np.float64, "free": np.float64}
        for name, kind in kinds.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=kind)
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

    @classmethod
    def from_crystal(
        cls, crystal: Crystal, symprecs: tuple[float, ...] = SYMPRECS, faithful: float = FAITHFUL
    ) -> SymmetricCrystal:
        """The canonical symmetric form of a crystal; needs spglib.

        The same for every cell, origin and order of atoms of one crystal: among the descriptions that the space
        group's normaliser makes equivalent the one with the smallest letters and numbers is taken (see
        `unigen.symmetry.setting`), elements in the order of their counts, then of their chemical rank.

        Args:
            crystal: any cell of it.
            symprecs: tolerances in Angstrom, the first taken that keeps the crystal as it is; where none does, the
                crystal is described in P1.
            faithful: how far idealising may move the atoms (root mean square, in units of (V/atoms)^(1/3)); lengths
                and angles of the cell may change by five times this. A structure that is noisier than this loses its
                symmetry; give more where symmetry matters more than the last digits.
        """
        from unigen.crystals.symmetry_finder import find_symmetric

        return find_symmetric(crystal, symprecs, faithful)
