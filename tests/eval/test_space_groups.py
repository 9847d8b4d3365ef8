"""Space groups that are kept: the same as those that are found, whatever has become of the file."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crystals.real_crystals import prototypes
from unigen.crystals.crystal import Crystal
from unigen.eval.crystals import space_groups
from unigen.eval.crystals.space_groups import FILE, SpaceGroups
from unigen.parallel import Workers

CRYSTALS = prototypes(6)
SYMPRECS = (0.1, 0.01)
EXPECTED = [[crystal.space_group(symprec).number for symprec in SYMPRECS] for crystal in CRYSTALS]


def find(known: SpaceGroups, crystals: list[Crystal]) -> tuple[list[list[int]], int]:
    """What is found, and how often spglib was asked for it."""
    asked = 0
    look = Crystal.space_group

    def counted(crystal, symprec):
        nonlocal asked
        asked += 1
        return look(crystal, symprec)

    with Workers(1) as workers, patch.object(Crystal, "space_group", counted):
        return known.find(crystals, SYMPRECS, workers, "").tolist(), asked


@given(st.lists(st.integers(0, len(CRYSTALS) - 1), max_size=8))
def test_each_crystal_is_looked_at_once_at_each_tolerance(order):
    known = SpaceGroups()
    for place in order[:2]:
        known.tell(CRYSTALS[place], SYMPRECS[0], EXPECTED[place][0])
    found, asked = find(known, [CRYSTALS[place] for place in order])
    assert found == [EXPECTED[place] for place in order]
    assert asked == 2 * len({*order}) - len({*order[:2]})
    assert find(known, [CRYSTALS[place] for place in order]) == (found, 0)


def test_what_is_kept_beside_a_dataset_is_read_again(tmp_path):
    assert find(SpaceGroups(tmp_path), CRYSTALS[:4]) == (EXPECTED[:4], 8)
    assert find(SpaceGroups(tmp_path), CRYSTALS[:4]) == (EXPECTED[:4], 0)
    assert find(SpaceGroups(tmp_path), CRYSTALS) == (EXPECTED, 4)
    moved = Crystal(CRYSTALS[0].numbers, CRYSTALS[0].frac_coords + 1e-7, CRYSTALS[0].lattice)
    assert find(SpaceGroups(tmp_path), [moved]) == (EXPECTED[:1], 2)
    with patch.object(space_groups, "version", lambda _: "another"):
        assert find(SpaceGroups(tmp_path), CRYSTALS[:1]) == (EXPECTED[:1], 2)


@pytest.mark.parametrize("broken", [b"", b"no archive", "cut", "flipped", "other arrays"])
def test_a_file_that_cannot_be_read_costs_only_time(tmp_path, broken):
    find(SpaceGroups(tmp_path), CRYSTALS)
    path = tmp_path / FILE
    whole = path.read_bytes()
    if broken == "other arrays":
        with path.open("wb") as file:
            np.savez(file, numbers=np.arange(3))
    else:
        flipped = bytes(byte ^ 255 for byte in whole[:400]) + whole[400:]
        path.write_bytes({"cut": whole[:-50], "flipped": flipped}.get(broken, broken))
    assert find(SpaceGroups(tmp_path), CRYSTALS) == (EXPECTED, 2 * len(CRYSTALS))
    assert find(SpaceGroups(tmp_path), CRYSTALS) == (EXPECTED, 0)


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path):
    (tmp_path / "file").write_text("")
    assert find(SpaceGroups(tmp_path / "file"), CRYSTALS[:2]) == (EXPECTED[:2], 4)
