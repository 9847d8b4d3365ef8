"""Relax the structures of files, with a progress bar and a table: what ``unigen relax`` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unigen.data.left_out import LEFT_OUT, LeftOut, by_reason, left_out_table, write_left_out
from unigen.data.readers.crystals import CRYSTAL_FORMATS, parse_crystal
from unigen.data.readers.formats import Survey
from unigen.data.readers.molecules import MOLECULE_FORMATS, parse_molecule
from unigen.energies.potential import Potential
from unigen.energies.relaxation import Relaxation, RelaxSettings
from unigen.energies.relaxed_crystals import RelaxedCrystals
from unigen.energies.relaxed_molecules import RelaxedMolecules
from unigen.energies.strain import Strain, strain_of
from unigen.errors import UserError
from unigen.molecules.ensemble import EnsembleRules
from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.xtb import MoleculeRelaxation, XtbSettings
from unigen.parallel import Workers
from unigen.runs.ensemble import ensemble_lines
from unigen.runs.formats import DEFAULT
from unigen.runs.relaxed_ensemble import Conformer, relaxed_conformers, write_conformers
from unigen.runs.relaxed_table import TOP, RelaxedRow, relaxed_rows, write_relaxed_files, write_relaxed_table
from unigen.runs.tables import SHOWN, conformers_table
from unigen.runs.terminal_table import Column, terminal_table

if TYPE_CHECKING:
    from rich.console import Console

Cells = tuple[str, ...]

_CRYSTAL_WORDS = (Column("structure", "names"), Column("formula\nspace group", "spaces"), Column("outcome", "spaces"))
_MOLECULE_WORDS = (Column("molecule", "names"), Column("outcome", "spaces"))
_CRYSTAL_NUMBERS = ("steps", "eV/atom", "above\nbest", "drop", "moved\n(Å)", "volume")
_OF_ENERGIES = "above best, drop{}: eV/atom"
_OTHER_VOLUME = 1 / 3
"""Share of the volume that a relaxation gains or loses beyond which it is marked: known crystals change by some per
cent in any of our potentials; what changes so much was no such crystal, or the potential fails it."""
_MARKED = "!: the volume changed by more than a third: hardly the crystal that was given any more"
_ENTHALPY = "enthalpy"
_MOLECULE_NUMBERS = ("steps", "energy\n(eV)", "strain\n(kcal/mol)", "moved\n(Å)", "bonds\nkept")


@dataclass(frozen=True, eq=False)
class RelaxedEntry:
    """What became of a molecule.

    Attributes:
        name: of the entry.
        reason: why it could not be read; empty otherwise.
        relaxation: how it ended, and where.
        strain: what that says about the molecule as it was.
        conformer: what it is in the ensemble of its molecule, where one is made.
    """

    name: str
    reason: str
    relaxation: MoleculeRelaxation
    strain: Strain
    conformer: Conformer | None = None

    @property
    def outcome(self) -> str:
        """In words."""
        return f"{self.relaxation.ending}: {self.reason}" if self.reason else self.relaxation.ending


def relax_crystal_files(
    samples: Path,
    out: Path,
    potential: Potential,
    settings: RelaxSettings,
    *,
    limit: int | None = None,
    formats: Sequence[str] = DEFAULT,
    top: int | None = None,
    workers: int | None = None,
    console: Console | None = None,
) -> list[tuple[str, Relaxation]]:
    """Relax what a path holds; returns one result an entry, by the stem of its files, unreadable ones as failed.

    Args:
        samples: anything `unigen.data.readers.crystals.read_crystal_rows` reads.
        out: folder of the results; an interrupted run goes on.
        potential: whose energies.
        settings: stops and gates.
        limit: the first so many entries.
        formats: words of `unigen.runs.formats.FORMATS`, of the files of each relaxed structure.
        top: copy so many of each composition, the lowest in energy, into a folder of their own.
        workers: processes; one a core by default.
        console: for progress and table; silent without.

    Raises:
        UserError: nothing readable, or the folder holds something else.
    """
    survey = CRYSTAL_FORMATS.survey(samples)
    rows = list(islice(map(parse_crystal, survey.records()), limit))
    crystals = [row.structure for row in rows if row.structure is not None]
    if not crystals:
        raise UserError("no readable structure", where=str(samples), got=rows[0].reason if rows else "no entries")
    relaxed = RelaxedCrystals(out, potential, settings)
    with Workers(workers, progress=console is not None) as pool:
        found = iter(relaxed.relax(crystals, pool))
    results = [
        next(found) if row.structure is not None else Relaxation(outcome="failed", reason=row.reason) for row in rows
    ]
    table = relaxed_rows(rows, results, settings)
    named = [(each.file, result) for each, result in zip(table, results, strict=True)]
    places = [row.where for row in rows]
    written, best, left_out = write_relaxed_crystals(relaxed, table, results, formats, top, places)
    if console is not None:
        cells = [_crystal_cells(row, result, settings) for row, result in zip(table, results, strict=True)]
        headings = (*_CRYSTAL_NUMBERS, *[_ENTHALPY] * bool(settings.pressure))
        summary = f"{potential.name} ({potential.scheme} energies): {_counts(result.outcome for _, result in named)}"
        if settings.pressure:
            summary += f"; at {settings.pressure:g} GPa"
        moved = [result.displacement for _, result in named if result.displacement is not None]
        if moved:
            summary += f"; atoms moved {np.median(moved):.3f} A (median)"
        notes = [_OF_ENERGIES.format(f", {_ENTHALPY}" * bool(settings.pressure))]
        notes += [_MARKED] if any("!" in cell for row in cells[:SHOWN] for cell in row[-2:]) else []
        _print(console, _CRYSTAL_WORDS, headings, cells, summary, written, notes)
        _print_left_out(console, left_out, survey)
        for row in best[:SHOWN]:
            told = f"{row.rank}. {row.file}: {row.formula} {row.space_group} ({row.space_group_number})"
            console.out(f"{told}, +{row.energy_above_lowest:.3f} eV/atom", highlight=False)
        if best:
            console.out(f"the best {len(best)} copied to {out / TOP}", highlight=False)
    return named


def write_relaxed_crystals(
    relaxed: RelaxedCrystals,
    table: Sequence[RelaxedRow],
    results: Sequence[Relaxation],
    formats: Sequence[str],
    top: int | None = None,
    places: Sequence[str] | None = None,
) -> tuple[Path | None, list[RelaxedRow], list[LeftOut]]:
    """Write everything of a folder but its journal; returns the file of frames, the best, and what was left out.

    Args:
        relaxed: the folder, whose journal is complete.
        table: one row an entry.
        results: likewise.
        formats: words of `unigen.runs.formats.FORMATS`, of the files of each relaxed structure.
        top: copy so many of each composition.
        places: file and entry of each, where they are from files.
    """
    out, pairs = relaxed.path, list(zip(table, results, strict=True))
    assert out is not None, "what is written has a folder"
    written = relaxed.write(((row.id, result) for row, result in pairs), list(map(_told, table)))
    write_relaxed_table(out, table)
    best = write_relaxed_files(out, table, results, formats, relaxed.settings.symprec, top)
    left_out = [
        LeftOut(row.id, places[place] if places else row.file, result.reason or result.outcome)
        for place, (row, result) in enumerate(pairs)
        if result.crystal is None
    ]
    write_left_out(out / LEFT_OUT, left_out)
    return written, best, left_out


def _told(row: RelaxedRow) -> dict[str, str | int | float]:
    """What a frame says besides the numbers of its relaxation."""
    names = ("index", "formula", "space_group", "energy_above_lowest")
    return {name: value for name in names if (value := getattr(row, name)) is not None}


def _crystal_cells(row: RelaxedRow, result: Relaxation, settings: RelaxSettings) -> Cells:
    outcome = f"{result.outcome}{': ' * bool(result.reason)}{result.reason}"
    drop = result.energy_drop
    enthalpy = [] if not settings.pressure else [""]
    group = f"{row.space_group} ({row.space_group_number})" if row.space_group else ""
    what = "\n".join(filter(None, [row.formula, group]))
    if drop is None:
        return (row.file, what, outcome, str(result.steps), "", "", "", "", "", *enthalpy)
    moved, volume = f"{result.displacement:.3f}", f"{result.volume_change:+.1%}"
    if abs(result.volume_change or 0.0) > _OTHER_VOLUME:
        volume = f"! {volume}"
    if result.enthalpy_per_atom is not None:
        enthalpy = [f"{result.enthalpy_per_atom:.3f}"]
    above = "" if row.energy_above_lowest is None else f"{row.energy_above_lowest:.3f}"
    energy = f"{result.energy_per_atom:.3f}"
    return (row.file, what, outcome, str(result.steps), energy, above, f"{drop:.3f}", moved, volume, *enthalpy)


def relax_molecule_files(
    samples: Path,
    out: Path,
    settings: XtbSettings,
    *,
    rules: EnsembleRules | None = None,
    limit: int | None = None,
    largest_fragment: bool = False,
    workers: int | None = None,
    console: Console | None = None,
) -> list[RelaxedEntry]:
    """Relax what a path holds; returns one result an entry, "no molecule" for unreadable ones.

    Args:
        samples: anything `unigen.data.readers.molecules.read_molecule_rows` reads; bonds are those of the file or,
            where it has none, found from the distances.
        out: folder of the results; an interrupted run goes on.
        settings: of the relaxation.
        rules: make an ensemble of the entries of each molecule.
        limit: the first so many entries.
        largest_fragment: of an entry of several molecules (a salt) take the largest.
        workers: processes; one a core by default.
        console: for progress and table; silent without.

    Raises:
        UserError: nothing readable, tblite not installed, or the folder holds something else.
    """
    survey = MOLECULE_FORMATS.survey(samples)
    parse = partial(parse_molecule, largest_fragment=largest_fragment)
    rows = list(islice(map(parse, survey.records()), limit))
    if not any(row.structure is not None for row in rows):
        raise UserError("no readable molecule", where=str(samples), got=rows[0].reason if rows else "no entries")
    relaxed = RelaxedMolecules(out, settings)
    with Workers(workers, progress=console is not None) as pool:
        results = relaxed.relax([row.structure for row in rows], pool)
    entries = relaxed_entries(
        [row.id for row in rows],
        [row.structure for row in rows],
        results,
        [row.reason for row in rows],
        settings,
        rules,
    )
    written = relaxed.write((entry.name, entry.relaxation) for entry in entries)
    left_out = [
        LeftOut(entry.name, row.where, entry.reason or entry.relaxation.ending)
        for row, entry in zip(rows, entries, strict=True)
        if entry.relaxation.molecule is None or entry.relaxation.energy is None
    ]
    write_left_out(out / LEFT_OUT, left_out)
    conformers = write_conformers(out, [(each.name, each.conformer) for each in entries if each.conformer is not None])
    if console is not None:
        summary = f"{settings.method}: {_counts(entry.strain.ending for entry in entries)}"
        energies = [entry.strain.energy for entry in entries if entry.strain.energy is not None]
        if energies:
            summary += f"; strain {np.median(energies):.2f} kcal/mol (median)"
        _print(
            console, _MOLECULE_WORDS, _MOLECULE_NUMBERS, [_molecule_cells(entry) for entry in entries], summary, written
        )
        if rules is not None:
            _print_ensemble(console, entries, rules, settings.method, conformers)
        _print_left_out(console, left_out, survey)
    return entries


def relaxed_entries(
    names: Sequence[str],
    given: Sequence[Molecule | None],
    results: Sequence[MoleculeRelaxation],
    reasons: Sequence[str],
    settings: XtbSettings,
    rules: EnsembleRules | None,
) -> list[RelaxedEntry]:
    """What became of each molecule, and what it is in the ensemble of its own; see `relaxed_conformers`."""
    conformers: Sequence[Conformer | None] = [None] * len(names)
    if rules is not None:
        conformers = relaxed_conformers(names, given, results, reasons, rules, settings)
    return [
        RelaxedEntry(name, reason, result, strain_of(molecule, result), conformer)
        for name, molecule, result, reason, conformer in zip(names, given, results, reasons, conformers, strict=True)
    ]


def _print_ensemble(
    console: Console, entries: Sequence[RelaxedEntry], rules: EnsembleRules, method: str, written: Path | None
) -> None:
    conformers = sorted((each.conformer for each in entries if each.conformer), key=lambda each: each.place)
    kept = [each.facts | {"smiles": each.smiles} for each in conformers if each.molecule is not None]
    console.print(conformers_table(kept, len(kept), console.width))
    for line in ensemble_lines([(each.facts, each.reason) for each in conformers], rules, method):
        console.out(line, highlight=False)
    console.out(f"written: {written}", highlight=False)


def _molecule_cells(entry: RelaxedEntry) -> Cells:
    relaxation, strain = entry.relaxation, entry.strain
    energy = "" if relaxation.energy is None else f"{relaxation.energy[1]:.3f}"
    cells = (entry.name, entry.outcome, str(relaxation.steps), energy)
    if strain.energy is None:
        return (*cells, "", "", "")
    moved = "" if strain.rmsd is None else f"{strain.rmsd:.3f}"
    return (*cells, f"{strain.energy:.2f}", moved, "yes" if strain.bonds_kept else "no")


def _print_left_out(console: Console, left_out: Sequence[LeftOut], survey: Survey) -> None:
    """What has no relaxed structure and what was not read, by reason."""
    if left_out:
        counts = by_reason((entry.where, entry.reason) for entry in left_out)
        console.print(left_out_table("not relaxed, because", counts))
    if survey.passed_over:
        console.print(left_out_table("not read, being", survey.passed_over_by_reason(), "files"))


def _counts(outcomes: Iterable[str]) -> str:
    """Such as ``3 converged, 1 gated``, the most frequent first."""
    return ", ".join(f"{count} {outcome}" for outcome, count in Counter(outcomes).most_common())


def _print(
    console: Console,
    words: Sequence[Column],
    numbers: Sequence[str],
    rows: Sequence[Cells],
    summary: str,
    written: Path | None,
    notes: Sequence[str] = (),
) -> None:
    """The first structures as a table, how many ended how, and where they are."""
    left = len(rows) - SHOWN
    columns = [*words, *map(Column, numbers)]
    caption = "\n".join([*notes, *[f"and {left} more"] * (left > 0)])
    console.print(terminal_table(columns, rows[:SHOWN], caption or None, console.width))
    console.out(summary, highlight=False)
    console.out(f"written: {written}", highlight=False)
