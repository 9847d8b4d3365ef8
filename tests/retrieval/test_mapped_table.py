"""A table whose arrays are mapped is the table that was read, to the last bit, and never in anybody's way."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.retrieval.known_templates import save_table, symmetric_crystals, table
from unigen.errors import UserError
from unigen.retrieval import mapped_table
from unigen.retrieval.mapped_table import map_table, open_retriever, write_mapped
from unigen.retrieval.shortlist import Retriever, Shortlist
from unigen.retrieval.table import read_table
from unigen.retrieval.volume_estimate import VolumeEstimate

CELLS = [crystal.counts for crystal in symmetric_crystals()]


@cache
def mapped() -> Retriever:
    """Over the small table, from a file that is gone by now: what is mapped stays."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small.arrow"
        write_mapped(path, Retriever(table()), "key")
        found = map_table(path, table().name, "key")
    assert found is not None
    return found


def assert_same(one: object, other: object) -> None:
    """All arrays of two objects of a class, and their types."""
    for each in fields(one):
        ours, theirs = getattr(one, each.name), getattr(other, each.name)
        if isinstance(theirs, np.ndarray) and theirs.dtype != object:
            assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs, err_msg=each.name)


def test_every_array_is_the_same():
    read = Retriever(table())
    assert_same(mapped().table, read.table)
    assert_same(mapped().compositions, read.compositions)
    assert [*mapped().index.groups] == [*read.index.groups]
    for ours, theirs in zip(mapped().index.groups.values(), read.index.groups.values(), strict=True):
        assert_same(ours, theirs)
    np.testing.assert_array_equal(mapped().index.rank, read.index.rank)
    np.testing.assert_array_equal(mapped().volume.per_atom, read.volume.per_atom)
    np.testing.assert_array_equal(mapped().fit.facts, read.fit.facts)
    np.testing.assert_array_equal(mapped().bonds.log_length, read.bonds.log_length)


@settings(max_examples=40)
@given(st.sampled_from(CELLS), st.permutations(range(1, 90)), st.booleans(), st.booleans())
def test_shortlists_structures_and_volumes_are_the_same(cell, elements, own, exclude):
    wanted = cell if own else dict(zip(elements, cell.values(), strict=False))
    read = Retriever(table())
    lists = [each.shortlist(wanted, exclude_formula=exclude) for each in (mapped(), read)]
    assert_same(*lists)
    for neighbour in range(min(3, len(lists[0]))):
        ours, theirs = (_followed(each, found, neighbour) for each, found in zip((mapped(), read), lists, strict=True))
        assert ours == theirs


def _followed(known: Retriever, shortlist: Shortlist, neighbour: int) -> tuple:
    crystal = known.substitute(shortlist, neighbour)
    correction = VolumeEstimate(known).log_correction(known.table, shortlist, neighbour, exclude_formula=False)
    return (
        correction,
        crystal.space_group,
        crystal.lattice.tolist(),
        crystal.numbers.tolist(),
        crystal.free.tolist(),
        str(known.table.ids[shortlist.sources[neighbour]]),
    )


def opened_twice(path: Path, split: str | None = None) -> tuple[Retriever, Retriever]:
    """Made, and found."""
    return open_retriever(path, split), open_retriever(path, split)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small table that counts as large."""
    monkeypatch.setattr(mapped_table, "MAPPED_FROM", 0)
    return save_table(tmp_path / "templates.parquet", symmetric_crystals()[:40])


def test_a_split_and_the_whole_are_kept_apart(path):
    for split in (None, "val", "train"):
        for known in opened_twice(path, split):
            assert_same(known.table, read_table(path) if split is None else read_table(path).only(split))
    assert len([*path.parent.glob("*.arrow")]) == 3
    for _ in range(2):
        with pytest.raises(UserError, match="no split 'test'"):
            open_retriever(path, "test")


def test_of_another_content_it_is_made_again(path):
    before = opened_twice(path)[1]
    save_table(path, symmetric_crystals()[40:60])
    for known in opened_twice(path):
        assert_same(known.table, read_table(path))
    assert len(before.table) == 40  # who has the old one open keeps it


@given(st.data())
@settings(max_examples=20)
def test_a_broken_file_is_made_again(data):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped_table, "MAPPED_FROM", 0)
        path = save_table(Path(folder) / "templates.parquet", symmetric_crystals()[:6])
        open_retriever(path)
        file = path.with_suffix(".arrow")
        whole = file.read_bytes()
        file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        assert_same(open_retriever(path).table, read_table(path))
        assert file.read_bytes() == whole


def test_where_none_can_be_written_the_table_is_read(path):
    path.with_suffix(".arrow").mkdir()
    for known in opened_twice(path):
        assert_same(known.table, read_table(path))
    assert sorted(each.name for each in path.parent.iterdir()) == ["templates.arrow", "templates.parquet"]


def test_small_tables_leave_no_file(tmp_path):
    path = save_table(tmp_path / "templates.parquet", symmetric_crystals()[:6])
    open_retriever(path)
    assert [each.name for each in tmp_path.iterdir()] == ["templates.parquet"]
