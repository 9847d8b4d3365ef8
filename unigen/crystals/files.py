"""Crystals as arrays from and to pymatgen, ASE, POSCAR and extended XYZ; the libraries load at the first call.

Arrays in, arrays or a library's object out: `unigen.crystals.crystal.Crystal` makes crystals of them. Deuterium and
tritium are read as hydrogen: the models know elements, not isotopes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.crystals.cell import SMALLEST_VOLUME, Cell
from unigen.elements import SYMBOLS, atomic_number_of, is_full
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, check_columns, numeric, one_line

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure


def cell_of_structure(structure: Structure, where: str = "") -> Cell:
    """The arrays of a pymatgen Structure; raises UserError naming the site that cannot be read."""
    from pymatgen.core import DummySpecies

    numbers = []
    for index, site in enumerate(structure):
        species, *others = site.species
        if others or not is_full(float(site.species[species])):
            raise UserError(
                f"site {index}: partial occupancy", where=where, got=site.species_string, wanted="one element a site"
            )
        if isinstance(species, DummySpecies):
            raise UserError(f"site {index}: unknown species", where=where, got=site.species_string)
        numbers.append(int(species.Z))
    return Cell(structure.lattice.matrix, structure.frac_coords, np.array(numbers))


def structure_of_cell(cell: Cell) -> Structure:
    """As a pymatgen Structure."""
    from pymatgen.core import Lattice, Structure

    return Structure(Lattice(cell.lattice), cell.numbers.tolist(), cell.frac_coords)


def cell_of_atoms(atoms: Atoms, where: str = "") -> tuple[Cell, dict[str, float]]:
    """The arrays of ASE Atoms, and the numbers in their ``info`` and results.

    Raises:
        UserError: a cell that is periodic in one or two directions (one without pbc is periodic), or without volume; a
            site that is not fully occupied by one element, as ASE notes it of a CIF.
    """
    if atoms.pbc.any() and not atoms.pbc.all():
        raise UserError("not periodic in all three directions", where=where, got=f"pbc {atoms.pbc.tolist()}")
    if not len(atoms) or abs(atoms.cell.volume) < SMALLEST_VOLUME:
        raise UserError("the cell has no volume", where=where, got=f"{len(atoms)} atoms, {atoms.cell.volume:.3g} A^3")
    _refuse_partial_occupancy(atoms, where)
    scalars = dict(atoms.info)
    if atoms.calc is not None:
        scalars.update(atoms.calc.results)
    # Not get_scaled_positions: it wraps, and a NaN must reach the check that names its site.
    coords = atoms.positions @ np.linalg.inv(atoms.cell.array)
    return Cell(atoms.cell.array, coords, atoms.numbers), numeric(scalars)


def _refuse_partial_occupancy(atoms: Atoms, where: str) -> None:
    """Raises UserError where ASE's note of occupancies, by kind of site, says that one is shared or partly empty."""
    noted = atoms.info.get("occupancy")
    if not isinstance(noted, dict):
        return
    kinds = atoms.arrays.get("spacegroup_kinds")
    for index in range(len(atoms)):
        shares = noted.get(str(index if kinds is None else int(kinds[index])))
        if isinstance(shares, dict) and (len(shares) != 1 or not is_full(float(*shares.values()))):
            got = ", ".join(f"{symbol} {share:g}" for symbol, share in shares.items())
            raise UserError(f"site {index}: partial occupancy", where=where, got=got, wanted="one element a site")


def atoms_of_cell(cell: Cell, info: dict[str, float]) -> Atoms:
    """As ASE Atoms, periodic in three directions."""
    from ase import Atoms

    return Atoms(numbers=cell.numbers, scaled_positions=cell.frac_coords, cell=cell.lattice, pbc=True, info=dict(info))


def write_poscar(structure: Structure) -> str:
    """POSCAR text; like atoms that are not neighbours in the list make several blocks, so that their order is kept."""
    from pymatgen.io.vasp import Poscar

    return Poscar(structure).get_str()


_KEY = re.compile(r"(?:^|(?<=\s))(lattice|properties|pbc)(?=\s*=)", re.IGNORECASE)
_SPELLED = {"lattice": "Lattice", "properties": "Properties", "pbc": "pbc"}
_PROPERTIES = re.compile(r'(?:^|\s)Properties\s*=\s*"?([^\s"]+)')


def parse_extxyz(text: str, where: str) -> Atoms:
    """The first frame of an extended XYZ file, its keys and its symbols in any spelling that says one thing.

    Raises:
        UserError: not a frame, or a species that is not exactly one element.
    """
    import ase.io

    head, _, rest = text.partition("\n")
    comment, _, sites = rest.partition("\n")
    # ASE knows keys in one spelling only, and of species no charges and no deuterium
    comment = _KEY.sub(lambda key: _SPELLED[key[1].lower()], comment)
    stated = _PROPERTIES.search(comment)
    if stated:
        check_columns(stated[1], sites.partition("\n")[0], where)
    sites = _with_symbols(sites, _species_column(comment), int(head) if head.strip().isdecimal() else 0, where)
    try:
        atoms: Any = ase.io.read(io.StringIO(f"{head}\n{comment}\n{sites}"), index=0, format="extxyz")
    except PARSER_ERRORS as error:
        raise UserError("not a readable extended XYZ frame", where=where, got=one_line(error)) from error
    return atoms


def _species_column(comment: str) -> int | None:
    """Where a line of an atom has its species; None where it has no symbols, but atomic numbers."""
    stated = _PROPERTIES.search(comment)
    words = (stated[1] if stated else "species:S:1").split(":")
    column = 0
    for name, form, width in zip(words[::3], words[1::3], words[2::3], strict=False):
        if name.lower() in ("species", "symbols", "symbol", "element", "elements") and form.upper() == "S":
            return column
        column += int(width) if width.isdecimal() else 0
    return None


def _with_symbols(sites: str, column: int | None, atoms: int, where: str) -> str:
    """The lines of the atoms with plain symbols of elements."""
    if column is None:
        return sites
    lines = sites.split("\n")
    for site, line in enumerate(lines[:atoms]):
        words = line.split()
        if len(words) <= column:
            break  # ASE will say what is missing
        number = atomic_number_of(words[column])
        if number is None:
            raise UserError(f"site {site}: unknown species", where=where, got=words[column])
        words[column] = SYMBOLS[number]
        lines[site] = " ".join(words)
    return "\n".join(lines)


def write_extxyz(cell: Cell, properties: Mapping[str, float]) -> str:
    """One extended XYZ frame, byte for byte as ASE writes it (a test compares them).

    ASE's own writer cannot be had without all its formats, and with them scipy: half a second of every first sample.
    """
    lattice = " ".join(map(str, cell.lattice.ravel().tolist()))
    named = "".join(f"{_quoted(name)}={value} " for name, value in properties.items())
    lines = [str(len(cell.numbers)), f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 {named}pbc="T T T"']
    for number, (x, y, z) in zip(cell.numbers.tolist(), (cell.frac_coords @ cell.lattice).tolist(), strict=True):
        lines.append(f"{SYMBOLS[number]:<2} {x:16.8f} {y:16.8f} {z:16.8f}")
    return "\n".join(lines) + "\n"


def _quoted(name: str) -> str:
    """A key of an extended XYZ frame."""
    if not set(name) & set(" \"'{}[]"):
        return name
    escaped = name.replace('"', '\\"')
    return f'"{escaped}"'
