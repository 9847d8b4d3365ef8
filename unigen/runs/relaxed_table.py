"""What a folder of relaxed crystals says of each entry of its input: ``relaxed.csv``, and the files of the best."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from shutil import rmtree
from typing import Any

from unigen.crystals.crystal import Crystal
from unigen.data.readers.crystals import RELAXED_TABLE
from unigen.data.readers.record import Row
from unigen.disk import durable_text
from unigen.energies.relaxation import Relaxation, RelaxSettings
from unigen.eval.samples import read_integer
from unigen.runs.formats import write_structure_files

TOP = "top"


@dataclass(frozen=True, kw_only=True)
class RelaxedRow:
    """An entry of the input and what became of it; the fields are the columns of the table.

    Attributes:
        id: the entry's own name: of a run the request's.
        index: which sample of the request; None where the input does not say.
        file: stem of its files; no two entries have the same.
        formula: reduced; empty for what could not be read.
        space_group: symbol, of the relaxed structure.
        space_group_number: international number.
        outcome: how the relaxation ended.
        rank: among the entries of its composition, from 1, the lowest energy (under a pressure: enthalpy) first.
        energy_above_lowest: eV/atom above the lowest of its composition.
        energy_per_atom: eV/atom, relaxed.
        enthalpy_per_atom: eV/atom, under a pressure.
        initial_energy_per_atom: eV/atom, as given.
        energy_drop: the one minus the other.
        steps: of the optimiser.
        largest_force: eV/Angstrom, at the end.
        displacement: Angstrom.
        volume_change: relaxed over given, minus 1.
        reason: why there is no relaxed structure, or what is said of it.
    """

    id: str
    index: int | None
    file: str
    formula: str = ""
    space_group: str = ""
    space_group_number: int | None = None
    outcome: str
    rank: int | None = None
    energy_above_lowest: float | None = None
    energy_per_atom: float | None = None
    enthalpy_per_atom: float | None = None
    initial_energy_per_atom: float | None = None
    energy_drop: float | None = None
    steps: int = 0
    largest_force: float | None = None
    displacement: float | None = None
    volume_change: float | None = None
    reason: str = ""


def relaxed_rows(
    entries: Sequence[Row[Crystal]], results: Sequence[Relaxation], settings: RelaxSettings
) -> list[RelaxedRow]:
    """A row an entry, in their order.

    Args:
        entries: of the input.
        results: one an entry, those of unreadable ones failed.
        settings: of the relaxation; its ``symprec`` is the tolerance of the space groups.
    """
    energies = [
        (result.crystal.reduced_formula, energy)
        if result.crystal is not None and (energy := what_goes_down(result)) is not None
        else None
        for result in results
    ]
    rows = []
    for entry, stem, result, place in zip(entries, stems(entries), results, ranked_within(energies), strict=True):
        crystal = result.crystal or entry.structure
        group = None if result.crystal is None else result.crystal.space_group(settings.symprec)
        of_result = [each.name for each in fields(RelaxedRow) if hasattr(result, each.name)]
        told: dict[str, Any] = {name: getattr(result, name) for name in of_result}
        own: dict[str, Any] = {
            "id": entry.name,
            "index": read_integer(entry.info.get("index")),
            "file": stem,
            "formula": "" if crystal is None else crystal.reduced_formula,
            "space_group": "" if group is None else group.symbol,
            "space_group_number": None if group is None else group.number,
            "rank": place and place[0],
            "energy_above_lowest": place and place[1],
        }
        rows.append(RelaxedRow(**(told | own)))
    return rows


def stems(entries: Sequence[Row[Crystal]]) -> list[str]:
    """Names of files, each once: ``SrTiO3__2``, as in a run; the second of one name carries its place."""
    names = []
    for entry in entries:
        index = read_integer(entry.info.get("index"))
        safe = re.sub(r"[^A-Za-z0-9.()+-]", "_", entry.name)[:120].lstrip(".") or "structure"
        names.append(safe if index is None else f"{safe}__{index}")
    counts = Counter(name.lower() for name in names)  # some file systems do not tell small letters from capitals
    return [name if counts[name.lower()] == 1 else f"{name}-{place}" for place, name in enumerate(names, start=1)]


def what_goes_down(result: Relaxation) -> float | None:
    """Of a relaxed crystal: the enthalpy under a pressure, else the energy; eV/atom."""
    return result.energy_per_atom if result.enthalpy_per_atom is None else result.enthalpy_per_atom


def ranked_within(energies: Sequence[tuple[str, float] | None]) -> list[tuple[int, float] | None]:
    """Rank, from 1, and distance to the lowest, of each among all of its composition; None of what has no energy.

    Args:
        energies: composition and energy of each. Of equal energies the first comes first.

    Example:
        >>> ranked_within([("TiO2", -9.0), None, ("TiO2", -9.5), ("Cu", -4.0)])
        [(2, 0.5), None, (1, 0.0), (1, 0.0)]
    """
    groups: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for place, each in enumerate(energies):
        if each is not None:
            groups[each[0]].append((each[1], place))
    ranked: list[tuple[int, float] | None] = [None] * len(energies)
    for group in groups.values():
        lowest = min(group)[0]
        for rank, (energy, place) in enumerate(sorted(group), start=1):
            ranked[place] = rank, energy - lowest
    return ranked


def write_relaxed_table(folder: Path, rows: Sequence[RelaxedRow]) -> None:
    """Write ``relaxed.csv``; what is unknown is empty."""
    with durable_text(folder / RELAXED_TABLE, newline="") as file:
        table = csv.DictWriter(file, [each.name for each in fields(RelaxedRow)])
        table.writeheader()
        table.writerows(
            {name: f"{value:.6f}" if isinstance(value, float) else value for name, value in asdict(row).items()}
            for row in rows
        )


def write_relaxed_files(
    folder: Path,
    rows: Sequence[RelaxedRow],
    results: Sequence[Relaxation],
    formats: Sequence[str],
    symprec: float,
    top: int | None = None,
) -> list[RelaxedRow]:
    """Write a file a relaxed structure, and with ``top`` copies of the best of each composition; returns the best.

    Args:
        folder: of the results.
        rows: one an entry.
        results: likewise.
        formats: words of `unigen.runs.formats.FORMATS`; with ``top`` inputs of VASP are written of the best alone.
        symprec: Angstrom, of the space groups of CIFs.
        top: how many of each composition; None copies none.
    """
    crystals = {row.file: result.crystal for row, result in zip(rows, results, strict=True)}
    made = [(row.file, crystal) for row in rows if (crystal := crystals[row.file]) is not None]
    write_structure_files(folder, [each for each in formats if each != "vasp" or top is None], made, symprec)
    if top is None:
        return []
    ranked = sorted((row for row in rows if row.rank is not None), key=lambda row: (row.rank or 0, row.formula))
    best = [row for row in ranked if (row.rank or 0) <= top]
    named = [(f"{row.rank:02d}-{row.file}", crystal) for row in best if (crystal := crystals[row.file]) is not None]
    wanted = [each for each in formats if each != "extxyz"] or ["cif"]
    (folder / TOP).mkdir(exist_ok=True)
    _remove_others(folder / TOP, wanted, {name for name, _ in named})
    write_structure_files(folder / TOP, wanted, named, symprec)
    return best


_COPY = re.compile(r"\d\d+-")
"""How the names of the best begin."""


def _remove_others(folder: Path, formats: Sequence[str], named: set[str]) -> None:
    """Copies that an earlier command made and that are not among the best now: they would be taken for some."""
    for form in formats:
        for path in sorted((folder / form).glob("*")):
            stem = path.name if path.is_dir() else path.stem
            if _COPY.match(path.name) and stem not in named:
                rmtree(path) if path.is_dir() else path.unlink()
