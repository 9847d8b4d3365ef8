"""Stability of crystals: relaxed by a named potential, held against a named hull; and S.U.N., all three a structure.

S.U.N. (stable, unique, novel): Zeni et al., MatterGen, Nature 639, 624 (2025). Its numbers compare only under one
potential, one hull and one matcher: all are in the report. Uniqueness and novelty here are of the relaxed structures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from unigen.data.crystal import Crystal
from unigen.data.workers import Workers
from unigen.errors import UserError
from unigen.eval.entry import EntrySet, read_samples
from unigen.eval.intervals import Metric
from unigen.eval.novelty import find_novel, find_unique
from unigen.eval.outcome import Outcome
from unigen.eval.report import ResultRow, SampleResult
from unigen.eval.scored import Scored
from unigen.eval.section import Section
from unigen.stability.hull import Hull, HullVerdict
from unigen.stability.potential import Potential
from unigen.stability.relaxation import Relaxation, RelaxSettings
from unigen.stability.relaxed_set import RelaxedSet, write_relaxed

THRESHOLDS = (0.0, 0.1)
"""eV/atom above the hull that still counts as stable."""


@dataclass(frozen=True, kw_only=True)
class StabilitySettings:
    """How stability is judged.

    Attributes:
        potential: whose energies.
        relaxation: stops and gates.
        hull: name of the reference set; None relaxes only.
        count: the first so many samples; None for all.
        folder: where relaxations are kept, so that an interrupted evaluation goes on; None keeps them in memory.
        against: structures of another method, to compare energies with, composition by composition.
    """

    potential: Potential
    relaxation: RelaxSettings = field(default_factory=RelaxSettings)
    hull: str | None = None
    count: int | None = None
    folder: Path | None = None
    against: EntrySet | None = None

    @classmethod
    def of(
        cls,
        potential: Potential,
        max_steps: int,
        hull: str | None,
        count: int | None,
        folder: Path | None,
        against: str | None,
    ) -> StabilitySettings:
        """From what a command line says; raises UserError when there is nothing readable at ``against``."""
        return cls(
            potential=potential,
            relaxation=RelaxSettings(max_steps=max_steps),
            hull=hull,
            count=count,
            folder=folder,
            against=read_samples(against) if against else None,
        )

    def facts(self, hull: Hull | None) -> dict[str, object]:
        """Everything that moves a number, for the report."""
        said: dict[str, object] = {
            "potential": self.potential.identity,
            "relaxation": asdict(self.relaxation),
            "judged": self.count,
        }
        if hull is not None:
            said |= {"hull": asdict(hull.reference.card), "thresholds": THRESHOLDS}
        return said | ({"against": self.against.name} if self.against else {})


@dataclass(frozen=True, eq=False)
class Judged:
    """One result a judged sample; the samples are the first ones."""

    relaxed: list[Relaxation]
    verdicts: list[HullVerdict]


def add_stability(
    outcome: Outcome, scored: Scored, reference: EntrySet | None, settings: StabilitySettings, workers: Workers
) -> Outcome:
    """The outcome with energies, stability and S.U.N. in its metrics, rows, counts and settings.

    Args:
        outcome: of the protocol.
        scored: the samples.
        reference: for novelty; S.U.N. needs it.
        settings: how.
        workers: the processes that do it.

    Raises:
        UserError: the hull's energies are not of the potential's scheme, or the folder holds something else.
    """
    hull = Hull.open(settings.hull, settings.potential) if settings.hull else None
    relaxed_set = RelaxedSet(settings.folder, settings.potential, settings.relaxation)
    relaxed = _relax(scored.crystals[: settings.count], relaxed_set, workers)
    if settings.folder is not None:
        names = [entry.id for entry in scored.entries[: len(relaxed)]]
        write_relaxed(settings.folder, zip(names, relaxed, strict=True), settings.potential)
    judged = Judged(relaxed, [_verdict(result, hull) for result in relaxed])
    columns = _columns(judged, hull) | _sun(judged, scored, reference, hull, workers)
    sections = {}
    if settings.against is not None:
        sections["against"] = _against(
            relaxed, _relax(settings.against.crystals, relaxed_set, workers), scored, settings
        )
    return replace(
        outcome,
        metrics=outcome.metrics | scored.intervals(columns),
        counts=outcome.counts | _counts(judged),
        rows=_rows(outcome.rows, judged),
        settings=outcome.settings | {"stability": settings.facts(hull)},
        sections=outcome.sections | sections,
    )


def _relax(crystals: Sequence[Crystal | None], relaxed: RelaxedSet, workers: Workers) -> list[Relaxation]:
    """One a sample; what has no structure has failed."""
    results = iter(relaxed.relax([crystal for crystal in crystals if crystal is not None], workers))
    missing = Relaxation(outcome="failed", reason="no structure")
    return [missing if crystal is None else next(results) for crystal in crystals]


def _verdict(result: Relaxation, hull: Hull | None) -> HullVerdict:
    if hull is None or result.crystal is None or result.energy_per_atom is None:
        return HullVerdict(reason=result.reason)
    return hull.judge(result.crystal.counts, result.energy_per_atom)


def _columns(judged: Judged, hull: Hull | None) -> dict[str, np.ndarray]:
    results = judged.relaxed
    drops = [
        None if r.energy_per_atom is None or r.initial_energy_per_atom is None
        else r.initial_energy_per_atom - r.energy_per_atom
        for r in results
    ]  # fmt: skip
    columns = {
        "relaxed_converged": np.array([result.outcome == "converged" for result in results]),
        "mean_displacement": _numbers([result.displacement for result in results]),
        "mean_energy_drop": _numbers(drops),
    }
    if hull is None:
        return columns
    above = _numbers([verdict.above_hull for verdict in judged.verdicts])
    columns["mean_above_hull"] = above
    return columns | {f"stable_{limit}": above <= limit for limit in THRESHOLDS}  # NaN is not stable


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


def _against(
    relaxed: Sequence[Relaxation], others: Sequence[Relaxation], scored: Scored, settings: StabilitySettings
) -> Section:
    """Lowest energies of the compositions both have: UniMat's comparison (Yang et al., ICLR 2024, section 4)."""
    ours, theirs = _lowest(relaxed), _lowest(others)
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        assert settings.against is not None
        raise UserError("no composition in common", got=settings.against.name, next_step="leave --against out")
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
