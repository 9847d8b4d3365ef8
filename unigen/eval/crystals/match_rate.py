"""Do samples match references, each its own (match rate, RMSE) or any (METRe).

Match rate: Xie et al., CDVAE, ICLR 2022; Jiao et al., DiffCSP, NeurIPS 2023. METRe, which is fair to polymorphs:
Martirosyan et al., "All that structure matches does not glitter", 2025.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.matching import (
    BoundedMatcher,
    Match,
    MatchSettings,
    average_minimum_distances,
    nearest_first,
    rms_to_reference,
)
from unigen.eval.crystals.pairing import Pairing
from unigen.parallel import Workers
from unigen.shapes import Bool, Float


@dataclass(frozen=True, eq=False)
class MatchTask:
    """One reference and the samples to hold against it."""

    reference: Crystal
    samples: tuple[Crystal, ...]


def match_pairs(
    samples: Sequence[Crystal | None],
    references: Sequence[Crystal | None],
    pairing: Pairing,
    settings: MatchSettings,
    workers: Workers,
) -> dict[int, Match]:
    """The verdict on every paired sample against its own reference, by the sample's position.

    Samples that could not be read have no verdict: they are failures.
    """
    # a task a reference and not a pair: each reference is reduced once
    positions, tasks = [], []
    for reference, paired in zip(references, pairing.of_reference, strict=True):
        readable = {position: crystal for position in paired.values() if (crystal := samples[position]) is not None}
        if reference is not None and readable:
            positions.append(list(readable))
            tasks.append(MatchTask(reference, tuple(readable.values())))
    verdicts = workers.map(partial(_match_all, settings=settings), tasks, "Matching")
    return {
        position: match
        for of_reference, matches in zip(positions, verdicts, strict=True)
        for position, match in zip(of_reference, matches, strict=True)
    }


def _match_all(task: MatchTask, settings: MatchSettings) -> list[Match]:
    return rms_to_reference(list(task.samples), task.reference, settings)


def smallest_rms(
    pairing: Pairing, matches: dict[int, Match], k: int, counts: Bool[np.ndarray, "samples"] | None = None
) -> Float[np.ndarray, "references"]:
    """The smallest RMS over the first k samples of each reference, NaN where none matches.

    Args:
        pairing: which samples belong to which reference.
        matches: verdicts by sample position.
        k: samples with index below k take part; k = 1 is the first sample, unranked.
        counts: samples that may count at all (the filtered rate: the valid ones); all of them by default.
    """
    best = np.full(len(pairing.of_reference), np.nan)
    for reference, paired in enumerate(pairing.of_reference):
        for index, position in paired.items():
            rms = matches.get(position, Match()).rms
            if index < k and rms is not None and (counts is None or counts[position]):
                best[reference] = np.fmin(best[reference], rms)  # of a number and NaN, fmin takes the number
    return best


@dataclass(frozen=True, eq=False)
class Metre:
    """METRe's verdicts.

    Attributes:
        matched: references matched by any sample, whichever reference it was made for.
        bounded: references for which not every sample of their formula was tried.
    """

    matched: Bool[np.ndarray, "references"]
    bounded: int


def match_any(
    samples: Sequence[Crystal | None],
    references: Sequence[Crystal | None],
    pairing: Pairing,
    *,
    own_rms: Float[np.ndarray, "references"],
    k: int,
    limit: int,
    settings: MatchSettings,
    workers: Workers,
) -> Metre:
    """METRe: which references are matched by *any* of the first k samples of all references.

    Only samples of the same reduced formula can match; a reference its own sample matches is matched already. Where a
    formula has more than ``limit`` samples the nearest are tried first and the rest not at all, and that is counted.
    """
    matched = np.isfinite(own_rms)
    of_formula: dict[str, list[int]] = defaultdict(list)
    for paired in pairing.of_reference:
        for index, position in paired.items():
            sample = samples[position]
            if index < k and sample is not None:
                of_formula[sample.reduced_formula].append(position)
    unmatched, tasks = [], []
    for number, reference in enumerate(references):
        if reference is None or matched[number]:
            continue
        own = set(pairing.of_reference[number].values())
        # its own samples have been tried, and none of them matches
        positions = [position for position in of_formula.get(reference.reduced_formula, ()) if position not in own]
        others = tuple(crystal for position in positions if (crystal := samples[position]) is not None)
        if others:
            unmatched.append(number)
            tasks.append(MatchTask(reference, others))
    verdicts = workers.map(partial(_any_match, limit=limit, settings=settings), tasks, f"METRe, k = {k}")
    bounded = 0
    for number, (hit, stopped) in zip(unmatched, verdicts, strict=True):
        matched[number] = hit
        bounded += stopped
    return Metre(matched, bounded)


def _any_match(task: MatchTask, limit: int, settings: MatchSettings) -> tuple[bool, bool]:
    """Whether any sample matches the reference, and whether the search was cut short without a match."""
    matcher = BoundedMatcher(settings)
    target = matcher.reduce(task.reference)
    tried, stopped = task.samples, len(task.samples) > limit
    if stopped:
        shells = np.array([average_minimum_distances(sample) for sample in task.samples])
        tried = tuple(task.samples[i] for i in nearest_first(average_minimum_distances(task.reference), shells, limit))
    for sample in tried:
        match = matcher.rms(matcher.reduce(sample), target)
        if match.rms is not None:
            return True, False
        stopped = stopped or match.bounded
    return False, stopped
