"""The journal of a generation run: written sample by sample, so that an interrupted run goes on and loses nothing.

``run.yaml`` what was asked, ``samples.jsonl`` one line a sample; beside them the files that readers of structures want,
and ``report.html`` to look at them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, KeysView, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unigen.disk import durable, writing
from unigen.journal import Line as Row
from unigen.journal import append_lines, claim_folder, line_text, read_lines
from unigen.models.generator import Generator, Sample
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.version import __version__

RUN, JOURNAL = "run.yaml", "samples.jsonl"
NOT_COMPARED = ("versions",)
"""Written in ``run.yaml`` for the reader; a run may go on after an update of these."""

_LONGEST_STEM = 120
"""Characters; file systems allow 255 bytes."""

Request = CrystalRequest | MoleculeRequest


class Journal(ABC):
    """The folder of a run, new or continued: its rows, and in its kinds the files made of them.

    Args:
        path: the run folder; made if need be.
        run: everything that determines the samples. A folder that holds another run is refused.

    Raises:
        UserError: the folder holds another run or other files, or cannot be written.
    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path = path
        claim_folder(path, RUN, run, not_compared=NOT_COMPARED)
        self.rows = {(row["request_index"], row["index"]): row for row in read_lines(path / JOURNAL)}

    @property
    def finished(self) -> KeysView[tuple[int, int]]:
        """(request index, sample index) of what need not be drawn again."""
        return self.rows.keys()

    @abstractmethod
    def row_of(self, sample: Sample) -> Row:
        """The line of a sample."""

    @abstractmethod
    def finish(self) -> list[Row]:
        """Sort the journal and write the structure files; returns the rows in order."""

    def append(self, samples: Iterable[Sample]) -> None:
        """Add finished samples to the journal, synced to disk."""
        rows = [self.row_of(sample) for sample in samples]
        with writing(self.path):
            append_lines(self.path / JOURNAL, rows)
        self.rows |= {(row["request_index"], row["index"]): row for row in rows}

    def sort(self) -> list[Row]:
        """Write the lines in order; returns them."""
        rows = [self.rows[key] for key in sorted(self.rows)]
        with durable(self.path / JOURNAL) as partial:
            partial.write_text("".join(map(line_text, rows)), encoding="utf-8")
        return rows


def run_facts(
    settings: Any, generator: Generator, requests: Sequence[Request], unsaid: Collection[str], tools: Sequence[str]
) -> dict[str, Any]:
    """What determines the samples, for ``run.yaml``.

    Args:
        settings: a dataclass.
        generator: its name stands for the model's path, which may be written in many ways.
        requests: what is wanted.
        unsaid: settings that change no sample, nor which files are written.
        tools: whose versions are told.
    """
    kept = {key: value for key, value in asdict(settings).items() if key not in unsaid}
    named = {"model": generator.name, "version": generator.version}
    versions = {name: version(name) for name in tools}
    asked = [request.to_dict() for request in requests]
    return {"unigen": __version__, **kept, **named, "versions": versions, "requests": asked}


def file_names(rows: list[Row]) -> list[str]:
    """``SrTiO3__0``; requests whose names would give one file (on any file system) carry their place in the run."""
    stems = [re.sub(r"[^A-Za-z0-9.()+-]", "_", str(row["id"]))[:_LONGEST_STEM].lstrip(".") for row in rows]
    places: dict[str, set[int]] = {}
    for stem, row in zip(stems, rows, strict=True):
        places.setdefault(stem.lower(), set()).add(row["request_index"])
    return [
        f"{stem}_{row['request_index']}__{row['index']}" if len(places[stem.lower()]) > 1 else f"{stem}__{row['index']}"
        for stem, row in zip(stems, rows, strict=True)
    ]
