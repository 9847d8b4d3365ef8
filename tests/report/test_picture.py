"""The contact sheet of crystals."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest
from ase.collections import dcdft

from unigen.crystals.crystal import Crystal
from unigen.errors import UserError
from unigen.report.pictures.crystals import draw_crystals, project, repeat_boundary

IRON = Crystal.from_ase(dcdft["Fe"])
PEROVSKITE = Crystal(
    np.array([38, 22, 8, 8, 8]),
    np.array([[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]),
    np.eye(3) * 3.9,
)


def test_atoms_on_the_boundary_are_repeated():
    coords, numbers = repeat_boundary(PEROVSKITE)
    assert [int((numbers == element).sum()) for element in (38, 22, 8)] == [1, 8, 12]  # centre, corners, edges
    assert coords.min() >= -0.03
    assert coords.max() <= 1.03


def test_an_atom_a_rounding_below_one_is_an_atom_at_zero():
    nearly = Crystal(np.array([26]), np.array([[1 - 1e-9, 0.5, 0.5]]), np.eye(3) * 3)
    assert len(repeat_boundary(nearly)[0]) == 2


def test_projection_keeps_lengths():
    drawn = project(PEROVSKITE)
    lengths = np.linalg.norm(drawn.edges[:, 0] - drawn.edges[:, 1], axis=1)
    assert lengths == pytest.approx(np.full(12, 3.9))


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_picture_of_each_format(tmp_path, count):
    png = draw_crystals([PEROVSKITE] * count, tmp_path / "sheet.png")
    assert png.read_bytes().startswith(b"\x89PNG")
    svg = draw_crystals([PEROVSKITE] * count, tmp_path / "new" / "sheet.svg", titles=["a"] * count)
    assert ET.parse(svg).getroot().tag.endswith("svg")  # noqa: S314


def test_what_bad_input_says(tmp_path):
    with pytest.raises(UserError, match="nothing to draw"):
        draw_crystals([], tmp_path / "a.png")
    with pytest.raises(UserError, match="not a picture format"):
        draw_crystals([IRON], tmp_path / "a.doc")
    with pytest.raises(UserError, match="titles"):
        draw_crystals([IRON], tmp_path / "a.png", titles=[])
