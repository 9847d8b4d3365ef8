"""From requests to cells: what each request leaves open about the atoms of the primitive cell is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from unigen.elements import format_formula, parse_formula, reduce_counts
from unigen.errors import UserError
from unigen.models.build import Model
from unigen.request import CrystalRequest
from unigen.sample.composition import Counts, draw_compositions, unit_probabilities
from unigen.sample.job import Job
from unigen.tokens.grammar import CompositionGrammar, grammar_for

_SYMBOL_DRAWS = 130  # two symbols an element and one END, for as many elements as a cell of 64 atoms can hold
_TRIES = 8
"""How often a composition is drawn anew when no allowed space group can hold it."""

Holds = Callable[[CrystalRequest, Counts], bool]


@dataclass(frozen=True, eq=False)
class CellRow:
    """A job, its place in the batch, the random numbers that decide its composition, and those that come after."""

    place: int
    job: Job
    units: float
    symbols: np.ndarray
    rng: np.random.Generator

    @classmethod
    def of(cls, place: int, job: Job) -> CellRow:
        """The job's row; its random numbers are the first of the job's own."""
        rng = job.rng()
        return cls(place, job, units=rng.random(), symbols=rng.random(_SYMBOL_DRAWS), rng=rng)


class CellChooser:
    """Chooses cells as a model would.

    Args:
        model: gives probabilities of compositions.
        temperature: of its symbols.
        holds: whether a cell can satisfy a request beyond its composition (its space group).
    """

    def __init__(self, model: Model, temperature: float, holds: Holds | None = None) -> None:
        self.model, self.temperature = model, temperature
        self.holds: Holds = holds or (lambda _request, _cell: True)
        self._units: dict[tuple, tuple[list[Counts], np.ndarray]] = {}

    def choose(self, rows: list[CellRow]) -> list[Counts | UserError]:
        """The cell of every row, or why there is none."""
        cells: list[Counts | UserError | None] = [None] * len(rows)
        open_rows: list[int] = []
        for index, row in enumerate(rows):
            try:
                grammar = grammar_for(row.job.request, self.model.config.max_atoms, self._closed(row))
            except UserError as error:
                cells[index] = error
                continue
            cells[index] = grammar.counts
            if grammar.counts is None:
                open_rows.append(index)
        for index, cell in zip(open_rows, self._write([rows[i] for i in open_rows]), strict=True):
            cells[index] = cell
        return [cell if cell is not None else UserError("no cell") for cell in cells]

    def _closed(self, row: CellRow) -> Counts | None:
        """The cell: given, drawn among the formula's multiples, or None for a composition still to be written."""
        request = row.job.request
        if request.formula is None or request.counts is not None:
            return request.counts
        reduced, _ = reduce_counts(parse_formula(request.formula))
        key = (tuple(reduced.items()), request.space_groups)
        if key not in self._units:
            fits = partial(self.holds, request)
            self._units[key] = unit_probabilities(self.model, reduced, self.temperature, fits)
        cells, probability = self._units[key]
        if not cells:
            raise UserError(
                f"no cell of {format_formula(reduced)} with up to {self.model.config.max_atoms} atoms fits",
                got=f"space groups {request.crystal_system or request.space_group}",
                next_step="allow other space groups",
            )
        return cells[min(int(np.searchsorted(probability.cumsum(), row.units)), len(cells) - 1)]

    def _write(self, rows: list[CellRow]) -> list[Counts | UserError]:
        """Compositions symbol by symbol; those that no allowed space group can hold are written again."""
        done: list[Counts | UserError] = [
            UserError("no composition that the space groups asked for can hold was drawn", got=f"{_TRIES} tries")
        ] * len(rows)
        left = list(range(len(rows)))
        for trial in range(_TRIES):
            if not left:
                break
            uniforms = np.stack([_again(rows[i], trial) for i in left])
            grammars: list[CompositionGrammar] = [
                grammar_for(rows[i].job.request, self.model.config.max_atoms) for i in left
            ]
            cells = draw_compositions(self.model, grammars, uniforms, self.temperature)
            for i, cell in zip(left, cells, strict=True):
                if self.holds(rows[i].job.request, cell):
                    done[i] = cell
            left = [i for i, cell in zip(left, cells, strict=True) if not self.holds(rows[i].job.request, cell)]
        return done


def _again(row: CellRow, trial: int) -> np.ndarray:
    """The row's random numbers; other ones at a later trial."""
    if trial == 0:
        return row.symbols
    job = row.job
    seeds = [job.seed, job.request_index, job.index, job.candidate, trial]
    return np.random.default_rng(seeds).random(_SYMBOL_DRAWS)
