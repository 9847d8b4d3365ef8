"""METRe: which references are matched by any sample, whichever reference it was made for; fair to polymorphs.

Martirosyan et al., "All that structure matches does not glitter", 2025.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.matching import BoundedMatcher, MatchSettings, average_minimum_distances, nearest_first
from unigen.eval.crystals.merge_match_rate import MatchTask, readable
from unigen.eval.crystals.pairing import Pairing
from unigen.parallel import Workers
from unigen.shapes import Bool, Float


@dataclass(frozen=True, eq=False)
class Metre:
    """METRe's verdicts.

    Attributes:
        found: references matched by any sample, whichever reference it was made for.
        bounded: references for which not every sample of their formula was tried.
    """

    found: Bool[np.ndarray, "references"]
    bounded: int


def match_everyone(
    samples: Sequence[Crystal | None],
    references: Sequence[Crystal | None],
    pairing: Pairing,
    *,
    own: Float[np.ndarray, "references"],
    k: int,
    limit: int,
    settings: MatchSettings,
    workers: Workers,
) -> Metre:
    """METRe: which references are matched by *any* of the first k samples of all references.

    Only samples of the same reduced formula can match; a reference its own sample matches is found already. Where a
    formula has more than ``limit`` samples the nearest are tried first and the rest not at all, and that is counted.
    """
    found = np.isfinite(own)
    bucket = _samples_by_formula(samples, pairing, k)
    positions, tasks = [], []
    for position, reference in enumerate(references):
        if reference is None or found[position]:
            continue
        mine = set(pairing.of_reference[position].values())
        others = [number for number in bucket.get(reference.reduced_formula, ()) if number not in mine]
        if others:
            positions.append(position)
            tasks.append(MatchTask(reference, readable(samples, others)))
    verdicts = workers.map(partial(_any_match, limit=limit, settings=settings), tasks, f"METRe, k = {k}")
    bounded = 0
    for position, (hit, stopped) in zip(positions, verdicts, strict=True):
        found[position] = hit
        bounded += stopped
    return Metre(found, bounded)


def _samples_by_formula(samples: Sequence[Crystal | None], pairing: Pairing, k: int) -> dict[str, list[int]]:
    bucket: dict[str, list[int]] = defaultdict(list)
    for paired in pairing.of_reference:
        for index, number in paired.items():
            sample = samples[number]
            if index < k and sample is not None:
                bucket[sample.reduced_formula].append(number)
    return bucket


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
