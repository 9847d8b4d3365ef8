"""Cells that nothing in nature has end in one line, before anything searches through their images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crystals.real_crystals import prototypes
from unigen.crystals.cell import MOST_LATTICE_POINTS, SKEWED, needle
from unigen.crystals.crystal import LARGEST_VOLUME, Crystal
from unigen.crystals.matching import BoundedMatcher, MatchSettings
from unigen.errors import UserError

PAIR = np.array([11, 17]), np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]])
SHEAR = np.array([[1, 0, 0], [99, 1, 0], [-500, 155, 1]])


@pytest.mark.parametrize(
    ("lattice", "said"),
    [
        (np.diag([1.0, 1.0, 1e5]), "the cell is a needle; got 1 x 1 x 1e.05 A"),
        (SHEAR @ np.diag([1.0, 1.0, 1e5]), "the cell is a needle"),
        (np.diag([1e6, 1e6, 1e6]), "far too large for its atoms"),
        (np.diag([1e300, 1.0, 1.0]), "far too large for its atoms"),
        (np.diag([1e-9, 1.0, 1.0]), "no volume"),
    ],
)
def test_cells_of_nothing_in_nature_are_refused(lattice, said):
    with pytest.raises(UserError, match=said):
        Crystal(*PAIR, lattice)


def test_coordinates_without_digits_are_no_places():
    with pytest.raises(UserError, match="site 1: coordinates beyond all cells"):
        Crystal(PAIR[0], np.array([[0.0, 0, 0], [1e17, 0, 0]]), np.eye(3) * 5)


@pytest.mark.parametrize(
    ("lattice", "atoms"),
    [
        (np.diag([3.07, 3.07, 1500.0]), 1188),  # silicon carbide 594R
        (np.diag([2.46, 2.46, 100.0]), 2),  # graphene in a box
        (np.diag([300.0, 300.0, 0.6]), 2),
        (np.diag([25.0, 25.0, 25.0]), 1),  # an atom alone
        (np.eye(3) * 0.2, 1),
    ],
)
def test_odd_cells_that_there_are_pass(lattice, atoms):
    assert len(Crystal(np.full(atoms, 6), np.linspace(0, 0.99, 3 * atoms).reshape(-1, 3), lattice)) == atoms


def test_real_crystals_are_far_from_the_bounds():
    for crystal in prototypes(200):
        assert crystal.volume < LARGEST_VOLUME / 100 * len(crystal)
        longest = np.linalg.norm(crystal.lattice, axis=1).max()
        assert 4 / 3 * np.pi * longest**3 < MOST_LATTICE_POINTS / 100 * crystal.volume
        assert crystal.unskewed() is crystal


shears = st.lists(st.integers(-300, 300), min_size=3, max_size=3)


@given(shears, st.floats(3, 9), st.floats(3, 9))
def test_a_skewed_basis_changes_nothing(shear, a, c):
    basis = np.array([[1, 0, 0], [shear[0], 1, 0], [shear[1], shear[2], 1]])
    plain = Crystal(*PAIR, np.diag([a, a * 1.1, c]))
    skewed = Crystal(PAIR[0], PAIR[1] @ np.linalg.inv(basis), basis @ plain.lattice)
    assert needle(skewed.lattice) is None
    found = skewed.unskewed()
    assert found.volume == pytest.approx(plain.volume)
    assert 4 / 3 * np.pi * np.linalg.norm(found.lattice, axis=1).max() ** 3 <= SKEWED * plain.volume
    assert found.smallest_distance() == pytest.approx(plain.smallest_distance())
    matcher = BoundedMatcher(MatchSettings())
    assert matcher.rms(matcher.reduce(found), matcher.reduce(plain)).rms == pytest.approx(0, abs=1e-6)


def test_every_command_says_one_line_of_each(unigen, tmp_path):
    cells = {"needle": np.diag([1.0, 1.0, 1e5]), "huge": np.eye(3) * 1e6, "good": np.eye(3) * 5}
    rows = [
        {"id": name, "lattice": lattice.tolist(), "species": ["Na", "Cl"], "frac_coords": PAIR[1].tolist()}
        for name, lattice in cells.items()
    ]
    steps = 13
    grid = np.stack(np.meshgrid(*[np.arange(steps) / steps] * 3), axis=-1).reshape(-1, 3)  # 2,197 atoms
    rows.append(
        {
            "id": "many",
            "lattice": (np.eye(3) * 3 * steps).tolist(),
            "species": ["Na", *["Cl"] * (len(grid) - 1)],
            "frac_coords": grid.tolist(),
        }
    )
    (tmp_path / "cells.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert unigen("evaluate", "crystals", "cells.jsonl", "--out", "r.json", "--no-page", "--workers", 1)[0] == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["counts"]["generated"], report["counts"]["failed"]) == (4, 3)
    assert [each["id"] for each in report["dropped"]] == ["needle", "huge", "many"]
    code, said, _ = unigen("data", "build", "cells", "--from", "cells.jsonl")
    assert code == 0
    assert "the cell is a needle" in said
    assert "the cell is far too large for its atoms" in said
    assert "too many atoms for a search of symmetry" in said
