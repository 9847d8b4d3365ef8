"""Shapes and types are checked in every call while the tests run; hypothesis keeps no clock."""

import os
import sys

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("unigen", "beartype.beartype")

# progress lines come with time, and no test depends on the clock
os.environ["UNIGEN_PROGRESS"] = "1e9"

# Triton reads it when it is imported: without a GPU its kernels are run by its interpreter
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# The same examples every time, so that a change is judged by what it changes; the other profile has new ones.
settings.register_profile("unigen", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=200)
settings.load_profile("unigen")


@pytest.fixture
def unigen(monkeypatch, capsys, tmp_path):
    """Run a command in this process, in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: object) -> tuple[int, str, str]:
        from unigen import cli

        monkeypatch.setattr(sys, "argv", ["unigen", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def refused(unigen):
    """The one line of a command that must be refused."""

    def run(*arguments: object) -> str:
        code, _, err = unigen(*arguments)
        assert code == 2, err
        assert err.startswith("error: "), err
        assert err.endswith("\n"), err
        assert err.count("\n") == 1, err
        return err.removeprefix("error: ").rstrip()

    return run
