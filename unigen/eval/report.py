"""The result of an evaluation: every number with what it depends on, as JSON, CSV and a printed table."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from unigen.crystals.crystal import Crystal
from unigen.disk import durable, write_text
from unigen.energies.hull.phases import StablePhases
from unigen.eval.asked import AskedAndFound
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section, is_share
from unigen.molecules.molecule import Molecule

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One row of the per-structure table.

    Attributes:
        id: name of the sample as read.
    """

    id: str


@dataclass(frozen=True, kw_only=True)
class SampleResult(ResultRow):
    """The row of a crystal; None where it does not apply or could not be computed.

    Attributes:
        index: which of the samples of its reference it is, from 0.
        reference: id of its reference (csp).
        formula: reduced formula.
        space_group: symbol at the protocol's tolerance.
        space_group_number: international number.
        n_atoms: atoms in the cell as given.
        volume: cubic Angstrom.
        density: g/cm^3.
        smallest_distance: Angstrom, own periodic images included.
        structure_valid: see `unigen.eval.crystals.merge_validity.Description`.
        structure_valid_cdvae: the published variant.
        composition_valid: SMACT with its present oxidation states.
        composition_valid_cdvae: SMACT as CDVAE used it.
        matched: matches its reference (csp).
        rms: root mean square displacement to its reference, in (V / atoms)^(1/3) (csp).
        unique: first of its equivalence class (denovo).
        novel: matches no reference crystal (denovo, with a reference).
        relaxation: "converged", "limit", "gated" or "failed", see `unigen.energies.relaxation.Relaxation`.
        energy_per_atom: relaxed, eV/atom, of the potential.
        displacement: root mean square path of an atom in relaxation, Angstrom.
        formation_energy: relaxed, eV/atom, against the elements of the hull.
        above_hull: relaxed, eV/atom above the hull; negative below it.
        decomposition: the phases at the hull.
        stated_space_group: number that the generator wrote.
        stated_symmetry: "confirmed", "higher", "other" or "failed", see `unigen.eval.crystals.requests`.
        bounded: something about it ended at a bound of work.
        reason: why there is no structure, or why it is not scored.
    """

    index: int | None = None
    reference: str | None = None
    formula: str | None = None
    space_group: str | None = None
    space_group_number: int | None = None
    n_atoms: int | None = None
    volume: float | None = None
    density: float | None = None
    smallest_distance: float | None = None
    structure_valid: bool = False
    structure_valid_cdvae: bool = False
    composition_valid: bool = False
    composition_valid_cdvae: bool = False
    matched: bool | None = None
    rms: float | None = None
    unique: bool | None = None
    novel: bool | None = None
    relaxation: str | None = None
    energy_per_atom: float | None = None
    displacement: float | None = None
    formation_energy: float | None = None
    above_hull: float | None = None
    decomposition: str = ""
    stated_space_group: int | None = None
    stated_symmetry: str | None = None
    bounded: bool = False
    reason: str = ""


_SHOWN = 100
"""What was dropped is listed up to so many; the rows have the reason of every sample."""

_NOT_IN_JSON = ("rows", "structures", "sources", "references", "asked", "phases")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything an evaluation found.

    Attributes:
        protocol: its name.
        version: its version.
        samples: where the samples come from.
        reference: where the reference comes from, None without one.
        metrics: the numbers by name; names ending in ``.k1`` or ``.k20`` are over that many samples a reference.
        counts: how many were generated, failed, paired, bounded, ...
        settings: every setting of the protocol that moves a number.
        seeds: seeds the samples say they were made with (first, last and count when there are many).
        bootstrap_seed: seed of the confidence intervals.
        versions: of the tools that move a number.
        provenance: machine and commit that scored, and the run that made the samples.
        seconds: wall-clock time of the evaluation.
        sections: further tables by name, such as "by_atoms" or "as_requested".
        dropped: id, place and reason of what could not be scored.
        rows: one a sample.
        structures: one a row, None for a failure: for pictures; in no file.
        sources: one a row, file and entry it was read from, empty where it was in memory: for links; in no file.
        references: structures of the reference, or some of them: for pictures; in no file.
        asked: properties that samples were asked to have, with what they have: for pictures; in no file.
        phases: the hull of the one chemical system that all judged samples lie in: for pictures; in no file.
    """

    protocol: str
    version: str
    samples: str
    reference: str | None
    metrics: dict[str, Metric]
    counts: dict[str, int]
    settings: dict[str, object]
    seeds: list[int]
    bootstrap_seed: int
    versions: dict[str, str]
    provenance: dict[str, object]
    seconds: float
    sections: dict[str, Section] = field(default_factory=dict)
    dropped: tuple[dict[str, str], ...] = ()
    rows: tuple[ResultRow, ...] = field(default=(), repr=False)
    structures: tuple[Crystal | Molecule | None, ...] = field(default=(), repr=False, compare=False)
    sources: tuple[str, ...] = field(default=(), repr=False, compare=False)
    references: tuple[Crystal | Molecule, ...] = field(default=(), repr=False, compare=False)
    asked: tuple[AskedAndFound, ...] = field(default=(), repr=False, compare=False)
    phases: StablePhases | None = field(default=None, repr=False, compare=False)

    def __getitem__(self, name: str) -> float | None:
        """The value of a metric: ``report["match_rate.k1"]``."""
        return self.metrics[name].value

    def to_dict(self) -> dict[str, object]:
        """For JSON, without rows and structures; of what was dropped, how often for which reason, and the first."""
        content = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _NOT_IN_JSON}
        metrics = {name: asdict(metric) for name, metric in self.metrics.items()}
        sections = {name: section.to_dict() for name, section in self.sections.items()}
        reasons = Counter(each["reason"].removeprefix(each["where"]).lstrip(": ") for each in self.dropped)
        dropped = {"dropped": self.dropped[:_SHOWN], "dropped_by_reason": dict(reasons.most_common())}
        return content | {"metrics": metrics, "sections": sections} | dropped

    def write(self, path: str | Path) -> tuple[Path, Path]:
        """Write ``report.json`` and, beside it, ``report.csv`` with a row a sample; returns both paths."""
        path = Path(path)
        write_text(path, json.dumps(self.to_dict(), indent=2, default=str) + "\n")
        table = path.with_suffix(".csv")
        with durable(table) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [each.name for each in fields(self.rows[0] if self.rows else ResultRow)])
            writer.writeheader()
            writer.writerows(_plain(asdict(row)) for row in self.rows)
        return path, table

    def table(self) -> Table:
        """The numbers as a table for the terminal."""
        from rich.table import Table

        reference = f", reference {self.reference}" if self.reference else ""
        table = Table(title=f"Protocol {self.protocol} {self.version}: {self.samples}{reference}", title_justify="left")
        for column in ("", "value", "95 % interval", "over"):
            table.add_column(column, justify="left" if column == "" else "right")
        for name, metric in self.metrics.items():
            table.add_row(name, *metric_texts(name, metric))
        table.add_section()
        for name, count in self.counts.items():
            table.add_row(name.replace("_", " "), str(count))
        return table

    def tables(self) -> list[Table]:
        """The numbers, then every section, for the terminal."""
        return [self.table(), *(section.table() for section in self.sections.values())]


def metric_texts(name: str, metric: Metric) -> tuple[str, str, str]:
    """Value, interval, and over how many, as they are printed; shares in percent."""

    def text(value: float) -> str:
        return f"{100 * value:.2f} %" if is_share(name) else f"{value:.4f}"

    if metric.value is None:
        return "-", "", ""
    span = "" if metric.low is None or metric.high is None else f"{text(metric.low)} - {text(metric.high)}"
    return text(metric.value), span, str(metric.n) if metric.n else ""


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    """Rounded where more digits say nothing; true and false as words that every spreadsheet reads."""
    return {
        name: f"{value:.6g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else value
        for name, value in row.items()
    }
