"""Crystals from CIF (the Crystallographic Information Framework), read through gemmi.

`parse_cif` reads the one structure of a file. What a block says twice is compared: the operators with the symbols, both
with the cell; the expanded sites with the declared formula. Where they leave several readings (`cif_symmetry`), those
that contradict the formula, the number of formula units or the multiplicities drop out, and two that still differ are
refused: nothing is guessed, moved or left out in silence.

Sources: Hall, Allen and Brown, Acta Cryst. A47, 655 (1991); International Tables for Crystallography G (2005), core
dictionary (``_atom_site_*``, ``_space_group_*``).
"""

from __future__ import annotations

import numpy as np

from unigen.crystals.cell import Cell
from unigen.crystals.cif_block import Block, number_of, read_blocks
from unigen.crystals.cif_expansion import decide, expand
from unigen.crystals.cif_sites import formula_of, sites_of
from unigen.crystals.cif_symmetry import Reading, Told, fits_cell, readings
from unigen.errors import UserError
from unigen.shapes import Float


def parse_cif(text: str, where: str) -> Cell:
    """The one structure of a CIF, all atoms of its cell, in the order of its sites; blocks without atoms are passed by.

    Args:
        text: the file.
        where: file and entry, for messages.

    Raises:
        UserError: no CIF, no structure or several; a site without place, element or full occupancy; a superspace or
            magnetic group, a macromolecule; a cell, group or formula that contradict each other or leave several
            structures possible.
    """
    blocks = [block for block in read_blocks(text, where) if block.holds_atoms]
    if not blocks:
        raise UserError("not a readable CIF", where=where, got="no atom sites", wanted="a block of atom sites")
    if len(blocks) > 1:
        raise UserError(
            f"{len(blocks)} structures in one CIF",
            where=where,
            got=", ".join(block.name for block in blocks[:5]),
            wanted="one a file",
            next_step="write each data_ block to a file of its own, or read the file by `unigen data build`",
        )
    return _structure(blocks[0], where)


def _structure(block: Block, where: str) -> Cell:
    _refuse_other_kinds(block, where)
    lattice = _lattice(block, where)
    formula = formula_of(block)
    sites = sites_of(block, formula, where)
    symbols = dict.fromkeys(filter(None, (block.first(tag) for tag in _SYMBOLS)))
    told = Told(_triplets(block), block.first(*_HALL), tuple(symbols), block.first(*_NUMBER))
    try:
        found = readings(told)
    except UserError as error:
        raise UserError(str(error), where=where) from error
    fitting = [reading for reading in found if fits_cell(reading.operations, lattice)]
    misfit = next((reading for reading in found if reading not in fitting), None)
    if misfit is not None and all(reading.identity for reading in fitting):
        contradiction = UserError(
            f"the cell has not the symmetry of {misfit.operations.symbol}, told by {misfit.told}",
            where=where,
            got=f"a b c {_cell_text(block, 'length')}, angles {_cell_text(block, 'angle')}",
        )
        if not fitting:
            raise contradiction
    else:
        contradiction = None
    expanded = [expand(reading, sites, lattice, where) for reading in _one_axis(fitting)]
    named = {reading.operations.number for reading in found if not reading.identity}
    return decide(expanded, named, contradiction, formula, sites, where).cell


_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_SYMBOLS = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_full",
    "_symmetry_space_group_name_h-m_full",
    "_space_group_name_h-m",
    "_space_group_name_h-m_ref",
)
_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number", "_space_group_int_tables_number")
_OPERATORS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")


def _refuse_other_kinds(block: Block, where: str) -> None:
    """Blocks whose atoms are no plain three-dimensional crystal, although their sites would look like one."""
    dimension = block.first("_cell_modulation_dimension")
    if (dimension and dimension != "0") or any(tag.startswith("_space_group_ssg_") for tag in block.values):
        raise UserError(
            "a modulated structure in superspace", where=where, wanted="a structure periodic in three dimensions"
        )
    if any(tag.startswith(("_space_group_magn", "_space_group_symop_magn")) for tag in block.values):
        raise UserError(
            "a magnetic structure (magnetic space group)", where=where, wanted="a CIF of the nuclear structure"
        )
    if not block.values.get("_atom_site_fract_x"):
        cartesian = "_atom_site_cartn_x" in block.values
        raise UserError(
            "not a readable CIF",
            where=where,
            got="sites in Cartesian coordinates, as in mmCIF of macromolecules"
            if cartesian
            else "sites without places",
            wanted="_atom_site_fract_x, _y, _z",
        )


def _triplets(block: Block) -> tuple[str, ...]:
    for tag in _OPERATORS:
        values = block.values.get(tag, [])
        if any(values):
            if len(values) % 3 == 0 and all(value.count(",") < 2 for value in values):
                values = "".join(value if value.count(",") else value + ";" for value in values).strip(";").split(";")
            return tuple(values)
    return ()


def _cell_text(block: Block, kind: str) -> str:
    names = ("a", "b", "c") if kind == "length" else ("alpha", "beta", "gamma")
    return " ".join(block.first(f"_cell_{kind}_{name}") or "?" for name in names)


def _lattice(block: Block, where: str) -> Float[np.ndarray, "3 3"]:
    """Right-handed rows; c along z and a in the xz plane, as pymatgen writes them."""
    lengths = np.array([number_of(block.first(f"_cell_length_{axis}")) for axis in "abc"])
    names = ("alpha", "beta", "gamma")
    told = [block.first(f"_cell_angle_{name}") for name in names]
    # the dictionary's default is 90, which is believed of all three together: a single one is rather lost
    degrees = np.array([number_of(text) for text in told]) if any(told) else np.full(3, 90.0)
    cosines = np.cos(np.radians(degrees))
    with np.errstate(invalid="ignore"):
        volume = 1.0 - (cosines**2).sum() + 2.0 * cosines.prod()  # squared, of a cell with edges of 1
    # 1e-6: flatter than any lattice; NaN must fail each of these
    if not (
        (lengths > 0).all() and np.isfinite(lengths).all() and ((degrees > 0) & (degrees < 180)).all() and volume > 1e-6
    ):
        raise UserError(
            "no such cell",
            where=where,
            got=f"a b c {_cell_text(block, 'length')}, angles {_cell_text(block, 'angle')}",
            wanted="three lengths above 0 and angles that close a cell",
        )
    a, b, c = lengths
    ca, cb, cg = np.where(degrees == 90.0, 0.0, cosines)
    sa, sb = np.sqrt(1.0 - ca**2), np.sqrt(1.0 - cb**2)
    star = np.clip((ca * cb - cg) / (sa * sb), -1.0, 1.0)  # cosine of gamma of the reciprocal cell
    return np.array([[a * sb, 0.0, a * cb], [-b * sa * star, b * sa * np.sqrt(1.0 - star**2), b * ca], [0.0, 0.0, c]])


def _one_axis(fitting: list[Reading]) -> list[Reading]:
    """Of the unique axes that one short monoclinic symbol may mean, and the cell allows, the first: b."""
    kept: list[Reading] = []
    for reading in fitting:
        monoclinic = 3 <= reading.operations.number <= 15
        if not (monoclinic and any(reading.told == other.told for other in kept)):
            kept.append(reading)
    return kept
