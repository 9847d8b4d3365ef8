"""Score crystals from anywhere: describe each one, then what the protocol asks, then the report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from unigen.crystals.plausibility.charge_balance import check_composition
from unigen.errors import UserError
from unigen.eval.crystals.breakdown import Breakdown
from unigen.eval.crystals.csp import score_csp
from unigen.eval.crystals.denovo import score_denovo
from unigen.eval.crystals.pairing import ids_pair
from unigen.eval.crystals.protocol import CSP, DENOVO, CrystalRules, find_protocol
from unigen.eval.crystals.requests import (
    CrystalPredictor,
    as_requested,
    check_space_groups,
    requested_density,
    requested_predictions,
    requested_property_sections,
)
from unigen.eval.crystals.samples import CrystalSet, Structures, read_reference, read_samples
from unigen.eval.crystals.scores import CrystalResult, ScoredCrystals
from unigen.eval.crystals.stability import StabilityRules, with_stability
from unigen.eval.crystals.validity import Description, describe
from unigen.eval.report import Outcome, Report, Shown
from unigen.parallel import Workers
from unigen.version import require

TOOLS = (
    "unigen-matter",
    "pymatgen",
    "pymatgen-core",
    "spglib",
    "smact",
    "numpy",
    "scipy",
    "ase",
    "torch",
    "chgnet",
    "sevenn",
)


def evaluate_crystals(
    samples: Structures,
    reference: Structures | None = None,
    protocol: str | CrystalRules | None = None,
    *,
    k: int | None = None,
    only_sampled: bool = False,
    coverage: bool = False,
    breakdown: bool = False,
    neighbours_of: str | Path | None = None,
    stability: StabilityRules | None = None,
    predictor: Callable[[], CrystalPredictor] | None = None,
    workers: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Report:
    """Score generated crystals.

    Args:
        samples: a path (anything `unigen.data.readers.crystals.read_crystal_rows` reads), or crystals, rows or entries
            in memory.
        reference: a dataset name (``"mp-20:test"``), a path, or structures in memory; csp needs it, denovo uses it for
            novelty and distances between distributions.
        protocol: "csp" or "denovo"; by default csp when a sample carries the id of a reference, else denovo.
        k: samples a reference, at most; by default all there are. k = 1, the first and unranked, is always reported.
        only_sampled: leave references without any sample out of the denominator (csp; they are failures otherwise).
        coverage: also COV-R and COV-P (denovo; needs the extra ``coverage`` and about 0.6 CPU-seconds a structure).
        breakdown: also match rates by atoms and by free parameters of the reference (csp; 10 ms a reference).
        neighbours_of: a dataset with templates, such as ``"mine:train"``: also by chemical distance to its nearest
            crystal, match rates (csp, of another formula; implies ``breakdown``) or the rates of samples (denovo).
        stability: also relax, and judge stability and S.U.N. (seconds a structure).
        predictor: opens what predicts properties that were asked for and are not computed, such as a band gap.
        workers: processes; one a core by default. Numbers do not depend on it.
        seed: seed of the bootstrap intervals.
        progress: show progress bars on standard error.

    Raises:
        UserError: no readable structure, csp without a reference or with samples that pair with nothing, an option
            of the other protocol, an optional package missing, k below 1.

    Example:
        >>> report = evaluate_crystals("run/", "mp-20:test")  # doctest: +SKIP
        >>> report["match_rate.k1"], report["rmse.k1"]  # doctest: +SKIP
    """
    started = time.perf_counter()
    for name, value in (("k", k), ("workers", workers)):
        if value is not None and value < 1:
            raise UserError(f"{name}: not a positive count", got=value)
    # before anything is read: what is not installed is said at once
    require("smact", "smact", "composition validity needs")
    sample_set = read_samples(samples)
    reference_set = None if reference is None else read_reference(reference)
    rules = _choose(protocol, sample_set, reference_set)
    _check_options(rules, reference_set, coverage=coverage, breakdown=breakdown)
    classes = Breakdown.open(neighbours_of) if breakdown or neighbours_of is not None else None
    with Workers(workers, progress=progress) as crew:
        scored = _describe(sample_set, rules, crew, seed)
        if rules.name == CSP.name:
            assert reference_set is not None, "csp is chosen with a reference only"
            outcome = score_csp(scored, reference_set, crew, k=k, only_sampled=only_sampled, breakdown=classes)
        else:
            outcome = score_denovo(scored, reference_set, crew, coverage=coverage)
        outcome = _with_statements(replace(outcome, shown=_shown(scored, reference_set)), scored, predictor, crew)
        if stability is not None:
            outcome = with_stability(outcome, scored, reference_set, stability, crew)
            if stability.against is not None:
                others = stability.against.unreadable("the other method")
                counts = outcome.counts | {"against_unreadable": len(others)}
                outcome = replace(outcome, counts=counts, dropped=outcome.dropped + others)
        # last: stability and S.U.N. are broken down too
        if classes is not None and rules.name != CSP.name:
            sections = outcome.sections | classes.denovo_section(outcome.columns, scored, crew)
            settings = outcome.settings | {"neighbours_of": classes.neighbours_of}
            outcome = replace(outcome, sections=sections, settings=settings)
    return replace(outcome, counts=scored.counts() | outcome.counts).report(
        rules,
        samples=sample_set.name,
        reference=reference_set.name if reference_set else None,
        entries=sample_set.entries,
        seed=seed,
        tools=TOOLS,
        seconds=time.perf_counter() - started,
        passed_over={
            whose: each.passed_over
            for whose, each in {
                "samples": sample_set,
                "reference": reference_set,
                "other method": stability.against if stability else None,
            }.items()
            if each is not None
        },
    )


def _choose(protocol: str | CrystalRules | None, samples: CrystalSet, reference: CrystalSet | None) -> CrystalRules:
    """The protocol asked for; by default csp when a sample carries the id of a reference, else denovo."""
    if protocol is None:
        return CSP if reference is not None and ids_pair(samples.entries, reference.entries) else DENOVO
    rules = find_protocol(protocol)
    if rules.name == CSP.name and reference is None:
        raise UserError("protocol csp needs a reference", next_step="give --reference DATASET_OR_FILES")
    return rules


def _check_options(rules: CrystalRules, reference: CrystalSet | None, *, coverage: bool, breakdown: bool) -> None:
    if coverage and (reference is None or rules.name != DENOVO.name):
        raise UserError("coverage compares with a reference, under protocol denovo", next_step="give both")
    if coverage:
        require("coverage", "matminer", "coverage needs")
    if breakdown and rules.name != CSP.name:
        raise UserError(
            "a breakdown by size is of match rates, under protocol csp",
            got=f"protocol {rules.name}",
            next_step="give --reference and --protocol csp, or leave --breakdown out",
        )


def _describe(samples: CrystalSet, rules: CrystalRules, workers: Workers, seed: int) -> ScoredCrystals:
    """What every protocol needs to know about each sample."""
    described = iter(workers.map(partial(describe, rules=rules), samples.crystals, "Describing"))
    descriptions: list[Description | None] = [
        None if entry.crystal is None else next(described) for entry in samples.entries
    ]
    # each formula once: SMACT may take two seconds for one
    formulas = sorted({each.formula for each in descriptions if each is not None})
    check = partial(check_composition, max_combinations=rules.max_oxidation_combinations)
    verdicts = dict(zip(formulas, workers.map(check, formulas, "Compositions"), strict=True))
    scored = ScoredCrystals(samples.entries, tuple(descriptions), verdicts, rules, seed)
    for crystal, description in zip(scored.crystals, descriptions, strict=True):
        if crystal is not None and description is not None:
            scored.space_groups.tell(crystal, rules.symprec, description.space_group_number)
    return scored


def _shown(scored: ScoredCrystals, reference: CrystalSet | None) -> Shown:
    return Shown(
        structures=tuple(scored.crystals),
        sources=tuple(entry.where for entry in scored.entries),
        references=tuple(reference.crystals) if reference else (),
    )


def _with_statements(
    outcome: Outcome,
    scored: ScoredCrystals,
    predictor: Callable[[], CrystalPredictor] | None,
    workers: Workers,
) -> Outcome:
    """With what the samples were asked to be and say they are, held against what they are."""
    checks = check_space_groups(scored, workers)
    rows = list(outcome.rows)
    for position, (entry, (_, verdict)) in enumerate(zip(scored.entries, checks, strict=True)):
        if entry.statement is not None and verdict is not None:
            row = rows[position]
            assert isinstance(row, CrystalResult), "rows of crystals"
            rows[position] = replace(row, stated_space_group=entry.statement.space_group, stated_symmetry=verdict)
    density = requested_density(scored)
    predicted, judge = requested_predictions(scored, predictor)
    sections = as_requested(scored, checks) | requested_property_sections(scored, density)
    settings = outcome.settings
    if judge is not None:
        sections |= requested_property_sections(scored, predicted, judge.name)
        settings = settings | {"predictor": {"name": judge.name, "sha256": judge.version}}
    return replace(
        outcome,
        rows=tuple(rows),
        sections=outcome.sections | sections,
        settings=settings,
        shown=replace(outcome.shown, requested=density + predicted),
    )
