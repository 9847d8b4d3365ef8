"""Score crystals from anywhere: describe each one, then what the protocol asks, then the report."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from unigen.crystals.crystal import Crystal
from unigen.data.readers.record import Row
from unigen.errors import UserError
from unigen.eval.crystals.breakdown import Breakdown
from unigen.eval.crystals.csp import score_csp
from unigen.eval.crystals.denovo import score_denovo
from unigen.eval.crystals.merge_validity import Description, describe
from unigen.eval.crystals.pairing import ids_pair
from unigen.eval.crystals.requests import as_requested, asked_sections, densities, find_stated
from unigen.eval.crystals.samples import Entry, EntrySet, as_entries, read_reference, read_samples
from unigen.eval.crystals.scores import Scored
from unigen.eval.crystals.stability import StabilityRules, add_stability
from unigen.eval.crystals.validity import CompositionVerdict, check_composition
from unigen.eval.outcome import Outcome
from unigen.eval.protocol import DENOVO, Protocol, find_protocol
from unigen.eval.report import Report, SampleResult
from unigen.parallel import Workers
from unigen.version import require

Structures = str | Path | Iterable[Crystal | Row | Entry]

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
    protocol: str | Protocol | None = None,
    *,
    k: int | None = None,
    only_sampled: bool = False,
    coverage: bool = False,
    breakdown: bool = False,
    neighbours_of: str | Path | None = None,
    stability: StabilityRules | None = None,
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
    _check(k, workers)
    require("smact", "smact", "composition validity needs")
    made = read_samples(samples) if isinstance(samples, str | Path) else as_entries(samples, "samples")
    wanted = _reference(reference)
    chosen = _choose(protocol, made, wanted)
    if coverage:
        _check_coverage(wanted, chosen)
    parts = _breakdown(breakdown, neighbours_of, chosen)
    with Workers(workers, progress=progress) as crew:
        scored = _describe(made, chosen, crew, seed)
        if chosen.name == "csp":
            outcome = score_csp(scored, _required(wanted), crew, k=k, only_sampled=only_sampled, breakdown=parts)
        else:
            outcome = score_denovo(scored, wanted, crew, coverage=coverage)
        outcome = _with_statements(outcome, scored, crew)
        if stability is not None:
            outcome = add_stability(outcome, scored, wanted, stability, crew)
        if parts is not None and chosen.name != "csp":
            outcome = _by_neighbour(outcome, parts, scored, crew)
    return _report(made, wanted, scored, outcome, time.perf_counter() - started)


def _check(k: int | None, workers: int | None) -> None:
    for name, value in (("k", k), ("workers", workers)):
        if value is not None and value < 1:
            raise UserError(f"{name}: not a positive count", got=value)


def _check_coverage(reference: EntrySet | None, protocol: Protocol) -> None:
    if reference is None or protocol.name != DENOVO.name:
        raise UserError("coverage compares with a reference, under protocol denovo", next_step="give both")
    require("coverage", "matminer", "coverage needs")


def _breakdown(wanted: bool, neighbours_of: str | Path | None, protocol: Protocol) -> Breakdown | None:
    if wanted and protocol.name != "csp":
        raise UserError(
            "a breakdown by size is of match rates, under protocol csp",
            got=f"protocol {protocol.name}",
            next_step="give --reference and --protocol csp, or leave --breakdown out",
        )
    return Breakdown.open(neighbours_of) if wanted or neighbours_of is not None else None


def _by_neighbour(outcome: Outcome, parts: Breakdown, scored: Scored, workers: Workers) -> Outcome:
    """De novo samples by how near their composition is to a known one."""
    found = parts.denovo_section(outcome.columns, scored, workers)
    settings = outcome.settings | {"neighbours_of": parts.neighbours_of}
    return replace(outcome, sections=outcome.sections | found, settings=settings)


def _reference(reference: Structures | None) -> EntrySet | None:
    if reference is None:
        return None
    return read_reference(reference) if isinstance(reference, str | Path) else as_entries(reference, "reference")


def _required(reference: EntrySet | None) -> EntrySet:
    if reference is None:
        raise UserError("protocol csp needs a reference", next_step="give --reference DATASET_OR_FILES")
    return reference


def _choose(protocol: str | Protocol | None, samples: EntrySet, reference: EntrySet | None) -> Protocol:
    if protocol is not None:
        chosen = find_protocol(protocol)
        if chosen.name == "csp":
            _required(reference)
        return chosen
    paired = reference is not None and ids_pair(samples.entries, reference.entries)
    return find_protocol("csp" if paired else "denovo")


def _describe(samples: EntrySet, protocol: Protocol, workers: Workers, seed: int) -> Scored:
    """What every protocol needs to know about each sample."""
    readable = [n for n, entry in enumerate(samples.entries) if entry.crystal is not None]
    found = workers.map(partial(describe, protocol=protocol), samples.crystals, "Describing")
    descriptions: list[Description | None] = [None] * len(samples.entries)
    for position, description in zip(readable, found, strict=True):
        descriptions[position] = description
    formulas = sorted({description.formula for description in found})
    check = partial(check_composition, max_combinations=protocol.max_oxidation_combinations)
    verdicts: dict[str, CompositionVerdict] = dict(
        zip(formulas, workers.map(check, formulas, "Compositions"), strict=True)
    )
    return Scored(samples.entries, tuple(descriptions), verdicts, protocol, seed)


def _with_statements(outcome: Outcome, scored: Scored, workers: Workers) -> Outcome:
    """What the samples say of themselves, judged."""
    found = find_stated(scored, workers)
    rows = list(outcome.rows)
    for position, (entry, (_, verdict)) in enumerate(zip(scored.entries, found, strict=True)):
        if entry.statement is not None and verdict is not None:
            row = rows[position]
            assert isinstance(row, SampleResult), "rows of crystals"
            rows[position] = replace(row, stated_space_group=entry.statement.space_group, stated_symmetry=verdict)
    asked = densities(scored)
    sections = outcome.sections | as_requested(scored, found) | asked_sections(scored, asked)
    return replace(outcome, rows=tuple(rows), sections=sections, asked=outcome.asked + asked)


def _report(samples: EntrySet, reference: EntrySet | None, scored: Scored, outcome: Outcome, seconds: float) -> Report:
    return replace(
        outcome,
        counts=scored.counts() | outcome.counts,
        structures=tuple(scored.crystals),
        sources=tuple(entry.where for entry in scored.entries),
        references=tuple(reference.crystals) if reference else (),
    ).report(
        scored.protocol,
        samples=samples.name,
        reference=reference.name if reference else None,
        entries=samples.entries,
        seed=scored.seed,
        tools=TOOLS,
        seconds=seconds,
    )
