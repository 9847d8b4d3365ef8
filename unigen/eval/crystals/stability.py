"""Stability of crystals: relaxed by a named potential, held against a named hull; and S.U.N., all three a structure.

S.U.N. (stable, unique, novel): Zeni et al., MatterGen, Nature 639, 624 (2025). Its numbers compare only under one
potential, one hull and one matcher: all are in the report. Uniqueness and novelty here are of the relaxed structures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.energies.hull.hull import Hull, HullVerdict
from unigen.energies.hull.phases import StablePhases
from unigen.energies.potential import Potential
from unigen.energies.relaxation import Relaxation, RelaxSettings
from unigen.energies.relaxed_crystals import RelaxedBefore, RelaxedCrystals, relaxed_before, structure_key
from unigen.errors import UserError
from unigen.eval.crystals.framework import find_new_frameworks, find_rare_earth_swaps
from unigen.eval.crystals.novelty import find_novel, find_unique
from unigen.eval.crystals.requests import requested_property, requested_property_sections
from unigen.eval.crystals.samples import CrystalSet, read_samples
from unigen.eval.crystals.scores import CrystalResult, ScoredCrystals
from unigen.eval.report import Outcome, ResultRow
from unigen.eval.requested_property import RequestedProperty
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section
from unigen.parallel import Workers
from unigen.shapes import Float

THRESHOLDS = (0.0, 0.1)
"""eV/atom above the hull that still counts as stable: on the hull, and MatterGen's limit."""

DRAWN_SYSTEMS = (2, 3)
"""Elements of a chemical system whose hull is a picture: energies over a line, or a triangle seen from below."""

CLOSE = 0.05
"""eV/atom: an energy that is no further from the reference's own agrees with it."""

PUBLISHED_NAMES = {"above_hull": "e_above_hull", "formation_energy": "formation_energy_per_atom"}
"""Our columns and the Materials Project's names for them, as datasets carry them and requests ask for them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StabilityRules:
    """How stability is judged; what is wrong with hull or folder is said when this is made, before any work.

    Attributes:
        relaxed: potential, settings, and the folder that lets an interrupted evaluation go on.
        hull: of the reference set; None relaxes only.
        count: the first so many samples; None for all.
        against: structures of another method, to compare energies with, composition by composition.
        before: what is known of samples that were relaxed by this potential already: they are judged as they are.
    """

    relaxed: RelaxedCrystals
    hull: Hull | None = None
    count: int | None = None
    against: CrystalSet | None = None
    before: RelaxedBefore | None = None

    @classmethod
    def of(
        cls,
        potential: Potential,
        settings: RelaxSettings,
        folder: Path | None,
        hull: str | None = None,
        count: int | None = None,
        against: str | None = None,
        samples: object = None,
    ) -> StabilityRules:
        """With everything opened by its name; ``samples`` that are a folder of ``unigen relax`` are not relaxed again.

        Raises:
            UserError: the hull is not built, its energies are not of the potential's scheme, the folder holds
                something else, or nothing is readable at ``against``.
        """
        return cls(
            hull=Hull.open(hull, potential) if hull else None,
            against=read_samples(against) if against else None,
            relaxed=RelaxedCrystals(folder, potential, settings),
            count=count,
            before=relaxed_before(Path(samples), potential) if isinstance(samples, str | Path) else None,
        )

    def facts(self) -> dict[str, object]:
        """Everything that moves a number, for the report."""
        facts: dict[str, object] = {
            "potential": self.relaxed.potential.identity,
            "relaxation": self.relaxed.settings.facts(),
            "judged": self.count,
        }
        if self.hull is not None:
            facts |= {"hull": self.hull.facts(), "thresholds": THRESHOLDS}
        if self.before is not None:
            facts["relaxed_before"] = {"folder": str(self.before.folder), "settings": self.before.settings}
        return facts | ({"against": self.against.name} if self.against else {})


def with_stability(
    outcome: Outcome, scored: ScoredCrystals, reference: CrystalSet | None, rules: StabilityRules, workers: Workers
) -> Outcome:
    """The outcome with energies, stability and S.U.N. in its metrics, rows, counts and settings.

    Args:
        outcome: of the protocol.
        scored: the samples, of which the first ones are judged.
        reference: for novelty; S.U.N. needs it.
        rules: how.
        workers: the processes that do it.

    Raises:
        UserError: no composition in common with the other method.
    """
    relaxed = _relax(scored.crystals[: rules.count], rules.relaxed, workers, rules.before)
    rules.relaxed.write((entry.id, result) for entry, result in zip(scored.entries, relaxed, strict=False))
    verdicts = [_judge(result, rules.hull) for result in relaxed]
    columns = _columns(relaxed, verdicts, scored, reference, rules.hull, workers)
    sections = _energy_agreement(scored, verdicts, reference)
    energies = [verdict.formation_energy for verdict in verdicts]
    requested = requested_property(scored, PUBLISHED_NAMES["formation_energy"], energies, "eV/atom")
    sections |= requested_property_sections(scored, requested)
    if rules.against is not None:
        others = _relax(rules.against.crystals, rules.relaxed, workers)
        sections["against"] = _against(relaxed, others, scored, rules.against.name)
    endings = Counter(f"relaxation_{result.outcome}" for result in relaxed)
    unknown = sum(
        verdict.above_hull is None and result.crystal is not None
        for verdict, result in zip(verdicts, relaxed, strict=True)
    )
    unjudged = np.full(len(scored.entries) - len(relaxed), np.nan)
    shown = outcome.shown
    return replace(
        outcome,
        metrics=outcome.metrics | scored.intervals(columns),
        counts=outcome.counts | {"judged_stability": len(relaxed)} | dict(endings) | {"hull_unknown": unknown},
        rows=(*map(_row, outcome.rows, relaxed, verdicts), *outcome.rows[len(relaxed) :]),
        settings=outcome.settings | {"stability": rules.facts()},
        sections=outcome.sections | sections,
        shown=replace(
            shown, requested=_with_computed(shown.requested, requested), phases=_stable_phases(relaxed, rules.hull)
        ),
        columns=outcome.columns
        | {name: np.concatenate([column.astype(np.float64), unjudged]) for name, column in columns.items()},
    )


def _with_computed(
    told: tuple[RequestedProperty, ...], computed: tuple[RequestedProperty, ...]
) -> tuple[RequestedProperty, ...]:
    """Properties that were asked for; one that was computed takes the place of its prediction."""
    names = {each.name for each in computed}
    return tuple(each for each in told if each.name not in names) + computed


def _relax(
    crystals: Sequence[Crystal | None],
    relaxed: RelaxedCrystals,
    workers: Workers,
    before: RelaxedBefore | None = None,
) -> list[Relaxation]:
    """One a sample; what has no structure has failed, what was relaxed before is not relaxed again."""
    known = before.results if before is not None else {}
    found = [
        Relaxation(outcome="failed", reason="no structure") if each is None else known.get(structure_key(each))
        for each in crystals
    ]
    missing = [crystal for crystal, result in zip(crystals, found, strict=True) if crystal is not None and not result]
    results = iter(relaxed.relax(missing, workers))
    return [next(results) if result is None else result for result in found]


def _judge(result: Relaxation, hull: Hull | None) -> HullVerdict:
    if hull is None or result.crystal is None or result.energy_per_atom is None:
        return HullVerdict(reason=result.reason)
    return hull.judge_crystal(result.crystal, result.energy_per_atom)


def _stable_phases(relaxed: Sequence[Relaxation], hull: Hull | None) -> StablePhases | None:
    """Of the one chemical system that all judged samples lie in, if its hull can be drawn."""
    elements = {number for result in relaxed if result.crystal is not None for number in result.crystal.counts}
    return hull.stable_phases(elements) if hull is not None and len(elements) in DRAWN_SYSTEMS else None


def _columns(
    relaxed: Sequence[Relaxation],
    verdicts: Sequence[HullVerdict],
    scored: ScoredCrystals,
    reference: CrystalSet | None,
    hull: Hull | None,
    workers: Workers,
) -> dict[str, np.ndarray]:
    """One value a judged sample for each metric: relaxation, stability; unique and novel as relaxed, and S.U.N."""
    columns = {
        "relaxed_converged": np.array([result.outcome == "converged" for result in relaxed]),
        "mean_displacement": _numbers([result.displacement for result in relaxed]),
        "mean_energy_drop": _numbers([result.energy_drop for result in relaxed]),
    }
    above = _numbers([verdict.above_hull for verdict in verdicts])
    if hull is not None:
        columns["mean_above_hull"] = above
        columns |= {f"stable_{limit}": above <= limit for limit in THRESHOLDS}  # NaN is not stable
    rules, crystals = scored.rules, [result.crystal for result in relaxed]
    unique = find_unique(crystals, rules.matching, rules.max_candidates, workers).holds
    columns["unique_relaxed"] = unique
    if reference is not None:
        known = reference.crystals
        novel = find_novel(crystals, known, rules.matching, rules.max_candidates, workers).holds
        framework = novel & find_new_frameworks(crystals, known, workers)
        swap = novel & find_rare_earth_swaps(crystals, known, rules.matching, rules.max_candidates, workers)
        columns |= {"novel_relaxed": novel, "novel_framework": framework, "rare_earth_swap": swap}
        for limit in THRESHOLDS if hull is not None else ():
            sun = (above <= limit) & unique & novel
            columns |= {f"sun_{limit}": sun, f"sun_framework_{limit}": sun & framework, f"sun_swap_{limit}": sun & swap}
    return columns


def _numbers(values: Sequence[float | None]) -> Float[np.ndarray, "samples"]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _row(row: ResultRow, result: Relaxation, verdict: HullVerdict) -> ResultRow:
    assert isinstance(row, CrystalResult), "stability is of crystals"
    reasons = (row.reason, result.reason, verdict.reason)
    return replace(
        row,
        relaxation=result.outcome,
        energy_per_atom=result.energy_per_atom,
        displacement=result.displacement,
        formation_energy=verdict.formation_energy,
        above_hull=verdict.above_hull,
        decomposition=verdict.decomposition,
        # a sample without a structure has said why; one with a structure may have several things to say
        reason=row.reason if row.formula is None else "; ".join(filter(None, dict.fromkeys(reasons))),
    )


def _energy_agreement(
    scored: ScoredCrystals, verdicts: Sequence[HullVerdict], reference: CrystalSet | None
) -> dict[str, Section]:
    """Energies by the potential beside the reference's own of the same crystals: how far to trust the former.

    A section where samples bear the ids of reference crystals with known energies; none otherwise.
    """
    entries = reference.entries if reference is not None else ()
    stated = {entry.id: entry.crystal.properties for entry in entries if entry.crystal is not None}
    rows: dict[str, dict[str, Metric | int]] = {}
    for name, published_name in PUBLISHED_NAMES.items():
        errors = [
            energy - stated_energy
            for entry, verdict in zip(scored.entries, verdicts, strict=False)
            if (energy := getattr(verdict, name)) is not None
            and (stated_energy := stated.get(entry.id, {}).get(published_name)) is not None
        ]
        if errors:
            error = np.array(errors)
            columns = {f"within_{CLOSE}": np.abs(error) <= CLOSE, "mean_absolute": np.abs(error), "mean_signed": error}
            rows[name] = {"n": len(error)} | scored.intervals(columns)
    note = "error of the relaxed energy against what the reference says of the crystal of the same id, eV/atom"
    return {"energy_agreement": Section("energies beside the reference's own", rows, note)} if rows else {}


def _against(relaxed: Sequence[Relaxation], others: Sequence[Relaxation], scored: ScoredCrystals, name: str) -> Section:
    """Lowest energies of the compositions both have: UniMat's comparison (Yang et al., ICLR 2024, section 4)."""
    ours, theirs = _lowest(relaxed), _lowest(others)
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise UserError("no composition in common", got=name, next_step="leave --against out")
    difference = np.array([ours[formula] - theirs[formula] for formula in shared])
    columns: dict[str, Metric | int] = {
        "compositions": len(shared),
        "ours_only": len(ours.keys() - theirs.keys()),
        "theirs_only": len(theirs.keys() - ours.keys()),
    }
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
