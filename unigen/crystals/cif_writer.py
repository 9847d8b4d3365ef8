"""Crystals to CIF: the conventional cell, operators and one site an orbit of the space group, or P1.

Tags are those of the core dictionary (International Tables for Crystallography G, 2005, version 3 names). gemmi names
group and operators, so that what is written is the setting that every reader knows: unique axis b, hexagonal axes,
origin choice 2.
"""

from __future__ import annotations

from functools import cache
from math import gcd
from typing import NamedTuple

import numpy as np

from unigen.crystals.cell import Cell, right_handed, wrap
from unigen.crystals.orbits import find_orbits
from unigen.elements import SYMBOLS, format_formula
from unigen.geometry.lattice import lattice_parameters
from unigen.shapes import Float
from unigen.symmetry.space_groups import representative, space_group

SYMPREC = 1e-3
"""Angstrom, at which the space group is looked for unless another is named. The rounding of a run folder moves atoms by
1e-5 at most, so that what is symmetric by construction is found; and no reader could tell what is idealised by less."""

_DIGITS = 8
"""Of coordinates, lengths and angles: 1/3 is written to 1e-7 Angstrom, far below where readers merge images."""


class _Site(NamedTuple):
    number: int
    multiplicity: int
    wyckoff: str
    place: Float[np.ndarray, "3"]


def write_cif(cell: Cell, symprec: float | None = SYMPREC) -> str:
    """CIF text of a crystal.

    Args:
        cell: any cell of it.
        symprec: tolerance in Angstrom at which its space group is looked for: the conventional cell is written, made
            exact, where that moves no atom by more (root mean square), and P1 where it would. None writes the cell as
            it is in P1, its atoms in their order.
    """
    given = right_handed(cell)
    orbits = None
    if symprec is not None:
        spacing = (abs(np.linalg.det(given.lattice)) / len(given.numbers)) ** (1 / 3)
        orbits = find_orbits(given, (symprec,), symprec / spacing)
    if orbits is None or orbits.space_group == 1:
        sites = [
            _Site(number, 1, "a", place)
            for number, place in zip(given.numbers.tolist(), wrap(given.frac_coords), strict=True)
        ]
        return _text(1, lattice_parameters(given.lattice), sites)
    group = space_group(orbits.space_group)
    sites = [
        _Site(number, int(group.multiplicity[letter]), group.letters[letter], representative(group, letter, free))
        for number, letter, free in zip(orbits.numbers.tolist(), orbits.letters.tolist(), orbits.free, strict=True)
    ]
    return _text(orbits.space_group, orbits.lattice, sites)


def _text(number: int, lattice: Float[np.ndarray, "6"], sites: list[_Site]) -> str:
    counts: dict[int, int] = {}
    for site in sites:
        counts[site.number] = counts.get(site.number, 0) + site.multiplicity
    units = gcd(*counts.values())
    parameters = [*lattice[:3], *np.degrees(lattice[3:])]
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    symbol, hall, operators = _names_of(number)
    formula = {element: count // units for element, count in counts.items()}
    lines = [
        f"data_{format_formula(formula)}",
        f"_chemical_formula_structural {format_formula(formula)}",
        f"_chemical_formula_sum '{' '.join(f'{SYMBOLS[each]}{count}' for each, count in sorted(counts.items()))}'",
        f"_cell_formula_units_Z {units}",
        *(f"_cell_{name} {value:.{_DIGITS}f}" for name, value in zip(names, parameters, strict=True)),
        f"_space_group_IT_number {number}",
        f"_space_group_name_H-M_alt '{symbol}'",
        f"_space_group_name_Hall '{hall}'",
        *("loop_", " _space_group_symop_id", " _space_group_symop_operation_xyz"),
        *(f"  {place} '{operator}'" for place, operator in enumerate(operators, start=1)),
        *("loop_", " _atom_site_label", " _atom_site_type_symbol", " _atom_site_symmetry_multiplicity"),
        *(" _atom_site_Wyckoff_symbol", " _atom_site_fract_x", " _atom_site_fract_y", " _atom_site_fract_z"),
        " _atom_site_occupancy",
    ]
    numbered: dict[int, int] = {}
    for site in sites:
        numbered[site.number] = numbered.get(site.number, 0) + 1
        element = SYMBOLS[site.number]
        place = " ".join(f"{part:.{_DIGITS}f}" for part in site.place)
        label = f"{element}{numbered[site.number]}"
        lines.append(f"  {label} {element} {site.multiplicity} {site.wyckoff} {place} 1")
    return "\n".join(lines) + "\n"


@cache
def _names_of(number: int) -> tuple[str, str, tuple[str, ...]]:
    """Hermann-Mauguin symbol with its setting (``F d -3 m:2``), Hall symbol, and operators as triplets."""
    import gemmi

    operators = []
    for operation in space_group(number).operations:
        operator = gemmi.Op("x,y,z")
        operator.rot = (operation[:, :3] * gemmi.Op.DEN).round().astype(int).tolist()
        operator.tran = (operation[:, 3] * gemmi.Op.DEN).round().astype(int).tolist()
        operators.append(operator.wrap())
    found = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(operators))
    assert found is not None, "every group of the table has a name"
    return found.xhm(), found.hall, tuple(operator.triplet() for operator in operators)
