"""The conventional cell of a picture: the one that spglib standardises to, laid over the atoms as they are."""

from __future__ import annotations

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.real_crystals import prototypes
from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.report.pictures.conventional_cell import SYMPREC, ConventionalCell, conventional_cell
from unigen.report.pictures.periodic_images import BOUNDARY, close_cell

PRIMITIVE = [crystal.reduced() for crystal in prototypes(60)]


def found_in(crystal: Crystal) -> ConventionalCell | None:
    return conventional_cell(crystal, close_cell(crystal.frac_coords).wrapped)


def shape(lattice: np.ndarray) -> np.ndarray:
    """What no rotation of a cell changes."""
    return lattice @ lattice.T


@pytest.mark.parametrize("crystal", PRIMITIVE, ids=lambda crystal: crystal.formula)
def test_it_has_the_shape_that_spglib_gives_it_and_holds_its_atoms_where_they_are(crystal):
    found = found_in(crystal)
    standard = spglib.get_symmetry_dataset((crystal.lattice, crystal.frac_coords, crystal.numbers), symprec=SYMPREC)
    lengths = np.linalg.norm(standard.std_lattice, axis=1)
    if found is None:
        assert np.sort(lengths) == pytest.approx(np.sort(np.linalg.norm(crystal.lattice, axis=1)), rel=0.02)
        assert len(standard.std_types) == len(crystal)
        return
    lattice = found.basis @ crystal.lattice
    assert shape(lattice) == pytest.approx(shape(standard.std_lattice), abs=0.02 * lengths.max() ** 2)
    inside = np.concatenate(
        [
            (crystal.frac_coords + shift - found.origin) @ np.linalg.inv(found.basis)
            for shift in np.array(np.meshgrid(*[np.arange(-6, 7)] * 3)).reshape(3, -1).T
        ]
    )
    inside = inside[((inside >= 1e-3 - BOUNDARY) & (inside < 1 + BOUNDARY - 1e-3)).all(axis=1)]
    assert len(inside) >= len(standard.std_types)
    away = inside[:, None] - standard.std_positions
    away -= np.round(away)
    assert np.linalg.norm(away @ standard.std_lattice, axis=2).min(axis=1).max() < 2 * SYMPREC


@settings(max_examples=20)
@given(st.sampled_from(PRIMITIVE), st.integers(2, 3), st.booleans())
def test_it_is_the_same_of_a_repeated_cell_and_of_a_left_handed_one(crystal, copies, left_handed):
    found = found_in(crystal)
    other = repeat_cell(crystal, copies)
    if left_handed:
        order = [1, 0, 2]
        other = Crystal(other.numbers, other.frac_coords[:, order], other.lattice[order])
    again = found_in(other)
    expected = crystal.volume if found is None else abs(np.linalg.det(found.basis)) * crystal.volume
    if again is not None:  # of a few repetitions the cell is the conventional one
        assert abs(np.linalg.det(again.basis)) * other.volume == pytest.approx(expected)
    else:
        assert other.volume == pytest.approx(expected)


def test_no_search_in_what_is_too_large_for_one():
    places = np.random.default_rng(0).random((2001, 3))
    assert found_in(Crystal(np.full(2001, 6), places, 40 * np.eye(3))) is None
