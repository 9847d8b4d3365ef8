"""Crystals as arrays from and to pymatgen, ASE, POSCAR and extended XYZ; the libraries load at the first call.

Arrays in, arrays or a library's object out: `unigen.crystals.crystal.Crystal` makes crystals of them. Deuterium and
tritium are read as hydrogen: the models know elements, not isotopes.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.crystals.cell import Cell
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, numeric, one_line

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure


def cell_of_structure(structure: Structure, where: str = "") -> Cell:
    """The arrays of a pymatgen Structure; raises UserError naming the site that cannot be read."""
    from pymatgen.core import DummySpecies

    numbers = []
    for index, site in enumerate(structure):
        if not site.is_ordered:
            raise UserError(
                f"site {index}: partial occupancy", where=where, got=site.species_string, wanted="one element a site"
            )
        if isinstance(site.specie, DummySpecies):
            raise UserError(f"site {index}: unknown species", where=where, got=site.species_string)
        numbers.append(int(site.specie.Z))
    return Cell(structure.lattice.matrix, structure.frac_coords, np.array(numbers))


def structure_of_cell(cell: Cell) -> Structure:
    """As a pymatgen Structure."""
    from pymatgen.core import Lattice, Structure

    return Structure(Lattice(cell.lattice), cell.numbers.tolist(), cell.frac_coords)


def cell_of_atoms(atoms: Atoms, where: str = "") -> tuple[Cell, dict[str, float]]:
    """The arrays of ASE Atoms, and the numbers in their ``info`` and results.

    Raises:
        UserError: a cell that is periodic in one or two directions (one without pbc is periodic), or without volume.
    """
    if atoms.pbc.any() and not atoms.pbc.all():
        raise UserError("not periodic in all three directions", where=where, got=f"pbc {atoms.pbc.tolist()}")
    if not len(atoms) or abs(atoms.cell.volume) < 1e-3:  # as `Crystal`: less than any atom needs
        raise UserError("the cell has no volume", where=where, got=f"{len(atoms)} atoms, {atoms.cell.volume:.3g} A^3")
    scalars = dict(atoms.info)
    if atoms.calc is not None:
        scalars.update(atoms.calc.results)
    # Not get_scaled_positions: it wraps, and a NaN must reach the check that names its site.
    coords = atoms.positions @ np.linalg.inv(atoms.cell.array)
    return Cell(atoms.cell.array, coords, atoms.numbers), numeric(scalars)


def atoms_of_cell(cell: Cell, info: dict[str, float]) -> Atoms:
    """As ASE Atoms, periodic in three directions."""
    from ase import Atoms

    return Atoms(numbers=cell.numbers, scaled_positions=cell.frac_coords, cell=cell.lattice, pbc=True, info=dict(info))


def parse_poscar(text: str, where: str) -> Structure:
    """A POSCAR of VASP 5, which names its elements (VASP 4's form does not and is refused)."""
    from pymatgen.io.vasp import Poscar

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            structure = Poscar.from_str(text).structure
        except PARSER_ERRORS as error:
            raise UserError("not a readable POSCAR", where=where, got=one_line(error)) from error
    if any("cannot be determined" in str(warning.message) for warning in caught):
        raise UserError(
            "the POSCAR does not name its elements", where=where, wanted="a line of symbols above the counts"
        )
    return structure


def write_poscar(structure: Structure) -> str:
    """POSCAR text; like atoms that are not neighbours in the list make several blocks, so that their order is kept."""
    from pymatgen.io.vasp import Poscar

    return Poscar(structure).get_str()


def parse_extxyz(text: str, where: str) -> Atoms:
    """The first frame of an extended XYZ file."""
    import ase.io

    try:
        atoms: Any = ase.io.read(io.StringIO(text), index=0, format="extxyz")
    except PARSER_ERRORS as error:
        raise UserError("not a readable extended XYZ frame", where=where, got=one_line(error)) from error
    return atoms


def write_extxyz(atoms: Atoms) -> str:
    """One extended XYZ frame."""
    import ase.io

    frame = io.StringIO()
    ase.io.write(frame, atoms, format="extxyz")
    return frame.getvalue()
