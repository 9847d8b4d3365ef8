"""A run that draws conformers and makes an ensemble of them.

In its folder ``candidates/`` is the run that drew them, ``relaxation/`` what GFN2-xTB relaxed (both are gone on with
after an interruption), and beside them the ensemble, as any run has samples: sorted by energy, and behind what is kept
what was left out, each with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unigen.data.left_out import by_reason
from unigen.disk import alone_in
from unigen.errors import UserError
from unigen.parallel import Workers
from unigen.request import MoleculeRequest
from unigen.runs.folder import Row, was_made
from unigen.runs.generation import RunSettings, draw_samples
from unigen.runs.molecule_files import SDF, MoleculeFolder
from unigen.runs.tables import conformers_table
from unigen.sample.ensemble import (
    ABOVE,
    DUPLICATE,
    LEFT_OUT,
    EnsembleSettings,
    is_left_out,
    make_ensembles,
    open_relaxed,
)

if TYPE_CHECKING:
    from rich.console import Console

CANDIDATES, RELAXATION = "candidates", "relaxation"

_REVISABLE = ("ensemble.window", "ensemble.distinct")
"""What is drawn and relaxed serves any window and any smallest distance: a run goes on with others."""


def run_ensemble(
    requests: Sequence[MoleculeRequest],
    folder: MoleculeFolder,
    settings: RunSettings,
    ensemble: EnsembleSettings,
    *,
    workers: int | None = None,
    console: Console | None = None,
) -> list[Row]:
    """Draw conformers, relax them, keep those that the rules keep; returns one row a draw.

    Args:
        requests: what is wanted.
        folder: of the ensemble; an interrupted run goes on.
        settings: how they are drawn.
        ensemble: whose energies, and what is kept.
        workers: processes that relax; by default one a core.
        console: for remarks, progress and table; silent without.

    Raises:
        UserError: as `run_generation`; tblite is not installed; nothing could be relaxed.
    """
    open_relaxed(ensemble)  # what is missing is said before anything is drawn
    generator = settings.load(folder.kind)
    facts = settings.facts(generator, requests, folder) | {"ensemble": ensemble.facts()}
    candidates = MoleculeFolder(folder.path / CANDIDATES)
    with alone_in(folder.path):
        folder.claim(facts, _REVISABLE)
        drawn = draw_samples(requests, candidates, settings, generator, console)
        # as they stand in the journal: a run that goes on relaxes the same digits
        samples = [candidates.sample_of(row, requests[row["request_index"]]) for row in drawn]
        relaxed = open_relaxed(ensemble, folder.path / RELAXATION)
        with Workers(workers, progress=console is not None) as pool:
            folder.hold(make_ensembles(samples, ensemble, pool, relaxed))
        rows = folder.finish()
    if not any(map(was_made, rows)):
        raise UserError(f"no conformer was kept ({len(rows)} drawn): {rows[0]['reason']}")
    if console is not None:
        made = [row for row in rows if was_made(row)]
        console.print(conformers_table(made, len(made), console.width))
        for line in [*ensemble_lines(rows, ensemble), f"written to {folder.path / SDF}"]:
            console.out(line, highlight=False)
    return rows


def ensemble_lines(rows: Sequence[Row], ensemble: EnsembleSettings) -> list[str]:
    """How many are kept, how many are not and why, and what the energies are.

    Args:
        rows: of the journal, one a draw.
        ensemble: of the run.
    """
    rules = ensemble.rules
    kinds = Counter(row.get(LEFT_OUT, "") for row in rows if not was_made(row))
    count = sum(map(was_made, rows))
    lines = [f"{count} conformer{'' if count == 1 else 's'} kept of {len(rows)} drawn"]
    left_out = []
    if rules.distinct is not None:
        left_out.append(f"{kinds[DUPLICATE]} nearer than {rules.distinct:g} A to one of lower energy")
    if rules.window is not None:
        left_out.append(f"{kinds[ABOVE]} more than {rules.window:g} kcal/mol above the lowest")
    failed = [row for row in rows if not was_made(row) and not is_left_out(row)]
    if failed:
        reasons = by_reason(("", row["reason"]) for row in failed)
        told = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
        left_out.append(f"{len(failed)} failed ({told})")
    if left_out:
        lines[0] += f"; left out: {', '.join(left_out)}"
    lines.append(
        f"energies by {ensemble.method}, every conformer relaxed; weights by energy alone, at {rules.temperature:g} K"
    )
    if not rules.distinct:
        lines.append("a minimum that was found twice is there twice, and in the weights: --distinct 0.5 keeps one")
    return lines
