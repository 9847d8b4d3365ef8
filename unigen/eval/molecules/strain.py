"""Strain over a set of molecules: shares over all of them, energies and deviations over those that converged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np

from unigen.energies.relaxed_molecules import RelaxedMolecules
from unigen.energies.strain import Strain, strain_of
from unigen.eval.molecules.protocol import STRAIN
from unigen.eval.molecules.reference import MoleculeReference
from unigen.eval.molecules.scores import MoleculeResult, ScoredMolecules
from unigen.eval.report import Outcome
from unigen.eval.statistics import Metric, median_with_interval
from unigen.eval.tables import Section
from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.xtb import Ending
from unigen.parallel import Workers


def with_strain(
    outcome: Outcome,
    scored: ScoredMolecules,
    reference: MoleculeReference | None,
    relaxed: RelaxedMolecules,
    count: int,
    workers: Workers,
) -> Outcome:
    """With the strain of the first ``count`` samples, failures among them, and of as many reference molecules.

    A sample is relaxed with the bonds it carries or, where it carries none, with the perceived ones: charge and
    unpaired electrons follow from them.
    """
    stated = [verdict.stated if verdict else None for verdict in scored.verdicts[:count]]
    molecules: dict[str, Sequence[Molecule | None]] = {
        "samples": [graph.molecule if graph else None for graph in stated]
    }
    if reference is not None and len(reference.molecules):
        molecules["reference"] = reference.drawn(len(stated), scored.seed)
    sets = {name: _measure(each, relaxed, workers, name) for name, each in molecules.items()}
    metrics = {name: strain_metrics(strains, scored.seed) for name, strains in sets.items()}
    rows = [
        replace(
            row,
            strain=strain.energy,
            strain_rmsd=strain.rmsd,
            strain_bonds_kept=strain.bonds_kept,
            strain_ending=strain.ending,
        )
        for row, strain in zip(outcome.rows, sets["samples"], strict=False)
        if isinstance(row, MoleculeResult)
    ]
    failed = sum(each.ending != "converged" for each in sets["samples"])
    return replace(
        outcome,
        metrics=outcome.metrics | metrics["samples"],
        counts=outcome.counts | {"strain": len(stated), "strain_failed": failed},
        rows=(*rows, *outcome.rows[len(rows) :]),
        sections=outcome.sections | _sections(sets, metrics),
    )


def _measure(
    molecules: Sequence[Molecule | None], relaxed: RelaxedMolecules, workers: Workers, name: str
) -> list[Strain]:
    results = relaxed.relax(molecules, workers, f"Strain, {name}")
    return [strain_of(each, result, STRAIN.bond_length) for each, result in zip(molecules, results, strict=True)]


def strain_metrics(strains: Sequence[Strain], seed: int) -> dict[str, Metric]:
    """Shares of all; kcal/mol and Angstrom of those that have a number."""
    numbers = {
        "energy": np.array([np.nan if each.energy is None else each.energy for each in strains]),
        "rmsd": np.array([np.nan if each.rmsd is None else each.rmsd for each in strains]),
    }
    columns = {
        "strain.converged": np.array([each.ending == "converged" for each in strains], dtype=bool),
        "strain.bonds_kept": np.array([each.bonds_kept is True for each in strains], dtype=bool),
    }
    means = {f"strain.mean_{name}": values for name, values in numbers.items()}
    medians = {
        f"strain.median_{name}": median_with_interval(
            values, resamples=STRAIN.bootstrap, confidence=STRAIN.confidence, seed=seed
        )
        for name, values in numbers.items()
    }
    return STRAIN.intervals(columns | means, seed) | medians


def _sections(sets: dict[str, list[Strain]], metrics: dict[str, dict[str, Metric]]) -> dict[str, Section]:
    """Samples beside the reference, where there is one; and how the relaxations ended."""
    counts = {name: Counter(each.ending for each in strains) for name, strains in sets.items()}
    endings: dict[str, dict[str, Metric | int]] = {
        ending: {name: count[ending] for name, count in counts.items()}
        for ending in get_args(Ending)
        if any(count[ending] for count in counts.values())
    }
    sections = {"strain_endings": Section("How relaxations by GFN2-xTB ended", endings)}
    if len(sets) == 1:
        return sections
    rows: dict[str, dict[str, Metric | int]] = {
        metric: {name: each[metric] for name, each in metrics.items()} for metric in metrics["samples"]
    }
    note = "kcal/mol and Angstrom, over what converged; shares over the first samples, failures among them"
    return {"strain": Section("Strain by GFN2-xTB", rows, note)} | sections
