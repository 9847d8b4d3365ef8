"""Writes unigen/symmetry/wyckoff.json.gz: the 230 space groups, their Wyckoff positions and their normalisers.

Run from the repository where PyXtal 1.1.5 (MIT licence; the positions) and spglib (Hall numbers, symbols) can be found:
``python data/wyckoff/make_table.py``. PyXtal is read as files, never imported, so installing it without what it
requires is enough; unigen itself needs neither for reading the table.

One setting a space group: unique axis b and cell choice 1, hexagonal axes, origin choice 2, as in PyXtal; the Hall
number says it exactly. All arithmetic is in integers: translations in units of 1/24, which divide all that occur.
An affine map is 12 integers, three rows of (rotation, translation).

The normaliser of G consists of the maps n with n G n^-1 = G (International Tables A, chapter 3.5). Kept is one
representative a coset of G, of determinant +1 (a mirror image of a crystal is another crystal), for

- orthorhombic groups and up: all of the affine normaliser that keeps lengths in some cell of the crystal system;
- monoclinic groups: entries up to 2 in the plane across the unique axis (the whole is infinite);
- triclinic groups: translations only (any change of the primitive cell belongs to it).

Along a polar direction every translation belongs to it; there the table holds the one with component zero.
"""

# ruff: noqa: INP001 - a script beside the facts it makes, not a module

from __future__ import annotations

import ast
import csv
import gzip
import importlib.util
import json
from fractions import Fraction
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import spglib

UNIT = 24
OUTPUT = Path(__file__).resolve().parents[2] / "unigen" / "symmetry" / "wyckoff.json.gz"

PRIMITIVE = {  # rows: primitive vectors in the conventional basis, in units of 1/24; determinant positive
    "P": [[24, 0, 0], [0, 24, 0], [0, 0, 24]],
    "A": [[24, 0, 0], [0, 12, -12], [0, 12, 12]],
    "C": [[12, -12, 0], [12, 12, 0], [0, 0, 24]],
    "I": [[-12, 12, 12], [12, -12, 12], [12, 12, -12]],
    "F": [[0, 12, 12], [12, 0, 12], [12, 12, 0]],
    "R": [[16, 8, 8], [-8, 8, 8], [-8, -16, 8]],
}


def positions_of_pyxtal() -> dict[int, list[list[str]]]:
    """For every space group the positions from 'a' on, each a list of coordinate triplets."""
    found = importlib.util.find_spec("pyxtal")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("PyXtal is not installed here: pip install --no-deps pyxtal==1.1.5")
    csv.field_size_limit(10**7)
    path = Path(found.submodule_search_locations[0]) / "database" / "wyckoff_list.csv"
    with path.open(newline="") as file:
        rows = {int(row[0]): row[1] for row in csv.reader(file) if row[0]}
    return {number: ast.literal_eval(rows[number])[::-1] for number in range(1, 231)}


def affine(triplet: str) -> np.ndarray:
    """A coordinate triplet such as ``x, 2x, z+1/4`` as integers (3, 4)."""
    rows = []
    for text in triplet.replace(" ", "").split(","):
        row = [Fraction(0)] * 4
        for term in text.replace("-", "+-").split("+"):
            if term and term[-1] in "xyz":
                row["xyz".index(term[-1])] += int({"": "1", "-": "-1"}.get(term[:-1], term[:-1]))
            elif term:
                row[3] += Fraction(term)
        row[3] = row[3] % 1 * UNIT
        if any(value.denominator != 1 for value in row):
            raise ValueError(f"{triplet}: not in units of 1/{UNIT}")
        rows.append([int(value) for value in row])
    return np.array(rows)


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """``first(second(x))``, translations modulo the cell; batched in front."""
    rotation = first[..., :3] @ second[..., :3]
    shift = first[..., :3] @ second[..., 3:] + first[..., 3:]
    return np.concatenate([rotation, shift % UNIT], axis=-1)


def key(operation: np.ndarray) -> tuple[int, ...]:
    """The map as something to compare and to look up."""
    return tuple(int(value) for value in operation.reshape(-1))


def linear_form(position: np.ndarray) -> dict[str, Any]:
    """The representative as x = A u + b with u the free parameters: each is a coordinate of its own (a pivot)."""
    columns = [position[:, axis] for axis in range(3) if position[:, axis].any()]
    pivots = [int(np.flatnonzero(np.abs(column) == 1)[0]) for column in columns]
    columns = [column * column[pivot] for column, pivot in zip(columns, pivots, strict=True)]
    linear = np.array(columns, dtype=int).reshape(len(columns), 3).T
    if not (linear[pivots] == np.eye(len(pivots), dtype=int)).all():
        raise ValueError(f"{position.tolist()}: no pivots")
    return {"linear": linear, "offset": position[:, 3].copy(), "pivots": pivots}


def hall_number(number: int, operations: np.ndarray) -> int:
    """The first of spglib's settings of this space group that has just these operations."""
    ours = {key(operation) for operation in operations}
    for hall in range(1, 531):
        if spglib.get_spacegroup_type(hall).number == number:
            found = spglib.get_symmetry_from_database(hall)
            shifts = np.rint(found["translations"] * UNIT).astype(int) % UNIT
            theirs = np.concatenate([found["rotations"], shifts[:, :, None]], axis=2)
            if ours == {key(operation) for operation in theirs}:
                return hall
    raise ValueError(f"space group {number}: spglib knows no such setting")


def holohedry(number: int) -> list[np.ndarray]:
    """The rotation parts a normaliser may have, besides the identity and inversion of a triclinic lattice."""
    signed = [np.diag(signs)[list(order)] for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
    if number <= 2:
        return [np.eye(3, dtype=int), -np.eye(3, dtype=int)]
    if number <= 15:
        plane = product(range(-2, 3), repeat=4)
        flat = [(p, q, r, s) for p, q, r, s in plane if abs(p * s - q * r) == 1]
        return [np.array([[p, 0, q], [0, up, 0], [r, 0, s]]) for p, q, r, s in flat for up in (1, -1)]
    if number <= 74 or number >= 195:
        return signed
    if number <= 142:
        return [matrix for matrix in signed if abs(matrix[2, 2]) == 1]
    turn, flip = np.array([[1, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    proper = [np.linalg.matrix_power(turn, k) @ extra for k in range(6) for extra in (np.eye(3, dtype=int), flip)]
    return [matrix @ np.diag([1, 1, up]) for matrix in proper for up in (1, -1)]


def polar_axes(rotations: np.ndarray) -> list[int]:
    """The coordinate axes that every rotation leaves alone: there the origin is free."""
    fixed = [axis for axis in range(3) if (rotations[:, :, axis] == np.eye(3, dtype=int)[axis]).all()]
    if len(fixed) != round(3 - np.linalg.matrix_rank(np.concatenate(list(rotations - np.eye(3))))):
        raise ValueError("the polar directions are no axes")
    return fixed


def translations_with(rotation: np.ndarray, operations: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """All t of the grid for which (rotation, t) maps the group onto itself."""
    inverse = np.rint(np.linalg.inv(rotation)).astype(int)
    table: dict[tuple[int, ...], list[np.ndarray]] = {}
    for operation in operations:
        table.setdefault(key(operation[:, :3]), []).append(operation[:, 3])
    for operation in operations:
        if not len(grid):
            break
        turned = rotation @ operation[:, :3] @ inverse
        if key(turned) not in table:
            return grid[:0]
        moved = (rotation @ operation[:, 3] + grid - grid @ turned.T) % UNIT
        allowed = np.array(table[key(turned)]) @ [UNIT * UNIT, UNIT, 1]
        grid = grid[np.isin(moved @ [UNIT * UNIT, UNIT, 1], allowed)]
    return grid


def normaliser(number: int, operations: np.ndarray) -> np.ndarray:
    """One map a coset of the group, the identity first: of determinant +1, the simplest to write."""
    polar = polar_axes(operations[:, :, :3])
    axes = [range(1) if axis in polar else range(UNIT) for axis in range(3)]
    grid = np.array(list(product(*axes)))
    chosen: dict[tuple[int, ...], np.ndarray] = {}
    for rotation in holohedry(number):
        for shift in translations_with(rotation, operations, grid):
            element = np.concatenate([rotation, shift[:, None]], axis=1)
            coset = compose(operations, element[None])
            coset[:, polar, 3] = 0  # along a polar axis all translations belong to one coset
            name = min(key(member) for member in coset)
            if round(np.linalg.det(rotation)) == 1:
                best = chosen.get(name)
                if best is None or simplicity(element) < simplicity(best):
                    chosen[name] = element
    return np.array(sorted(chosen.values(), key=simplicity))


def simplicity(element: np.ndarray) -> tuple[Any, ...]:
    """The order in which maps are preferred: few changes of the axes, then small translations."""
    rotation = element[:, :3]
    return int(np.abs(rotation - np.eye(3, dtype=int)).sum()), int(element[:, 3].sum()), key(element)


def image(element: np.ndarray, form: dict[str, Any], forms: list[dict[str, Any]], operations: np.ndarray) -> list[int]:
    """The positions onto whose representative the orbit of this position is mapped."""
    moved = compose(operations, element[None])
    linear, offset = moved[..., :3] @ form["linear"], moved[..., :3] @ form["offset"] + moved[..., 3]
    found = []
    for index, other in enumerate(forms):
        if other["multiplicity"] != form["multiplicity"] or other["linear"].shape != form["linear"].shape:
            continue
        spans = (other["linear"] @ linear[:, other["pivots"]] == linear).all(axis=(1, 2))
        shift = offset - other["offset"]
        inside = ((shift - shift[:, other["pivots"]] @ other["linear"].T) % UNIT == 0).all(axis=1)
        if (spans & inside).any():
            found.append(index)
    return found


def site_symmetries(hall: int, number: int, operations: np.ndarray, forms: list[dict[str, Any]]) -> list[str]:
    """The oriented site-symmetry symbols, read off structures that spglib is given."""
    random = np.random.default_rng(number)
    lattice = generic_lattice(number)
    symbols = []
    for form in forms:
        seeds = [form["linear"] @ random.random(form["linear"].shape[1]) + form["offset"] / UNIT]
        seeds += list(random.random((3, 3)))
        orbits = [distinct(seed @ np.swapaxes(operations[..., :3], 1, 2) + operations[..., 3] / UNIT) for seed in seeds]
        kinds = np.repeat([1, 2, 3, 4], [len(orbit) for orbit in orbits])
        cell = (lattice, np.concatenate(orbits), kinds)
        found = spglib.get_symmetry_dataset(cell, symprec=1e-5, hall_number=hall)
        if found is None or len(orbits[0]) != form["multiplicity"]:
            raise ValueError(f"space group {number}: {form['letter']} is no orbit of it")
        symbols.append(found.site_symmetry_symbols[0])
    return symbols


def generic_lattice(number: int) -> np.ndarray:
    """A cell with just the symmetry of the crystal system."""
    a, b, c = (7.0, 8.3, 11.1) if number <= 74 else (9.0, 9.0, 9.0) if number >= 195 else (9.0, 9.0, 13.1)
    if number <= 2:
        return np.array([[a, 0, 0], [1.3, b, 0], [0.7, 1.9, c]])
    if number <= 15:
        return np.array([[a, 0, 0], [0, b, 0], [-2.1, 0, c]])
    if 143 <= number <= 194:
        return np.array([[a, 0, 0], [-a / 2, a * np.sqrt(0.75), 0], [0, 0, c]])
    return np.diag([a, b, c])


def distinct(points: np.ndarray) -> np.ndarray:
    """The points of an orbit, each once."""
    kept: list[np.ndarray] = []
    for point in points % 1:
        if all(np.abs((point - other + 0.5) % 1 - 0.5).max() > 1e-6 for other in kept):
            kept.append(point)
    return np.array(kept)


def space_group(number: int, positions: list[list[str]]) -> dict[str, Any]:
    """All the table holds of one space group."""
    operations = np.array([affine(triplet) for triplet in positions[-1]])
    hall = hall_number(number, operations)
    known = spglib.get_spacegroup_type(hall)
    forms = [linear_form(affine(position[0])) for position in positions]
    for index, (form, position) in enumerate(zip(forms, positions, strict=True)):
        form.update(letter="abcdefghijklmnopqrstuvwxyzA"[index], multiplicity=len(position))
    maps = normaliser(number, operations)
    images = [[image(element, form, forms, operations) for form in forms] for element in maps]
    if any(len(found) != 1 for row in images for found in row):
        raise ValueError(f"space group {number}: a position has not one image under the normaliser")
    return {
        "number": number,
        "hall": hall,
        "symbol": known.international_short,
        "primitive": PRIMITIVE[known.international_short[0]],
        "operations": [key(operation) for operation in operations],
        "multiplicity": [form["multiplicity"] for form in forms],
        "site_symmetry": site_symmetries(hall, number, operations, forms),
        "pivots": [form["pivots"] for form in forms],
        "linear": [key(form["linear"].T) for form in forms],
        "offset": [key(form["offset"]) for form in forms],
        "normaliser": [key(element) for element in maps],
        "letter_permutation": [[found[0] for found in row] for row in images],
        "polar": polar_axes(operations[:, :, :3]),
    }


def main() -> None:
    """Write the table beside the code that reads it."""
    positions = positions_of_pyxtal()
    groups = [space_group(number, positions[number]) for number in range(1, 231)]
    text = json.dumps({"unit": UNIT, "groups": groups}, separators=(",", ":"))
    OUTPUT.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
