"""One crystal: the domain object that comes from files and leaves to pymatgen, ASE and files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unigen.crystals import cell, cif, files
from unigen.crystals.cif_writer import SYMPREC, write_cif
from unigen.crystals.extensive import scaled_properties
from unigen.crystals.poscar import parse_poscar
from unigen.display import ShownInNotebooks
from unigen.elements import SMALLEST_DISTANCE, SYMBOLS, format_formula, reduce_counts
from unigen.errors import UserError
from unigen.parsing import read_text
from unigen.shapes import Float, Integer

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

FARTHEST = 1e8
"""Cells from the origin: beyond, a double no longer says where in its cell an atom is (to 1e-8 of it), and a lost point
of decimals is likelier."""

GRAM_PER_CUBIC_CENTIMETRE = 1.66053906660
"""Of one atomic mass unit in a cubic Angstrom."""

LARGEST_VOLUME = 1e5
"""Cubic Angstrom an atom: thinner than air, which has 2e4. The largest of 105,000 crystals of MP and OQMD has 600, a
molecule in a box for a calculation some 1e4."""


@dataclass(frozen=True, eq=False, repr=False)
class Crystal(ShownInNotebooks):
    """A periodic structure: every site fully occupied by one element.

    Attributes:
        numbers: atomic numbers, shape (atoms,).
        frac_coords: fractional coordinates, shape (atoms, 3).
        lattice: shape (3, 3), **rows are the lattice vectors**, in Angstrom.
        properties: named scalars (units are on the card of the dataset they come from).

    Raises:
        UserError: shapes that disagree, NaN or places beyond all cells, an unknown element, a cell of zero volume, or
            one so large for its atoms, or so thin, that no crystal has it and programs spend gigabytes on it.
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
        if np.abs(coords).max() > FARTHEST:
            site = int(np.abs(coords).max(axis=1).argmax())
            raise UserError(f"site {site}: coordinates beyond all cells", got=coords[site].tolist())
        if not np.isfinite(lattice).all():
            raise UserError("the lattice is not finite", got=lattice.tolist())
        unknown = np.flatnonzero((numbers < 1) | (numbers >= len(SYMBOLS)))
        if len(unknown):
            raise UserError(f"site {unknown[0]}: unknown species", got=int(numbers[unknown[0]]))
        _check_cell(lattice, len(numbers))
        for name, array in (("numbers", numbers), ("frac_coords", coords), ("lattice", lattice)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        lengths = " ".join(f"{length:.3f}" for length in np.linalg.norm(self.lattice, axis=1))
        return f"Crystal({self.formula}, a b c {lengths} A, {self.volume / len(self):.2f} A^3/atom)"

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
        return self._smallest_distance

    @cached_property
    def _smallest_distance(self) -> float:
        """Kept: who draws a crystal asks for it, and who writes it down."""
        return cell.smallest_distance(self.lattice, self.frac_coords)

    def reduced(self, symprec: float = 0.01) -> Crystal:
        """The same crystal in its primitive Niggli cell: right-handed, coordinates in [0, 1); needs spglib.

        Properties that are totals of a cell (`unigen.crystals.extensive`) become those of the primitive cell.

        Args:
            symprec: tolerance in Angstrom for the translations that make the cell smaller.
        """
        primitive = cell.reduce_cell(self._cell(), symprec)
        properties = scaled_properties(self.properties, len(primitive.numbers) / len(self))
        return Crystal(primitive.numbers, primitive.frac_coords, primitive.lattice, properties)

    def primitive_atoms(self, symprec: float = 0.01) -> int:
        """How many atoms `reduced` leaves, found without reducing; needs spglib."""
        return cell.primitive_atoms(self._cell(), symprec)

    def space_group(self, symprec: float = 0.01) -> cell.SpaceGroup:
        """Number and symbol of the space group at a tolerance in Angstrom; P1 where none is found; needs spglib."""
        return cell.find_space_group(self._cell(), symprec)

    def unskewed(self) -> Crystal:
        """This crystal, in a basis of short vectors where its own is far from it: see `cell.unskewed`."""
        given = self._cell()
        short = cell.unskewed(given)
        return self if short is given else Crystal(short.numbers, short.frac_coords, short.lattice, self.properties)

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

    def _cell(self) -> cell.Cell:
        return cell.Cell(self.lattice, self.frac_coords, self.numbers)

    @classmethod
    def from_arrays(
        cls,
        numbers: np.ndarray,
        frac_coords: np.ndarray,
        lattice: np.ndarray,
        properties: dict[str, float] | None = None,
        where: str = "",
    ) -> Crystal:
        """A checked crystal of arrays as files hold them, of any width of number.

        Args:
            numbers: atomic numbers, shape (atoms,).
            frac_coords: fractional coordinates, shape (atoms, 3).
            lattice: rows are the lattice vectors, in Angstrom, shape (3, 3).
            properties: named scalars.
            where: file and entry, for messages.

        Raises:
            UserError: as `Crystal` and `checked` do, naming ``where``.
        """
        try:
            crystal = cls(numbers.astype(np.int64), frac_coords.astype(np.float64), lattice.astype(np.float64))
            return replace(crystal, properties=properties or {}).checked()
        except UserError as error:
            raise UserError(str(error), where=where) from error

    @classmethod
    def from_pymatgen(cls, structure: Structure, where: str = "") -> Crystal:
        """From a pymatgen Structure; oxidation states and site properties are dropped.

        Args:
            structure: every site fully occupied by one element.
            where: file and entry, for messages.

        Raises:
            UserError: naming the site: partial occupancy, unknown species, atoms closer than 0.1 Angstrom, NaN.
        """
        lattice, frac_coords, numbers = files.cell_of_structure(structure, where)
        return cls.from_arrays(numbers, frac_coords, lattice, where=where)

    def to_pymatgen(self) -> Structure:
        """As a pymatgen Structure."""
        return files.structure_of_cell(self._cell())

    @classmethod
    def from_ase(cls, atoms: Atoms, where: str = "") -> Crystal:
        """From ASE Atoms with a cell; numbers in ``atoms.info`` become properties.

        Cells that are periodic in one or two directions are refused, a cell without pbc is periodic. Raises as
        `from_pymatgen` does.
        """
        (lattice, frac_coords, numbers), properties = files.cell_of_atoms(atoms, where)
        return cls.from_arrays(numbers, frac_coords, lattice, properties, where)

    def to_ase(self) -> Atoms:
        """As ASE Atoms, periodic in three directions, properties in ``info``."""
        return files.atoms_of_cell(self._cell(), self.properties)

    @classmethod
    def from_cif(cls, path_or_text: str | Path, where: str = "") -> Crystal:
        """From a CIF that holds one structure: a path, or the text itself; sites keep the file's order.

        Raises:
            UserError: as `unigen.crystals.cif.parse_cif`, and atoms closer than 0.1 Angstrom.
        """
        text, name = read_text(path_or_text)
        lattice, frac_coords, numbers = cif.parse_cif(text, where or name)
        return cls.from_arrays(numbers, frac_coords, lattice, where=where or name)

    def to_cif(self, path: str | Path | None = None, symprec: float | None = SYMPREC) -> str:
        """CIF text, written to ``path`` too when it is given: the conventional cell with its space group.

        Args:
            path: file to write.
            symprec: Angstrom, at which the space group is looked for and within which atoms are moved to their places;
                None writes this cell in P1, its atoms in their order.
        """
        text = write_cif(self._cell(), symprec)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_poscar(cls, path_or_text: str | Path, where: str = "") -> Crystal:
        """From a POSCAR that names its elements: a path, or the text itself. Raises as `from_pymatgen` does."""
        text, name = read_text(path_or_text)
        lattice, frac_coords, numbers = parse_poscar(text, where or name)
        return cls.from_arrays(numbers, frac_coords, lattice, where=where or name)

    def to_poscar(self, path: str | Path | None = None) -> str:
        """POSCAR text (VASP 5, direct coordinates), written to ``path`` too when it is given."""
        text = files.write_poscar(self.to_pymatgen())
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_extxyz(cls, path_or_text: str | Path, where: str = "") -> Crystal:
        """From the first frame of an extended XYZ file or text. Raises as `from_pymatgen` does."""
        text, name = read_text(path_or_text)
        return cls.from_ase(files.parse_extxyz(text, where or name), where or name)

    def to_extxyz(self) -> str:
        """One extended XYZ frame with its properties; a file of several is their concatenation."""
        return files.write_extxyz(self._cell(), self.properties)


def _check_cell(lattice: Float[np.ndarray, "3 3"], atoms: int) -> None:
    """Raises UserError for a cell that no crystal has."""
    with np.errstate(over="ignore"):  # of 1e200 Angstrom: infinite is too long, too
        lengths = np.linalg.norm(lattice, axis=1)
    volume = abs(float(np.linalg.det(lattice))) if lengths.max() < cell.LONGEST else np.inf
    if lengths.max() < cell.LONGEST:
        cell.check_volume(lattice)
    if volume > LARGEST_VOLUME * atoms:
        got = f"{lengths[0]:.4g} x {lengths[1]:.4g} x {lengths[2]:.4g} A for {atoms} atoms"
        wanted = f"at most {LARGEST_VOLUME:g} A^3 an atom, which is thinner than air"
        raise UserError("the cell is far too large for its atoms", got=got, wanted=wanted)
    short = cell.needle(lattice)
    if short is not None:
        got = " x ".join(f"{length:.4g}" for length in short)
        raise UserError("the cell is a needle", got=f"{got} A", wanted="shapes that crystals have")


def repeat_cell(crystal: Crystal, copies: int) -> Crystal:
    """The same crystal in a cell of so many copies, always doubled (tripled, ...) along its shortest vector."""
    for factor in _prime_factors(copies):
        axis = int(np.argmin(np.linalg.norm(crystal.lattice, axis=1)))
        shift = np.zeros((factor, 1, 3))
        shift[:, 0, axis] = np.arange(factor)
        scale = np.ones(3)
        scale[axis] = factor
        crystal = Crystal(
            numbers=np.tile(crystal.numbers, factor),
            frac_coords=((crystal.frac_coords + shift) / scale).reshape(-1, 3),
            lattice=crystal.lattice * scale[:, None],
        )
    return crystal


def _prime_factors(number: int) -> list[int]:
    for factor in range(2, number + 1):
        if number % factor == 0:
            return [*_prime_factors(number // factor), factor]
    return []
