"""The tables of the 230 space groups against spglib, and the laws of groups."""

from __future__ import annotations

import importlib.util
import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import spglib

from unigen.errors import UserError
from unigen.geometry.lattice import lattice_matrix
from unigen.symmetry.crystal_systems import CRYSTAL_SYSTEMS, complete_lattice, crystal_system, free_lattice
from unigen.symmetry.equivalents import coset_equivalents
from unigen.symmetry.space_groups import orbit, orbit_operations, representative, space_group, transform

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")  # spglib, of its own future

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = range(1, 231)
SIX = np.array([5.0, 6.1, 7.3, 1.45, 1.75, 1.68])


def _keys(maps: np.ndarray) -> set[tuple[int, ...]]:
    """Affine maps in units of 1/24, translations modulo the cell: equal when the maps are."""
    scaled = np.rint(maps * np.array([1, 1, 1, 24])).astype(int)
    scaled[..., 3] %= 24
    return set(map(tuple, scaled.reshape(-1, 12).tolist()))


def _then(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    rotation = second[..., :3] @ first[..., :3]
    shift = second[..., :3] @ first[..., 3:] + second[..., 3:]
    return np.concatenate([rotation, shift], axis=-1)


def _inverse(maps: np.ndarray) -> np.ndarray:
    rotation = np.linalg.inv(maps[..., :3])
    return np.concatenate([rotation, -rotation @ maps[..., 3:]], axis=-1)


@pytest.mark.parametrize("first", range(1, 231, 46))
def test_operations_are_those_of_spglib(first):
    for number in range(first, first + 46):
        group = space_group(number)
        known = spglib.get_symmetry_from_database(group.hall_number)
        kind = spglib.get_spacegroup_type(group.hall_number)
        theirs = np.concatenate([known["rotations"], known["translations"][:, :, None]], axis=2)
        assert _keys(group.operations) == _keys(theirs), group.symbol
        assert (kind.number, kind.international_short) == (number, group.symbol)


def test_operations_keep_the_lattice_of_their_crystal_system():
    for number in NUMBERS:
        group = space_group(number)
        rows = lattice_matrix(complete_lattice(group.crystal_system, SIX))
        metric = rows @ rows.T
        rotations = group.operations[:, :, :3]
        moved = np.swapaxes(rotations, 1, 2) @ metric @ rotations
        np.testing.assert_allclose(moved, np.broadcast_to(metric, moved.shape), atol=1e-9, err_msg=group.symbol)


@pytest.mark.parametrize("number", NUMBERS)
def test_spglib_finds_each_position_at_its_letter(number):
    """One crystal holds every position of the group, each with an element of its own."""
    group = space_group(number)
    random = np.random.default_rng(number)
    letters = [*range(len(group.dof)), len(group.dof) - 1, len(group.dof) - 1]
    points = [
        transform(orbit_operations(number, letter, primitive=True), representative(group, letter, random.random(3)))
        for letter in letters
    ]
    assert [len(p) for p in points] == group.primitive_multiplicity[letters].tolist()
    lattice = group.to_primitive @ lattice_matrix(complete_lattice(group.crystal_system, SIX * [9, 9, 9, 1, 1, 1]))
    kinds = np.repeat(np.arange(len(letters)) + 1, [len(p) for p in points])
    cell = (lattice, np.concatenate(points) @ np.linalg.inv(group.to_primitive), kinds)
    found = spglib.get_symmetry_dataset(cell, symprec=1e-4, hall_number=group.hall_number)
    assert found.number == number
    # The letters of spglib are those of the origin that it finds, which may be another one of the normaliser.
    places = [list(kinds).index(kind) for kind in range(1, len(group.dof) + 1)]
    theirs = [group.letters.index(found.wyckoffs[place]) for place in places]
    assert theirs in group.letter_permutation.tolist()
    assert [found.site_symmetry_symbols[place] for place in places] == [group.site_symmetry[i] for i in theirs]


@pytest.mark.parametrize("first", range(1, 231, 46))
def test_orbits_have_their_multiplicity_and_are_closed(first):
    for number in range(first, first + 46):
        group = space_group(number)
        random = np.random.default_rng(number)
        for letter in range(len(group.dof)):
            points = orbit(group, letter, random.random(int(group.dof[letter])))
            assert points.shape == (group.multiplicity[letter], 3)
            some = group.operations[random.integers(len(group.operations), size=3)]
            between = transform(some[:, None], points)[:, :, None] - points
            off = np.abs(between - np.round(between)).max(axis=-1)
            assert (np.sort((off < 1e-9).sum(axis=2)) == 1).all(), (group.symbol, letter)


def test_an_orbit_keeps_its_size_where_points_meet():
    group = space_group(225)
    assert len(orbit(group, 8, np.array([0.0]))) == group.multiplicity[8]


@pytest.mark.parametrize("first", range(1, 231, 46))
def test_normalisers_keep_group_letters_and_hands(first):
    for number in range(first, first + 46):
        group = space_group(number)
        operations, elements = group.operations, group.normaliser[:40]
        np.testing.assert_allclose(np.linalg.det(elements[:, :, :3]), 1.0)
        np.testing.assert_array_equal(elements[0], np.eye(3, 4))
        for element in elements:
            moved = _then(_then(_inverse(element)[None], operations), element[None])
            assert _keys(moved) == _keys(operations), (group.symbol, element)
        assert len({min(_keys(_then(operations, element[None]))) for element in elements}) == len(elements)
        for letter in range(len(group.dof)):
            kept = coset_equivalents(number, letter)
            np.testing.assert_array_equal(kept.letters, group.letter_permutation[:, letter])


@pytest.mark.parametrize(
    ("symbol", "number", "cosets"),  # International Tables A, table 3.5.2.5: index of the group in its normaliser
    [
        ("Pmmm", 47, 48),
        ("P2_12_12_1", 19, 96),
        ("Pnma", 62, 8),
        ("I4/mmm", 139, 2),
        ("Fd-3m", 227, 2),
        ("P-6m2", 187, 12),
    ],
)
def test_normalisers_are_as_large_as_tabulated(symbol, number, cosets):
    group = space_group(number)
    improper = np.linalg.det(group.operations[:, :, :3]).min() < 0
    assert group.symbol.replace("_", "") == symbol.replace("_", "")
    assert len(group.normaliser) == (cosets if improper else cosets // 2)


@pytest.mark.parametrize("number", [2, 5, 15, 36, 62, 91, 122, 160, 166, 194, 216, 227])
def test_variants_name_one_orbit(number):
    group = space_group(number)
    random = np.random.default_rng(number)
    for letter in range(len(group.dof)):
        known = coset_equivalents(number, letter)
        free = random.random(3) * (np.arange(3) < group.dof[letter])
        for element, target, maps in list(zip(group.normaliser, known.letters, known.maps, strict=True))[:12]:
            wanted = transform(element, orbit(group, letter, free))
            for variant in maps[:6]:
                got = orbit(group, int(target), transform(variant, free))
                between = got[:, None] - wanted
                assert np.abs(between - np.round(between)).max(axis=-1).min(axis=1).max() < 1e-9


def test_crystal_systems():
    assert crystal_system(1) == "triclinic"
    assert [crystal_system(n) for n in (15, 16, 167, 168, 230)] == [
        "monoclinic",
        "orthorhombic",
        "trigonal",
        "hexagonal",
        "cubic",
    ]
    assert [int(free_lattice(system).sum()) for system in CRYSTAL_SYSTEMS] == [6, 4, 3, 2, 2, 2, 1]
    for system in CRYSTAL_SYSTEMS:
        full = complete_lattice(system, np.stack([SIX, SIX + 0.1]))
        np.testing.assert_array_equal(complete_lattice(system, full), full)
        np.testing.assert_array_equal(full[0, free_lattice(system)], SIX[free_lattice(system)])


def test_what_is_not_there_is_named():
    with pytest.raises(UserError, match="no such space group"):
        space_group(231)
    with pytest.raises(UserError, match="no such Wyckoff position"):
        orbit(space_group(1), 1, np.zeros(3))
    with pytest.raises(UserError, match="position b of P2"):
        orbit(space_group(3), 1, np.zeros(0))


@pytest.mark.skipif(not importlib.util.find_spec("pyxtal"), reason="PyXtal, the source of the table, is not installed")
def test_the_table_is_what_the_script_makes():
    script = runpy.run_path(str(ROOT / "data" / "wyckoff" / "make_table.py"))
    positions = script["positions_of_pyxtal"]()
    from unigen.symmetry.space_groups import _table

    for number in (1, 2, 14, 43, 62, 91, 160, 194, 227):
        made = json.loads(json.dumps(script["space_group"](number, positions[number])))
        assert made == _table()["groups"][number - 1], number
