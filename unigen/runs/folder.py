"""The folder of a generation run: written sample by sample, so that an interrupted run goes on and loses nothing.

``run.yaml`` what was asked for and how, ``samples.jsonl`` one line a sample, ``samples.csv`` the same lines without
their structures, as a table; beside them the files that readers of structures want, which differ by kind:
`unigen.runs.crystal_files`, `unigen.runs.molecule_files`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, KeysView, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.disk import write_text, writing
from unigen.journal import Line as Row
from unigen.journal import append_lines, claim_folder, line_text, read_lines
from unigen.models.generator import Sample
from unigen.molecules.molecule import Molecule
from unigen.parallel import Workers
from unigen.parsing import PARSER_ERRORS
from unigen.runs.sample_table import CRYSTAL_COLUMNS, SAMPLES, write_sample_table

if TYPE_CHECKING:
    from rich.console import Console

RUN, JOURNAL = "run.yaml", "samples.jsonl"
PAGE, PICTURE = "report.html", "samples.png"
"""Of what a folder holds, for the eye."""
NOT_COMPARED = ("versions",)
"""Written in ``run.yaml`` for the reader; a run may go on after an update of these."""

DRAWN_BY = ("decoding", "drawing")
"""Where ``run.yaml`` holds the settings of the generator. Older folders hold some that it does not have."""

_LONGEST_STEM = 120
"""Characters; file systems allow 255 bytes."""


class RunFolder(ABC):
    """The folder of a run, new or continued: the rows of its journal, and the files that its kind makes of them.

    Args:
        path: the run folder; made when it is claimed.

    Attributes:
        kind: what it holds.
        noun: one of it, for messages.
        written: what determines its samples, in the words and the order of ``run.yaml``: names of run settings, and
            `decoding`.
        decoding: the word of ``run.yaml`` for the settings of the model.
        tools: whose versions ``run.yaml`` tells.
        tells: what every line of a sample that was made has besides its structure.
    """

    kind: ClassVar[Kind]
    noun: ClassVar[str]
    written: ClassVar[tuple[str, ...]]
    decoding: ClassVar[str]
    tools: ClassVar[tuple[str, ...]]
    tells: ClassVar[tuple[str, ...]]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[tuple[int, int], Row] = {}
        self.known: Mapping[str, bool] = {}  # by formula that is asked for, whether a structure of it is known
        self.workers = Workers(1)  # who checks samples and writes their files; another where they are many

    def claim(self, run: dict[str, Any], revisable: Collection[str] = ()) -> bool:
        """Make the folder this run's, and read what it holds of it.

        Args:
            run: everything that determines the samples.
            revisable: names in it that may be others than in the folder, see `unigen.journal.claim_folder`.

        Returns:
            Whether they are.

        Raises:
            UserError: the folder holds another run or other files, or cannot be written.
        """
        revised = claim_folder(self.path, RUN, run, not_compared=NOT_COMPARED, sections=DRAWN_BY, revisable=revisable)
        rows = filter(self._is_whole, read_lines(self.path / JOURNAL))
        self.rows = {(row["request_index"], row["index"]): row for row in rows}
        return revised

    def _is_whole(self, row: Row) -> bool:
        """Whether a line says all that ours do; one that was damaged is made again, to the same bytes."""
        indices = (row.get("request_index"), row.get("index"))
        texts = [row.get("id"), row.get("reason", "")]
        if not all(type(each) is int for each in indices) or not all(isinstance(each, str) for each in texts):
            return False
        try:
            return not was_made(row) or (all(name in row for name in self.tells) and self.structure_of(row) is not None)
        except PARSER_ERRORS:
            return False

    @property
    def finished(self) -> KeysView[tuple[int, int]]:
        """(request index, sample index) of what need not be drawn again."""
        return self.rows.keys()

    def append(self, samples: Iterable[Sample]) -> None:
        """Add finished samples to the journal, synced to disk."""
        named = ((None, sample) for sample in samples)
        rows = [self._with_known(row) for _, row in self.workers.in_order(self.row_of, named, "checks")]
        with writing(self.path):
            append_lines(self.path / JOURNAL, rows)
        self.rows |= {(row["request_index"], row["index"]): row for row in rows}

    def hold(self, samples: Iterable[Sample]) -> None:
        """Take these samples for all that the folder holds; `finish` writes them."""
        rows = [self._with_known(self.row_of(sample)) for sample in samples]
        self.rows = {(row["request_index"], row["index"]): row for row in rows}

    def _with_known(self, row: Row) -> Row:
        return row | said_known(self.known, row["request"].get("formula"))

    def finish(self) -> list[Row]:
        """Sort the journal and write the structure files; returns the rows in order."""
        # by request and sample: an interrupted run, which finished them in another order, ends in the same bytes
        rows = [self.rows[key] for key in sorted(self.rows)]
        write_text(self.path / JOURNAL, "".join(map(line_text, rows)))
        write_sample_table(self.path / SAMPLES, rows, CRYSTAL_COLUMNS if self.kind == "crystals" else ("formula",))
        self.write_structures([row for row in rows if was_made(row)])
        return rows

    @staticmethod
    @abstractmethod
    def row_of(sample: Sample) -> Row:
        """The line of a sample; that of a failed one has a ``reason`` instead of a structure."""

    @abstractmethod
    def structure_of(self, row: Row) -> Crystal | Molecule | None:
        """The structure of a line, None for a failed sample."""

    @abstractmethod
    def sample_of(self, row: Row, request: Any) -> Sample:
        """The sample that a line was made of; ``request`` is its own."""

    @abstractmethod
    def write_structures(self, rows: Sequence[Row]) -> None:
        """Write the files that readers of structures want, of the rows that have one."""

    @abstractmethod
    def print_summary(self, rows: Sequence[Row], console: Console) -> None:
        """Print the first samples as a table, how many there are, and why others failed."""


def said_known(known: Mapping[str, bool], formula: str | None) -> dict[str, str]:
    """What lines and tables say of a formula that was asked for: whether it is known, or nothing where nobody tells."""
    return {"known": "yes" if known[formula] else "no"} if formula is not None and formula in known else {}


def was_made(row: Row) -> bool:
    """Whether a line has a structure."""
    return "reason" not in row


def file_names(rows: Sequence[Row]) -> list[str]:
    """``SrTiO3__0``; requests whose names would give one file (on any file system) carry their place in the run."""
    stems = [re.sub(r"[^A-Za-z0-9.()+-]", "_", str(row["id"]))[:_LONGEST_STEM].lstrip(".") for row in rows]
    requests_of: dict[str, set[int]] = {}  # by small letters: some file systems do not tell them from capitals
    for stem, row in zip(stems, rows, strict=True):
        requests_of.setdefault(stem.lower(), set()).add(row["request_index"])
    return [
        f"{stem}_{row['request_index']}__{row['index']}"
        if len(requests_of[stem.lower()]) > 1
        else f"{stem}__{row['index']}"
        for stem, row in zip(stems, rows, strict=True)
    ]
