"""Which known structure shows this powder pattern: the baseline of every structure drawn for one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.matching import Freedom, Target, match, prepare
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.profile import calculated_profile
from unigen.crystals.powder.screening import Screen
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.elements import SYMBOLS, format_formula, reduce_counts
from unigen.errors import UserError
from unigen.parallel import ProgressBar, Workers
from unigen.ranking.pattern import POOR_FIT
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.table import TemplateTable, is_table, read_table
from unigen.shapes import Float, Int

_FITTED = 30
"""Structures, best by their volume alone, whose free lattice parameters are fitted: known cells are a percent or two
off in every direction alike, so that what is right is among the first few."""

_SCREENED = 1_000
"""Structures, best by their first lines, whose volume is fitted, where there are more: a fit takes 10 to 25 times as
long as a look. Of 18 patterns of structures of the bundled table (noisy, broad, strained by a percent or two) the right
one was among the first 10 of the 30,355 by that for 16, among the first 81 for all."""

_TOGETHER = 256
"""Structures that a worker looks at at a time."""


@dataclass(frozen=True, eq=False)
class KnownStructure:
    """A known structure that was held against a pattern.

    Attributes:
        id: in its source.
        crystal: with the cell that fits best.
        similarity: as `unigen.crystals.powder.matching.Match` has it.
        r_wp: weighted profile residual of the net intensities; NaN for a list of peaks.
        scale: of the edges, fitted over known.
    """

    id: str
    crystal: Crystal
    similarity: float
    r_wp: float
    scale: float


@dataclass(frozen=True, eq=False)
class Identification:
    """What came of a search.

    Attributes:
        found: the best, most similar first.
        compared: how many structures were, most of them by their first lines alone where they are many.
        left_out: how many could not be compared, by reason.
    """

    found: list[KnownStructure]
    compared: int
    left_out: Mapping[str, int]

    @property
    def poor_fit(self) -> str:
        """That the best is not like the pattern, in a sentence; empty where it is."""
        if not self.found or self.found[0].similarity >= POOR_FIT:
            return ""
        return (
            f"similarity {self.found[0].similarity:.2f} of the best is a poor fit: of 194 simulated patterns whose "
            f"best was below {POOR_FIT:g}, 4 were that structure's; what was measured is likely none of these"
        )


def open_known(source: str | Path) -> CrystalDataset | TemplateTable:
    """Known structures: a dataset's name (``mp-20:train``) or path, or the path of a table of templates."""
    if Path(source).suffix == ".parquet" and is_table(Path(source)):
        return read_table(Path(source))
    return open_crystals(source)


def identify(
    pattern: PowderPattern,
    known: CrystalDataset | TemplateTable,
    workers: Workers,
    *,
    elements: Collection[int] | None = None,
    formula: Mapping[int, int] | None = None,
    n: int = 10,
) -> Identification:
    """The known structures that explain a pattern best, their volumes free, then the cells of the best ones.

    Args:
        pattern: what was measured.
        known: where to look.
        workers: what it is spread over.
        elements: atomic numbers; only structures of these, of all or some of them.
        formula: counts in any multiple; only structures of this composition.
        n: how many to return.

    Raises:
        UserError: no known structure has the composition.
    """
    chosen = _of_composition(_compositions(known), elements, formula)
    if not len(chosen):
        got = format_formula(dict(formula)) if formula else ",".join(SYMBOLS[number] for number in elements or ())
        raise UserError("no known structure of this composition", where=known.name, got=got)
    target = prepare(pattern)
    worth, passed_over = _worth_a_fit(target, known, chosen, workers)
    similarity: dict[int, float] = {}
    left_out: dict[str, int] = {}
    for index, found in _fits(target, known, worth, "volume", workers):
        if isinstance(found, KnownStructure):
            similarity[index] = found.similarity
        else:
            left_out[found] = left_out.get(found, 0) + 1
    best = sorted(similarity, key=lambda index: -similarity[index])[: max(_FITTED, n)]
    fitted = [found for _, found in _fits(target, known, best, "cell", workers) if isinstance(found, KnownStructure)]
    compared = passed_over + len(similarity)
    return Identification(sorted(fitted, key=lambda each: -each.similarity)[:n], compared, left_out)


def _worth_a_fit(
    target: Target, known: CrystalDataset | TemplateTable, chosen: Int[np.ndarray, "chosen"], workers: Workers
) -> tuple[list[int], int]:
    """The structures whose first lines fit best, and those that a look says nothing of; and how many others there are.

    All of them where they are few.
    """
    if len(chosen) <= _SCREENED:
        return chosen.tolist(), 0
    parts = [chosen[start : start + _TOGETHER] for start in range(0, len(chosen), _TOGETHER)]
    # made as they are wanted: a million of them would fill the memory
    tasks = ((len(part), [known[index] for index in part.tolist()]) for part in parts)
    seen = []
    with ProgressBar("known structures, first lines", len(chosen), shown=workers.shows_progress) as bar:
        for size, found in workers.in_order(partial(_look, Screen.of(target)), tasks, "known structures"):
            seen.append(found)
            bar.advance(size)
    alike = np.concatenate(seen)
    # stable: of equals those that come first, as of the fits
    order = np.argsort(-np.nan_to_num(alike, nan=-1.0), kind="stable")
    first = order[: min(_SCREENED, int((~np.isnan(alike)).sum()))]
    worth = np.sort(np.concatenate([first, np.flatnonzero(np.isnan(alike))]))
    return chosen[worth].tolist(), len(chosen) - len(worth)


def _look(screen: Screen, structures: Sequence[Crystal | SymmetricCrystal]) -> Float[np.ndarray, "crystals"]:
    return screen.similarities([_atoms(structure) for structure in structures])


def _compositions(known: CrystalDataset | TemplateTable) -> Compositions:
    return known.compositions if isinstance(known, TemplateTable) else Compositions.of_dataset(known)


def _of_composition(
    known: Compositions, elements: Collection[int] | None, formula: Mapping[int, int] | None
) -> Int[np.ndarray, "chosen"]:
    fits = np.ones(len(known), dtype=bool)
    if formula is not None:
        elements = set(formula) if elements is None else set(elements) & set(formula)
    if elements is not None:
        fits[known.owner[~np.isin(known.number, list(elements))]] = False
    chosen = np.flatnonzero(fits)
    if formula is None:
        return chosen
    wanted = reduce_counts(dict(formula))[0]
    return np.array([index for index in chosen.tolist() if reduce_counts(known.counts(index))[0] == wanted], dtype=int)


def _fits(
    target: Target, known: CrystalDataset | TemplateTable, chosen: list[int], free: Freedom, workers: Workers
) -> list[tuple[int, KnownStructure | str]]:
    tasks = [(str(known.ids[index]), known[index]) for index in chosen]
    fit = partial(_fit, target, free)
    label = "known structures" if free == "volume" else "the most similar ones"
    if free == "volume" or len(chosen) < _FITTED:
        return list(zip(chosen, workers.map(fit, tasks, label), strict=True))
    # each takes tenths of a second: not by the chunk, as those before
    found = dict(workers.as_finished(fit, tasks, label))
    return [(index, found[place]) for place, index in enumerate(chosen)]


def _atoms(structure: Crystal | SymmetricCrystal) -> Crystal:
    return structure.to_crystal() if isinstance(structure, SymmetricCrystal) else structure


def _fit(target: Target, free: Freedom, task: tuple[str, Crystal | SymmetricCrystal]) -> KnownStructure | str:
    name, structure = task
    try:
        found = match(target, _atoms(structure), free)
        r_wp = calculated_profile(target, found.crystal).r_wp if free != "volume" else float("nan")
        return KnownStructure(name, found.crystal, found.similarity, r_wp, found.scale)
    except UserError as error:
        return str(error)
