"""The csp protocol: match rate, RMSE, cRMSE and METRe over all references, for one sample each and for k.

Failures stay in the denominator: a reference without a readable sample is a reference not matched. The filtered rates
count a match only where the sample is valid by CDVAE's two checks, as CDVAE, DiffCSP and their successors publish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.matching import Match
from unigen.errors import UserError
from unigen.eval.crystals.breakdown import Breakdown
from unigen.eval.crystals.match_rate import match_any, match_pairs, smallest_rms
from unigen.eval.crystals.pairing import Pairing, best_scored, pair
from unigen.eval.crystals.samples import CrystalEntry, CrystalSet
from unigen.eval.crystals.scores import CrystalResult, ScoredCrystals
from unigen.eval.report import Outcome
from unigen.eval.samples import dropped
from unigen.parallel import Workers
from unigen.shapes import Bool

_UNPAIRED = "belongs to no reference"
_REPEATED = "index already taken by another sample of this reference"


def score_csp(
    scored: ScoredCrystals,
    reference: CrystalSet,
    workers: Workers,
    *,
    k: int | None = None,
    only_sampled: bool = False,
    breakdown: Breakdown | None = None,
) -> Outcome:
    """Match rates, RMSEs and METRe over all references, for one sample each and for k.

    Args:
        scored: the samples, described.
        reference: the crystals to be predicted; unreadable ones are left out and counted.
        workers: the processes that do it.
        k: samples a reference, at most; all there are by default.
        only_sampled: leave references that no sample was made for out of the denominators.
        breakdown: also match rates and RMSEs by class of the references.

    Raises:
        UserError: no sample belongs to any reference.
    """
    targets = [entry for entry in reference.entries if entry.crystal is not None]
    pairing = pair(scored.entries, targets)
    if not pairing.k:
        raise UserError(
            "no sample belongs to any reference, neither by id nor by composition",
            got=f"samples such as {scored.entries[0].id!r}, references such as {targets[0].id!r}",
            next_step="name samples by the id of their reference, or use --protocol denovo",
        )
    # after pairing: by composition a sample belongs to a reference that is the only one of it among all
    if only_sampled:
        keep = [position for position, paired in enumerate(pairing.of_reference) if paired]
        targets = [targets[position] for position in keep]
        pairing = replace(pairing, of_reference=tuple(pairing.of_reference[position] for position in keep))
    most = min(k or pairing.k, pairing.k)
    crystals = [target.crystal for target in targets]
    matches = match_pairs(scored.crystals, crystals, pairing, scored.rules.matching, workers)
    # k = 1, unranked, always: the best of k and the highest score of k are other claims
    columns, bounded = _columns(scored, crystals, pairing, matches, sizes=sorted({1, most}), workers=workers)
    settings: dict[str, object] = {"k": most, "only_sampled": only_sampled, "breakdown": breakdown is not None}
    return Outcome(
        metrics=scored.intervals(columns) | scored.intervals(scored.validity_columns()),
        counts=_counts(reference, pairing, matches, most) | bounded,
        rows=_rows(scored, targets, pairing, matches),
        dropped=_dropped(scored, reference, pairing),
        settings=settings | {"neighbours_of": breakdown.neighbours_of if breakdown else None},
        sections=breakdown.csp_sections(columns, crystals, scored, workers) if breakdown else {},
    )


def _columns(
    scored: ScoredCrystals,
    references: Sequence[Crystal | None],
    pairing: Pairing,
    matches: dict[int, Match],
    *,
    sizes: list[int],
    workers: Workers,
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """One value a reference for each metric, NaN where it is no item of that metric; and what METRe cut short."""
    rules, valid = scored.rules, scored.valid_cdvae()
    columns: dict[str, np.ndarray] = {}
    bounded: dict[str, int] = {}
    for k in sizes:
        columns |= _match_rates(pairing, matches, k, valid, f"k{k}")
        rms = columns[f"rmse.k{k}"]
        metre = match_any(
            scored.crystals,
            references,
            pairing,
            own_rms=rms,
            k=k,
            limit=rules.max_metre_candidates,
            settings=rules.matching,
            workers=workers,
        )
        # no match counts as stol, beyond which nothing is matched: cRMSE (Martirosyan et al., 2025)
        columns[f"crmse.k{k}"] = np.where(np.isfinite(rms), rms, rules.matching.stol)
        columns[f"metre.k{k}"] = metre.matched
        bounded[f"metre_bounded.k{k}"] = metre.bounded
    most = sizes[-1]
    if most > 1 and any(entry.score is not None for entry in scored.entries):
        # the one of k samples that its generator scores highest: another claim than the first of k
        columns |= _match_rates(best_scored(pairing, scored.entries, most), matches, 1, valid, f"best_of_{most}")
    return columns, bounded


def _match_rates(
    pairing: Pairing, matches: dict[int, Match], k: int, valid: Bool[np.ndarray, "samples"], suffix: str
) -> dict[str, np.ndarray]:
    """Match rate and RMSE over the first k samples, of all and of the valid ones."""
    rms, filtered = smallest_rms(pairing, matches, k), smallest_rms(pairing, matches, k, valid)
    return {
        f"match_rate.{suffix}": np.isfinite(rms),
        f"rmse.{suffix}": rms,
        f"match_rate_filtered.{suffix}": np.isfinite(filtered),
        f"rmse_filtered.{suffix}": filtered,
    }


def _counts(reference: CrystalSet, pairing: Pairing, matches: dict[int, Match], k: int) -> dict[str, int]:
    sizes = [len(samples) for samples in pairing.of_reference]
    return {
        "references": len(sizes),
        "references_unreadable": sum(entry.crystal is None for entry in reference.entries),
        "references_without_samples": sizes.count(0),
        "references_with_fewer_than_k": sum(0 < size < k for size in sizes),
        "paired": sum(sizes),
        "paired_by_composition": len(pairing.by_composition),
        "unpaired": len(pairing.unpaired),
        "repeated": len(pairing.repeated),
        "pairs_bounded": sum(match.bounded for match in matches.values()),
    }


def _rows(
    scored: ScoredCrystals, references: Sequence[CrystalEntry], pairing: Pairing, matches: dict[int, Match]
) -> tuple[CrystalResult, ...]:
    rows = list(scored.rows)
    for reference, paired in zip(references, pairing.of_reference, strict=True):
        for index, position in paired.items():
            match = matches.get(position, Match())
            rows[position] = replace(
                rows[position],
                index=index,
                reference=reference.id,
                matched=match.rms is not None,
                rms=match.rms,
                bounded=rows[position].bounded or match.bounded,
            )
    for reason, positions in ((_UNPAIRED, pairing.unpaired), (_REPEATED, pairing.repeated)):
        for position in positions:
            rows[position] = replace(rows[position], reason=rows[position].reason or reason)
    return tuple(rows)


def _dropped(scored: ScoredCrystals, reference: CrystalSet, pairing: Pairing) -> list[dict[str, str]]:
    unscored = [
        dropped(scored.entries[position], reason)
        for reason, positions in ((_UNPAIRED, pairing.unpaired), (_REPEATED, pairing.repeated))
        for position in positions
        if scored.entries[position].crystal is not None
    ]
    return scored.failures() + unscored + reference.unreadable("reference")
