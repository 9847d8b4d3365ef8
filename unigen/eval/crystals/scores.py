"""The crystals of one evaluation with what is known about each, whatever the protocol."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.eval.crystals.merge_validity import Description
from unigen.eval.crystals.samples import Entry
from unigen.eval.crystals.validity import CompositionVerdict
from unigen.eval.outcome import dropped
from unigen.eval.protocol import Protocol
from unigen.eval.report import SampleResult
from unigen.eval.statistics import Metric
from unigen.shapes import Bool

VALIDITIES = ("structure_valid", "structure_valid_cdvae", "composition_valid", "composition_valid_cdvae")


@dataclass(frozen=True, eq=False)
class Scored:
    """Samples described.

    Attributes:
        entries: all samples, failures included.
        descriptions: one a sample, None for a failure.
        verdicts: SMACT's verdict by reduced formula.
        protocol: the settings.
        seed: seed of the bootstrap.
    """

    entries: tuple[Entry, ...]
    descriptions: tuple[Description | None, ...]
    verdicts: dict[str, CompositionVerdict]
    protocol: Protocol
    seed: int

    @property
    def crystals(self) -> list[Crystal | None]:
        """One a sample, None for a failure."""
        return [entry.crystal for entry in self.entries]

    def holds(self, validity: str) -> Bool[np.ndarray, "samples"]:
        """One of `VALIDITIES` for each sample; a failure is never valid."""
        return np.array([getattr(row, validity) for row in self.rows], dtype=bool)

    def valid_cdvae(self) -> Bool[np.ndarray, "samples"]:
        """Valid as CDVAE and its successors filter: structure and composition, both as published."""
        return self.holds("structure_valid_cdvae") & self.holds("composition_valid_cdvae")

    def intervals(self, columns: dict[str, np.ndarray]) -> dict[str, Metric]:
        """Means and intervals under the protocol's bootstrap."""
        return self.protocol.intervals(columns, self.seed)

    def validity_columns(self) -> dict[str, np.ndarray]:
        """Every validity, and both together, over all generated."""
        columns = {name: self.holds(name) for name in VALIDITIES}
        columns["valid"] = columns["structure_valid"] & columns["composition_valid"]
        columns["valid_cdvae"] = columns["structure_valid_cdvae"] & columns["composition_valid_cdvae"]
        return columns

    def counts(self) -> dict[str, int]:
        """Generated, failed, and compositions whose check was bounded."""
        return {
            "generated": len(self.entries),
            "failed": sum(entry.crystal is None for entry in self.entries),
            "composition_bounded": sum(row.bounded for row in self.rows),
        }

    @cached_property
    def rows(self) -> tuple[SampleResult, ...]:
        """The per-structure row of each sample, as far as it goes without a protocol."""
        return tuple(map(self._row, range(len(self.entries))))

    def _row(self, position: int) -> SampleResult:
        entry, description = self.entries[position], self.descriptions[position]
        if description is None:
            return SampleResult(id=entry.id, index=entry.index, reason=entry.reason)
        verdict = self.verdicts[description.formula]
        return SampleResult(
            id=entry.id,
            index=entry.index,
            composition_valid=verdict.valid,
            composition_valid_cdvae=verdict.valid_cdvae,
            bounded=verdict.bounded,
            **asdict(description),
        )

    def failures(self) -> list[dict[str, str]]:
        """Id, place and reason of every sample without a structure."""
        return [dropped(entry, entry.reason) for entry in self.entries if entry.crystal is None]
