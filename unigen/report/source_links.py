"""Where structures were read, as links that a page can carry: relative to the page, never an absolute path."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from unigen.data.readers.text import open_text
from unigen.runs.folder import JOURNAL, file_names

Link = tuple[str, str]
"""A file, relative to the page and with ``/`` between its parts, and the location in it; empty where there is none."""

_LOCATION = re.compile(r"(.+) ((?:entry|frame|row|line) \d+)", re.DOTALL)
"""As readers write the ``where`` of a record; the only structure of a file has no location."""

_NAMING = {"id", "request_index", "index"}
"""What the name of a sample's CIF is made of."""


class SourceLinks:
    """Links to the files that structures were read from.

    Args:
        folder: where the page lies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cifs: dict[Path, dict[str, Path]] = {}

    def to(self, where: str) -> Link:
        """The file of a structure: its own CIF where a run folder has one, else what it was read from.

        Args:
            where: file and location, as entries say them; what is no file gives no link.
        """
        file, location = Path(where), ""
        if not file.is_file() and (match := _LOCATION.fullmatch(where)):
            file, location = Path(match[1]), match[2]
        if not file.is_file():
            return "", ""
        cif = self._cifs_of(file).get(location) if file.name == JOURNAL else None
        return (self._relative(cif), "") if cif else (self._relative(file), location)

    def _relative(self, file: Path) -> str:
        try:
            return Path(os.path.relpath(file, self._folder)).as_posix()
        except ValueError:  # on another drive
            return ""

    def _cifs_of(self, journal: Path) -> dict[str, Path]:
        if journal not in self._cifs:
            self._cifs[journal] = _run_cifs(journal)
        return self._cifs[journal]


def _run_cifs(journal: Path) -> dict[str, Path]:
    """The CIFs of a run folder by the location of their samples in its journal."""
    folder = journal.with_name("cif")
    if not folder.is_dir():
        return {}
    with open_text(journal) as file:
        rows = {f"line {number}": _row(line) for number, line in enumerate(file, start=1)}
    made = {location: row for location, row in rows.items() if "sites" in row}
    if not all(row.keys() >= _NAMING for row in made.values()):
        return {}  # not a run of ours
    stems = zip(made, file_names(list(made.values())), strict=True)
    return {location: cif for location, stem in stems if (cif := folder / f"{stem}.cif").is_file()}


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}
