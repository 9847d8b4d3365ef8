"""What an extended XYZ frame announces is held against what it has, before room is made for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.crystals.crystal import Crystal
from unigen.errors import UserError
from unigen.molecules.molecule import Molecule

FRAME = '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:{width} pbc="T T T"\nCu 0 0 0\n'


@given(st.integers(4, 10**30))
def test_more_columns_than_there_are_is_one_line(width):
    for read in (Crystal.from_extxyz, Molecule.from_xyz):
        with pytest.raises(UserError, match="columns announced, 4 in the line of the first atom"):
            read(FRAME.format(width=width))


def test_as_many_columns_as_there_are_are_read():
    assert Crystal.from_extxyz(FRAME.format(width=3)).numbers.tolist() == [29]
