"""The result of an evaluation: every number with what it depends on, as JSON, CSV and a printed table."""

from __future__ import annotations

import csv
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unigen.config import read_yaml
from unigen.crystals.crystal import Crystal
from unigen.data.left_out import by_reason, left_out_table
from unigen.data.readers.file_names import begins_as_report
from unigen.disk import durable_text, write_text
from unigen.display import ShownInNotebooks
from unigen.energies.hull.phases import StablePhases
from unigen.errors import UserError
from unigen.eval.protocol import Rules
from unigen.eval.requested_property import RequestedProperty
from unigen.eval.samples import Entry
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section, is_share
from unigen.molecules.molecule import Molecule
from unigen.version import version_of

if TYPE_CHECKING:
    from rich.table import Table

MAX_SEEDS = 20
"""More seeds than these are reported as first, last and count."""

MAX_TOLD = 12
"""Numbers of a report shown in an interpreter or a notebook: a screen has room for them."""

MAX_DROPPED = 100
"""What was dropped is listed up to so many; the rows have the reason of every sample."""


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One row of the per-structure table.

    Attributes:
        id: name of the sample as read.
    """

    id: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """What a page shows beside the numbers; it is written into no report.

    Attributes:
        structures: one a row, None for a failure.
        sources: one a row, file and entry it was read from, empty where it was in memory: for links.
        references: structures of the reference, or some of them.
        requested: properties that samples were asked to have, with what they have.
        phases: the hull of the one chemical system that all judged samples lie in.
    """

    structures: tuple[Crystal | Molecule | None, ...] = ()
    sources: tuple[str, ...] = ()
    references: tuple[Crystal | Molecule, ...] = ()
    requested: tuple[RequestedProperty, ...] = ()
    phases: StablePhases | None = None


@dataclass(frozen=True, kw_only=True)
class Report(ShownInNotebooks):
    """Everything an evaluation found; all but ``rows`` and ``shown`` is written as JSON, in this order.

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
        passed_over: files that were not read, by whose they are ("samples", "reference", ...) and reason: they hold no
            structures, or the same ones again.
        dropped: id, place and reason of what could not be scored.
        rows: one a sample, written as CSV.
        shown: for pages.
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
    passed_over: dict[str, dict[str, int]] = field(default_factory=dict)
    dropped: tuple[dict[str, str], ...] = ()
    rows: tuple[ResultRow, ...] = field(default=(), repr=False)
    shown: Shown = field(default_factory=Shown, repr=False, compare=False)

    def __repr__(self) -> str:
        lines = []
        for name, metric in self.first_metrics.items():
            value, interval, _ = metric_texts(name, metric)
            lines.append(f"  {name}: {value}" + (f" ({interval})" if interval else ""))
        more = len(self.metrics) - len(lines)
        lines += [f"  and {more} more in report.metrics"] if more else []
        return "\n".join([self.title, *lines])

    @property
    def first_metrics(self) -> dict[str, Metric]:
        """Those that are shown in short: the first that have a value."""
        told = [(name, metric) for name, metric in self.metrics.items() if metric.value is not None]
        return dict(told[:MAX_TOLD])

    @property
    def title(self) -> str:
        """Protocol, samples and reference in a line."""
        reference = f", reference {self.reference}" if self.reference else ""
        return f"Protocol {self.protocol} {self.version}: {self.samples}{reference}"

    @property
    def notes(self) -> list[str]:
        """What is to be known of its metrics: which crystals count as the same, and what novel ones are new to."""
        matching = self.settings.get("matching")
        if "unique" not in self.metrics or not isinstance(matching, dict):
            return []
        tolerances = ", ".join(f"{name} {matching[name]:g}" for name in ("stol", "ltol", "angle_tol"))
        same = f"the same structure (unique, novel): by StructureMatcher with {tolerances}"
        notes = [f"{same}; by CDVAE's 0.5, 0.3, 10 even ZnO as zincblende and as rocksalt"]
        if self.reference is not None:
            notes.append(
                f"novel: unlike every crystal of {self.reference}, and of nothing else: a model's own table of known "
                "structures may hold it"
            )
        return notes

    def __getitem__(self, name: str) -> float | None:
        """The value of a metric: ``report["match_rate.k1"]``."""
        return self.metrics[name].value

    def to_dict(self) -> dict[str, object]:
        """For JSON, without rows and structures; of what was dropped, how often for which reason, and the first."""
        content = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("rows", "shown")}
        metrics = {name: asdict(metric) for name, metric in self.metrics.items()}
        sections = {name: section.to_dict() for name, section in self.sections.items()}
        dropped = {"dropped": self.dropped[:MAX_DROPPED], "dropped_by_reason": self.dropped_by_reason()}
        return content | {"metrics": metrics, "sections": sections} | dropped

    def dropped_by_reason(self) -> dict[str, int]:
        """How many could not be scored for which reason."""
        return by_reason((each["where"], each["reason"]) for each in self.dropped)

    @staticmethod
    def check_free(path: str | Path) -> None:
        """Raise UserError where a file that is no report of ours would be written over.

        Told before the work: a table of energies may well be called as the report that is made with it.
        """
        path = Path(path)
        if path.suffix in (".csv", ".html"):
            raise UserError("the report is JSON", got=path.name, wanted=path.with_suffix(".json").name)
        ours = begins_as_report(path)
        for file in (path, path.with_suffix(".csv"), path.with_suffix(".html")):
            if file.exists() and not ours:
                raise UserError(
                    "a file that is no report of ours has this name", where=str(file), next_step="choose another --out"
                )

    def write(self, path: str | Path) -> tuple[Path, Path]:
        """Write ``report.json`` and, beside it, ``report.csv`` with a row a sample; returns both paths."""
        path = Path(path)
        write_text(path, json.dumps(self.to_dict(), indent=2, default=str) + "\n")
        table = path.with_suffix(".csv")
        with durable_text(table, newline="") as file:
            writer = csv.DictWriter(file, [each.name for each in fields(self.rows[0] if self.rows else ResultRow)])
            writer.writeheader()
            writer.writerows(_plain(asdict(row)) for row in self.rows)
        return path, table

    def table(self) -> Table:
        """The numbers as a table for the terminal."""
        from rich.table import Table
        from rich.text import Text

        note = Text("\n".join(self.notes)) if self.notes else None
        table = Table(title=Text(self.title), title_justify="left", caption=note, caption_justify="left")
        for column in ("", "value", "95 % interval", "over"):
            table.add_column(column, justify="left" if column == "" else "right")
        for name, metric in self.metrics.items():
            table.add_row(*map(Text, (name, *metric_texts(name, metric))))
        table.add_section()
        for name, count in self.counts.items():
            table.add_row(Text(name.replace("_", " ")), str(count))
        return table

    def tables(self) -> list[Table]:
        """The numbers, every section, and what was left out by reason, for the terminal."""
        left_out = [left_out_table("not scored, because", self.dropped_by_reason())] if self.dropped else []
        left_out += [
            left_out_table(f"of the {whose} not read, being", why, "files") for whose, why in self.passed_over.items()
        ]
        return [self.table(), *(section.table() for section in self.sections.values()), *left_out]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The parts of a report that are a protocol's own; see `Report`.

    Attributes:
        columns: what the metrics are means of, by name, one value a sample: for breakdowns.
    """

    metrics: dict[str, Metric]
    counts: dict[str, int]
    rows: tuple[ResultRow, ...]
    dropped: list[dict[str, str]]
    settings: dict[str, object] = field(default_factory=dict)
    sections: dict[str, Section] = field(default_factory=dict)
    shown: Shown = field(default_factory=Shown)
    columns: dict[str, np.ndarray] = field(default_factory=dict)

    def report(
        self,
        rules: Rules,
        *,
        samples: str,
        reference: str | None,
        entries: Iterable[Entry],
        seed: int,
        tools: Sequence[str],
        seconds: float,
        passed_over: Mapping[str, dict[str, int]] | None = None,
    ) -> Report:
        """With everything the numbers depend on.

        Args:
            rules: the protocol.
            samples: where the samples come from.
            reference: where the reference comes from.
            entries: the samples, for their seeds.
            seed: of the bootstrap.
            tools: distributions whose versions move a number.
            seconds: how long it took.
            passed_over: files that were not read, see `Report`.
        """
        settings = asdict(rules)
        seeds = sorted({entry.seed for entry in entries if entry.seed is not None})
        return Report(
            protocol=settings.pop("name"),
            version=settings.pop("version"),
            samples=samples,
            reference=reference,
            metrics=self.metrics,
            counts=self.counts,
            settings=settings | self.settings,
            seeds=seeds if len(seeds) <= MAX_SEEDS else [seeds[0], seeds[-1], len(seeds)],
            bootstrap_seed=seed,
            versions={tool: installed for tool in tools if (installed := version_of(tool))},
            provenance=provenance(samples),
            seconds=round(seconds, 2),
            sections=self.sections,
            passed_over={whose: why for whose, why in (passed_over or {}).items() if why},
            dropped=tuple(self.dropped),
            rows=self.rows,
            shown=self.shown,
        )


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


def provenance(samples: str) -> dict[str, object]:
    """Where a number comes from: machine, code, and the run that made the samples.

    Args:
        samples: where the samples come from; the ``run.yaml`` of a run folder is quoted, without its requests.

    Returns:
        ``machine`` that scored, ``commit`` of the checkout (None in an installed wheel; "-dirty" when the package
        differs from it), and ``run``: model, checksum, seed, device and settings of the generation where known.
    """
    run = Path(samples) / "run.yaml"
    facts = read_yaml(run) if run.is_file() else {}
    return {
        "machine": f"{platform.machine()} {platform.system()}, Python {platform.python_version()}",
        "commit": _commit(),
        "run": {key: value for key, value in facts.items() if key != "requests"} or None,
    }


def _commit() -> str | None:
    package = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=package, capture_output=True, text=True, check=False)  # noqa: S603, S607 - fixed words
        return done.stdout.strip()

    if not (package.parent / ".git").exists():
        return None
    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except OSError:  # no git on this machine
        return None
