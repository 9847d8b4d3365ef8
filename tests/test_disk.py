"""A file is there completely or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.held import held_elsewhere
from unigen.disk import LOCK, alone_at, alone_in, checksum, durable, durable_together, encodable, write_text
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


@pytest.mark.parametrize("sync", ["as it is", "without os.sync"])
def test_many_take_their_names_when_all_are_on_the_disk(tmp_path, sync, monkeypatch):
    if sync == "without os.sync":
        monkeypatch.delattr(os, "sync")
    names = [f"{'long' * 20}-{number}" for number in range(5)]
    with durable_together() as begin:
        for name in names:
            begin(tmp_path / "new" / name).write_text(name)
        assert not {path.name for path in (tmp_path / "new").iterdir()} & {*names}
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {name: name for name in names}


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_of_many_what_was_whole_before_trouble_is_kept(tmp_path, error):
    def half() -> None:
        with durable_together() as begin:
            begin(tmp_path / "first").write_text("whole")
            begin(tmp_path / "second").write_text("ha")
            raise error

    with pytest.raises((UserError, KeyboardInterrupt)) as raised:
        half()
    assert isinstance(error, KeyboardInterrupt) or "second: no space left" in str(raised.value)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"first": "whole"}


def test_other_errors_are_not_dressed_up(tmp_path):
    with pytest.raises(PermissionError), durable(tmp_path / "file"):
        raise PermissionError(errno.EACCES, "no")


HOLDER = """
import sys
from pathlib import Path
from unigen.disk import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_held_is_free(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with (
        pytest.raises(UserError, match=rf"another process is at work here; got process {process.pid} on"),
        alone_in(folder),
    ):
        pass
    process.kill()
    process.communicate()
    assert (folder / LOCK).exists()
    with alone_in(folder):
        (folder / "result").touch()
    assert [file.name for file in folder.iterdir()] == ["result"]


def test_a_thread_may_hold_a_folder_twice_by_any_of_its_names(tmp_path):
    (tmp_path / "other").symlink_to(tmp_path / "run")
    (tmp_path / "run").mkdir()
    with alone_in(tmp_path / "run"), alone_in(tmp_path / "other"):
        assert (tmp_path / "run" / LOCK).exists()
    with held_elsewhere(tmp_path / "run"), pytest.raises(UserError, match="at work here"), alone_in(tmp_path / "other"):
        pass


def test_a_folder_in_which_nothing_was_made_is_gone_again(tmp_path):
    with alone_in(tmp_path / "new"):
        pass
    (tmp_path / "old").mkdir()
    with alone_in(tmp_path / "old"):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["old"]


def test_a_lock_is_no_content(tmp_path):
    (tmp_path / "a").write_text("a")
    before = checksum(tmp_path)
    with alone_in(tmp_path):
        assert checksum(tmp_path) == before


def test_reports_of_one_stem_are_one_place(tmp_path):
    with held_elsewhere(tmp_path / "report.json", alone_at):
        with pytest.raises(UserError, match="at work here"), alone_at(tmp_path / "report.txt"):
            pass
        with alone_at(tmp_path / "other.json"), alone_in(tmp_path):
            pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("hold", [alone_in, alone_at])
def test_a_place_that_cannot_be_written_is_said_before_the_work(tmp_path, hold):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "x", tmp_path / ("x" * 300), tmp_path / "file" / "y" / "z"):
        with pytest.raises(UserError, match="cannot be written"), hold(path):
            pass


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1, max_size=255))
def test_names_and_text_of_any_bytes(name):
    name = os.fsdecode(name.encode(errors="replace")[:254] + b"\xff").strip(".") or "x"
    with tempfile.TemporaryDirectory() as folder:
        write_text(Path(folder) / name, f"{name}\n")
        assert os.listdir(folder) == [name]  # noqa: PTH208 - as bytes would be
        assert (Path(folder) / name).read_bytes() == f"{encodable(name)}\n".encode()
