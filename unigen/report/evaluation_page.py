"""The page of an evaluation: every number of the report, and the structures with all that was found about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.eval.crystals.stability import THRESHOLDS
from unigen.eval.report import Report, ResultRow, metric_texts
from unigen.eval.tables import Section
from unigen.molecules.molecule import Molecule
from unigen.report.distributions import column_distributions, distributions
from unigen.report.figures.hull import hull_figure
from unigen.report.figures.hull_sample import hull_samples
from unigen.report.figures.scatter import asked_figure
from unigen.report.html import write_page
from unigen.report.legend import Term, legend_of, potential_of, protocols_of, terms_of
from unigen.report.page import Figure, Item, Page, Table, Value
from unigen.report.quantities import By
from unigen.report.source_links import SourceLinks

_RELAXED = ("above_hull", "formation_energy", "displacement", "strain", "strain_rmsd")
"""Columns with a distribution of their own."""

_ON_CARDS = ("above_hull", "energy_per_atom", "rms", "strain", "property", "predicted", "requested", "unit")
"""Of each sample: what an evaluation was asked for."""


def write_evaluation_page(report: Report, path: str | Path) -> Path:
    """Write the page of a report.

    Args:
        report: as an evaluation in this process returned it, with its structures.
        path: the file; links to the samples' files are relative to it.

    Raises:
        UserError: the disk is full.

    Example:
        >>> write_evaluation_page(evaluate("run/", "mp-20:test"), "report.html")  # doctest: +SKIP
    """
    return write_page(evaluation_page(report, Path(path).parent), path)


def evaluation_page(report: Report, folder: Path) -> Page:
    """The page of a report that will lie in a folder; see `write_evaluation_page`."""
    made = [structure for structure in report.shown.structures if structure is not None]
    references = report.shown.references
    kind: Kind = "molecules" if any(isinstance(each, Molecule) for each in (*made, *references)) else "crystals"
    beside = f", beside {report.reference}" if report.reference else ""
    terms = terms_of(report)
    return Page(
        title=f"{report.samples} under {report.protocol}",
        kind=kind,
        items=_items(report, SourceLinks(folder)),
        figures=[*_judged(report, kind), *distributions(kind, made, references)],
        tables=[_metrics(report, terms), _counts(report), *_left_out(report), legend_of(terms)],
        appendix=[_section(section) for section in report.sections.values()],
        settings=_settings(report),
        notes=[f"Protocol {report.protocol} {report.version}{beside}. Intervals are 95 %.", *_sentences(report.notes)],
        on_cards=_ON_CARDS,
        made_by=_made_by(report),
    )


def _sentences(notes: Sequence[str]) -> list[str]:
    return [f"{note[:1].upper()}{note[1:]}." for note in notes]


def _made_by(report: Report) -> dict[By, str]:
    """The protocol, and the potential where one was asked."""
    by: dict[By, str] = {"protocol": ", ".join(protocols_of(report))}
    if potential := potential_of(report):
        by["potential"] = f"{potential['name']} ({potential['scheme']} energies)"
    elif "strain" in report.settings:
        by["potential"] = "GFN2-xTB"
    return by


def _items(report: Report, links: SourceLinks) -> list[Item]:
    samples = zip(report.rows, report.shown.structures, report.shown.sources, strict=True)
    return [_item(row, structure, *links.to(where)) for row, structure, where in samples]


def _item(row: ResultRow, structure: Crystal | Molecule | None, file: str, location: str) -> Item:
    columns: dict[str, Value] = {each.name: getattr(row, each.name) for each in fields(row)}
    index, reason = columns.get("index"), str(columns.get("reason") or "")
    return Item(
        id=row.id if index is None else f"{row.id}__{index}",
        structure=structure,
        columns={name: value for name, value in columns.items() if name not in ("id", "formula") and value != ""},
        subtitle=str(columns.get("space_group") or columns.get("smiles") or row.id),
        file=file,
        location=location,
        reason=reason,
    )


def _judged(report: Report, kind: Kind) -> list[Figure]:
    """The hull, what was asked for, and what relaxation found, of the samples that have it."""
    columns = {name: [getattr(row, name, None) for row in report.rows] for name in _RELAXED}
    hull = hull_figure(report.shown.phases, hull_samples(report))
    pictures = [figure for figure in (hull, *map(asked_figure, report.shown.requested)) if figure]
    return pictures + column_distributions(columns, kind, {"above_hull": THRESHOLDS})


def _metrics(report: Report, terms: Mapping[str, Term]) -> Table:
    rows = []
    for name, metric in report.metrics.items():
        value, interval, over = metric_texts(name, metric)
        with_unit = value if metric.value is None else terms[name].written(value)
        rows.append((name.replace("_", " "), with_unit, interval, over))
    return Table("Metrics", ("", "value", "95 % interval", "over"), rows)


def _counts(report: Report) -> Table:
    return Table("Counts", ("", ""), [(name.replace("_", " "), str(count)) for name, count in report.counts.items()])


def _left_out(report: Report) -> list[Table]:
    """What was not scored and what was not read, by reason."""
    counts = {"Not scored": report.dropped_by_reason()}
    counts |= {f"Files of the {whose} that were not read": why for whose, why in report.passed_over.items()}
    return [
        Table(title, ("", ""), [(reason, str(count)) for reason, count in why.items()])
        for title, why in counts.items()
        if why
    ]


def _section(section: Section) -> Table:
    heads = ("", *(column.replace("_", " ") for column in section.columns))
    return Table(section.title, heads, section.texts(), section.note)


def _settings(report: Report) -> Mapping[str, object]:
    kept = ("samples", "reference", "settings", "seeds", "bootstrap_seed", "versions", "provenance", "seconds")
    return {name: getattr(report, name) for name in kept}
