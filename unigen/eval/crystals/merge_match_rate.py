"""Does a sample match the reference it was made for, and how closely: the smallest RMS over k samples.

Xie et al., CDVAE, ICLR 2022; Jiao et al., DiffCSP, NeurIPS 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.matching import Match, MatchSettings, rms_to_reference
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
    positions, tasks = [], []
    for reference, paired in zip(references, pairing.of_reference, strict=True):
        numbers = [number for number in paired.values() if samples[number] is not None]
        if reference is not None and numbers:
            positions.append(numbers)
            tasks.append(MatchTask(reference, readable(samples, numbers)))
    verdicts = workers.map(partial(_match_task, settings=settings), tasks, "Matching")
    return {
        number: match
        for numbers, matches in zip(positions, verdicts, strict=True)
        for number, match in zip(numbers, matches, strict=True)
    }


def _match_task(task: MatchTask, settings: MatchSettings) -> list[Match]:
    return rms_to_reference(list(task.samples), task.reference, settings)


def readable(crystals: Sequence[Crystal | None], positions: Sequence[int]) -> tuple[Crystal, ...]:
    """The crystals at these positions, without the failures."""
    return tuple(crystal for crystal in (crystals[position] for position in positions) if crystal is not None)


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
        for index, number in paired.items():
            rms = matches.get(number, Match()).rms
            if index < k and rms is not None and (counts is None or counts[number]):
                best[reference] = np.fmin(best[reference], rms)
    return best
