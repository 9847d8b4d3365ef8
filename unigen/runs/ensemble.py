"""A run that draws conformers and makes an ensemble of them.

In its folder ``candidates/`` is the run that drew them, ``relaxation/`` what GFN2-xTB relaxed (both are gone on with
after an interruption), and beside them the ensemble, as any run has samples: sorted by energy, and behind what is kept
what was left out, each with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unigen.data.left_out import by_reason
from unigen.disk import alone_in
from unigen.errors import UserError
from unigen.molecules.ensemble import ABOVE, DUPLICATE, LEFT_OUT, EnsembleRules, is_left_out
from unigen.parallel import Workers
from unigen.request import MoleculeRequest
from unigen.runs.folder import Row, was_made
from unigen.runs.generation import RunSettings, draw_samples
from unigen.runs.molecule_files import SDF, MoleculeFolder
from unigen.runs.tables import conformers_table
from unigen.sample.ensemble import EnsembleSettings, make_ensembles, open_relaxed

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
        told = [(row, row.get("reason", "")) for row in rows]
        lines = ensemble_lines(told, ensemble.rules, ensemble.method)
        for line in [*lines, f"written to {folder.path / SDF}"]:
            console.out(line, highlight=False)
    return rows


def read_ensemble(facts: Mapping[str, Any]) -> EnsembleSettings:
    """The settings of a run, as its ``run.yaml`` has them."""
    rules = {name: facts[name] for name in ("window", "distinct", "temperature")}
    return EnsembleSettings(relax=facts["relax"], rules=EnsembleRules(**rules))


def ensemble_lines(entries: Sequence[tuple[Mapping[str, Any], str]], rules: EnsembleRules, method: str) -> list[str]:
    """How many are kept, how many are not and why, and what the energies are.

    Args:
        entries: of each conformer what is told of it, and why it is not kept: nothing where it is.
        rules: of the ensembles.
        method: whose energies.
    """
    kinds = Counter(facts.get(LEFT_OUT, "") for facts, reason in entries if reason)
    kept = sum(not reason for _, reason in entries)
    left_out = []
    if rules.distinct is not None:
        left_out.append(f"{kinds[DUPLICATE]} nearer than {rules.distinct:g} A to one of lower energy")
    if rules.window is not None:
        left_out.append(f"{kinds[ABOVE]} more than {rules.window:g} kcal/mol above the lowest")
    failed = [("", reason) for facts, reason in entries if reason and not is_left_out(facts)]
    if failed:
        told = ", ".join(f"{number} {reason}" for reason, number in by_reason(failed).items())
        left_out.append(f"{len(failed)} failed ({told})")
    said = f"{kept} conformer{'' if kept == 1 else 's'} kept of {len(entries)}"
    lines = [f"{said}; left out: {', '.join(left_out)}" if left_out else said]
    lines.append(f"energies by {method}; weights by energy alone, at {rules.temperature:g} K")
    if not rules.distinct:
        lines.append("a minimum that was found twice is there twice, and in the weights: --distinct 0.5 keeps one")
    return lines
