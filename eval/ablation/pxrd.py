"""How often does a powder pattern choose the right candidate? Patterns of the references, simulated by other code.

python eval/ablation/pxrd.py RUN --reference mp-20:test --out pxrd.json

RUN is a folder of `unigen generate crystal` whose requests carry the ids of the references. The pattern of each
reference is computed by pymatgen's XRDCalculator, whose scattering factors are not ours, and drawn as a profile that is
not ours either (Gauss's form, of a breadth that grows with the angle): clean; broadened, on a background, with
counting noise; with 5 % of the intensity from another reference; of a crystal strained at random by 1 %. The rows:
the first candidate, the best of k in hindsight, the candidate chosen by pattern (by the fit of its cell; then its atoms
are fitted too), and the best of the known structures of the same elements. What is chosen is also counted by its
similarity: what an answer of 0.7 is worth is the share of such answers that are right.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.analysis.diffraction.xrd import XRDCalculator

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.radiation import inverse_d_of
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.disk import write_text
from unigen.errors import UserError
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.report import provenance
from unigen.models.checkpoint import model_folder
from unigen.models.generator import Sample
from unigen.parallel import Workers
from unigen.ranking.identification import identify, open_known
from unigen.ranking.pattern import PatternRanker
from unigen.request import CrystalRequest
from unigen.retrieval.build_table import TABLE
from unigen.retrieval.table import TemplateTable
from unigen.runs.crystal_files import crystal_of

KINDS = ("clean", "noisy", "impurity", "strain")
WAVELENGTH = 1.54184
ANGLES = np.arange(10.0, 90.0, 0.02)
BREADTH = {"clean": 0.1, "noisy": 0.4, "impurity": 0.15, "strain": 0.15}
"""Full width at half maximum in degrees at 2theta = 0; a laboratory's 0.1, and 0.4 of crystallites of 20 nm."""
IMPURITY, STRAIN = 0.05, 0.01
COUNTS, GROUND = 2000.0, 100.0
"""Of the highest peak and of the background under it, for the noisy kind."""
SIMILARITIES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Limits between which answers are counted."""


def lines(crystal: Crystal) -> tuple[np.ndarray, np.ndarray]:
    """Angles and intensities by pymatgen."""
    pattern = XRDCalculator(WAVELENGTH).get_pattern(crystal.to_pymatgen(), two_theta_range=(5, 92), scaled=False)
    return np.array(pattern.x), np.array(pattern.y)


def profile(crystal: Crystal, kind: str, others: CrystalDataset, rng: np.random.Generator) -> PowderPattern:
    """The simulated pattern of a reference."""
    if kind == "strain":
        change = rng.normal(0.0, STRAIN, (3, 3))
        stretched = crystal.lattice @ (np.eye(3) + (change + change.T) / 2)
        crystal = Crystal(crystal.numbers, crystal.frac_coords, stretched)
    places, heights = lines(crystal)
    if kind == "impurity":
        more, their = lines(others[int(rng.integers(len(others)))])
        places = np.concatenate([places, more])
        heights = np.concatenate([heights, their * IMPURITY / (1 - IMPURITY) * heights.sum() / their.sum()])
    sigma = BREADTH[kind] * (1 + places / 90) / 2.3548
    values = (heights / sigma * np.exp(-0.5 * np.square((ANGLES[:, None] - places) / sigma))).sum(axis=1)
    values = values / values.max() * COUNTS
    if kind == "noisy":
        values = rng.poisson(values + GROUND * (1 + 2 * np.exp(-ANGLES / 30))).astype(float)
    return PowderPattern(inverse_d_of(ANGLES, WAVELENGTH), values, WAVELENGTH)


def candidates(run: Path, limit: int | None) -> list[list[Sample]]:
    """The samples of each request, failed ones among them."""
    groups: dict[int, list[Sample]] = {}
    for line in (run / "samples.jsonl").read_text().splitlines():
        row: dict[str, Any] = json.loads(line)
        asked = {name: value for name, value in row["request"].items() if name in ("formula", "n_atoms")}
        sample = Sample(
            crystal_of(row),
            CrystalRequest(**asked, id=row["id"]),
            row["request_index"],
            row["index"],
            row["seed"],
            row["model"],
            row["log_likelihood"],
            row["score"] or 0.0,
            row.get("reason", ""),
            row.get("source", {}),
        )
        groups.setdefault(sample.request_index, []).append(sample)
    return [groups[index] for index in sorted(groups)[:limit]]


def judged(chosen: Sequence[tuple[str, int, Crystal | None]], references: Sequence[CrystalEntry], workers: int) -> Any:
    """The report over one or several structures of each reference."""
    entries = [
        CrystalEntry(name, crystal, index=index, reason="" if crystal else "none") for name, index, crystal in chosen
    ]
    return evaluate_crystals(entries, references, "csp", workers=workers)


def row_of(what: str, report: Any, metric: str, seconds: float) -> dict[str, Any]:
    """One line of the table."""
    rate, rmse = report.metrics[f"match_rate.{metric}"], report.metrics[f"rmse.{metric}"]
    percent = {name: round(100 * (getattr(rate, name) or 0.0), 1) for name in ("value", "low", "high")}
    rms = None if rmse.value is None else round(rmse.value, 4)
    return {"what": what, "match_percent": percent, "rmse": rms, "of": rate.n, "cpu_seconds_each": round(seconds, 3)}


def by_similarity(report: Any, similarities: Sequence[float]) -> list[dict[str, Any]]:
    """How many of the chosen structures were right, by how similar their patterns were."""
    right = np.array([row.matched is True for row in report.rows])
    values = np.array(similarities)
    counted = []
    for low, high in pairwise(SIMILARITIES):
        within = (values >= low) & ((values < high) | (high == SIMILARITIES[-1]))
        counted.append({"from": low, "to": high, "of": int(within.sum()), "right": int(right[within].sum())})
    return counted


def by_pattern(pattern: PowderPattern, samples: list[Sample], workers: Workers) -> tuple[Crystal | None, float]:
    """The candidate that explains the pattern best, and how similar its pattern is."""
    (ratings,) = PatternRanker(pattern).rate([samples], workers)
    best = max(ratings, key=lambda rating: rating.merit)
    return (best.structure if isinstance(best.structure, Crystal) else None), best.value or 0.0


def best_known(
    pattern: PowderPattern, crystal: Crystal, known: CrystalDataset | TemplateTable, workers: Workers
) -> tuple[Crystal | None, float]:
    """The known structure of the same elements that explains the pattern best, and how similar its pattern is."""
    try:
        found = identify(pattern, known, workers, elements=list(crystal.counts), n=1).found
    except UserError:  # nothing of these elements is known
        found = []
    return (found[0].crystal, found[0].similarity) if found else (None, 0.0)


def main() -> None:
    """Rank, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--known", help="dataset or table of known structures; default: the bundled model's own")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--limit", type=int, help="so many requests, the first ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    dataset = open_crystals(options.reference)
    place = {str(name): index for index, name in enumerate(dataset.ids)}
    groups = candidates(options.run, options.limit)
    names = [samples[0].request.id for samples in groups]
    crystals = [dataset[place[name]] for name in names]
    references = [CrystalEntry(name, crystal) for name, crystal in zip(names, crystals, strict=True)]
    known = open_known(options.known or model_folder("unigen-crystal-small") / TABLE)
    drawn = [
        (name, each.index, each.structure) for name, samples in zip(names, groups, strict=True) for each in samples
    ]
    report = judged(drawn, references, options.workers)
    k = max(len(samples) for samples in groups)
    table: dict[str, Any] = {"any": [row_of("first", report, "k1", 0.0), row_of(f"best of {k}", report, f"k{k}", 0.0)]}
    with Workers(options.workers) as workers:
        for kind in options.kinds.split(","):
            rngs = [np.random.default_rng([options.seed, KINDS.index(kind), index]) for index in range(len(groups))]
            patterns = [profile(crystal, kind, dataset, rng) for crystal, rng in zip(crystals, rngs, strict=True)]
            answers = {
                "by pattern": (by_pattern(*each, workers) for each in zip(patterns, groups, strict=True)),
                "known structures of the elements": (
                    best_known(*each, known, workers) for each in zip(patterns, crystals, strict=True)
                ),
            }
            rows = []
            for what, choosing in answers.items():
                start = time.process_time()
                found = list(choosing)
                seconds = (time.process_time() - start) / len(groups)
                chosen = [(name, 0, structure) for name, (structure, _) in zip(names, found, strict=True)]
                report = judged(chosen, references, options.workers)
                similar = by_similarity(report, [similarity for _, similarity in found])
                rows.append(row_of(what, report, "k1", seconds) | {"similar": similar})
            table[kind] = rows
    for kind, rows in table.items():
        for row in rows:
            rate = row["match_percent"]
            print(f"{kind:9} {row['what']:36} {rate['value']:5.1f} ({rate['low']} to {rate['high']}) {row['rmse']}")
            for part in row.get("similar", ()):
                limits = f"similarity {part['from']:.2f} to {part['to']:.2f}"
                print(f"{'':9} {limits:36} {part['right']:5} of {part['of']} right")
    content = {
        "run": options.run.name,
        "reference": options.reference,
        "seed": options.seed,
        "requests": len(groups),
        "provenance": provenance(str(options.run)),
        "rows": table,
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
