"""The page of a generation run: its samples with what their journal lines say, what chose them, its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unigen.cards import Kind
from unigen.config import read_yaml
from unigen.crystals.crystal import Crystal
from unigen.molecules.ensemble import is_left_out
from unigen.molecules.molecule import Molecule
from unigen.report.distributions import distributions
from unigen.report.ensemble_page import ON_CARDS, PAGE_NAMES, ensemble_figures
from unigen.report.html import write_page
from unigen.report.page import Item, Page, Value
from unigen.report.quantities import By
from unigen.runs.crystal_files import crystal_of
from unigen.runs.folder import PAGE, RUN, Row, file_names
from unigen.runs.molecule_files import SDF, molecule_of

_NOT_COLUMNS = ("id", "request_index", "request", "seed", "model", "formula", "sites", "lattice", "molecule", "reason")

_JUDGED = ("above_hull", "energy_per_atom", "formation_energy")
"""On the cards of crystals that were kept for being stable."""

_ALWAYS = ("prototype", "network", "close_contact", "not_molecular")
"""On every card that has it: what its structure type is called, that it is layered, that it is not valid and why."""

_NOTE = "Nothing here says that a structure is stable: no energies were computed."


def write_run_page(folder: Path, rows: Sequence[Row], kind: Kind, notes: Sequence[str] = (_NOTE,)) -> Path:
    """Write ``report.html`` into a run folder.

    Args:
        folder: the run folder, complete.
        rows: its journal.
        kind: what it holds.
        notes: what is said above the samples.

    Raises:
        UserError: the disk is full.
    """
    return write_page(run_page(folder, rows, kind, notes), folder / PAGE)


def run_page(folder: Path, rows: Sequence[Row], kind: Kind, notes: Sequence[str] = (_NOTE,)) -> Page:
    """The page of a run folder; see `write_run_page`."""
    structure_of: Callable[[Row], Crystal | Molecule | None] = crystal_of if kind == "crystals" else molecule_of
    structures = [structure_of(row) for row in rows]
    made = [structure for structure in structures if structure is not None]
    all_in_one = [name for name in (SDF, "samples.extxyz") if (folder / name).exists()]
    settings = read_yaml(folder / RUN)
    requests = settings.pop("requests")
    figures = distributions(kind, made)
    on_cards: Sequence[str] = _ALWAYS
    made_by: dict[By, str] = {"model": str(settings["model"])}
    # imported here: no other run needs what ranks and judges
    if "ranking" in settings or "stable" in settings:
        from unigen.report.hull_of_run import hull_of_run

        pictures, missing = hull_of_run(rows, settings)
        figures, notes = [*pictures, *figures], [*notes, *missing]
        on_cards, made_by = (*_JUDGED, *_ALWAYS), made_by | _judged_by(settings)
    if "ensemble" in settings:
        from unigen.runs.ensemble import ensemble_lines, read_ensemble

        ensemble = read_ensemble(settings["ensemble"])
        figures = [*ensemble_figures([(str(row.get("smiles", "")), row) for row in rows], ensemble.method), *figures]
        notes = ensemble_lines([(row, row.get("reason", "")) for row in rows], ensemble.rules, ensemble.method)
        on_cards, made_by["potential"] = ON_CARDS, ensemble.method
    if "ranking" in settings:
        from unigen.report.ranking_page import on_cards_of, ranking_figures, ranking_notes

        figures = [*ranking_figures(folder, rows, requests, settings["ranking"]), *figures]
        notes = [*ranking_notes(settings, rows), *missing]
        on_cards = (*on_cards_of(folder, rows), *_ALWAYS)
    settings["request"] = requests[0] if len(requests) == 1 else f"{len(requests)} requests, see {RUN}"
    return Page(
        title=f"{kind.capitalize()} by {settings['model']}",
        kind=kind,
        items=_items(folder, rows, structures),
        figures=figures,
        settings=settings,
        notes=[*notes, *(f"All structures stand in {name}, beside this page." for name in all_in_one)],
        on_cards=on_cards,
        made_by=made_by,
    )


def _judged_by(settings: Mapping[str, Any]) -> dict[By, str]:
    """The potential, and what ranked."""
    rules: Mapping[str, Any] = settings.get("ranking") or settings["stable"]
    by: dict[By, str] = {"ranking": f"ranking by {rules['by']}"} if "by" in rules else {}
    if "potential" in rules:
        by["potential"] = f"{rules['potential']['name']} ({rules['potential']['scheme']} energies)"
    return by


def _items(folder: Path, rows: Sequence[Row], structures: Sequence[Crystal | Molecule | None]) -> list[Item]:
    """Each with its CIF, named as `unigen.runs.crystal_files` does, or its entry in the SD file that holds all."""
    made = [row for row, structure in zip(rows, structures, strict=True) if structure is not None]
    # rows are dictionaries, which are no keys: each by its identity
    stems = {id(row): stem for row, stem in zip(made, file_names(made), strict=True)}
    entries = {id(row): number for number, row in enumerate(made, start=1)}
    items = []
    for row, structure in zip(rows, structures, strict=True):
        stem = stems.get(id(row), f"{row['id']}__{row['index']}")
        files = [name for name in (f"cif/{stem}.cif", SDF) if structure is not None and (folder / name).exists()]
        items.append(
            Item(
                id=stem,
                structure=structure,
                columns={} if structure is None else _columns(row) | {"atoms": len(structure)},
                subtitle=_subtitle(row),
                file=files[0] if files else "",
                location=f"entry {entries[id(row)]}" if files[:1] == [SDF] else "",
                reason=row.get("reason", ""),
                left_out=is_left_out(row),
            )
        )
    return items


def _subtitle(row: Row) -> str:
    """What a card says under the formula: the SMILES or the space group."""
    return str(row.get("smiles") or row.get("checks", {}).get("space_group", ""))


def _columns(row: Row) -> dict[str, Value]:
    """What ranked it, the line's own facts, those of its checks and its known relative, and what was asked for."""
    columns = _scalars(row.get("ranking", {}))
    columns |= _scalars({name: value for name, value in row.items() if name not in _NOT_COLUMNS})
    columns |= _scalars(row.get("checks", {}))
    columns |= {f"relative {name}": value for name, value in _scalars(row.get("source", {})).items()}
    columns = {PAGE_NAMES.get(name, name): value for name, value in columns.items()}
    by_property = row.get("ranking", {}).get("by") == "property"  # says itself what was asked for, with its unit
    requested = {} if by_property else row["request"].get("properties") or {}
    return columns | {f"{name} asked": value for name, value in _scalars(requested).items()}


def _scalars(values: Mapping[str, Any]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if isinstance(value, bool | int | float | str)}
