"""Molecules that were asked to have a property, scored: every property of a run with its baselines, and the report."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unigen.errors import UserError
from unigen.eval.asked import AskedAndFound
from unigen.eval.molecules.merge_conditional import score_conditional
from unigen.eval.molecules.protocol import CONDITIONAL, unit_of
from unigen.eval.molecules.reference import MoleculeReference, reference_of
from unigen.eval.molecules.samples import MoleculeEntry, MoleculeSet, samples_of
from unigen.eval.outcome import Outcome, dropped
from unigen.eval.report import Report, ResultRow
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section
from unigen.molecules.molecule import Molecule
from unigen.parallel import Workers
from unigen.sample.predict import BUNDLED, NetworkPredictor, PropertyOfNetwork, load_predictor
from unigen.shapes import Float

TOOLS = ("unigen-matter", "torch", "numpy", "rdkit")

_NOTE = (
    "mae: predicted against asked for; random: against what others were asked; atoms only: guessed from the number of "
    "atoms; floor: the predictor on real molecules"
)


@dataclass(frozen=True, kw_only=True)
class PropertyResult(ResultRow):
    """One property of one sample.

    Attributes:
        index: which sample of its request it is.
        formula: composition in Hill's order.
        n_atoms: hydrogens counted.
        property: its name.
        unit: of the values, where it is known.
        requested: what was asked for.
        predicted: what the predictor says.
        reason: why there is no molecule.
    """

    index: int | None = None
    formula: str | None = None
    n_atoms: int | None = None
    property: str = ""
    unit: str = ""
    requested: float | None = None
    predicted: float | None = None
    reason: str = ""


def evaluate_conditional(
    samples: str | Path | Iterable[Molecule | MoleculeEntry],
    reference: str | Path | Sequence[Molecule],
    predictor: str | Path | NetworkPredictor = BUNDLED,
    *,
    seed: int = 0,
    progress: bool = False,
) -> Report:
    """Hold each sample against the properties it was asked to have, in the units of published tables.

    Args:
        samples: a run folder, or entries in memory, that say what was asked for, in the units of the dataset.
        reference: molecules with true values, in the same units: a dataset (``"qm9:test"``), files, or in memory.
        predictor: by bundled name, by model folder, or in memory; it must not have seen the reference, nor what the
            generator was trained on.
        seed: of the bootstrap intervals.
        progress: show progress bars on standard error.

    Raises:
        UserError: nothing readable, no property asked for, one that the predictor or the reference does not know, no
            such predictor, a property whose requests all failed.

    Example:
        >>> report = evaluate_conditional("run/", "qm9:test")  # doctest: +SKIP
        >>> report["mae.gap"], report["mae_random.gap"], report["mae_floor.gap"]  # doctest: +SKIP
    """
    started = time.perf_counter()
    judge = predictor if isinstance(predictor, NetworkPredictor) else load_predictor(predictor)
    made = samples_of(samples)
    predictors = {name: judge.of(name, unit_of(name).factor) for name in _requested(made)}
    with Workers(progress=progress) as crew:
        known = reference_of(reference, crew)
    real = _known_values(known, tuple(predictors))
    parts = [_score(name, made, each, real, seed) for name, each in predictors.items()]
    return _outcome(made, parts, judge).report(
        CONDITIONAL,
        samples=made.name,
        reference=known.name,
        entries=made.entries,
        seed=seed,
        tools=TOOLS,
        seconds=time.perf_counter() - started,
    )


Known = dict[str, tuple[list[Molecule], Float[np.ndarray, "molecules"]]]
"""Molecules and their true values by property, in the units of the dataset."""

Part = tuple[str, dict[str, Metric], list[PropertyResult]]
"""A property, its numbers, and a row a sample."""


def _requested(made: MoleculeSet) -> list[str]:
    names = list(dict.fromkeys(name for entry in made.entries for name in entry.requested))
    if not names:
        raise UserError(
            "no sample was asked to have a property",
            where=made.name,
            wanted='lines of samples.jsonl with {"request": {"properties": {"gap": 0.25}}}',
        )
    return names


def _known_values(reference: MoleculeReference, names: Sequence[str]) -> Known:
    molecules = list(reference.molecules)
    found: Known = {}
    for name in names:
        having = [molecule for molecule in molecules if name in molecule.properties]
        if not having:
            raise UserError(f"no reference molecule has the property {name!r}", where=reference.name)
        found[name] = (having, np.array([molecule.properties[name] for molecule in having]))
    return found


def _score(name: str, made: MoleculeSet, predictor: PropertyOfNetwork, known: Known, seed: int) -> Part:
    """One property, over the samples that were asked to have it."""
    asked = [entry for entry in made.entries if name in entry.requested]
    wanted = predictor.factor * np.array([entry.requested[name] for entry in asked])
    molecules = [entry.molecule for entry in asked]
    if not any(molecules):
        raise UserError(f"no molecule was made for the property {name!r}", where=made.name, got=asked[0].reason)
    real, truth = known[name]
    metrics = score_conditional(molecules, wanted, predictor, real, predictor.factor * truth, seed=seed)
    rows = [_row(name, entry, value, predictor) for entry, value in zip(asked, wanted.tolist(), strict=True)]
    return name, metrics, rows


def _row(name: str, entry: MoleculeEntry, wanted: float, predictor: PropertyOfNetwork) -> PropertyResult:
    molecule = entry.molecule
    return PropertyResult(
        id=entry.id,
        index=entry.index,
        formula=molecule.formula if molecule else None,
        n_atoms=len(molecule) if molecule else None,
        property=name,
        unit=unit_of(name).name,
        requested=wanted,
        predicted=float(predictor.predict([molecule])[0]) if molecule else None,
        reason=entry.reason,
    )


def _asked_and_found(name: str, rows: Sequence[PropertyResult]) -> AskedAndFound:
    values = np.array([(row.requested, row.predicted) for row in rows], dtype=np.float64)  # None is NaN
    return AskedAndFound(name, unit_of(name).name, *values.T)


def _without_intervals(metrics: dict[str, Metric]) -> dict[str, Metric | int]:
    """For a table of one line a property; the intervals stand in the list of all metrics."""
    return {name: Metric(metric.value, n=metric.n) for name, metric in metrics.items()}


def _outcome(made: MoleculeSet, parts: Sequence[Part], judge: NetworkPredictor) -> Outcome:
    table: dict[str, dict[str, Metric | int]] = {
        " / ".join(filter(None, (name, unit_of(name).name))): _without_intervals(metrics) for name, metrics, _ in parts
    }
    failed = [entry for entry in made.entries if entry.molecule is None]
    asked = [entry for name, _, _ in parts for entry in made.entries if name in entry.requested]
    return Outcome(
        metrics={f"{metric}.{name}": value for name, metrics, _ in parts for metric, value in metrics.items()},
        counts={
            "samples": len(made.entries),
            "failed": len(failed),
            "asked_for_nothing": sum(not entry.requested for entry in made.entries),
        },
        rows=tuple(row for _, _, rows in parts for row in rows),
        structures=tuple(entry.molecule for entry in asked),
        sources=tuple(entry.where for entry in asked),
        asked=tuple(_asked_and_found(name, rows) for name, _, rows in parts),
        dropped=[dropped(entry, entry.reason) for entry in failed],
        settings={
            "units": {name: unit_of(name).name for name, _, _ in parts},
            "predictor": {"name": judge.name, "sha256": judge.version},
        },
        sections={"properties": Section("Mean absolute errors by property", table, _NOTE)},
    )
