"""Coverage and matching of conformers, molecule by molecule, of samples and of the baselines beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from unigen.eval.molecules.conformer_pairing import ConformerPairing, ReferenceGroup
from unigen.eval.molecules.conformer_rms import (
    FAILED,
    OTHER_MOLECULE,
    OTHER_STEREO,
    STEREO_UNKNOWN,
    ConformerTask,
    ConformerVerdict,
    compare_conformers,
)
from unigen.eval.molecules.protocol import ConformerRules
from unigen.eval.molecules.samples import MoleculeEntry
from unigen.eval.report import Outcome, ResultRow, Shown
from unigen.eval.samples import dropped
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section
from unigen.molecules.molecule import Molecule
from unigen.parallel import Workers

MEASURES = ("cov_r", "mat_r", "cov_p", "mat_p")
BASELINES = {"etkdg": False, "etkdg_mmff": True}
"""Whether the conformers are cleaned up with MMFF94, by name."""

_NOTE = (
    "means over molecules, MAT in Angstrom over those with a usable conformer; unusable: failures, other molecules, "
    "other stereoisomers; as many conformers a molecule as there are samples"
)


@dataclass(frozen=True, kw_only=True)
class ConformerResult(ResultRow):
    """The row of a conformer.

    Attributes:
        index: which sample of its molecule it is, where it says so.
        molecule: canonical SMILES of the molecule it is held against.
        rms: distance to the nearest reference conformer, Angstrom.
        covered: it is below the threshold.
        reason: why there is no distance.
    """

    index: int | None = None
    molecule: str | None = None
    rms: float | None = None
    covered: bool = False
    reason: str = ""


@dataclass(frozen=True, eq=False)
class ConformerScoring:
    """Samples paired with molecules.

    Attributes:
        entries: all samples; none where the baseline stands in their place.
        groups: the molecules.
        pairing: which samples are of which.
        unusable: reference entries left out.
        rules: the protocol.
        seed: of intervals and baseline.
    """

    entries: tuple[MoleculeEntry, ...]
    groups: tuple[ReferenceGroup, ...]
    pairing: ConformerPairing
    unusable: int
    rules: ConformerRules
    seed: int

    def outcome(self, workers: Workers, *, baseline: bool) -> Outcome:
        """Everything for the report."""
        verdicts = self.compare(
            self.tasks() if self.entries else self.baseline_tasks(mmff=False), workers, "Conformers"
        )
        rows = {"samples" if self.entries else "etkdg": self.section_row(verdicts)}
        for name, mmff in BASELINES.items():
            if baseline and name not in rows:
                rows[name] = self.section_row(self.compare(self.baseline_tasks(mmff=mmff), workers, name))
        return Outcome(
            metrics=self.metrics(verdicts),
            counts=self.counts(verdicts),
            rows=self.rows(verdicts),
            dropped=[dropped(entry, entry.reason) for entry in self.entries if _usable(entry) is None],
            sections={"baseline": Section("Beside RDKit's ETKDG", rows, _NOTE)} if len(rows) > 1 else {},
            shown=Shown(
                structures=tuple(entry.molecule for entry in self.entries),
                sources=tuple(entry.where for entry in self.entries),
                references=tuple(conformer for group in self.groups for conformer in group.conformers),
            ),
        )

    def tasks(self) -> list[ConformerTask]:
        """The samples of every molecule."""
        return [
            ConformerTask(
                group.smiles,
                group.conformers,
                tuple(_usable(self.entries[n]) for n in paired),
                len(paired),
                tuple(self.entries[n].smiles if n in self.pairing.by_text else "" for n in paired),
            )
            for group, paired in zip(self.groups, self.pairing.of_group, strict=True)
        ]

    def baseline_tasks(self, *, mmff: bool) -> list[ConformerTask]:
        """As many conformers by ETKDG, or two a reference where a molecule has no samples."""
        return [
            ConformerTask(
                smiles=group.smiles,
                references=group.conformers,
                samples=None,
                n=len(paired) or self.rules.samples_per_reference * len(group.conformers),
                mmff=mmff,
                seed=self.seed,
            )
            for group, paired in zip(self.groups, self.pairing.of_group, strict=True)
        ]

    def compare(self, tasks: list[ConformerTask], workers: Workers, label: str) -> list[ConformerVerdict]:
        """The verdict on every molecule."""
        return workers.map(partial(compare_conformers, max_matches=self.rules.max_matches), tasks, label)

    def metrics(self, verdicts: list[ConformerVerdict]) -> dict[str, Metric]:
        """Means over molecules with intervals, medians, and samples a reference."""
        columns = measures(verdicts, self.rules.threshold)
        metrics = self.rules.intervals(columns, self.seed)
        for name, column in columns.items():
            values = column[np.isfinite(column)]
            metrics[f"{name}_median"] = Metric(float(np.median(values)) if len(values) else None, n=len(values))
        samples, references = (sum(each.rms.shape[axis] for each in verdicts) for axis in (0, 1))
        return metrics | {"samples_per_reference": Metric(samples / references, n=references)}

    def section_row(self, verdicts: list[ConformerVerdict]) -> dict[str, Metric | int]:
        """The line of the table of baselines."""
        metrics = self.metrics(verdicts)
        cells: dict[str, Metric | int] = {name: metrics[name] for name in MEASURES}
        return cells | {"unusable": sum(reason != "" for each in verdicts for reason in each.reasons)}

    def counts(self, verdicts: list[ConformerVerdict]) -> dict[str, int]:
        """How many of everything."""
        reasons = [reason for each in verdicts for reason in each.reasons]
        return {
            "generated": len(self.entries) or len(reasons),
            "failed": reasons.count(FAILED),
            "other_molecule": reasons.count(OTHER_MOLECULE),
            "other_stereoisomer": reasons.count(OTHER_STEREO),
            "stereo_unknown": reasons.count(STEREO_UNKNOWN),
            "unpaired": len(self.pairing.unpaired),
            "molecules": len(self.groups),
            "molecules_without_samples": sum(not len(each.rms) for each in verdicts),
            "references": sum(len(group.conformers) for group in self.groups),
            "references_unusable": self.unusable,
            "symmetry_bounded": sum(each.bounded for each in verdicts),
        }

    def rows(self, verdicts: list[ConformerVerdict]) -> tuple[ConformerResult, ...]:
        """One a sample, in their order."""
        rows = [
            ConformerResult(id=each.id, index=each.index, reason=each.reason or "belongs to no molecule")
            for each in self.entries
        ]
        for group, paired, verdict in zip(self.groups, self.pairing.of_group, verdicts, strict=True):
            # the baseline alone has verdicts, but no samples and so no rows
            for position, distances, reason in zip(paired, verdict.rms, verdict.reasons, strict=bool(self.entries)):
                rms = float(distances.min())
                rows[position] = replace(
                    rows[position],
                    molecule=group.smiles,
                    rms=rms if np.isfinite(rms) else None,
                    covered=rms < self.rules.threshold,
                    reason=self.entries[position].reason or reason,
                )
        return tuple(rows)


def _usable(entry: MoleculeEntry) -> Molecule | None:
    """Bonds that RDKit refuses are not mended by looking at the distances."""
    return None if entry.carried == "refused" else entry.molecule


def measures(verdicts: Sequence[ConformerVerdict], threshold: float) -> dict[str, np.ndarray]:
    """Of each molecule COV-R, MAT-R, COV-P, MAT-P; distances are NaN where no sample has one."""
    values = np.array([_measure(each.rms, threshold) for each in verdicts])
    return dict(zip(MEASURES, values.T, strict=True))


def _measure(rms: np.ndarray, threshold: float) -> tuple[float, float, float, float]:
    if not np.isfinite(rms).any():
        return 0.0, np.nan, 0.0, np.nan
    nearest_sample, nearest_reference = rms.min(axis=0), rms.min(axis=1)
    # one usable sample gives every reference a distance; a sample of another molecule has none
    usable = nearest_reference[np.isfinite(nearest_reference)]
    covered = (nearest_sample < threshold).mean(), (nearest_reference < threshold).mean()
    return float(covered[0]), float(nearest_sample.mean()), float(covered[1]), float(usable.mean())
