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
from unigen.eval.crystals.match_rate import match_everyone
from unigen.eval.crystals.merge_match_rate import match_pairs, smallest_rms
from unigen.eval.crystals.pairing import Pairing, best_scored, pair
from unigen.eval.crystals.samples import Entry, EntrySet
from unigen.eval.crystals.scores import Scored
from unigen.eval.outcome import Outcome, dropped
from unigen.eval.report import SampleResult
from unigen.parallel import Workers
from unigen.shapes import Bool


def score_csp(
    scored: Scored,
    reference: EntrySet,
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
    if only_sampled:
        keep = [position for position, paired in enumerate(pairing.of_reference) if paired]
        targets = [targets[position] for position in keep]
        pairing = replace(pairing, of_reference=tuple(pairing.of_reference[position] for position in keep))
    most = min(k or pairing.k, pairing.k)
    crystals = [target.crystal for target in targets]
    matches = match_pairs(scored.crystals, crystals, pairing, scored.protocol.matching, workers)
    columns, bounded = _columns(scored, crystals, pairing, matches, sizes=sorted({1, most}), workers=workers)
    counts = _counts(reference, pairing, matches, most) | bounded
    return Outcome(
        metrics=scored.intervals(columns) | scored.intervals(scored.validity_columns()),
        counts=counts,
        rows=_rows(scored, targets, pairing, matches),
        dropped=_dropped(scored, reference, pairing),
        settings={"k": most, "only_sampled": only_sampled} | _settings(breakdown),
        sections=breakdown.sections(columns, crystals, scored, workers) if breakdown else {},
    )


def _settings(breakdown: Breakdown | None) -> dict[str, object]:
    return {"breakdown": breakdown is not None, "neighbours_of": breakdown.neighbours_of if breakdown else None}


def _columns(
    scored: Scored,
    references: Sequence[Crystal | None],
    pairing: Pairing,
    matches: dict[int, Match],
    *,
    sizes: list[int],
    workers: Workers,
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """One value a reference for each metric, NaN where it is no item of that metric; and what METRe cut short."""
    protocol, valid = scored.protocol, scored.valid_cdvae()
    columns: dict[str, np.ndarray] = {}
    bounded: dict[str, int] = {}
    for k in sizes:
        best = smallest_rms(pairing, matches, k)
        filtered = smallest_rms(pairing, matches, k, valid)
        metre = match_everyone(
            scored.crystals,
            references,
            pairing,
            own=best,
            k=k,
            limit=protocol.max_metre_candidates,
            settings=protocol.matching,
            workers=workers,
        )
        columns |= {
            f"match_rate.k{k}": np.isfinite(best),
            f"rmse.k{k}": best,
            f"match_rate_filtered.k{k}": np.isfinite(filtered),
            f"rmse_filtered.k{k}": filtered,
            f"crmse.k{k}": np.where(np.isfinite(best), best, protocol.matching.stol),
            f"metre.k{k}": metre.found,
        }
        bounded[f"metre_bounded.k{k}"] = metre.bounded
    return columns | _ranked(scored, pairing, matches, sizes[-1], valid), bounded


def _ranked(
    scored: Scored, pairing: Pairing, matches: dict[int, Match], k: int, valid: Bool[np.ndarray, "samples"]
) -> dict[str, np.ndarray]:
    """The one of k samples that its generator scores highest, where it scores at all: another claim than k = 1."""
    if k == 1 or all(entry.score is None for entry in scored.entries):
        return {}
    chosen = best_scored(pairing, scored.entries, k)
    best, filtered = smallest_rms(chosen, matches, 1), smallest_rms(chosen, matches, 1, valid)
    return {
        f"match_rate.best_of_{k}": np.isfinite(best),
        f"rmse.best_of_{k}": best,
        f"match_rate_filtered.best_of_{k}": np.isfinite(filtered),
        f"rmse_filtered.best_of_{k}": filtered,
    }


def _counts(reference: EntrySet, pairing: Pairing, matches: dict[int, Match], k: int) -> dict[str, int]:
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
    scored: Scored, references: Sequence[Entry], pairing: Pairing, matches: dict[int, Match]
) -> tuple[SampleResult, ...]:
    rows = list(scored.rows)
    for reference, paired in zip(references, pairing.of_reference, strict=True):
        for index, number in paired.items():
            match = matches.get(number, Match())
            rows[number] = replace(
                rows[number],
                index=index,
                reference=reference.id,
                matched=match.rms is not None,
                rms=match.rms,
                bounded=rows[number].bounded or match.bounded,
            )
    for number in (*pairing.unpaired, *pairing.repeated):
        rows[number] = replace(rows[number], reason=rows[number].reason or _NOT_SCORED[number in pairing.repeated])
    return tuple(rows)


_NOT_SCORED = ("belongs to no reference", "index already taken by another sample of this reference")


def _dropped(scored: Scored, reference: EntrySet, pairing: Pairing) -> list[dict[str, str]]:
    unreadable = [dropped(entry, f"reference: {entry.reason}") for entry in reference.entries if entry.crystal is None]
    lost = [(number, _NOT_SCORED[0]) for number in pairing.unpaired] + [
        (number, _NOT_SCORED[1]) for number in pairing.repeated
    ]
    unscored = [dropped(scored.entries[number], reason) for number, reason in lost if scored.entries[number].crystal]
    return scored.failures() + unscored + unreadable
