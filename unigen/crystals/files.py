"""A crystal from and to pymatgen, ASE, CIF, POSCAR and extended XYZ; the libraries load at the first call.

Deuterium and tritium are read as hydrogen: the models know elements, not isotopes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, numeric, read_text

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

    from unigen.crystals.crystal import Crystal


def from_pymatgen(structure: Structure, where: str = "") -> Crystal:
    """From a pymatgen Structure; raises UserError naming the site that cannot be read."""
    from unigen.crystals.crystal import Crystal

    numbers = [_atomic_number(structure, index, where) for index in range(len(structure))]
    return sound(where, lambda: Crystal(np.array(numbers), structure.frac_coords, structure.lattice.matrix))


def _atomic_number(structure: Structure, index: int, where: str) -> int:
    from pymatgen.core import DummySpecies

    site = structure[index]
    if not site.is_ordered:
        raise UserError(
            f"site {index}: partial occupancy", where=where, got=site.species_string, wanted="one element a site"
        )
    if isinstance(site.specie, DummySpecies):
        raise UserError(f"site {index}: unknown species", where=where, got=site.species_string)
    return int(site.specie.Z)


def sound(where: str, build: Callable[[], Crystal]) -> Crystal:
    """Build and check a crystal; its errors get the name of the file and entry."""
    try:
        return build().checked()
    except UserError as error:
        raise UserError(str(error), where=where) from error


def to_pymatgen(crystal: Crystal) -> Structure:
    """As a pymatgen Structure."""
    from pymatgen.core import Lattice, Structure

    return Structure(Lattice(crystal.lattice), crystal.numbers.tolist(), crystal.frac_coords)


def from_ase(atoms: Atoms, where: str = "") -> Crystal:
    """From ASE Atoms; cells that are periodic in one or two directions are refused, a cell without pbc is periodic."""
    from unigen.crystals.crystal import Crystal

    if atoms.pbc.any() and not atoms.pbc.all():
        raise UserError("not periodic in all three directions", where=where, got=f"pbc {atoms.pbc.tolist()}")
    if not len(atoms) or abs(atoms.cell.volume) < 1e-3:
        raise UserError("the cell has no volume", where=where, got=f"{len(atoms)} atoms, {atoms.cell.volume:.3g} A^3")
    known = dict(atoms.info)
    if atoms.calc is not None:
        known.update(atoms.calc.results)
    # Not get_scaled_positions: it wraps, and a NaN must reach the check that names its site.
    coords = atoms.positions @ np.linalg.inv(atoms.cell.array)
    return sound(where, lambda: Crystal(atoms.numbers, coords, atoms.cell.array, numeric(known)))


def to_ase(crystal: Crystal) -> Atoms:
    """As ASE Atoms, properties in ``info``."""
    from ase import Atoms

    return Atoms(
        numbers=crystal.numbers,
        scaled_positions=crystal.frac_coords,
        cell=crystal.lattice,
        pbc=True,
        info=dict(crystal.properties),
    )


def from_cif(path_or_text: str | Path, where: str = "") -> Crystal:
    """From a CIF with one structure; raises UserError with pymatgen's own words when it cannot be parsed."""
    from pymatgen.io.cif import CifParser

    text, name = read_text(path_or_text)
    where = where or name
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            structures = CifParser(io.StringIO(text)).parse_structures(primitive=False)
        except PARSER_ERRORS as error:
            reasons = [str(warning.message) for warning in caught if "No structure parsed" in str(warning.message)]
            raise UserError("not a readable CIF", where=where, got=_line(reasons[-1] if reasons else error)) from error
    if len(structures) > 1:
        raise UserError(f"{len(structures)} structures in one CIF", where=where, wanted="one a file")
    return from_pymatgen(structures[0], where)


def _line(message: object) -> str:
    return " ".join(str(message).split())[:160] or type(message).__name__


def to_cif(crystal: Crystal, path: str | Path | None = None, symprec: float | None = None) -> str:
    """CIF text; with ``symprec`` (Angstrom) of the conventional symmetrised cell, P1 where no symmetry can be found."""
    from pymatgen.io.cif import CifWriter
    from pymatgen.symmetry.analyzer import SymmetryUndeterminedError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no electronegativity of helium, how spglib will report failures one day, ...
        try:
            text = str(CifWriter(to_pymatgen(crystal), symprec=symprec))
        except SymmetryUndeterminedError:  # atoms on top of each other, say
            text = str(CifWriter(to_pymatgen(crystal)))
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def from_poscar(path_or_text: str | Path, where: str = "") -> Crystal:
    """From a POSCAR of VASP 5, which names its elements (VASP 4's form does not and is refused)."""
    from pymatgen.io.vasp import Poscar

    text, name = read_text(path_or_text)
    where = where or name
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            structure = Poscar.from_str(text).structure
        except PARSER_ERRORS as error:
            raise UserError("not a readable POSCAR", where=where, got=_line(error)) from error
    if any("cannot be determined" in str(warning.message) for warning in caught):
        raise UserError(
            "the POSCAR does not name its elements", where=where, wanted="a line of symbols above the counts"
        )
    return from_pymatgen(structure, where)


def to_poscar(crystal: Crystal, path: str | Path | None = None) -> str:
    """POSCAR text; like atoms that are not neighbours in the list make several blocks, so that their order is kept."""
    from pymatgen.io.vasp import Poscar

    text = Poscar(to_pymatgen(crystal)).get_str()
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def from_extxyz(path_or_text: str | Path, where: str = "") -> Crystal:
    """From the first frame of an extended XYZ file."""
    import ase.io

    text, name = read_text(path_or_text)
    where = where or name
    try:
        atoms: Any = ase.io.read(io.StringIO(text), index=0, format="extxyz")
    except PARSER_ERRORS as error:
        raise UserError("not a readable extended XYZ frame", where=where, got=_line(error)) from error
    return from_ase(atoms, where)


def to_extxyz(crystal: Crystal) -> str:
    """One extended XYZ frame."""
    import ase.io

    frame = io.StringIO()
    ase.io.write(frame, to_ase(crystal), format="extxyz")
    return frame.getvalue()
