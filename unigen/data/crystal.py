"""One crystal: the domain object that comes from files and leaves to pymatgen, ASE and files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from unigen.elements import SYMBOLS, format_formula, reduce_counts
from unigen.errors import UserError
from unigen.shapes import Float, Int

if TYPE_CHECKING:
    from pymatgen.core import Structure


@dataclass(frozen=True, eq=False)
class Crystal:
    """A periodic structure: every site fully occupied by one element.

    Attributes:
        numbers: atomic numbers, shape (atoms,).
        frac_coords: fractional coordinates, shape (atoms, 3).
        lattice: shape (3, 3), **rows are the lattice vectors**, in Angstrom.
        properties: named scalars (units are on the card of the dataset they come from).

    Raises:
        UserError: shapes that disagree, NaN, an unknown element, a cell of zero volume.
    """

    numbers: Int[np.ndarray, "atoms"]
    frac_coords: Float[np.ndarray, "atoms 3"]
    lattice: Float[np.ndarray, "3 3"]
    properties: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = np.ascontiguousarray(self.numbers, dtype=np.int64)
        coords = np.ascontiguousarray(self.frac_coords, dtype=np.float64)
        lattice = np.ascontiguousarray(self.lattice, dtype=np.float64)
        if numbers.ndim != 1 or not len(numbers) or coords.shape != (len(numbers), 3) or lattice.shape != (3, 3):
            raise UserError(
                "array shapes disagree",
                got=f"numbers {numbers.shape}, frac_coords {coords.shape}, lattice {lattice.shape}",
                wanted="(atoms,), (atoms, 3), (3, 3)",
            )
        if not np.isfinite(coords).all():
            site = int(np.flatnonzero(~np.isfinite(coords).all(axis=1))[0])
            raise UserError(f"site {site}: coordinates are not finite", got=coords[site].tolist())
        if not np.isfinite(lattice).all():
            raise UserError("the lattice is not finite", got=lattice.tolist())
        unknown = np.flatnonzero((numbers < 1) | (numbers >= len(SYMBOLS)))
        if len(unknown):
            raise UserError(f"site {unknown[0]}: unknown species", got=int(numbers[unknown[0]]))
        if abs(np.linalg.det(lattice)) < 1e-3:
            raise UserError("the cell has no volume", got=f"{abs(np.linalg.det(lattice)):.3g} A^3")
        for name, array in (("numbers", numbers), ("frac_coords", coords), ("lattice", lattice)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def volume(self) -> float:
        """Cell volume in cubic Angstrom."""
        return float(abs(np.linalg.det(self.lattice)))

    @property
    def counts(self) -> dict[int, int]:
        """Number of atoms in the cell by atomic number, ascending."""
        return dict(sorted(Counter(self.numbers.tolist()).items()))

    @property
    def reduced_formula(self) -> str:
        """Canonical key of the composition: counts divided by their gcd, by ascending atomic number."""
        return format_formula(reduce_counts(self.counts)[0])

    def to_pymatgen(self) -> Structure:
        """As a pymatgen Structure."""
        from pymatgen.core import Lattice, Structure

        return Structure(Lattice(self.lattice), self.numbers.tolist(), self.frac_coords)
