"""What ``unigen data|hull|models remove`` does: a folder is gone once its user has said so."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from unigen.disk import alone_in
from unigen.errors import UserError

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def remove_folder(folder: Path, *, yes: bool) -> str:
    """Remove a folder and say how large it was; returns its path.

    Raises:
        UserError: not agreed to, where nobody can be asked, or another process works in it.
    """
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("not removed without being asked", where=str(folder), next_step="say --yes")
        if not typer.confirm(f"remove {folder} ({size / 1e6:,.1f} MB)?"):
            raise UserError("not removed", where=str(folder))
    with alone_in(folder):
        pass  # nobody else is at work there
    shutil.rmtree(folder)
    typer.echo(f"removed: {folder} ({size / 1e6:,.1f} MB)")
    return str(folder)
