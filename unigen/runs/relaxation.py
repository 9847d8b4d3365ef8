"""Relax the molecules of files, with a progress bar and a table: what ``unigen relax`` does with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unigen.data.readers.molecules import read_molecule_rows
from unigen.energies.molecule_relaxation import MoleculeRelaxation, XtbSettings
from unigen.energies.relaxed_molecules import RelaxedMolecules
from unigen.energies.strain import Strain, strain_of
from unigen.errors import UserError
from unigen.parallel import Workers
from unigen.runs.relax_table import outcome_counts, relax_table

if TYPE_CHECKING:
    from rich.console import Console


_NUMBERS = ("steps", "energy\n(eV)", "strain\n(kcal/mol)", "moved\n(Å)", "bonds\nkept")


@dataclass(frozen=True, eq=False)
class RelaxedEntry:
    """What became of an entry.

    Attributes:
        name: of the entry.
        reason: why it could not be read; empty otherwise.
        relaxation: how it ended, and where.
        strain: what that says about the molecule as it was.
    """

    name: str
    reason: str
    relaxation: MoleculeRelaxation
    strain: Strain

    @property
    def outcome(self) -> str:
        """In words."""
        return f"{self.relaxation.ending}: {self.reason}" if self.reason else self.relaxation.ending


def relax_molecule_files(
    samples: Path,
    out: Path,
    settings: XtbSettings,
    *,
    limit: int | None = None,
    workers: int | None = None,
    console: Console | None = None,
) -> list[RelaxedEntry]:
    """Relax what a path holds; returns one result an entry, "no molecule" for unreadable ones.

    Args:
        samples: anything `unigen.data.readers.molecules.read_molecule_rows` reads; bonds are those of the file or,
            where it has none, found from the distances.
        out: folder of the results; an interrupted run goes on.
        settings: of the relaxation.
        limit: the first so many entries.
        workers: processes; one a core by default.
        console: for progress and table; silent without.

    Raises:
        UserError: nothing readable, tblite not installed, or the folder holds something else.
    """
    rows = list(islice(read_molecule_rows(samples), limit))
    if not any(row.structure is not None for row in rows):
        raise UserError("no readable molecule", where=str(samples), got=rows[0].reason if rows else "no entries")
    relaxed = RelaxedMolecules(out, settings)
    with Workers(workers, progress=console is not None) as crew:
        results = relaxed.relax([row.structure for row in rows], crew)
    found = [
        RelaxedEntry(row.id, row.reason, result, strain_of(row.structure, result))
        for row, result in zip(rows, results, strict=True)
    ]
    written = relaxed.write((each.name, each.relaxation) for each in found)
    if console is not None:
        console.print(relax_table("molecule", _NUMBERS, [_row(each) for each in found]))
        console.print(_summary([each.strain for each in found], settings), highlight=False)
        console.print(f"written: {written}", highlight=False)
    return found


def _row(entry: RelaxedEntry) -> tuple[str, ...]:
    energy = entry.relaxation.energy
    said = "" if energy is None else f"{energy[1]:.3f}"
    return (entry.name, entry.outcome, str(entry.relaxation.steps), said, *_cells(entry.strain))


def _cells(strain: Strain) -> tuple[str, str, str]:
    if strain.energy is None:
        return "", "", ""
    moved = "" if strain.rmsd is None else f"{strain.rmsd:.3f}"
    return f"{strain.energy:.2f}", moved, "yes" if strain.bonds_kept else "no"


def _summary(strains: Sequence[Strain], settings: XtbSettings) -> str:
    said = outcome_counts(each.ending for each in strains)
    energies = [each.energy for each in strains if each.energy is not None]
    middle = f"; strain {np.median(energies):.2f} kcal/mol (median)" if energies else ""
    return f"{settings.method}: {said}{middle}"
