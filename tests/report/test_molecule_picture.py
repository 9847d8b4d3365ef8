"""A picture of molecules is a picture, shows them without mirroring, and says what it cannot draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models.small_molecules import molecules
from unigen.errors import UserError
from unigen.report.pictures.molecules import draw_molecules, flat_on


@given(st.integers(0, len(molecules()) - 1))
def test_the_view_is_a_rotation(place):
    positions = molecules()[place].positions
    seen = flat_on(positions)
    apart = np.linalg.norm(positions[:, None] - positions, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(seen[:, None] - seen, axis=-1), apart, atol=1e-8)
    if len(positions) > 3:
        arms, turned = (points[1:4] - points[0] for points in (positions, seen))
        np.testing.assert_allclose(np.linalg.det(turned), np.linalg.det(arms), atol=1e-8)


def test_a_sheet_is_written(tmp_path):
    path = draw_molecules(molecules(), tmp_path / "some.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match="nothing to draw"):
        draw_molecules([], tmp_path / "none.png")
