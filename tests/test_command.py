"""What goes wrong around a command, not in it: who else is at work, disks, names, terminals, signals."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from ase.collections import dcdft

from tests.held import held_elsewhere
from tests.processes import finished
from tests.small_generators import save_untrained
from tests.train.tiny_run import CONFIG
from unigen.command import run_command
from unigen.config import write_yaml
from unigen.crystals.crystal import Crystal
from unigen.disk import alone_at, alone_in
from unigen.errors import UserError

COMMAND = [sys.executable, "-c", "from unigen.cli import main; main()"]

ODD_NAMES = ["a[/b] [red]:smile:", "quote' \"%s #?&", "-dash", "two\nlines", "éλ中", os.fsdecode(b"no text \xff\xc5")]
"""A folder may have any of these: markup of a terminal, of a web page, of a shell; bytes that are no text."""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_untrained(tmp_path_factory.mktemp("models") / "untrained")


def _iron(folder: Path) -> Path:
    folder.mkdir(parents=True)
    Crystal.from_ase(dcdft["Fe"]).to_cif(folder / "Fe.cif")
    return folder


def _ended(command, capsys) -> tuple[int | str | None, str]:
    with pytest.raises(SystemExit) as stop:
        run_command(command)
    return stop.value.code, capsys.readouterr().err


# ---- one process at a time


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (("generate", "crystal", "--formula", "Fe", "--out", "there"), "there"),
        (("generate", "molecule", "--smiles", "C", "--out", "there"), "there"),
        (("relax", "irons", "--out", "there"), "there"),
        (("models", "pack", "MODEL", "--out", "there"), "there"),
        (("train", "tiny.yaml"), "there"),
        (("data", "build", "mine", "--from", "irons"), "home/datasets/mine"),
        (("hull", "build", "mine", "--from", "irons", "--potential", "chgnet"), "home/hulls/mine"),
    ],
)
def test_a_folder_in_which_another_process_works_is_refused_and_left_alone(refused, model, tmp_path, arguments, folder):
    _iron(tmp_path / "irons")
    write_yaml(tmp_path / "tiny.yaml", CONFIG | {"data": {"train": "none", "val": "none"}, "out": "there"})
    with held_elsewhere(tmp_path / folder):
        before = {file.name: file.read_bytes() for file in (tmp_path / folder).iterdir()}
        said = refused(*(model if word == "MODEL" else word for word in arguments))
        assert f"{folder}: another process is at work here; got process {os.getpid()}" in said
        assert {file.name: file.read_bytes() for file in (tmp_path / folder).iterdir()} == before


def test_a_report_that_another_process_makes_is_refused(refused, tmp_path):
    _iron(tmp_path / "irons")
    with held_elsewhere(tmp_path / "report.json", alone_at):
        for wing in ("crystals", "molecules"):
            assert "report.json: another process is at work here" in refused("evaluate", wing, "irons")


def test_a_dataset_that_is_built_again_meanwhile_gets_no_templates(refused, unigen, tmp_path):
    _iron(tmp_path / "irons")
    assert unigen("data", "build", "mine", "--from", "irons", "--workers", 1)[0] == 0
    with held_elsewhere(tmp_path / "home" / "datasets" / "mine"):
        assert "at work here" in refused("data", "templates", "mine")
        assert "at work here" in refused("data", "build", "mine", "--from", "irons", "--dedup")
    assert "already built" in unigen("data", "build", "mine", "--from", "irons")[1]


def test_a_report_beside_its_samples_does_not_count_what_keeps_others_away(unigen, tmp_path):
    folder = _iron(tmp_path / "irons")
    assert unigen("evaluate", "crystals", "irons", "--workers", 1, "--out", "irons/report.json", "--no-page")[0] == 0
    assert "hidden" not in (folder / "report.json").read_text()
    assert sorted(file.name for file in folder.iterdir()) == ["Fe.cif", "report.csv", "report.json"]


# ---- places and names


def test_a_home_that_is_none_is_one_line(refused, unigen, tmp_path, monkeypatch):
    _iron(tmp_path / "irons")
    (tmp_path / "file").touch()
    for home, said in (("file", "Not a directory"), ("~nobody-of-this-name/x", "no home directory is known")):
        monkeypatch.setenv("UNIGEN_HOME", home)
        assert said in refused("data", "build", "mine", "--from", "irons")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("UNIGEN_HOME", "~/own")
    assert unigen("data", "build", "mine", "--from", "irons", "--workers", 1)[0] == 0
    assert (tmp_path / "own" / "datasets" / "mine" / "crystals.parquet").exists()


@pytest.mark.parametrize("out", ["file/x.json", "folder", "x" * 300 + ".json"])
def test_a_report_that_cannot_be_written_is_refused_before_the_work(refused, tmp_path, out):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    refused("evaluate", "crystals", "no such samples", "--out", out)
    assert "no such" not in refused("evaluate", "crystals", "no such samples", "--out", out)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_of_a_folder_is_printed_as_it_is(unigen, model, tmp_path, name):
    folder = _iron(tmp_path / name)
    Crystal.from_ase(dcdft["Cu"]).to_cif(folder / f"{name.replace('/', '-')}.cif")
    shown = name.encode(errors="backslashreplace").decode()
    for arguments in (
        ("data", "show", f"./{name}"),
        ("data", "build", "mine", "--from", f"./{name}", "--workers", 1),
        ("evaluate", "crystals", f"./{name}", "--workers", 1, "--out", f"./{name}/report.json"),
        ("generate", "crystal", "--formula", "Fe", "--z", 1, "--model", model, "--out", f"./{name}/run"),
    ):
        code, out, err = unigen(*arguments)
        assert (code, err) == (0, "")
        assert arguments[1] == "build" or shown in out
    page = (folder / "report.html").read_text(encoding="utf-8")
    linked = quote(os.fsencode(name.replace("/", "-")))
    assert f'"{linked}.cif"' in page


def test_a_store_under_a_name_that_is_no_text_is_one_line(refused, tmp_path):
    _iron(tmp_path / "irons")
    assert r"no\udcff" in refused("data", "build", os.fsdecode(b"no\xff"), "--from", "irons", "--workers", 1)


# ---- what nobody reads, or not as it was meant


def test_output_that_is_not_taken_ends_the_command_without_a_word():
    listing, usage = [*COMMAND, "data", "list"], [*COMMAND, "data", "--help"]
    with Path("/dev/full").open("w") as full:
        ended = [subprocess.run(listing, stdout=full, stderr=subprocess.PIPE, check=False)]
    ended.append(subprocess.run(["sh", "-c", 'exec "$0" "$@" >&-', *usage], stderr=subprocess.PIPE, check=False))
    reader, writer = os.pipe()
    os.close(reader)
    ended.append(subprocess.run(usage, stdout=writer, stderr=subprocess.PIPE, check=False))
    os.close(writer)
    assert [(each.returncode, each.stderr) for each in ended] == [(1, b"")] * 3


def test_a_terminal_of_few_letters_is_no_error(tmp_path):
    folder = _iron(tmp_path / os.fsdecode("λ".encode() + b"\xff"))
    plain = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "TERM": "dumb", "COLUMNS": "20"}
    for last in ({}, {"PYTHONCOERCECLOCALE": "0"}):
        done = finished([*COMMAND, "data", "show", folder.name], environment=os.environ | plain | last, folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "1 crystals" in done.stdout
        assert done.stdout.isascii()


# ---- ends


def test_trouble_of_the_machine_is_one_line(capsys):
    def fails(error: BaseException):
        def command() -> None:
            raise error

        return command

    for error, said in (
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a/b"), "error: a/b: No space left on device; free some"),
        (PermissionError(errno.EACCES, "Permission denied", b"a\xff"), "error: a\\udcff: Permission denied\n"),
        (OSError("a library's own words"), "error: a library's own words\n"),
        (MemoryError(), "error: not enough memory\n"),
        (UserError("wrong", where="here"), "error: here: wrong\n"),
    ):
        code, heard = _ended(fails(error), capsys)
        assert code == 2
        assert heard.startswith(said)
        assert heard.count("\n") == 1
    assert _ended(fails(SystemExit(7)), capsys) == (7, "")
    assert _ended(lambda: None, capsys) == (None, "")
    with pytest.raises(ZeroDivisionError):  # a fault of ours is seen whole
        run_command(lambda: 1 / 0)
    with pytest.raises(UnicodeEncodeError):
        run_command(lambda: "λ".encode("ascii"))


def test_signals_end_a_command_as_shells_count_unless_they_are_ignored(capsys, tmp_path):
    def in_a_folder(number: int) -> None:
        with alone_in(tmp_path):
            os.kill(os.getpid(), number)

    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.signal(number, signal.SIG_DFL)  # ignored where the tests run in a shell's background
        try:
            code, said = _ended(lambda number=number: os.kill(os.getpid(), number), capsys)
            assert code == 128 + number
            assert said.endswith(": the same command begins anew\n")
            assert _ended(lambda number=number: in_a_folder(number), capsys)[1].endswith(
                ": what is finished is kept, the same command goes on\n"
            )
            assert said.count("\n") == 1
            signal.signal(number, signal.SIG_IGN)
            assert _ended(lambda number=number: os.kill(os.getpid(), number), capsys) == (None, "")
        finally:
            signal.signal(number, before)


def test_weights_that_a_disk_does_not_take_leave_the_old_ones(unigen, model, tmp_path):
    pack = ("models", "pack", model, "--out", tmp_path / "packed")
    assert unigen(*pack)[0] == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "packed").iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, limits[1]))
    try:
        code, _, err = unigen(*pack, "--dtype", "fp32")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert code == 2
    assert "weights.safetensors: no space left to write it; got File too large" in err
    assert err.count("\n") == 1
    assert {file.name: file.read_bytes() for file in (tmp_path / "packed").iterdir()} == before
