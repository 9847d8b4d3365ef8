"""Which samples are unlike each other (unique) and unlike a reference set (novel), by StructureMatcher equivalence.

The reduced formula is the one prefilter that loses nothing: only crystals of one formula are compared.

Likeness within a tolerance is no equivalence: A may be like B, and B like C, but not A like C. So the order of the
samples defines the classes, here as in pymatgen's ``StructureMatcher.group_structures``: each is named after its first
member, and holds what is like that one and like the first of no class before.
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
    MatchSettings,
    ReducedCell,
    average_minimum_distances,
    nearest_first,
)
from unigen.parallel import Workers
from unigen.shapes import Bool

SAMPLES_A_TASK = 50
"""Novelty of a formula with many samples is shared out in pieces of this size; each reduces the references again."""


@dataclass(frozen=True, eq=False)
class NoveltyVerdicts:
    """Whether each sample is unlike all others, or unlike a reference set.

    Attributes:
        holds: the sample is unique (or novel).
        bounded: the sample's comparisons ended at a bound of work.
    """

    holds: Bool[np.ndarray, "samples"]
    bounded: Bool[np.ndarray, "samples"]


@dataclass(frozen=True, eq=False)
class FormulaTask:
    """Samples of one reduced formula and the reference crystals of that formula."""

    samples: tuple[Crystal, ...]
    references: tuple[Crystal, ...] = ()


def find_unique(
    samples: Sequence[Crystal | None], settings: MatchSettings, limit: int, workers: Workers
) -> NoveltyVerdicts:
    """Keep one of each equivalence class: a sample is unique when it matches none kept before it.

    Args:
        samples: in the order of generation; None (a failure) is not unique.
        settings: what counts as the same.
        limit: kept crystals of the same formula a sample is compared with at most, nearest first.
        workers: the processes that do it.
    """
    groups = list(_by_formula(samples).values())
    # a formula is one task, however many samples it has: whether one is kept depends on those before it
    tasks = [FormulaTask(_of(samples, group)) for group in groups]
    results = workers.map(partial(_unique_task, settings=settings, limit=limit), tasks, "Uniqueness")
    return _scatter(len(samples), groups, results)


def find_novel(
    samples: Sequence[Crystal | None],
    references: Sequence[Crystal],
    settings: MatchSettings,
    limit: int,
    workers: Workers,
) -> NoveltyVerdicts:
    """A sample is novel when it matches no reference crystal; None (a failure) is not novel."""
    of_formula = defaultdict(list)
    for reference in references:
        of_formula[reference.reduced_formula].append(reference)
    groups, tasks = [], []
    for formula, group in _by_formula(samples).items():
        for start in range(0, len(group), SAMPLES_A_TASK):
            part = group[start : start + SAMPLES_A_TASK]
            groups.append(part)
            tasks.append(FormulaTask(_of(samples, part), tuple(of_formula.get(formula, ()))))
    results = workers.map(partial(_novel_task, settings=settings, limit=limit), tasks, "Novelty")
    return _scatter(len(samples), groups, results)


def _by_formula(crystals: Sequence[Crystal | None]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for position, crystal in enumerate(crystals):
        if crystal is not None:
            groups[crystal.reduced_formula].append(position)
    return groups


def _of(crystals: Sequence[Crystal | None], positions: list[int]) -> tuple[Crystal, ...]:
    return tuple(crystal for crystal in (crystals[position] for position in positions) if crystal is not None)


def _scatter(count: int, groups: list[list[int]], results: list[list[tuple[bool, bool]]]) -> NoveltyVerdicts:
    holds, bounded = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for group, verdicts in zip(groups, results, strict=True):
        for position, (verdict, stopped) in zip(group, verdicts, strict=True):
            holds[position], bounded[position] = verdict, stopped
    return NoveltyVerdicts(holds, bounded)


def _unique_task(task: FormulaTask, settings: MatchSettings, limit: int) -> list[tuple[bool, bool]]:
    if len(task.samples) == 1:
        return [(True, False)]
    kept = _Partners(settings, limit, ordered=len(task.samples) > limit)
    verdicts = []
    for sample in task.samples:
        match, bounded = kept.match(sample)
        if not match:
            kept.add(sample)
        verdicts.append((not match, bounded))
    return verdicts


def _novel_task(task: FormulaTask, settings: MatchSettings, limit: int) -> list[tuple[bool, bool]]:
    if not task.references:
        return [(True, False)] * len(task.samples)
    partners = _Partners(settings, limit, ordered=len(task.references) > limit)
    for reference in task.references:
        partners.add(reference)
    return [(not match, bounded) for match, bounded in map(partners.match, task.samples)]


class _Partners:
    """Crystals of one formula to compare with, each reduced once; lives inside one task."""

    def __init__(self, settings: MatchSettings, limit: int, *, ordered: bool) -> None:
        self._matcher = BoundedMatcher(settings)
        self._limit = limit
        self._ordered = ordered  # average minimum distances are computed only where not all are tried
        self._cells: list[ReducedCell] = []
        self._shells: list[np.ndarray] = []

    def add(self, crystal: Crystal) -> None:
        self._cells.append(self._matcher.reduce(crystal))
        if self._ordered:
            self._shells.append(average_minimum_distances(crystal))

    def match(self, crystal: Crystal) -> tuple[bool, bool]:
        """Whether a partner matches, and whether the search was cut short without a match."""
        cell = self._matcher.reduce(crystal)
        order: Sequence[int] = range(len(self._cells))
        bounded = len(self._cells) > self._limit
        if bounded:
            order = nearest_first(average_minimum_distances(crystal), np.array(self._shells), self._limit).tolist()
        for position in order:
            match = self._matcher.same(cell, self._cells[position])
            if match.rms is not None:
                return True, False  # one match decides, whatever was bounded before
            bounded = bounded or match.bounded
        return False, bounded
