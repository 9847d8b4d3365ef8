"""``inspect``: what the layers of a model do with real sequences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unigen.api.structures import samples_of
from unigen.disk import alone_in, may_overwrite
from unigen.errors import UserError
from unigen.journal import claim_folder
from unigen.parallel import in_notebook
from unigen.report.inspection_page import write_inspection_page
from unigen.runs.inspection import (
    CLAIM,
    Inspection,
    InspectSettings,
    Named,
    claimed_by,
    inspect_model,
    write_inspection,
)


def inspect(
    model: str | Path,
    *,
    on: Any = None,
    n: int = 16,
    out: str | Path | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Inspection:
    """How far the layers of a model look, how many heads they need, how gradients fade: what ``unigen inspect`` does.

    Args:
        model: bundled name or model folder, of any family that reads sequences.
        on: a built dataset (``"mp-20:test"``), or structures as `relax` takes them; by default known ones that come
            with UniGen.
        n: sequences, drawn from the dataset; structures in memory are all read.
        out: folder for ``inspect.json``, ``layers.csv`` and ``report.html``.
        seed: draws the structures and how they are written.
        progress: show a bar; by default in notebooks.

    Returns:
        ``to_dataframe()`` has a row a layer, ``gradient`` is by distance, ``maps`` are W of one sequence as arrays.

    Raises:
        UserError: a model without layers, no structure that fits it, a folder that holds other results.

    Example:
        >>> inspect("unigen-crystal-small", n=2).to_dataframe()["mixer"].tolist()[0]
        'attention'
    """
    given = None
    if on is not None and not isinstance(on, str | Path):
        samples = samples_of(on)[0]
        failed = [sample.reason for sample in samples.failed]
        if failed:
            raise UserError(f"on: {len(failed)} of the structures cannot be read", got=failed[0])
        given = [(str(place), sample.structure) for place, sample in enumerate(samples)]
    settings = InspectSettings(
        model=str(model),
        on=None if on is None or given is not None else str(on),
        n=n if given is None else len(given),
        seed=seed,
    )
    shown = in_notebook() if progress is None else progress
    folder = None if out is None else Path(out)
    if folder is not None and folder.is_dir() and any(folder.iterdir()) and not may_overwrite():
        _claim(folder, settings, given)  # before the work, whether it may be written there
    found = inspect_model(settings, given, progress=shown)
    if folder is not None:
        with alone_in(folder):
            _claim(folder, settings, given)  # only now: what is refused leaves no folder, and removes none
            write_inspection(found, folder)
            write_inspection_page(found, folder)
    return found


def _claim(folder: Path, settings: InspectSettings, given: Sequence[Named] | None) -> None:
    claim_folder(folder, CLAIM, claimed_by(settings, given), not_compared=("unigen",))
