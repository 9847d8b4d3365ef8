"""What the page needs to draw a structure and to write its file: exact coordinates, images, bonds and a view.

Everything is lists of numbers, flat to keep the page small: a crystal of ten atoms takes about a kilobyte.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.elements import SYMBOLS
from unigen.molecules.molecule import Molecule
from unigen.report.pictures.conventional_cell import SYMPREC, conventional_cell
from unigen.report.pictures.crystals import look_at_cell
from unigen.report.pictures.molecules import look_flat_on
from unigen.report.pictures.periodic_images import ANIONS, BOND_FACTOR, close_cell, find_bonds
from unigen.shapes import Float, Int

_FRACTION_DIGITS, _ANGSTROM_DIGITS, _VIEW_DIGITS = 6, 5, 4
"""The page writes CIF with six digits and SD files with four from these; four turn a view by less than a pixel."""

Scene = dict[str, Any]
"""Ready for JSON; `crystal_scene` and `molecule_scene` say what it holds."""


def scene_of(structure: Crystal | Molecule, symprec: float = SYMPREC) -> Scene:
    """The scene of either kind; ``symprec`` is the tolerance of a crystal's conventional cell, Angstrom."""
    return crystal_scene(structure, symprec) if isinstance(structure, Crystal) else molecule_scene(structure)


def crystal_scene(crystal: Crystal, symprec: float = SYMPREC) -> Scene:
    """A crystal; see `scene_of`.

    Returns:
        ``numbers`` of the crystal's atoms and their fractional ``coords``, each in the cell that starts
        `unigen.report.pictures.periodic_images.BOUNDARY` below zero; ``lattice`` (rows); ``bonds`` of the infinite
        crystal, each once (an atom, another, and three whole cells between them); and ``view``, a quaternion (x, y, z,
        w). Where its conventional cell is another, ``conventional``: its ``basis`` (rows) and ``origin`` in the vectors
        of the given one, and the ``view`` of it.
    """
    wrapped = close_cell(crystal.frac_coords).wrapped
    bonds = find_bonds(crystal, wrapped)
    scene = {
        "numbers": crystal.numbers.tolist(),
        "coords": _rounded(wrapped, _FRACTION_DIGITS),
        "lattice": _rounded(crystal.lattice, _FRACTION_DIGITS),
        "bonds": np.column_stack([bonds.first, bonds.second, bonds.shifts]).ravel().tolist(),
        "view": _quaternion(look_at_cell(crystal.lattice)),
    }
    conventional = conventional_cell(crystal, wrapped, symprec)
    if conventional is not None:
        scene["conventional"] = {
            "basis": _rounded(conventional.basis, _FRACTION_DIGITS),
            "origin": _rounded(conventional.origin[None], _FRACTION_DIGITS),
            "view": _quaternion(look_at_cell(conventional.basis @ crystal.lattice)),
        }
    return scene


def molecule_scene(molecule: Molecule) -> Scene:
    """A molecule.

    Returns:
        ``numbers``, Cartesian ``coords``, ``bonds`` (two atoms and an order each), ``charges`` where any atom has one,
        and ``view``, a quaternion (x, y, z, w). Where bonds are unknown, ``near``: pairs of atoms by covalent radii.
    """
    scene = {
        "numbers": molecule.numbers.tolist(),
        "coords": _rounded(molecule.positions, _ANGSTROM_DIGITS),
        "bonds": molecule.bonds.ravel().tolist(),
        "view": _quaternion(look_flat_on(molecule.positions)),
    }
    if molecule.charges.any():
        scene["charges"] = molecule.charges.tolist()
    if not len(molecule.bonds):
        scene["near"] = _near(molecule).ravel().tolist()
    return scene


def palette(numbers: Iterable[int]) -> dict[int, tuple[str, str, float, int]]:
    """By atomic number: symbol, Jmol's colour, covalent radius in Angstrom, and place among the anions, 0 of a metal.

    Around an atom those neighbours are its ligands that have a higher place.
    """
    from ase.data import covalent_radii
    from ase.data.colors import jmol_colors

    entries = {}
    for number in sorted(set(numbers)):
        red, green, blue = (round(255 * value) for value in jmol_colors[min(number, len(jmol_colors) - 1)])
        radius = round(float(covalent_radii[min(number, len(covalent_radii) - 1)]), 2)
        place = 1 + ANIONS.index(number) if number in ANIONS else 0
        entries[number] = (SYMBOLS[number], f"#{red:02x}{green:02x}{blue:02x}", radius, place)
    return entries


def _near(molecule: Molecule) -> Int[np.ndarray, "near 2"]:
    from ase.data import covalent_radii

    radii = BOND_FACTOR * covalent_radii[molecule.numbers]
    distances = np.linalg.norm(molecule.positions[:, None] - molecule.positions, axis=2)
    return np.argwhere(np.triu(distances <= radii[:, None] + radii, k=1))


def _rounded(values: Float[np.ndarray, "rows 3"], digits: int) -> list[float]:
    return (values.round(digits) + 0.0).ravel().tolist()  # no minus zero


def _quaternion(view: Float[np.ndarray, "3 3"]) -> list[float]:
    from scipy.spatial.transform import Rotation

    # views are applied from the right, scipy's rotations from the left
    return Rotation.from_matrix(view.T).as_quat().round(_VIEW_DIGITS).tolist()
