"""A run folder from Python: its samples, with what ranked them and what was computed of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unigen.api.samples import Samples
from unigen.config import read_yaml
from unigen.errors import UserError
from unigen.journal import read_lines
from unigen.models.generator import Sample
from unigen.request import MoleculeRequest
from unigen.runs.crystal_files import CrystalFolder
from unigen.runs.folder import JOURNAL, RUN, Row
from unigen.runs.molecule_files import MoleculeFolder
from unigen.sample.requests import request_of


def is_run(path: str | Path) -> bool:
    """Whether a folder is one that ``unigen generate`` wrote, or is writing."""
    return all((Path(path) / name).is_file() for name in (RUN, JOURNAL))


def open_run(path: str | Path) -> Samples:
    """The samples of a run folder, in its order, ranked answers with what ranked them.

    Args:
        path: what ``unigen generate --out`` or ``generate(..., out=...)`` wrote; of an interrupted run what is there.

    Raises:
        UserError: no run folder, or one whose lines are damaged.

    Example:
        >>> samples = open_run("run")  # doctest: +SKIP
        >>> [sample.ranking.get("rank") for sample in samples]  # doctest: +SKIP
    """
    path = Path(path)
    if not is_run(path):
        found = "nothing there" if not path.exists() else ", ".join(sorted(each.name for each in path.iterdir())[:6])
        raise UserError("no run folder", where=str(path), got=found, wanted=f"{RUN} and {JOURNAL}")
    facts = read_yaml(path / RUN)
    molecules = "drawing" in facts  # the word of their folders for the settings of the model
    folder = MoleculeFolder(path) if molecules else CrystalFolder(path)
    requests = [_molecule_request(each) if molecules else request_of(each) for each in facts["requests"]]
    samples = [_sample(folder, row, requests) for row in read_lines(path / JOURNAL, mend=False)]
    # an interrupted run has them in the order in which they were finished
    return Samples(sorted(samples, key=lambda sample: (sample.request_index, sample.index)), path)


def _sample(folder: CrystalFolder | MoleculeFolder, row: Row, requests: list[Any]) -> Sample[Any, Any]:
    try:
        return folder.sample_of(row, requests[row["request_index"]])
    except (LookupError, TypeError, ValueError) as error:
        raise UserError("a damaged line", where=str(folder.path / JOURNAL), got=str(row)[:60]) from error


def _molecule_request(fields: Mapping[str, Any]) -> MoleculeRequest:
    return MoleculeRequest(**fields)
