"""A folder of results says in one file what made them, so that only the same work goes on in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unigen.config import read_yaml, write_yaml
from unigen.errors import UserError


def claim_folder(path: Path, name: str, facts: dict[str, Any]) -> dict[str, Any]:
    """What the folder's file says: the facts, written now, where the folder was empty.

    Args:
        path: the folder; it exists.
        name: of the file.
        facts: what makes the results.

    Raises:
        UserError: the folder holds other files.
    """
    if (path / name).exists():
        return read_yaml(path / name)
    if any(file.name != f".{name}.partial" for file in path.iterdir()):  # that one: killed at its start
        raise UserError("this folder holds other files", where=str(path), next_step="give another --out")
    write_yaml(path / name, facts)
    return facts
