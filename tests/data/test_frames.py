"""XYZ files are cut into frames whatever stands between them, and a count that lies is a reason, never a hang."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.real_crystals import elemental_crystals
from unigen.crystals.crystal import Crystal
from unigen.data.readers.crystals import read_crystal_rows
from unigen.data.readers.text import read_frames

SOME = elemental_crystals()[3:9]
FRAMES = [crystal.to_extxyz() for crystal in SOME]
BLANKS = st.sampled_from(["", "\n", "\n\n", "   \n", "\t\n \n"])


@settings(max_examples=30, deadline=None)
@given(blanks=st.lists(BLANKS, min_size=len(SOME) + 1, max_size=len(SOME) + 1))
def test_blank_lines_between_frames_say_nothing(tmp_path_factory, blanks):
    path = tmp_path_factory.mktemp("xyz") / "a.extxyz"
    path.write_text(blanks[0] + "".join(frame + blank for frame, blank in zip(FRAMES, blanks[1:], strict=True)))
    rows = list(read_crystal_rows(path))
    assert [row.structure.formula for row in rows] == [crystal.formula for crystal in SOME]


@settings(max_examples=40, deadline=None)
@given(
    position=st.integers(0, len(SOME) - 1),
    count=st.one_of(st.integers(0, 40), st.sampled_from([10**8, 10**9, 10**30, 10**5000])),
    name=st.sampled_from(["a.extxyz", "a.xyz", "frames"]),
)
def test_a_count_that_lies_costs_its_own_frame(tmp_path_factory, position, count, name):
    if count == len(SOME[position]):
        return
    _, _, rest = FRAMES[position].partition("\n")
    digits = "1" + "0" * 5000 if count == 10**5000 else str(count)
    path = tmp_path_factory.mktemp("xyz") / name
    path.write_text("".join([*FRAMES[:position], f"{digits}\n{rest}", *FRAMES[position + 1 :]]))
    rows = list(read_crystal_rows(path))
    assert [row.structure is not None for row in rows] == [index != position for index in range(len(SOME))]
    assert "atom" in rows[position].reason


@pytest.mark.parametrize("count", ["18446744073709551616", "18446744073709551616\n", "12\nLattice"])
def test_a_file_without_an_ending_that_is_a_count_alone_is_refused_at_once(tmp_path, count):
    (tmp_path / "structure").write_text(count)
    assert [row.structure for row in read_crystal_rows(tmp_path / "structure")] == [None]


def test_frames_in_a_file_without_an_ending_are_those_of_one_with_it(tmp_path):
    text = "".join(FRAMES) + FRAMES[0].replace("\nH ", "\nD ")
    rows = []
    for name in ("frames.extxyz", "frames"):
        (tmp_path / name).write_text(text)
        rows.append([(row.id, row.structure.formula, row.reason) for row in read_crystal_rows(tmp_path / name)])
    assert rows[0] == rows[1]


def test_an_atom_too_many_and_a_blank_line_among_atoms_cost_their_own_frame(tmp_path):
    path = tmp_path / "a.extxyz"
    head, comment, *sites = FRAMES[1].splitlines(keepends=True)
    surplus, torn = FRAMES[0] + sites[0], "".join([head, comment, *sites[:1], "\n", *sites[1:]])
    path.write_text(surplus + FRAMES[2] + torn + FRAMES[3])
    rows = list(read_crystal_rows(path))
    expected = [False, True, len(sites) == 1, True]
    assert [row.structure is not None for row in rows] == expected


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("id=mp-1", "mp-1"),
        ("material_id=mp-1", "mp-1"),
        ("Material_ID=mp-1", "mp-1"),
        ("mp_id=mp-1 name=other", "mp-1"),
        ('name="salt of the sea"', "salt of the sea"),
        ("id=7", "a-1"),
        ("unrelated_id=mp-1", "a-1"),
    ],
)
def test_a_frame_is_named_by_its_comment(tmp_path, said, name):
    path = tmp_path / "a.extxyz"
    head, comment, rest = FRAMES[0].split("\n", 2)
    path.write_text(f"{head}\n{comment} {said}\n{rest}")
    (row,) = read_crystal_rows(path)
    assert row.id == row.name == name


@pytest.mark.parametrize(
    ("written", "read"), [("NA", "Na"), ("na", "Na"), ("Na+", "Na"), ("23Na", "Na"), ("D", "H"), ("T", "H")]
)
def test_symbols_are_read_by_the_whole_word(written, read):
    frame = f'1\nlattice="4 0 0 0 4 0 0 0 4" properties=pos:R:3:species:S:1\n0 0 0 {written}\n'
    assert Crystal.from_extxyz(frame).formula == read


@pytest.mark.parametrize("written", ["OH", "Vac", "X", "NaCl", "Na1x"])
def test_other_words_are_refused(tmp_path, written):
    path = tmp_path / "a.xyz"
    path.write_text(f'1\nLattice="4 0 0 0 4 0 0 0 4"\n{written} 0 0 0\n')
    (row,) = read_crystal_rows(path)
    assert row.structure is None
    assert f"site 0: unknown species; got {written}" in row.reason


def test_a_raw_file_of_qm9_is_one_molecule(tmp_path):
    path = tmp_path / "dsgdb9nsd_000003.xyz"
    atoms = "O\t-0.03\t 0.97\t 0.01\t-0.58\nH\t 0.06\t 0.02\t 0.01\t 0.29\nH\t 0.87\t 1.30\t 0.01\t 0.29\n"
    tail = "1671.4222\t3803.6305\t3907.698\nO\tO\t\nInChI=1S/H2O/h1H2\tInChI=1S/H2O/h1H2\n"
    path.write_text("3\ngdb 3\t799.58812\t437.90386\t282.94545\n" + atoms + tail)
    assert [record.form for record in read_frames(path)] == ["frame"]
