"""The progress bar's total is what the reader yields, or unknown; never an error."""

from __future__ import annotations

import pytest

from tests.data.test_sources import FORMS
from unigen.data.readers.contents import count_entries
from unigen.data.readers.crystals import read_crystal_rows


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__.removeprefix("write_"))
def test_a_known_total_is_the_right_one(tmp_path, write):
    path = write(tmp_path / "crystals")
    assert count_entries(path) in (None, sum(1 for _ in read_crystal_rows(path)))


@pytest.mark.parametrize("name", ["a.npz", "a.parquet", "a.jsonl"])
def test_an_unreadable_file_has_no_known_total(tmp_path, name):
    assert count_entries(tmp_path / name) is None
