"""Score molecules from anywhere: judge each one, then uniqueness, novelty, distributions, and the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from unigen.energies.relaxed_molecules import RelaxedMolecules
from unigen.errors import UserError
from unigen.eval.molecules.distributions import length_metric, length_section, lengths_by_kind, size_metrics
from unigen.eval.molecules.moses import with_moses
from unigen.eval.molecules.posebusters import with_posebusters
from unigen.eval.molecules.protocol import EDM, MOSES, RDKIT, STRAIN
from unigen.eval.molecules.reference import MoleculeReference, known_graphs, read_reference
from unigen.eval.molecules.samples import MoleculeEntry, Molecules, read_samples
from unigen.eval.molecules.scores import ScoredMolecules
from unigen.eval.molecules.strain import with_strain
from unigen.eval.molecules.verdict import MoleculeVerdict, judge
from unigen.eval.protocol import Rules
from unigen.eval.report import Outcome, Report, Shown
from unigen.eval.samples import dropped
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section
from unigen.molecules.bonds import MAX_ASSIGNMENTS
from unigen.molecules.molecule import Molecule
from unigen.parallel import Workers
from unigen.version import require

TOOLS = ("unigen-matter", "rdkit", "posebusters", "tblite", "numpy", "scipy", "ase")


def evaluate_molecules(
    samples: Molecules,
    reference: str | Path | Sequence[Molecule] | None = None,
    *,
    known: Sequence[str | Path] = (),
    posebusters: int = 0,
    strain: int = 0,
    moses: int = 0,
    relaxed: Path | None = None,
    largest_fragment: bool = False,
    workers: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Report:
    """Score generated molecules by EDM's look-up protocol and by RDKit, each share over all generated.

    Args:
        samples: SD, XYZ or extended XYZ files, folders of these, a run folder, or molecules in memory.
        reference: a dataset (``"qm9:train"``), files, a list of SMILES, or molecules in memory: for novelty,
            distributions, and the reference's own rates beside the samples'.
        known: further datasets, tables of SMILES or files, none of whose molecules is novel: what a model was trained
            on, as a rule.
        posebusters: how many samples, the first ones, also go through PoseBusters (0.3 CPU-seconds each), and
            as many of the reference.
        strain: how many samples, the first ones, are also relaxed with GFN2-xTB (0.2 CPU-seconds each), and as many
            of the reference.
        moses: how many samples, the first ones, are held against the reference by the metrics of MOSES (10 CPU-ms
            each), and how many of these are sound in space.
        relaxed: folder that keeps these relaxations, so that an interrupted evaluation goes on.
        largest_fragment: of a reference entry of several molecules (a salt) take the largest; otherwise it is
            unreadable, and counted so.
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
    for name, count in {"posebusters": posebusters, "strain": strain, "moses": moses}.items():
        if count < 0:
            raise UserError(f"{name}: not a count of samples", got=count)
    if posebusters:
        require("posebusters", "posebusters", "these checks need")
    relaxations = RelaxedMolecules(relaxed, STRAIN.relaxation) if strain else None
    sample_set = read_samples(samples)
    protocols: list[Rules] = [EDM, RDKIT]
    with Workers(workers, progress=progress) as crew:
        reference_set = (
            None if reference is None else read_reference(reference, crew, largest_fragment=largest_fragment)
        )
        scored = ScoredMolecules(sample_set.entries, tuple(_judge(sample_set.entries, crew, "Judging")), seed)
        outcome = _score(scored, reference_set, known, crew)
        if posebusters:
            outcome = with_posebusters(outcome, scored, reference_set, posebusters, crew)
        if relaxations is not None:
            outcome = with_strain(outcome, scored, reference_set, relaxations, strain, crew)
            outcome = replace(outcome, settings=outcome.settings | {"strain": STRAIN.own_settings()})
            protocols.append(STRAIN)
        if moses:
            outcome = with_moses(outcome, scored, reference_set, MOSES, moses, crew)
            outcome = replace(outcome, settings=outcome.settings | {"moses": MOSES.own_settings()})
            protocols.append(MOSES)
    names, versions = (", ".join(getattr(rules, each) for rules in protocols) for each in ("name", "version"))
    return outcome.report(
        Rules(name=names, version=versions),
        samples=sample_set.name,
        reference=reference_set.name if reference_set else None,
        entries=sample_set.entries,
        seed=seed,
        tools=TOOLS,
        seconds=time.perf_counter() - started,
        passed_over={"samples": sample_set.passed_over},
    )


def _judge(entries: Sequence[MoleculeEntry], workers: Workers, label: str) -> list[MoleculeVerdict | None]:
    return workers.map(partial(judge, edm=EDM, rdkit=RDKIT), entries, label)


def _score(
    scored: ScoredMolecules, reference: MoleculeReference | None, known: Sequence[str | Path], workers: Workers
) -> Outcome:
    reference_graphs, no_graph = (None, 0) if reference is None else reference.graphs(workers)
    more, without = known_graphs(known, workers)
    seen = None if reference_graphs is None and not known else more | (reference_graphs or set())
    counts = {"known_graphs": len(more), "known_unreadable": without} if known else {}
    outcome = Outcome(
        metrics=scored.metrics(seen),
        counts=scored.counts() | counts,
        rows=scored.rows(seen),
        dropped=[dropped(entry, entry.reason) for entry in scored.entries if entry.molecule is None],
        settings={"edm": EDM.own_settings(), "rdkit": RDKIT.own_settings() | {"max_assignments": MAX_ASSIGNMENTS}}
        | ({"known": [str(each) for each in known]} if known else {}),
        shown=Shown(
            structures=tuple(entry.molecule for entry in scored.entries),
            sources=tuple(entry.where for entry in scored.entries),
        ),
    )
    if reference is None or reference_graphs is None:
        return outcome
    counts = {"reference_graphs": len(reference_graphs), "reference_unreadable": reference.unreadable + no_graph}
    outcome = replace(outcome, counts=outcome.counts | counts)
    return _beside(outcome, scored, reference, workers) if len(reference.molecules) else outcome


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
        shown=replace(outcome.shown, references=tuple(drawn)),
    )
