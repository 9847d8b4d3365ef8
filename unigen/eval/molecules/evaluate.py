"""Score molecules from anywhere: judge each one, then uniqueness, novelty, distributions, and the report."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path

import numpy as np

from unigen.energies.relaxed_molecules import RelaxedMolecules
from unigen.errors import UserError
from unigen.eval.molecules.distributions import length_metric, length_section, lengths_by_kind, size_metrics
from unigen.eval.molecules.molecule_verdict import MoleculeVerdict, judge
from unigen.eval.molecules.posebusters import Checks, check_plausibility, passes
from unigen.eval.molecules.protocol import EDM, RDKIT, STRAIN
from unigen.eval.molecules.reference import MoleculeReference, reference_of
from unigen.eval.molecules.samples import MoleculeEntry, samples_of
from unigen.eval.molecules.scores import MoleculeResult, ScoredMolecules
from unigen.eval.molecules.strain import with_strain
from unigen.eval.outcome import Outcome, dropped
from unigen.eval.protocol import Rules
from unigen.eval.report import Report
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section
from unigen.molecules.bonds import MAX_ASSIGNMENTS
from unigen.molecules.molecule import Molecule
from unigen.parallel import Workers
from unigen.version import require

Molecules = str | Path | Iterable[Molecule | MoleculeEntry]

TOOLS = ("unigen-matter", "rdkit", "posebusters", "tblite", "numpy", "scipy", "ase")


def _rules(*parts: Rules) -> Rules:
    """Several protocols under one heading."""
    return Rules(name=", ".join(each.name for each in parts), version=", ".join(each.version for each in parts))


def evaluate_molecules(
    samples: Molecules,
    reference: str | Path | Sequence[Molecule] | None = None,
    *,
    posebusters: int = 0,
    strain: int = 0,
    relaxed: Path | None = None,
    workers: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Report:
    """Score generated molecules by EDM's look-up protocol and by RDKit, each share over all generated.

    Args:
        samples: SD, XYZ or extended XYZ files, folders of these, a run folder, or molecules in memory.
        reference: a dataset (``"qm9:train"``), files, a list of SMILES, or molecules in memory: for novelty,
            distributions, and the reference's own rates beside the samples'.
        posebusters: how many samples, the first ones, also go through PoseBusters (0.3 CPU-seconds each), and
            as many of the reference.
        strain: how many samples, the first ones, are also relaxed with GFN2-xTB (0.2 CPU-seconds each), and as many
            of the reference.
        relaxed: folder that keeps these relaxations, so that an interrupted evaluation goes on.
        workers: processes; one a core by default. Numbers do not depend on it.
        seed: of the bootstrap intervals, and of the reference molecules that are drawn.
        progress: show progress bars on standard error.

    Raises:
        UserError: no readable molecule, a count below 1, posebusters or tblite not installed, a folder of other
            results.

    Example:
        >>> report = evaluate_molecules("run/", "qm9:train", posebusters=1000)  # doctest: +SKIP
        >>> report["rdkit.valid"], report["edm.molecule_stable"]  # doctest: +SKIP
    """
    started = time.perf_counter()
    if workers is not None and workers < 1:
        raise UserError("workers: not a positive count", got=workers)
    for name, count in {"posebusters": posebusters, "strain": strain}.items():
        if count < 0:
            raise UserError(f"{name}: not a count of samples", got=count)
    if posebusters:
        require("posebusters", "posebusters", "these checks need")
    relaxations = RelaxedMolecules(relaxed, STRAIN.relaxation) if strain else None
    made = samples_of(samples)
    with Workers(workers, progress=progress) as crew:
        known = None if reference is None else reference_of(reference, crew)
        scored = ScoredMolecules(made.entries, tuple(_judge(made.entries, crew, "Judging")), seed)
        outcome = _score(scored, known, crew)
        outcome = _with_posebusters(outcome, scored, known, posebusters, crew)
        if relaxations is not None:
            outcome = with_strain(outcome, scored, known, relaxations, strain, crew)
            outcome = replace(outcome, settings=outcome.settings | {"strain": _settings(STRAIN)})
    return outcome.report(
        _rules(EDM, RDKIT, *[STRAIN] * bool(strain)),
        samples=made.name,
        reference=known.name if known else None,
        entries=made.entries,
        seed=seed,
        tools=TOOLS,
        seconds=time.perf_counter() - started,
    )


def _judge(entries: Sequence[MoleculeEntry], workers: Workers, label: str) -> list[MoleculeVerdict | None]:
    return workers.map(partial(judge, edm=EDM, rdkit=RDKIT), entries, label)


def _score(scored: ScoredMolecules, reference: MoleculeReference | None, workers: Workers) -> Outcome:
    known = None if reference is None else reference.graphs(workers)
    outcome = Outcome(
        metrics=scored.metrics(known),
        counts=scored.counts(),
        rows=scored.rows(known),
        structures=tuple(entry.molecule for entry in scored.entries),
        sources=tuple(entry.where for entry in scored.entries),
        dropped=[dropped(entry, entry.reason) for entry in scored.entries if entry.molecule is None],
        settings={"edm": _settings(EDM), "rdkit": _settings(RDKIT) | {"max_assignments": MAX_ASSIGNMENTS}},
    )
    if reference is None or known is None:
        return outcome
    counts = {"reference_graphs": len(known), "reference_unreadable": reference.unreadable}
    outcome = replace(outcome, counts=outcome.counts | counts)
    return _beside(outcome, scored, reference, workers) if len(reference.molecules) else outcome


def _settings(rules: Rules) -> dict[str, object]:
    """What is the protocol's own."""
    shared = {each.name for each in fields(Rules)}
    return {name: value for name, value in asdict(rules).items() if name not in shared}


def _beside(outcome: Outcome, scored: ScoredMolecules, reference: MoleculeReference, workers: Workers) -> Outcome:
    """With the distances between distributions, and what the same verdicts are on real molecules."""
    drawn = reference.drawn(RDKIT.max_references, scored.seed)
    entries = tuple(MoleculeEntry(f"reference-{n}", molecule) for n, molecule in enumerate(drawn))
    real = ScoredMolecules(entries, tuple(_judge(entries, workers, "Judging the reference")), scored.seed)
    lengths, known_lengths = (
        lengths_by_kind(verdict.perceived.graph for verdict in each.readable if verdict.perceived.graph)
        for each in (scored, real)
    )
    metrics = size_metrics([verdict.molecule for verdict in scored.readable], drawn)
    metrics["w_bond_lengths"] = length_metric(lengths, known_lengths)
    beside = real.metrics()
    shared = [name for name in beside if not name.endswith("unique")]
    rows: dict[str, dict[str, Metric | int]] = {
        name: {"samples": outcome.metrics[name], "reference": beside[name]} for name in shared
    }
    sections = {
        "reference": Section(
            "The same verdicts on real molecules", rows, f"reference: {len(entries)} molecules, drawn by the seed"
        ),
        "bond_lengths": length_section(lengths, known_lengths),
    }
    return replace(
        outcome,
        metrics=outcome.metrics | metrics,
        sections=outcome.sections | sections,
        references=tuple(drawn),
    )


def _with_posebusters(
    outcome: Outcome, scored: ScoredMolecules, reference: MoleculeReference | None, count: int, workers: Workers
) -> Outcome:
    """With the checks of the first samples, and of as many reference molecules."""
    if not count:
        return outcome
    stated = [verdict.stated if verdict else None for verdict in scored.verdicts[:count]]
    molecules = [graph.molecule if graph else None for graph in stated]
    found = check_plausibility(molecules, RDKIT.posebusters, workers, "PoseBusters")
    sets = {"posebusters.pass": found}
    if reference is not None and len(reference.molecules):
        drawn = reference.drawn(len(found), scored.seed)
        label = "PoseBusters, reference"
        sets["posebusters.pass_reference"] = check_plausibility(drawn, RDKIT.posebusters, workers, label)
    unknown = sum(None in checks.values() for checks in found)
    metrics = {name: _pass_rate(checks, scored.seed) for name, checks in sets.items()}
    rows = [
        replace(row, posebusters=passes(checks), failed_checks=" ".join(n for n, held in checks.items() if not held))
        for row, checks in zip(outcome.rows, found, strict=False)
        if isinstance(row, MoleculeResult)
    ]
    return replace(
        outcome,
        metrics=outcome.metrics | metrics,
        counts=outcome.counts | {"posebusters": len(found), "posebusters_not_computed": unknown},
        rows=(*rows, *outcome.rows[len(rows) :]),
        sections=outcome.sections | {"posebusters": _by_check(sets)},
    )


def _pass_rate(found: list[Checks], seed: int) -> Metric:
    return RDKIT.intervals({"pass": np.array([passes(checks) for checks in found], dtype=bool)}, seed)["pass"]


def _by_check(sets: dict[str, list[Checks]]) -> Section:
    """Share of all that pass each check; what is no molecule passes none."""
    names = dict.fromkeys(name for found in sets.values() for checks in found for name in checks)
    rows: dict[str, dict[str, Metric | int]] = {
        name: {
            column: Metric(float(np.mean([checks.get(name) is True for checks in found])), n=len(found))
            for column, found in sets.items()
        }
        for name in names
    }
    return Section("PoseBusters by check", rows, "share of the first samples, failures among them, that pass")
