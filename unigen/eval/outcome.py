"""What a protocol found, and the report it becomes: the same for crystals and molecules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.energies.hull.phases import StablePhases
from unigen.eval.asked import AskedAndFound
from unigen.eval.protocol import Rules
from unigen.eval.provenance import provenance
from unigen.eval.report import Report, ResultRow
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section
from unigen.molecules.molecule import Molecule
from unigen.version import version_of

MANY_SEEDS = 20
"""More seeds than these are reported as first, last and count."""


@runtime_checkable
class Named(Protocol):
    """What all entries, of crystals and of molecules, say of themselves: see `unigen.eval.crystals.samples.Entry`."""

    @property
    def id(self) -> str: ...  # noqa: D102 - said above

    @property
    def where(self) -> str: ...  # noqa: D102

    @property
    def seed(self) -> int | None: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Outcome:
    """The parts of a report that are a protocol's own; see `unigen.eval.report.Report`.

    Attributes:
        columns: what the metrics are means of, by name, one value a sample: for breakdowns.
    """

    metrics: dict[str, Metric]
    counts: dict[str, int]
    rows: tuple[ResultRow, ...]
    dropped: list[dict[str, str]]
    settings: dict[str, object] = field(default_factory=dict)
    sections: dict[str, Section] = field(default_factory=dict)
    structures: tuple[Crystal | Molecule | None, ...] = ()
    sources: tuple[str, ...] = ()
    references: tuple[Crystal | Molecule, ...] = ()
    asked: tuple[AskedAndFound, ...] = ()
    phases: StablePhases | None = None
    columns: dict[str, np.ndarray] = field(default_factory=dict)

    def report(
        self,
        rules: Rules,
        *,
        samples: str,
        reference: str | None,
        entries: Iterable[Named],
        seed: int,
        tools: Sequence[str],
        seconds: float,
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
        """
        protocol = asdict(rules)
        return Report(
            protocol=protocol.pop("name"),
            version=protocol.pop("version"),
            samples=samples,
            reference=reference,
            metrics=self.metrics,
            counts=self.counts,
            settings=protocol | self.settings,
            seeds=_seeds(entries),
            bootstrap_seed=seed,
            versions={tool: installed for tool in tools if (installed := version_of(tool))},
            provenance=provenance(samples),
            seconds=round(seconds, 2),
            sections=self.sections,
            dropped=tuple(self.dropped),
            rows=self.rows,
            structures=self.structures,
            sources=self.sources,
            references=self.references,
            asked=self.asked,
            phases=self.phases,
        )


def dropped(entry: Named, reason: str) -> dict[str, str]:
    """A line of the report's list of what was not scored."""
    return {"id": entry.id, "where": entry.where, "reason": reason}


def _seeds(entries: Iterable[Named]) -> list[int]:
    seeds = sorted({entry.seed for entry in entries if entry.seed is not None})
    return seeds if len(seeds) <= MANY_SEEDS else [seeds[0], seeds[-1], len(seeds)]
