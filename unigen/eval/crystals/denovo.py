"""The denovo protocol: validity, uniqueness, novelty, and how alike the statistics of samples and reference are.

Validity, Wasserstein distances, coverage: Xie et al., CDVAE, ICLR 2022. Every share is of all generated.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from unigen.eval.crystals.coverage import cover
from unigen.eval.crystals.novelty import NoveltyVerdicts, find_novel, find_unique
from unigen.eval.crystals.samples import CrystalSet
from unigen.eval.crystals.scores import CrystalResult, ScoredCrystals
from unigen.eval.crystals.symmetry import MAX_REFERENCES, SYMPRECS, symmetry_sections
from unigen.eval.report import Outcome
from unigen.eval.statistics import Metric, wasserstein
from unigen.parallel import Workers
from unigen.shapes import Bool


def score_denovo(
    scored: ScoredCrystals, reference: CrystalSet | None, workers: Workers, *, coverage: bool = False
) -> Outcome:
    """Rates over all generated; novelty and distances of distributions where there is a reference.

    Args:
        scored: the samples, described.
        reference: the crystals that count as known (novelty: the training set), or None.
        workers: the processes that do it.
        coverage: also COV-R and COV-P.
    """
    rules = scored.rules
    unique = find_unique(scored.crystals, rules.matching, rules.max_candidates, workers)
    columns = scored.validity_columns() | {"unique": unique.holds}
    counts = {"unique_bounded": int(unique.bounded.sum())}
    valid = columns["valid_cdvae"]
    novel: NoveltyVerdicts | None = None
    if reference is not None:
        novel = find_novel(scored.crystals, reference.crystals, rules.matching, rules.max_candidates, workers)
        columns |= {
            "novel": novel.holds,
            "unique_novel": unique.holds & novel.holds,
            "valid_unique_novel": valid & unique.holds & novel.holds,
        }
        counts |= {
            "novel_bounded": int(novel.bounded.sum()),
            "references": len(reference.crystals),
            "references_unreadable": len(reference.entries) - len(reference.crystals),
        }
    metrics = scored.intervals(columns)
    if reference is not None:
        metrics |= _distribution_metrics(scored, reference, valid)
    if coverage and reference is not None:
        readable = [crystal for crystal in scored.crystals if crystal is not None]
        cutoffs = (rules.coverage_structure, rules.coverage_composition)
        covered = cover(readable, reference.crystals, cutoffs, len(scored.entries), workers)
        metrics["cov_recall"] = Metric(covered.recall, n=len(reference.crystals))
        metrics["cov_precision"] = Metric(covered.precision, n=len(scored.entries))
        counts["fingerprints_failed"] = covered.failed
    return Outcome(
        metrics=metrics,
        counts=counts,
        rows=_rows(scored, unique, novel),
        dropped=scored.failures() + (reference.unreadable("reference") if reference is not None else []),
        settings={"coverage": coverage, "symmetry_symprecs": SYMPRECS, "symmetry_references": MAX_REFERENCES},
        sections=symmetry_sections(scored, reference, workers),
        columns=columns,
    )


def _distribution_metrics(
    scored: ScoredCrystals, reference: CrystalSet, valid: Bool[np.ndarray, "samples"]
) -> dict[str, Metric]:
    """W(density) in g/cm^3 and W(number of elements), over the valid samples (as published) and over all readable."""
    densities = [crystal.density for crystal in reference.crystals]
    elements = [float(len(crystal.counts)) for crystal in reference.crystals]
    metrics: dict[str, Metric] = {}
    # all valid samples, where CDVAE draws 1,000 of them
    for suffix, counted in (("", valid), ("_all", np.ones(len(valid), dtype=bool))):
        chosen = [each for each, counts in zip(scored.crystals, counted, strict=True) if counts and each is not None]
        n = len(chosen)
        density = wasserstein([each.density for each in chosen], densities)
        number = wasserstein([float(len(each.counts)) for each in chosen], elements)
        metrics |= {f"w_density{suffix}": Metric(density, n=n), f"w_elements{suffix}": Metric(number, n=n)}
    return metrics


def _rows(scored: ScoredCrystals, unique: NoveltyVerdicts, novel: NoveltyVerdicts | None) -> tuple[CrystalResult, ...]:
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
