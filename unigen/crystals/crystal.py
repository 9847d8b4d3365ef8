"""One crystal: the domain object that comes from files and leaves to pymatgen, ASE and files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unigen.crystals import cell
from unigen.crystals import files as convert
from unigen.elements import SYMBOLS, format_formula, reduce_counts
from unigen.errors import UserError
from unigen.shapes import Float, Integer

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

GRAM_PER_CUBIC_CENTIMETRE = 1.66053906660
"""Of one atomic mass unit in a cubic Angstrom."""

SMALLEST_DISTANCE = 0.1
"""Angstrom; atoms closer than this are an error of the file, not a bond."""


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

    numbers: Integer[np.ndarray, "atoms"]
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
        """Canonical key of the composition: counts divided by their greatest common divisor, cations first."""
        return format_formula(reduce_counts(self.counts)[0])

    @property
    def formula(self) -> str:
        """Composition of the whole cell, from cations to anions."""
        return format_formula(self.counts)

    @property
    def density(self) -> float:
        """Mass density in g/cm^3; needs ase for the atomic masses."""
        from ase.data import atomic_masses

        return float(atomic_masses[self.numbers].sum() / self.volume * GRAM_PER_CUBIC_CENTIMETRE)

    def smallest_distance(self) -> float:
        """Shortest distance between two atoms in Angstrom, an atom's own periodic images included."""
        return cell.smallest_distance(self.lattice, self.frac_coords)

    def reduced(self, symprec: float = 0.01) -> Crystal:
        """The same crystal in its primitive Niggli cell: right-handed, coordinates in [0, 1); needs spglib.

        Args:
            symprec: tolerance in Angstrom for the translations that make the cell smaller.
        """
        small = cell.reduce_cell(cell.Cell(self.lattice, self.frac_coords, self.numbers), symprec)
        return Crystal(small.numbers, small.frac_coords, small.lattice, self.properties)

    def space_group(self, symprec: float = 0.01) -> cell.SpaceGroup:
        """Number and symbol of the space group at a tolerance in Angstrom; P1 where none is found; needs spglib."""
        return cell.find_space_group(cell.Cell(self.lattice, self.frac_coords, self.numbers), symprec)

    def checked(self, where: str = "") -> Crystal:
        """This crystal, when no two atoms are closer than 0.1 Angstrom.

        Raises:
            UserError: naming the two sites and their distance.
        """
        if self.smallest_distance() >= SMALLEST_DISTANCE:
            return self
        first, second, distance = cell.closest_pair(self.lattice, self.frac_coords)
        pair = f"sites {first} ({SYMBOLS[self.numbers[first]]}) and {second} ({SYMBOLS[self.numbers[second]]})"
        raise UserError(
            "atoms too close",
            where=where,
            got=f"{pair} {distance:.3g} A apart",
            wanted=f"at least {SMALLEST_DISTANCE} A",
        )

    @classmethod
    def from_pymatgen(cls, structure: Structure) -> Crystal:
        """From a pymatgen Structure; oxidation states and site properties are dropped.

        Raises:
            UserError: naming the site: partial occupancy, unknown species, atoms closer than 0.1 Angstrom, NaN.
        """
        return convert.from_pymatgen(structure)

    def to_pymatgen(self) -> Structure:
        """As a pymatgen Structure."""
        return convert.to_pymatgen(self)

    @classmethod
    def from_ase(cls, atoms: Atoms) -> Crystal:
        """From ASE Atoms with a cell; numbers in ``atoms.info`` become properties. Raises as `from_pymatgen` does."""
        return convert.from_ase(atoms)

    def to_ase(self) -> Atoms:
        """As ASE Atoms, periodic in three directions, properties in ``info``."""
        return convert.to_ase(self)

    @classmethod
    def from_cif(cls, path_or_text: str | Path) -> Crystal:
        """From a CIF that holds one structure: a path, or the text itself. Raises as `from_pymatgen` does."""
        return convert.from_cif(path_or_text)

    def to_cif(self, path: str | Path | None = None, symprec: float | None = None) -> str:
        """CIF text, written to ``path`` too when it is given.

        Args:
            path: file to write.
            symprec: with a tolerance in Angstrom the conventional, symmetrised cell of its space group; else P1.
        """
        return convert.to_cif(self, path, symprec)

    @classmethod
    def from_poscar(cls, path_or_text: str | Path) -> Crystal:
        """From a VASP 5 POSCAR: a path, or the text itself. Raises as `from_pymatgen` does."""
        return convert.from_poscar(path_or_text)

    def to_poscar(self, path: str | Path | None = None) -> str:
        """POSCAR text (VASP 5, direct coordinates), written to ``path`` too when it is given."""
        return convert.to_poscar(self, path)

    @classmethod
    def from_extxyz(cls, path_or_text: str | Path) -> Crystal:
        """From the first frame of an extended XYZ file or text. Raises as `from_pymatgen` does."""
        return convert.from_extxyz(path_or_text)

    def to_extxyz(self) -> str:
        """One extended XYZ frame with its properties; a file of several is their concatenation."""
        return convert.to_extxyz(self)
