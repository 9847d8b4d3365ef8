"""From requests to cells: what each request leaves open about the atoms of the primitive cell is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from unigen.batch import TokenBatch, pad
from unigen.elements import format_formula, parse_formula, reduce_counts
from unigen.errors import UserError
from unigen.models.generator import Job
from unigen.models.interface import CrystalNetwork
from unigen.request import CrystalRequest
from unigen.shapes import Float
from unigen.tokens.composition import CompositionGrammar, composition_symbols, grammar_for, read_pairs
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, VECTOR_WIDTH, Channel
from unigen.tokens.vocabulary import END, MAX_COUNT

Counts = dict[int, int]
"""Atoms of a cell by atomic number."""

_SYMBOL_DRAWS = 130  # two symbols an element and one END, for as many elements as a cell of 64 atoms can hold
_TRIES = 32
"""How often a composition is drawn anew when it does not fit the request."""

Holds = Callable[[CrystalRequest, Counts], bool]
Tell = Callable[[CrystalRequest], Float[np.ndarray, "6"]]
Evidence = Callable[[CrystalRequest, list[Counts]], Float[np.ndarray, "cells"]]


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
        holds: whether a cell satisfies a request (its space group can hold it, it is near enough to a known one).
        evidence: what else is known of the number of formula units: log weights of cells, in nats.
        tell: the properties a request asks for, as the vector of BEGIN.
    """

    def __init__(
        self,
        model: CrystalNetwork,
        temperature: float,
        holds: Holds | None = None,
        evidence: Evidence | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.model, self.temperature = model, temperature
        self.holds: Holds = holds or (lambda _request, _cell: True)
        self.evidence: Evidence = evidence or (lambda _request, cells: np.zeros(len(cells)))
        self.tell: Tell = tell or (lambda _request: np.zeros(VECTOR_WIDTH, dtype=np.float32))
        self._units: dict[tuple, tuple[list[Counts], np.ndarray]] = {}
        self._earlier: dict[tuple[CrystalRequest, int, int], list[Counts | None]] = {}

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

    def turn(self, row: CellRow, cell: Counts) -> int:
        """How many earlier samples of the same formula have this cell."""
        job = row.job
        if job.request.formula is None:
            return 0
        if job.request.counts is not None:
            return job.index
        known = self._earlier.setdefault((job.request, job.request_index, job.seed), [])
        for index in range(len(known), job.index):
            known.append(self._closed(CellRow.of(0, replace(job, index=index, candidate=0))))
        return sum(other == cell for other in known[: job.index])

    def _closed(self, row: CellRow) -> Counts | None:
        """The cell: given, drawn among the formula's multiples, or None for a composition still to be written."""
        request = row.job.request
        if request.formula is None or request.counts is not None:
            return request.counts
        reduced, _ = reduce_counts(parse_formula(request.formula))
        key = (tuple(reduced.items()), request.space_groups)
        if key not in self._units:
            fits = partial(self.holds, request)
            cells, probability = unit_probabilities(self.model, reduced, self.temperature, fits)
            if cells:
                known = self.evidence(request, cells)
                probability = probability * np.exp(known - known.max()) + 1e-12
            self._units[key] = cells, probability / probability.sum()
        cells, probability = self._units[key]
        if not cells:
            raise UserError(
                f"no cell of {format_formula(reduced)} with up to {self.model.config.max_atoms} atoms fits",
                got=f"space groups {request.crystal_system or request.space_group}",
                next_step="allow other space groups",
            )
        return cells[min(int(np.searchsorted(probability.cumsum(), row.units)), len(cells) - 1)]

    def _write(self, rows: list[CellRow]) -> list[Counts | UserError]:
        """Compositions symbol by symbol; those that do not fit the request are written again."""
        done: list[Counts | UserError] = [
            UserError(
                "no composition that fits the request was drawn",
                got=f"{_TRIES} tries",
                next_step="allow other space groups or sizes, or a larger --within",
            )
        ] * len(rows)
        left = list(range(len(rows)))
        for trial in range(_TRIES):
            if not left:
                break
            uniforms = np.stack([_again(rows[i], trial) for i in left])
            grammars: list[CompositionGrammar] = [
                grammar_for(rows[i].job.request, self.model.config.max_atoms) for i in left
            ]
            asked = np.stack([self.tell(rows[i].job.request) for i in left])
            cells = draw_compositions(self.model, grammars, uniforms, self.temperature, asked)
            open_rows, left = left, []
            for i, cell in zip(open_rows, cells, strict=True):
                if self.holds(rows[i].job.request, cell):
                    done[i] = cell
                else:
                    left.append(i)
        return done


def _again(row: CellRow, trial: int) -> np.ndarray:
    """The row's random numbers; other ones at a later trial."""
    if trial == 0:
        return row.symbols
    job = row.job
    seeds = [job.seed, job.request_index, job.index, job.candidate, trial]
    return np.random.default_rng(seeds).random(_SYMBOL_DRAWS)


def prompt_batch(prompts: list[list[int]], device: torch.device) -> TokenBatch:
    """Composition prompts, finished or not, as a batch."""
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    longest = int(lengths.max())
    shape = (len(prompts), longest)
    return TokenBatch(
        symbols=pad([np.array(prompt) for prompt in prompts], longest).to(device),
        vectors=torch.zeros(*shape, VECTOR_WIDTH, device=device),
        channel=torch.full(shape, Channel.SYMBOL, device=device),
        descriptor=torch.zeros(*shape, DESCRIPTOR_WIDTH, dtype=torch.long, device=device),
        lengths=lengths,
    )


@torch.no_grad()
def unit_probabilities(
    model: CrystalNetwork, reduced: Counts, temperature: float, fits: Callable[[Counts], bool]
) -> tuple[list[Counts], Float[np.ndarray, "cells"]]:
    """Cells with 1, 2, ... formula units that fit, and the probability of each under the model's data.

    Args:
        model: in evaluation mode.
        reduced: one formula unit.
        temperature: of the symbols.
        fits: which cells may be chosen.

    Raises:
        UserError: one formula unit is already larger than the model's cells.
    """
    limit = min(model.config.max_atoms // sum(reduced.values()), MAX_COUNT // max(reduced.values()))
    if limit < 1:
        raise UserError(
            "more atoms in one formula unit than the model saw",
            got=sum(reduced.values()),
            wanted=f"at most {model.config.max_atoms}",
        )
    cells = [{number: count * units for number, count in reduced.items()} for units in range(1, limit + 1)]
    cells = [cell for cell in cells if fits(cell)]
    if not cells:
        return [], np.zeros(0)
    device = next(model.parameters()).device
    scores = model.symbol_log_likelihoods(prompt_batch([composition_symbols(cell) for cell in cells], device))
    return cells, torch.softmax(scores.double().cpu() / temperature, 0).numpy()


@torch.no_grad()
def draw_compositions(
    model: CrystalNetwork,
    grammars: list[CompositionGrammar],
    uniforms: Float[np.ndarray, "batch draws"],
    temperature: float,
    asked: Float[np.ndarray, "batch 6"],
) -> list[Counts]:
    """Write compositions symbol by symbol; the grammar lets nothing else than the request be written.

    Args:
        model: in evaluation mode.
        grammars: one a row.
        uniforms: the numbers in [0, 1) that decide each row's draws.
        temperature: of the symbols.
        asked: properties, as vectors of BEGIN; zeros for none.
    """
    device = next(model.parameters()).device
    told = torch.from_numpy(asked).to(device)
    prompts = [composition_symbols({})[:1] for _ in grammars]
    for step in range(uniforms.shape[1]):
        open_rows = [row for row, prompt in enumerate(prompts) if prompt[-1] != END]
        if not open_rows:
            break
        batch = prompt_batch([prompts[row] for row in open_rows], device)
        batch.vectors[:, 0] = told[open_rows]
        legal = np.stack([grammars[row].legal(prompts[row]) for row in open_rows])
        drawn = model.symbol_head.sample(
            model(batch)[:, -1],
            torch.from_numpy(legal).to(device),
            torch.from_numpy(uniforms[open_rows, step]).to(device),
            temperature,
        )
        for row, symbol in zip(open_rows, drawn.tolist(), strict=True):
            prompts[row].append(symbol)
    return [dict(read_pairs(prompt)) for prompt in prompts]
