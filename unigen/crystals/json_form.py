"""A crystal from JSON: UniGenX's ``lattice`` + ``sites``, pymatgen's dictionaries, and plain arrays, by many names."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.elements import ATOMIC_NUMBER
from unigen.errors import UserError

# Names are tried in this order.
_SITE_ELEMENT = ("element", "species", "symbol", "label", "name", "atomic_number", "number")
_FRACTIONAL = ("fractional_coordinates", "frac_coords", "fractional_coords", "abc", "frac")
_CARTESIAN = ("cartesian_coordinates", "cart_coords", "xyz", "position")
_LATTICE = ("lattice", "cell", "lattice_matrix", "matrix")
_ELEMENTS = ("numbers", "atomic_numbers", "elements", "species", "symbols", "atom_types")
_CARTESIAN_ARRAY = ("cart_coords", "cartesian_coordinates", "positions")
STRUCTURE_KEYS = frozenset(
    ("sites", "atoms", "structure", "charge", *_LATTICE, *_ELEMENTS, *_FRACTIONAL, *_CARTESIAN_ARRAY)
)
"""The top-level names that say the structure itself; every other field is information about it."""

_SYMBOL = re.compile(r"([A-Z][a-z]?)")
_ISOTOPES = {"D": "H", "T": "H"}


def holds_structure(entry: dict) -> bool:
    """Whether a JSON object looks like a crystal in one of the forms read here."""
    return isinstance(entry.get("structure"), dict) or any(name in entry for name in _LATTICE)


def from_json(entry: dict, where: str = "") -> Crystal:
    """A crystal from a JSON object; raises UserError naming the field or the site that is missing or wrong."""
    if isinstance(entry.get("structure"), dict):
        return from_json(entry["structure"], where)
    lattice = _lattice(_first(entry, _LATTICE, where), where)
    sites = entry.get("sites", entry.get("atoms"))
    if isinstance(sites, list):
        numbers = [_atomic_number(_first(site, _SITE_ELEMENT, where), index, where) for index, site in enumerate(sites)]
        coords = _coords([_site_coords(site, lattice, index, where) for index, site in enumerate(sites)], where)
    else:
        elements = _first(entry, _ELEMENTS, where)
        numbers = [_atomic_number(element, index, where) for index, element in enumerate(elements)]
        fractional = next((name for name in (*_FRACTIONAL, "coords") if name in entry), None)
        if fractional is not None:
            coords = _coords(entry[fractional], where)
        else:
            coords = _coords(_first(entry, _CARTESIAN_ARRAY, where), where) @ np.linalg.inv(lattice)
    return Crystal.from_arrays(np.array(numbers, dtype=np.int64), coords, lattice, where=where)


def _first(entry: dict, names: tuple[str, ...], where: str) -> Any:
    for name in names:
        if name in entry:
            return entry[name]
    raise UserError(f"no field {names[0]!r}", where=where, got=",".join(list(entry)[:8]), wanted=" or ".join(names[:3]))


def _lattice(value: object, where: str) -> np.ndarray:
    matrix = _coords(value["matrix"] if isinstance(value, dict) and "matrix" in value else value, where)
    if matrix.shape != (3, 3):
        raise UserError("the lattice is no 3 x 3 matrix", where=where, got=f"shape {matrix.shape}")
    return matrix


def _coords(value: object, where: str) -> np.ndarray:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError("not an array of numbers", where=where, got=str(value)[:60]) from error


def _site_coords(site: dict, lattice: np.ndarray, index: int, where: str) -> np.ndarray:
    for names, fractional in ((_FRACTIONAL, True), (_CARTESIAN, False)):
        for name in names:
            if name in site:
                coords = _coords(site[name], f"{where} site {index}")
                if coords.shape != (3,):
                    raise UserError(f"site {index}: {name} are not three numbers", where=where, got=site[name])
                return coords if fractional else np.linalg.solve(lattice.T, coords)
    raise UserError(f"site {index}: no coordinates", where=where, wanted=_FRACTIONAL[0])


def _atomic_number(species: object, index: int, where: str) -> int:
    if isinstance(species, list):  # pymatgen: [{"element": "Na", "occu": 1}]
        if len(species) != 1 or not isinstance(species[0], dict) or float(species[0].get("occu", 1)) != 1:
            raise UserError(f"site {index}: partial occupancy", where=where, got=species, wanted="one element a site")
        species = species[0].get("element")
    if isinstance(species, int) and not isinstance(species, bool):
        return species
    match = _SYMBOL.match(str(species))  # the start of "Na+", "Na1", "Fe3+"
    symbol = _ISOTOPES.get(match.group(1), match.group(1)) if match else ""
    if symbol not in ATOMIC_NUMBER:
        raise UserError(f"site {index}: unknown species", where=where, got=species)
    return ATOMIC_NUMBER[symbol]
