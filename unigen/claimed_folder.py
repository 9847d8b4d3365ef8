"""A folder of results says in one file what made them, so that only the same work goes on in it."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from unigen.config import flat, read_yaml, write_yaml
from unigen.disk import writing
from unigen.errors import UserError


def claim_folder(path: Path, name: str, facts: dict[str, Any], told: Collection[str] = ()) -> None:
    """Make a folder ours, or check that it is.

    Args:
        path: the folder; made if need be.
        name: of the file in it.
        facts: what makes the results.
        told: names of facts that are for the reader alone: other ones make the same results.

    Raises:
        UserError: the folder holds results of other facts, or other files, or cannot be written.
    """
    facts = json.loads(json.dumps(facts))  # as it will be read
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        if not (path / name).exists():
            _check_empty(path, name)
            write_yaml(path / name, facts)
            return
        held = read_yaml(path / name)
    here, there = (flat({key: value for key, value in each.items() if key not in told}) for each in (facts, held))
    for key in sorted({*here, *there}):
        if here.get(key) != there.get(key):
            raise UserError(
                "this folder holds other results",
                where=str(path),
                got=f"{key}: {str(here.get(key))[:60]}",
                wanted=f"{key}: {str(there.get(key))[:60]}",
                next_step="give another --out",
            )


def _check_empty(path: Path, name: str) -> None:
    if any(file.name != f".{name}.partial" for file in path.iterdir()):  # that one: killed at its start
        raise UserError("this folder holds other files", where=str(path), next_step="give another --out")
