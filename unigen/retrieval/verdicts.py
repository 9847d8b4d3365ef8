"""Which of its neighbours would have been right? What a model learns the choice of a source structure from.

For every crystal of a dataset: its shortlist among the crystals of other formulas, StructureMatcher's verdict on one
substituted structure of each kind, and the crystal itself in the setting of those neighbours that share its template.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.symmetric import SymmetricCrystal, align
from unigen.data.crystal_store import open_crystals
from unigen.data.dataset_file import resolve_dataset
from unigen.errors import UserError
from unigen.parallel import Workers
from unigen.retrieval.build_table import open_table, table_path
from unigen.retrieval.lessons import LESSONS, Lesson, write_lessons
from unigen.retrieval.mapped_table import open_retriever
from unigen.retrieval.shortlist import Retriever, Shortlist
from unigen.shapes import Float, Int

MAX_ALIGNED = 4
"""Neighbours of the same template that a crystal is aligned with, at most: the nearest ones, as those
that are followed later."""

BOUND = 1_000_000
"""Site pairs a verdict may take; a pair that takes more counts as no match unless its template is the same.
A two-thousandth of what evaluation allows: here most pairs differ, and there are up to a dozen a crystal."""

BOUNDED_RMS = 0.1
"""Rms given to a neighbour of the same template whose verdict takes too long: half of the credit of a perfect match
in the reranker's loss (``exp(-0.1 / 0.15)``)."""


@dataclass(frozen=True)
class VerdictResult:
    """What was written.

    Attributes:
        path: the lessons.
        crystals: of the dataset.
        first: share of them that the nearest neighbour matches.
        any_kind: share that some kind on the shortlist matches.
        same_template: share that has a neighbour of the same template.
    """

    path: Path
    crystals: int
    first: float
    any_kind: float
    same_template: float


def judge_neighbours(
    name: str, retrieve_from: str, *, workers: int | None = None, progress: bool = False
) -> VerdictResult:
    """Write the lessons of a dataset beside it (some 50 ms a crystal of up to 20 atoms).

    Args:
        name: a built dataset with templates.
        retrieve_from: where neighbours come from, such as ``"mine:train"``; must have templates.
        workers: processes; None for one a core.
        progress: show a progress bar.

    Raises:
        UserError: a dataset without templates.
    """
    path, _ = resolve_dataset(name)
    size = len(open_table(name))
    source, split = table_path(retrieve_from)
    open_retriever(source, split)  # a mapped file that is not there is made once, not in every worker
    if size != len(open_crystals(path)):
        raise UserError("templates of another version of the dataset", where=str(path), next_step="build them again")
    judge = partial(_judge, name, f"{source}", split)
    _opened.cache_clear()  # where the work is done in this process, and the dataset was built again
    with Workers(workers, progress=progress) as pool:
        lessons = pool.map(judge, range(size), f"neighbours of {name}")
    target = path.with_name(LESSONS)
    write_lessons(target, lessons)
    matched = [~np.isnan(lesson.rms) for lesson in lessons]
    return VerdictResult(
        path=target,
        crystals=size,
        first=float(np.mean([bool(row[:1].any()) for row in matched])),
        any_kind=float(np.mean([bool(row.any()) for row in matched])),
        same_template=float(np.mean([len(lesson.aligned_at) > 0 for lesson in lessons])),
    )


@lru_cache(maxsize=1)  # tables of some 100 MB, and a worker judges one dataset
def _opened(name: str, source: str, split: str | None) -> tuple:
    """One copy a worker process."""
    return open_crystals(resolve_dataset(name)[0]), open_table(name), open_retriever(Path(source), split)


def _judge(name: str, source: str, split: str | None, index: int) -> Lesson:
    dataset, table, retriever = _opened(name, source, split)
    lesson = aligned_lesson(table[index], table.counts(index), retriever)
    return replace(lesson, rms=_verdicts(dataset[index], retriever, lesson.shortlist, lesson.aligned_at))


def aligned_lesson(target: SymmetricCrystal, counts: dict[int, int], retriever: Retriever) -> Lesson:
    """The lesson of one crystal, but for the verdicts: those are NaN.

    Args:
        target: the crystal.
        counts: atoms of its primitive cell by atomic number, ascending.
        retriever: over the table its neighbours come from.
    """
    shortlist = retriever.shortlist(counts, exclude_formula=True)
    at: list[int] = []
    lattices: list[np.ndarray] = []
    free: list[np.ndarray] = []
    for neighbour in range(len(shortlist)):
        if len(at) == MAX_ALIGNED:
            break
        aligned = align(target, retriever.substitute(shortlist, neighbour))
        if aligned is not None:
            at.append(neighbour)
            lattices.append(aligned.lattice)
            free.append(aligned.free)
    return Lesson(
        shortlist=shortlist,
        rms=np.full(len(shortlist.representatives), np.nan),
        aligned_at=np.array(at, dtype=np.int64),
        aligned_lattice=np.array(lattices, dtype=np.float64).reshape(-1, 6),
        aligned_free=np.array(free, dtype=np.float64).reshape(len(at), len(target.numbers), 3),
    )


def _verdicts(
    crystal: Crystal, retriever: Retriever, shortlist: Shortlist, same_template: Int[np.ndarray, "aligned"]
) -> Float[np.ndarray, "kinds"]:
    # late: networks are imported where there is no pymatgen
    from unigen.crystals.matching import BoundedMatcher, MatchSettings

    matcher = BoundedMatcher(MatchSettings(max_site_pairs=BOUND))
    reference = matcher.reduce(crystal)
    rms = np.full(len(shortlist.representatives), np.nan)
    for kind, neighbour in enumerate(shortlist.representatives):
        candidate = retriever.substitute(shortlist, int(neighbour)).to_crystal()
        match = matcher.rms(matcher.reduce(candidate), reference)
        if match.rms is not None:
            rms[kind] = match.rms
        elif match.bounded and kind in shortlist.kind[same_template]:
            rms[kind] = BOUNDED_RMS
    return rms
