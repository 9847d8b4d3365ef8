"""Relax the crystals of files, with a progress bar and a table: what ``unigen relax`` does with them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unigen.data.readers.crystals import read_crystal_rows
from unigen.energies.potential import Potential
from unigen.energies.relaxation import Relaxation, RelaxSettings
from unigen.energies.relaxed_crystals import RelaxedCrystals
from unigen.errors import UserError
from unigen.parallel import Workers
from unigen.runs.relax_table import outcome_counts, relax_table

if TYPE_CHECKING:
    from rich.console import Console

_NUMBERS = ("steps", "eV/atom", "drop\n(eV/atom)", "moved\n(Å)", "volume")


def relax_files(
    samples: Path,
    out: Path,
    potential: Potential,
    settings: RelaxSettings,
    *,
    limit: int | None = None,
    workers: int | None = None,
    console: Console | None = None,
) -> list[tuple[str, Relaxation]]:
    """Relax what a path holds; returns one result an entry, by name, unreadable ones as failed.

    Args:
        samples: anything `unigen.data.readers.crystals.read_crystal_rows` reads.
        out: folder of the results; an interrupted run goes on.
        potential: whose energies.
        settings: stops and gates.
        limit: the first so many entries.
        workers: processes; one a core by default.
        console: for progress and table; silent without.

    Raises:
        UserError: nothing readable, or the folder holds something else.
    """
    rows = list(islice(read_crystal_rows(samples), limit))
    crystals = [row.structure for row in rows if row.structure is not None]
    if not crystals:
        raise UserError("no readable structure", where=str(samples), got=rows[0].reason if rows else "no entries")
    relaxed = RelaxedCrystals(out, potential, settings)
    with Workers(workers, progress=console is not None) as crew:
        results = iter(relaxed.relax(crystals, crew))
    named = [
        (row.name, next(results) if row.structure is not None else Relaxation(outcome="failed", reason=row.reason))
        for row in rows
    ]
    written = relaxed.write(named)
    if console is not None:
        console.print(relax_table("structure", _NUMBERS, [_row(name, result) for name, result in named]))
        console.print(_summary([result for _, result in named], potential), highlight=False)
        console.print(f"written: {written}", highlight=False)
    return named


def _row(name: str, result: Relaxation) -> tuple[str, ...]:
    outcome = f"{result.outcome}{': ' * bool(result.reason)}{result.reason}"
    drop = result.energy_drop
    if drop is None:
        return (name, outcome, str(result.steps), "", "", "", "")
    moved, volume = f"{result.displacement:.3f}", f"{result.volume_change:+.1%}"
    return (name, outcome, str(result.steps), f"{result.energy_per_atom:.3f}", f"{drop:.3f}", moved, volume)


def _summary(results: Sequence[Relaxation], potential: Potential) -> str:
    said = outcome_counts(result.outcome for result in results)
    moved = [result.displacement for result in results if result.displacement is not None]
    middle = f"; atoms moved {np.median(moved):.3f} A (median)" if moved else ""
    return f"{potential.name} ({potential.scheme} energies): {said}{middle}"
