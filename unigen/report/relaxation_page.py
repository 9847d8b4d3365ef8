"""The page of a folder of relaxed structures: what they became, what that cost, and the energies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from unigen.config import read_yaml
from unigen.energies.relaxation import Relaxation
from unigen.energies.relaxed_crystals import FRAMES
from unigen.energies.relaxed_molecules import MOLECULES
from unigen.journal import RUN
from unigen.report.distributions import column_distributions
from unigen.report.html import write_page
from unigen.report.page import PAGE, UNITS, Item, Kind, Page
from unigen.runs.relaxation import RelaxedEntry

_DRAWN = ("energy_drop", "displacement", "volume_change", "strain", "strain_rmsd")
"""Columns with a distribution of their own."""


def write_crystals_page(folder: Path, relaxations: Sequence[tuple[str, Relaxation]]) -> Path:
    """Write ``report.html`` into a folder of relaxed crystals.

    Args:
        folder: as `unigen.runs.relaxation.relax_crystal_files` leaves it.
        relaxations: what it returns, each with its name.

    Raises:
        UserError: the disk is full.
    """
    under_pressure = any(result.enthalpy_per_atom is not None for _, result in relaxations)
    items = [
        Item(
            id=name,
            structure=result.crystal,
            reason=f"{result.outcome}: {result.reason}",
            columns={
                "outcome": result.outcome,
                "steps": result.steps,
                "energy_per_atom": result.energy_per_atom,
                **({"enthalpy_per_atom": result.enthalpy_per_atom} if under_pressure else {}),
                "energy_drop": result.energy_drop,
                "displacement": result.displacement,
                "volume_change": result.volume_change,
            },
        )
        for name, result in relaxations
    ]
    return _write(folder, "crystals", items, FRAMES, "frame")


def write_molecules_page(folder: Path, entries: Sequence[RelaxedEntry]) -> Path:
    """Write ``report.html`` into a folder of relaxed molecules.

    Args:
        folder: as `unigen.runs.relaxation.relax_molecule_files` leaves it.
        entries: what it returns.

    Raises:
        UserError: the disk is full.
    """
    items = [
        Item(
            id=each.name,
            structure=each.relaxation.molecule,
            reason=each.outcome,
            columns={
                "outcome": each.relaxation.ending,
                "steps": each.relaxation.steps,
                "energy": None if each.relaxation.energy is None else each.relaxation.energy[1],
                "strain": each.strain.energy,
                "strain_rmsd": each.strain.rmsd,
                "bonds_kept": each.strain.bonds_kept,
            },
        )
        for each in entries
    ]
    return _write(folder, "molecules", items, MOLECULES, "entry")


def _write(folder: Path, kind: Kind, items: Sequence[Item], file: str, unit: str) -> Path:
    """The items in their order; those with a structure stand one after the other in the file."""
    number = count(1)
    linked = [
        item if item.structure is None else replace(item, file=file, location=f"{unit} {next(number)}")
        for item in items
    ]
    settings = read_yaml(folder / RUN)
    columns = {name: [item.columns.get(name) for item in items] for name in _DRAWN}
    page = Page(
        title=f"{kind.capitalize()} relaxed by {settings['potential']['name']}",
        kind=kind,
        items=linked,
        figures=column_distributions(columns, UNITS),
        settings=settings,
        units=UNITS,
    )
    return write_page(page, folder / PAGE)
