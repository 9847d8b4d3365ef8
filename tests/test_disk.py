"""A file is there completely or not at all."""

from __future__ import annotations

import errno

import pytest

from unigen.disk import durable
from unigen.errors import UserError


def test_the_name_appears_only_when_all_is_written(tmp_path):
    path = tmp_path / "new" / "file"
    with durable(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_what_stood_there_outlives_a_full_disk(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def half() -> None:
        with durable(path) as partial:
            partial.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"no space left.*run the same command again"):
        half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_other_errors_are_not_dressed_up(tmp_path):
    with pytest.raises(PermissionError), durable(tmp_path / "file"):
        raise PermissionError(errno.EACCES, "no")
