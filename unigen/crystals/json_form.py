"""A crystal from JSON: UniGenX's ``lattice`` + ``sites``, pymatgen's, OPTIMADE's and JARVIS's, arrays by many names."""

from __future__ import annotations

from typing import Any

import numpy as np

from unigen.crystals.cell import check_volume
from unigen.crystals.crystal import Crystal
from unigen.elements import atomic_number_of, atomic_number_of_label, is_full
from unigen.errors import UserError
from unigen.shapes import Float

# Names are tried in this order.
_SITE_ELEMENT = ("element", "species", "symbol", "label", "name", "atomic_number", "number")
_FRACTIONAL = ("fractional_coordinates", "frac_coords", "fractional_coords", "abc", "frac")
_CARTESIAN = ("cartesian_coordinates", "cart_coords", "xyz", "position")
_LATTICE = ("lattice", "cell", "lattice_matrix", "matrix", "lattice_mat", "lattice_vectors")
_ELEMENTS = ("numbers", "atomic_numbers", "elements", "species", "symbols", "atom_types")
_CARTESIAN_ARRAY = ("cart_coords", "cartesian_coordinates", "positions", "cartesian_site_positions")
_OF_ONE_KIND = "coords"
"""Fractional, unless one of `_IS_CARTESIAN` says that it is not."""
_IS_CARTESIAN = ("coords_are_cartesian", "cartesian")
_NESTED = ("structure", "atoms", "attributes")
"""What holds the structure in entries of pymatgen, JARVIS and OPTIMADE."""
NAMES = ("id", "material_id", "mp_id", "jid", "name", "entry_id")
"""What names an entry, in this order."""
STRUCTURE_KEYS = frozenset(
    name
    for names in (_NESTED, _IS_CARTESIAN, _LATTICE, _ELEMENTS, _FRACTIONAL, _CARTESIAN, _CARTESIAN_ARRAY)
    for name in (*names, "sites", "charge", _OF_ONE_KIND, "species_at_sites")
)
"""The top-level names that say the structure itself; every other field is information about it."""

_AGREE = 0.05
"""Angstrom: what places of three digits in a cell of 50 Angstrom may differ by when they are written in both ways."""


def holds_structure(entry: dict) -> bool:
    """Whether a JSON object looks like a crystal in one of the forms read here."""
    return _nested(entry) is not None or any(name in entry for name in _LATTICE)


def from_json(entry: dict, where: str = "") -> Crystal:
    """A crystal from a JSON object.

    Raises:
        UserError: naming the field or the site that is missing or wrong, or said in two ways that disagree.
    """
    nested = _nested(entry)
    if nested is not None:
        return from_json(nested, where)
    lattice = _lattice(_first(entry, _LATTICE, where), where)
    sites = entry.get("sites", entry.get("atoms"))
    if isinstance(sites, list):
        numbers = [
            _atomic_number(*_named(site, _SITE_ELEMENT, where), index, where) for index, site in enumerate(sites)
        ]
        places = [_places(site, lattice, f"{where} site {index}") for index, site in enumerate(sites)]
        for index, place in enumerate(places):
            if place.shape != (3,):
                raise UserError(f"site {index}: coordinates are not three numbers", where=where, got=place.tolist())
        coords = np.array(places).reshape(-1, 3)
    else:
        numbers = [_atomic_number("", element, index, where) for index, element in enumerate(_elements(entry, where))]
        coords = _places(entry, lattice, where)
    if coords.shape != (len(numbers), 3):
        raise UserError("not three coordinates a site", where=where, got=f"{len(numbers)} sites, shape {coords.shape}")
    return Crystal.from_arrays(np.array(numbers, dtype=np.int64), coords, lattice, where=where)


def _nested(entry: dict) -> dict | None:
    """The structure inside an entry, where that is an object of its own."""
    inner = (entry[name] for name in _NESTED if isinstance(entry.get(name), dict))
    return next((each for each in inner if holds_structure(each)), None)


def _elements(entry: dict, where: str) -> list:
    """The species of each site; of OPTIMADE, whose sites name kinds, the one symbol of its kind."""
    if "species_at_sites" not in entry:
        elements = _first(entry, _ELEMENTS, where)
        if not isinstance(elements, list):  # text is a list of letters to Python
            raise UserError("the species are not a list", where=where, got=str(elements)[:40])
        return elements
    kinds = {each.get("name"): each for each in entry.get("species") or [] if isinstance(each, dict)}
    elements = []
    for name in entry["species_at_sites"]:
        symbols = kinds[name].get("chemical_symbols", [name]) if name in kinds else [name]
        shares = kinds[name].get("concentration", [1]) if name in kinds else [1]
        match shares:
            case [int() | float() as share]:
                full = len(symbols) == 1 and is_full(float(share))
            case _:
                full = False
        elements.append(symbols[0] if full else [{"element": symbol, "occu": 0} for symbol in symbols])
    return elements


def _first(entry: dict, names: tuple[str, ...], where: str) -> Any:
    return _named(entry, names, where)[1]


def _named(entry: Any, names: tuple[str, ...], where: str) -> tuple[str, Any]:
    """The first of some fields that there is, by its name."""
    if not isinstance(entry, dict):
        raise UserError("not a JSON object", where=where, got=str(entry)[:40])
    for name in names:
        if name in entry:
            return name, entry[name]
    raise UserError(f"no field {names[0]!r}", where=where, got=",".join(list(entry)[:8]), wanted=" or ".join(names[:3]))


def _lattice(value: object, where: str) -> Float[np.ndarray, "3 3"]:
    matrix = _coords(value["matrix"] if isinstance(value, dict) and "matrix" in value else value, where)
    if matrix.shape != (3, 3):
        raise UserError("the lattice is no 3 x 3 matrix", where=where, got=f"shape {matrix.shape}")
    check_volume(matrix, where)
    return matrix


def _coords(value: object, where: str) -> np.ndarray:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError("not an array of numbers", where=where, got=str(value)[:60]) from error


def _places(entry: dict, lattice: Float[np.ndarray, "3 3"], where: str) -> Float[np.ndarray, "*sites 3"]:
    """Fractional coordinates of one site or of all, however they are said; said twice, they must agree."""
    flags = {name: entry[name] for name in _IS_CARTESIAN if name in entry}
    wrong = [name for name, flag in flags.items() if not isinstance(flag, bool)]
    if wrong:
        raise UserError(f"{wrong[0]}: neither true nor false", where=where, got=str(flags[wrong[0]])[:40])
    cartesian = any(flags.values())
    named = dict.fromkeys(_FRACTIONAL, False) | {_OF_ONE_KIND: cartesian}
    named |= dict.fromkeys((*_CARTESIAN, *_CARTESIAN_ARRAY), True)
    said = {name: is_cartesian for name, is_cartesian in named.items() if name in entry}
    if not said:
        raise UserError("no coordinates", where=where, wanted=_FRACTIONAL[0])
    fractional = {}
    for name, is_cartesian in said.items():
        values = _coords(entry[name], where)
        if values.shape[-1:] != (3,):
            raise UserError(f"{name} are not three numbers", where=where, got=str(entry[name])[:60])
        fractional[name] = values @ np.linalg.inv(lattice) if is_cartesian else values
    first, *others = fractional
    for name in others:
        apart = _apart(fractional[first], fractional[name], lattice)
        if apart > _AGREE:
            raise UserError(f"{first} and {name} are other places", where=where, got=f"{apart:.2g} A apart")
    if cartesian and not any(said.values()):
        raise UserError(f"{first} beside {next(iter(flags))}: true", where=where, wanted="the one or the other")
    return fractional[first]


def _apart(one: np.ndarray, other: np.ndarray, lattice: Float[np.ndarray, "3 3"]) -> float:
    """The largest distance of the same site, up to vectors of the lattice; Angstrom."""
    if one.shape != other.shape:
        return float("inf")
    difference = one - other
    distances = np.linalg.norm((difference - np.round(difference)) @ lattice, axis=-1)
    return float(distances.max(initial=0.0))


def _atomic_number(field: str, species: object, index: int, where: str) -> int:
    if isinstance(species, list):  # pymatgen: [{"element": "Na", "occu": 1}]
        if len(species) != 1 or not isinstance(species[0], dict) or not is_full(float(species[0].get("occu", 1))):
            raise UserError(f"site {index}: partial occupancy", where=where, got=species, wanted="one element a site")
        species = species[0].get("element")
    if isinstance(species, float) and species.is_integer():
        species = int(species)
    if isinstance(species, int) and not isinstance(species, bool):
        return species
    number_of = atomic_number_of_label if field in ("label", "name", "") else atomic_number_of
    number = number_of(str(species))
    if number is None:
        raise UserError(f"site {index}: unknown species", where=where, got=species)
    return number
