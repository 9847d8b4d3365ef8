"""The page of a folder of relaxed structures: what they became, what that cost, and the energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from unigen.cards import Kind
from unigen.config import read_yaml
from unigen.crystals.crystal import Crystal
from unigen.energies.relaxation import Relaxation, RelaxSettings
from unigen.energies.relaxed_crystals import FRAMES
from unigen.energies.relaxed_molecules import MOLECULES
from unigen.journal import RUN
from unigen.molecules.ensemble import is_left_out
from unigen.report.distributions import column_distributions
from unigen.report.ensemble_page import ON_CARDS, PAGE_NAMES, ensemble_figures
from unigen.report.html import write_page
from unigen.report.page import Figure, Item, Page, Value
from unigen.runs.folder import PAGE
from unigen.runs.relaxation import RelaxedEntry
from unigen.runs.relaxed_ensemble import ENSEMBLE_SDF, ENSEMBLE_TABLE, Conformer
from unigen.runs.relaxed_table import ranked_within, what_goes_down
from unigen.runs.tables import check_sample

_DRAWN = ("energy_drop", "displacement", "volume_change", "strain", "strain_rmsd")
"""Columns with a distribution of their own."""

_OF_A_FORMULA = "Ranks and energies above the lowest are among the structures of one formula on this page."

_ON_CARDS = {
    "crystals": ("rank", "energy_above_lowest", "enthalpy_per_atom", "energy_per_atom", "outcome", "close_contact"),
    "molecules": ("rank", "energy_above_lowest", "energy", "strain", "outcome"),
}


def write_crystals_page(folder: Path, relaxations: Sequence[tuple[str, Relaxation]]) -> Path:
    """Write ``report.html`` into a folder of relaxed crystals.

    Args:
        folder: as `unigen.runs.relaxation.relax_crystal_files` leaves it.
        relaxations: what it returns, each with its name.

    Raises:
        UserError: the disk is full.
    """
    symprec = _symprec(folder)
    under_pressure = any(result.enthalpy_per_atom is not None for _, result in relaxations)
    energies = [
        (result.crystal.reduced_formula, energy)
        if result.crystal is not None and (energy := what_goes_down(result)) is not None
        else None
        for _, result in relaxations
    ]
    items = [
        Item(
            id=name,
            structure=result.crystal,
            subtitle="" if result.crystal is None else result.crystal.space_group(symprec).symbol,
            reason=f"{result.outcome}: {result.reason}",
            columns=place
            | {
                "outcome": result.outcome,
                "steps": result.steps,
                "energy_per_atom": result.energy_per_atom,
                **({"enthalpy_per_atom": result.enthalpy_per_atom} if under_pressure else {}),
                "energy_drop": result.energy_drop,
                "displacement": result.displacement,
                "volume_change": result.volume_change,
                **({} if result.crystal is None else _checks(result.crystal, symprec)),
            },
        )
        for (name, result), place in zip(relaxations, _places(energies), strict=True)
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
    conformers = [each.conformer for each in entries if each.conformer is not None]
    if conformers:
        return _write_ensemble(folder, entries, conformers)
    energies = [
        (each.relaxation.molecule.formula, each.relaxation.energy[1])
        if each.relaxation.molecule is not None and each.relaxation.energy is not None
        else None
        for each in entries
    ]
    items = [
        Item(
            id=each.name,
            structure=each.relaxation.molecule,
            subtitle=each.name,
            reason=each.outcome,
            columns=place | _molecule_columns(each),
        )
        for each, place in zip(entries, _places(energies), strict=True)
    ]
    return _write(folder, "molecules", items, MOLECULES, "entry")


def _molecule_columns(entry: RelaxedEntry) -> dict[str, Value]:
    return {
        "outcome": entry.relaxation.ending,
        "steps": entry.relaxation.steps,
        "energy": None if entry.relaxation.energy is None else entry.relaxation.energy[1],
        "strain": entry.strain.energy,
        "strain_rmsd": entry.strain.rmsd,
        "bonds_kept": entry.strain.bonds_kept,
    }


def _write_ensemble(folder: Path, entries: Sequence[RelaxedEntry], conformers: Sequence[Conformer]) -> Path:
    """The page of entries that are conformers: those that are kept, by energy, and why others are not."""
    items = [
        Item(
            id=entry.name,
            structure=each.molecule,
            subtitle=each.smiles,
            reason=each.reason,
            columns={PAGE_NAMES.get(name, name): value for name, value in each.facts.items()}
            | _molecule_columns(entry),
            left_out=is_left_out(each.facts),
        )
        for entry, each in sorted(zip(entries, conformers, strict=True), key=lambda pair: pair[1].place)
    ]
    method = str(read_yaml(folder / RUN)["potential"]["name"])
    told = [(each.smiles, each.facts) for each in conformers if each.smiles]
    return _write(
        folder,
        "molecules",
        items,
        ENSEMBLE_SDF,
        "entry",
        figures=ensemble_figures(told, method),
        notes=[f"Conformers of one molecule stand together, by energy; all entries are in {ENSEMBLE_TABLE}."],
        on_cards=(*ON_CARDS, "strain"),
    )


def _symprec(folder: Path) -> float:
    """Of the space groups, Angstrom: as the relaxation was set to find them."""
    return float(read_yaml(folder / RUN)["settings"].get("symprec", RelaxSettings.symprec))


def _checks(crystal: Crystal, symprec: float) -> dict[str, Value]:
    """Space group, density and distances, as of a generated crystal."""
    checks: Any = check_sample(crystal, symprec)
    return checks


def _potential(potential: Mapping[str, str]) -> str:
    scheme = f" ({potential['scheme']} energies)" if "scheme" in potential else ""
    return f"{potential['name']}{scheme}"


def _places(energies: Sequence[tuple[str, float] | None]) -> list[dict[str, Value]]:
    """The columns of rank and distance to the lowest, of each among all of its formula."""
    return [{"rank": each[0], "energy_above_lowest": each[1]} if each else {} for each in ranked_within(energies)]


def _write(
    folder: Path,
    kind: Kind,
    items: Sequence[Item],
    file: str,
    unit: str,
    *,
    figures: Sequence[Figure] = (),
    notes: Sequence[str] = (
        "Ranks and energies above the lowest are among the structures of one formula on this page.",
    ),
    on_cards: Sequence[str] | None = None,
) -> Path:
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
        figures=[*figures, *column_distributions(columns, kind)],
        settings=settings,
        notes=notes,
        units={"energy_above_lowest": "eV"} if kind == "molecules" else {},  # their energies are totals
        on_cards=on_cards or _ON_CARDS[kind],
        symprec=_symprec(folder),
        made_by={
            "potential": _potential(settings["potential"]),
            "ranking": "by energy, within a formula" if on_cards is None else "by energy, within a molecule",
        },
    )
    return write_page(page, folder / PAGE)
