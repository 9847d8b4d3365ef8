"""Stability of crystals: relaxed by a named potential, held against a named hull; and S.U.N., all three a structure.

S.U.N. (stable, unique, novel): Zeni et al., MatterGen, Nature 639, 624 (2025). Its numbers compare only under one
potential, one hull and one matcher: all are in the report. Uniqueness and novelty here are of the relaxed structures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.energies.hull.hull import Hull, HullVerdict
from unigen.energies.hull.phases import StablePhases
from unigen.energies.potential import Potential
from unigen.energies.relaxation import Relaxation, RelaxSettings
from unigen.energies.relaxed_crystals import RelaxedCrystals
from unigen.errors import UserError
from unigen.eval.crystals.energy_agreement import STATED, energy_agreement
from unigen.eval.crystals.novelty import find_novel, find_unique
from unigen.eval.crystals.requests import asked_and_found, asked_sections
from unigen.eval.crystals.samples import EntrySet, read_samples
from unigen.eval.crystals.scores import Scored
from unigen.eval.outcome import Outcome
from unigen.eval.report import ResultRow, SampleResult
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section
from unigen.parallel import Workers

THRESHOLDS = (0.0, 0.1)
"""eV/atom above the hull that still counts as stable."""

DRAWN_SYSTEMS = (2, 3)
"""Elements of a chemical system whose hull is a picture."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StabilityRules:
    """How stability is judged; what is wrong with hull or folder is said when this is made, before any work.

    Attributes:
        relaxed: potential, settings, and the folder that lets an interrupted evaluation go on.
        hull: of the reference set; None relaxes only.
        count: the first so many samples; None for all.
        against: structures of another method, to compare energies with, composition by composition.
    """

    relaxed: RelaxedCrystals
    hull: Hull | None = None
    count: int | None = None
    against: EntrySet | None = None

    @classmethod
    def of(
        cls,
        potential: Potential,
        settings: RelaxSettings,
        folder: Path | None,
        hull: str | None = None,
        count: int | None = None,
        against: str | None = None,
    ) -> StabilityRules:
        """With everything opened by its name.

        Raises:
            UserError: the hull is not built, its energies are not of the potential's scheme, the folder holds
                something else, or nothing is readable at ``against``.
        """
        return cls(
            hull=Hull.open(hull, potential) if hull else None,
            against=read_samples(against) if against else None,
            relaxed=RelaxedCrystals(folder, potential, settings),
            count=count,
        )

    def facts(self) -> dict[str, object]:
        """Everything that moves a number, for the report."""
        said: dict[str, object] = {
            "potential": self.relaxed.potential.identity,
            "relaxation": asdict(self.relaxed.settings),
            "judged": self.count,
        }
        if self.hull is not None:
            said |= {"hull": self.hull.facts(), "thresholds": THRESHOLDS}
        return said | ({"against": self.against.name} if self.against else {})


@dataclass(frozen=True, eq=False)
class Judged:
    """One result a judged sample; the samples are the first ones."""

    relaxed: list[Relaxation]
    verdicts: list[HullVerdict]


def add_stability(
    outcome: Outcome, scored: Scored, reference: EntrySet | None, rules: StabilityRules, workers: Workers
) -> Outcome:
    """The outcome with energies, stability and S.U.N. in its metrics, rows, counts and settings.

    Args:
        outcome: of the protocol.
        scored: the samples.
        reference: for novelty; S.U.N. needs it.
        rules: how.
        workers: the processes that do it.

    Raises:
        UserError: no composition in common with the other method.
    """
    relaxed = _relax(scored.crystals[: rules.count], rules.relaxed, workers)
    rules.relaxed.write((entry.id, result) for entry, result in zip(scored.entries, relaxed, strict=False))
    judged = Judged(relaxed, [_verdict(result, rules.hull) for result in relaxed])
    columns = _columns(judged, rules.hull) | _sun(judged, scored, reference, rules.hull, workers)
    sections = energy_agreement(scored, judged.verdicts, reference.entries if reference else ())
    found = [verdict.formation_energy for verdict in judged.verdicts]
    asked = asked_and_found(scored, STATED["formation_energy"], found, "eV/atom")
    sections |= asked_sections(scored, asked)
    if rules.against is not None:
        others = _relax(rules.against.crystals, rules.relaxed, workers)
        sections["against"] = _against(relaxed, others, scored, rules.against.name)
    return replace(
        outcome,
        metrics=outcome.metrics | scored.intervals(columns),
        counts=outcome.counts | _counts(judged),
        rows=_rows(outcome.rows, judged),
        settings=outcome.settings | {"stability": rules.facts()},
        sections=outcome.sections | sections,
        asked=outcome.asked + asked,
        phases=_stable_phases(judged, rules.hull),
        columns=outcome.columns | {name: _padded(column, len(scored.entries)) for name, column in columns.items()},
    )


def _relax(crystals: Sequence[Crystal | None], relaxed: RelaxedCrystals, workers: Workers) -> list[Relaxation]:
    """One a sample; what has no structure has failed."""
    results = iter(relaxed.relax([crystal for crystal in crystals if crystal is not None], workers))
    missing = Relaxation(outcome="failed", reason="no structure")
    return [missing if crystal is None else next(results) for crystal in crystals]


def _verdict(result: Relaxation, hull: Hull | None) -> HullVerdict:
    if hull is None or result.crystal is None or result.energy_per_atom is None:
        return HullVerdict(reason=result.reason)
    return hull.judge(result.crystal.counts, result.energy_per_atom)


def _stable_phases(judged: Judged, hull: Hull | None) -> StablePhases | None:
    """Of the one chemical system that all judged samples lie in, if its hull can be drawn."""
    elements = {number for result in judged.relaxed if result.crystal is not None for number in result.crystal.counts}
    return hull.stable_phases(elements) if hull is not None and len(elements) in DRAWN_SYSTEMS else None


def _columns(judged: Judged, hull: Hull | None) -> dict[str, np.ndarray]:
    results = judged.relaxed
    columns = {
        "relaxed_converged": np.array([result.outcome == "converged" for result in results]),
        "mean_displacement": _numbers([result.displacement for result in results]),
        "mean_energy_drop": _numbers([result.energy_drop for result in results]),
    }
    if hull is None:
        return columns
    above = _numbers([verdict.above_hull for verdict in judged.verdicts])
    columns["mean_above_hull"] = above
    return columns | {f"stable_{limit}": above <= limit for limit in THRESHOLDS}  # NaN is not stable


def _padded(column: np.ndarray, length: int) -> np.ndarray:
    """With NaN for the samples that were not judged."""
    return np.concatenate([column.astype(np.float64), np.full(length - len(column), np.nan)])


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _sun(
    judged: Judged, scored: Scored, reference: EntrySet | None, hull: Hull | None, workers: Workers
) -> dict[str, np.ndarray]:
    """Unique and novel as relaxed, and S.U.N., a structure at a time."""
    protocol, crystals = scored.protocol, [result.crystal for result in judged.relaxed]
    unique = find_unique(crystals, protocol.matching, protocol.max_candidates, workers).holds
    columns = {"unique_relaxed": unique}
    if reference is None:
        return columns
    novel = find_novel(crystals, reference.crystals, protocol.matching, protocol.max_candidates, workers).holds
    columns["novel_relaxed"] = novel
    if hull is None:
        return columns
    above = _numbers([verdict.above_hull for verdict in judged.verdicts])
    return columns | {f"sun_{limit}": (above <= limit) & unique & novel for limit in THRESHOLDS}


def _counts(judged: Judged) -> dict[str, int]:
    outcomes = Counter(f"relaxation_{result.outcome}" for result in judged.relaxed)
    unknown = sum(
        v.above_hull is None and r.crystal is not None for v, r in zip(judged.verdicts, judged.relaxed, strict=True)
    )
    return {"judged_stability": len(judged.relaxed)} | dict(outcomes) | {"hull_unknown": unknown}


def _rows(rows: Sequence[ResultRow], judged: Judged) -> tuple[ResultRow, ...]:
    count = len(judged.relaxed)
    crystals = [row for row in rows[:count] if isinstance(row, SampleResult)]
    return (*map(_row, crystals, judged.relaxed, judged.verdicts), *rows[count:])


def _row(row: SampleResult, result: Relaxation, verdict: HullVerdict) -> SampleResult:
    return replace(
        row,
        relaxation=result.outcome,
        energy_per_atom=result.energy_per_atom,
        displacement=result.displacement,
        formation_energy=verdict.formation_energy,
        above_hull=verdict.above_hull,
        decomposition=verdict.decomposition,
        reason=row.reason or result.reason or verdict.reason,
    )


def _against(relaxed: Sequence[Relaxation], others: Sequence[Relaxation], scored: Scored, name: str) -> Section:
    """Lowest energies of the compositions both have: UniMat's comparison (Yang et al., ICLR 2024, section 4)."""
    ours, theirs = _lowest(relaxed), _lowest(others)
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise UserError("no composition in common", got=name, next_step="leave --against out")
    difference = np.array([ours[formula] - theirs[formula] for formula in shared])
    columns: dict[str, Metric | int] = {"compositions": len(shared)}
    columns |= scored.intervals({"mean_difference": difference, "lower": difference < 0})
    note = "energy of ours minus theirs, eV/atom, lowest relaxed structure of each composition; lower is better"
    return Section("against another method", {"lowest of each composition": columns}, note)


def _lowest(results: Sequence[Relaxation]) -> dict[str, float]:
    lowest: dict[str, float] = {}
    for result in results:
        if result.crystal is not None and result.energy_per_atom is not None:
            formula = result.crystal.reduced_formula
            lowest[formula] = min(lowest.get(formula, np.inf), result.energy_per_atom)
    return lowest
