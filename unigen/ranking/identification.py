"""Which known structure shows this powder pattern: the baseline of every structure drawn for one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.matching import Freedom, Target, match, prepare
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.profile import calculated_profile
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.elements import SYMBOLS, format_formula, reduce_counts
from unigen.errors import UserError
from unigen.parallel import Workers
from unigen.ranking.pattern import POOR_FIT
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.table import TemplateTable, is_table, read_table
from unigen.shapes import Int

_FITTED = 30
"""Structures, best by their volume alone, whose free lattice parameters are fitted: known cells are a percent or two
off in every direction alike, so that what is right is among the first few."""

_TOGETHER = 16
"""Structures that a worker gets with the pattern at a time."""


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
        compared: how many structures were.
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
    similarity: dict[int, float] = {}
    left_out: dict[str, int] = {}
    for index, found in _fits(target, known, chosen.tolist(), "volume", workers):
        if isinstance(found, KnownStructure):
            similarity[index] = found.similarity
        else:
            left_out[found] = left_out.get(found, 0) + 1
    best = sorted(similarity, key=lambda index: -similarity[index])[: max(_FITTED, n)]
    fitted = [found for _, found in _fits(target, known, best, "cell", workers) if isinstance(found, KnownStructure)]
    return Identification(sorted(fitted, key=lambda each: -each.similarity)[:n], len(similarity), left_out)


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
    parts = [chosen[start : start + _TOGETHER] for start in range(0, len(chosen), _TOGETHER)]
    tasks = [(target, [(str(known.ids[index]), _crystal(known, index)) for index in part], free) for part in parts]
    results = workers.map(_fit, tasks, "known structures")
    return [
        (index, found)
        for part, fits in zip(parts, results, strict=True)
        for index, found in zip(part, fits, strict=True)
    ]


def _crystal(known: CrystalDataset | TemplateTable, index: int) -> Crystal:
    return known[index].to_crystal() if isinstance(known, TemplateTable) else known[index]


def _fit(task: tuple[Target, list[tuple[str, Crystal]], Freedom]) -> list[KnownStructure | str]:
    target, crystals, free = task
    fits: list[KnownStructure | str] = []
    for name, crystal in crystals:
        try:
            found = match(target, crystal, free)
            r_wp = calculated_profile(target, found.crystal).r_wp if free != "volume" else float("nan")
            fits.append(KnownStructure(name, found.crystal, found.similarity, r_wp, found.scale))
        except UserError as error:
            fits.append(str(error))
    return fits
