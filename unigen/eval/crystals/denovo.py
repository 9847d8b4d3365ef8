"""The denovo protocol: validity, uniqueness, novelty, and how alike the statistics of samples and reference are.

Validity, Wasserstein distances, coverage: Xie et al., CDVAE, ICLR 2022. Every share is of all generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unigen.eval.crystals.coverage import cover
from unigen.eval.crystals.novelty import Verdicts, find_novel, find_unique
from unigen.eval.crystals.samples import EntrySet
from unigen.eval.crystals.scores import Scored
from unigen.eval.crystals.symmetry import MAX_REFERENCES, SYMPRECS, symmetry_sections
from unigen.eval.outcome import Outcome
from unigen.eval.report import SampleResult
from unigen.eval.statistics import Metric
from unigen.parallel import Workers
from unigen.shapes import Bool


def score_denovo(scored: Scored, reference: EntrySet | None, workers: Workers, *, coverage: bool = False) -> Outcome:
    """Rates over all generated; novelty and distances of distributions where there is a reference.

    Args:
        scored: the samples, described.
        reference: the crystals that are known (novelty: the training set), or None.
        workers: the processes that do it.
        coverage: also COV-R and COV-P.
    """
    protocol = scored.protocol
    unique = find_unique(scored.crystals, protocol.matching, protocol.max_candidates, workers)
    columns = scored.validity_columns() | {"unique": unique.holds}
    valid = columns["valid_cdvae"]
    novel: Verdicts | None = None
    if reference is not None:
        novel = find_novel(scored.crystals, reference.crystals, protocol.matching, protocol.max_candidates, workers)
        columns |= {
            "novel": novel.holds,
            "unique_novel": unique.holds & novel.holds,
            "valid_unique_novel": valid & unique.holds & novel.holds,
        }
    metrics = scored.intervals(columns)
    if reference is not None:
        metrics |= _distribution_metrics(scored, reference, valid)
    counts = _counts(unique, novel, reference)
    if coverage and reference is not None:
        found = _coverage(scored, reference, workers)
        metrics |= found[0]
        counts |= found[1]
    return Outcome(
        metrics=metrics,
        counts=counts,
        rows=_rows(scored, unique, novel),
        dropped=scored.failures(),
        settings={"coverage": coverage, "symmetry_symprecs": SYMPRECS, "symmetry_references": MAX_REFERENCES},
        sections=symmetry_sections(scored, reference, workers),
        columns=columns,
    )


def wasserstein(samples: Sequence[float], references: Sequence[float]) -> float | None:
    """Earth mover's distance between two sets of numbers, in their unit; None where either is empty."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(samples, references)) if len(samples) and len(references) else None


def _distribution_metrics(scored: Scored, reference: EntrySet, valid: Bool[np.ndarray, "samples"]) -> dict[str, Metric]:
    """W(density) in g/cm^3 and W(number of elements), over the valid samples (as published) and over all readable."""
    known = reference.crystals
    densities, elements = [each.density for each in known], [float(len(each.counts)) for each in known]
    metrics: dict[str, Metric] = {}
    for suffix, counted in (("", valid), ("_all", np.ones(len(valid), dtype=bool))):
        chosen = [each for each, counts in zip(scored.crystals, counted, strict=True) if counts and each is not None]
        n = len(chosen)
        density = wasserstein([each.density for each in chosen], densities)
        number = wasserstein([float(len(each.counts)) for each in chosen], elements)
        metrics |= {f"w_density{suffix}": Metric(density, n=n), f"w_elements{suffix}": Metric(number, n=n)}
    return metrics


def _coverage(scored: Scored, reference: EntrySet, workers: Workers) -> tuple[dict[str, Metric], dict[str, int]]:
    protocol = scored.protocol
    readable = [crystal for crystal in scored.crystals if crystal is not None]
    cutoffs = (protocol.coverage_structure, protocol.coverage_composition)
    found = cover(readable, reference.crystals, cutoffs, len(scored.entries), workers)
    metrics = {
        "cov_recall": Metric(found.recall, n=len(reference.crystals)),
        "cov_precision": Metric(found.precision, n=len(scored.entries)),
    }
    return metrics, {"fingerprints_failed": found.failed}


def _counts(unique: Verdicts, novel: Verdicts | None, reference: EntrySet | None) -> dict[str, int]:
    counts = {"unique_bounded": int(unique.bounded.sum())}
    if novel is not None and reference is not None:
        counts |= {
            "novel_bounded": int(novel.bounded.sum()),
            "references": len(reference.crystals),
            "references_unreadable": len(reference.entries) - len(reference.crystals),
        }
    return counts


def _rows(scored: Scored, unique: Verdicts, novel: Verdicts | None) -> tuple[SampleResult, ...]:
    rows = list(scored.rows)
    for position, entry in enumerate(scored.entries):
        if entry.crystal is None:
            continue
        bounded = bool(unique.bounded[position]) or (novel is not None and bool(novel.bounded[position]))
        rows[position] = replace(
            rows[position],
            unique=bool(unique.holds[position]),
            novel=None if novel is None else bool(novel.holds[position]),
            bounded=rows[position].bounded or bounded,
        )
    return tuple(rows)
