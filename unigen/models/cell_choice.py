"""From requests to cells: what each request leaves open about the atoms of the primitive cell is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from unigen.batch import PeakBatch, TokenBatch, pad
from unigen.bounded_cache import BoundedCache
from unigen.crystals.powder.peaks import PeakList, key_of
from unigen.elements import format_formula, parse_formula, reduce_counts
from unigen.errors import UserError
from unigen.models.generator import UNUSED, Job
from unigen.models.interface import CompositionNetwork
from unigen.models.peaks import asked_peaks
from unigen.request import CrystalRequest
from unigen.shapes import Float
from unigen.tokens.composition import CompositionGrammar, composition_symbols, grammar_for, read_pairs
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, VECTOR_WIDTH, Channel
from unigen.tokens.vocabulary import END, MAX_COUNT

Counts = dict[int, int]
"""Atoms of a cell by atomic number."""

_SYMBOL_DRAWS = 130  # two symbols an element and one END, for as many elements as a cell of 64 atoms can hold
_TRIES = 32
"""How often a composition that does not fit the request is drawn again. It bounds the time of requests that hardly any
composition fits; all rows of a batch are tried at once, and those that fit are out."""

_REMEMBERED = 4096
"""Formulas whose sizes of cell, and requests whose earlier cells, are kept: a few KB each; more than a batch has."""

_LARGER = 0.01
"""Probability of a cell that is larger than the model's own, beside 1 for all of these: 296 of the 31,121 crystals of
OQMD-ICSD have more than 52 atoms. What is known of the formula (``SizeEvidence``) mostly decides."""

_GIVE_A_FORMULA = "give a formula: only cells that follow a known structure are larger"

_BY_PROBABILITY, _FLATTENED = 4, 8.0
"""So many samples of a formula get numbers of formula units by their probabilities, later ones by the eighth root of
these: what is likely has been seen by then, and another polymorph may have a smaller cell (hematite beside bixbyite).
Of 300 MP-20 validation compositions, nothing said of their cells and the structures of the formula itself withheld, one
of 20 samples is right for 84.3 % with it, for 83.3 % with fourth roots, for 75.7 % with the probabilities alone."""

_GOLDEN = (5**0.5 - 1) / 2
"""The numbers k times this, modulo 1, are spread as evenly as any: of ten sizes of cell that are alike likely, ten
samples see nearly all, where random numbers miss a third."""

_SMALLEST_PROBABILITY = 1e-12
"""Added to the probability of every number of formula units, so that they have a sum even where all underflow."""

_HOPELESS = 1e-9
"""Probability of a size of cell that is not tried for variety's sake: of 17 formula units of TiO2, which nothing known
resembles. Zinc blende GaN, one unit beside wurtzite's two, has 5e-8."""

Accepts = Callable[[CrystalRequest, Counts], bool]
"""Whether a cell satisfies a request (its space group can hold it, it is near enough to a known one)."""

PropertyVector = Callable[[CrystalRequest], Float[np.ndarray, "6"]]
"""The properties that a request asks for, as the vector of BEGIN."""

LargerCells = Callable[[CrystalRequest, Counts], list[Counts]]
"""Cells with atoms in this ratio that are larger than the model's own, and that something known resembles."""

SizeEvidence = Callable[[CrystalRequest, list[Counts]], Float[np.ndarray, "cells"]]
"""What is known of the number of formula units beside the model: log weights of cells, in nats."""


@dataclass(frozen=True, eq=False)
class CellRow:
    """A job on its way to a cell.

    Attributes:
        position: of the job in its batch.
        job: what is to be drawn.
        units_uniform: the number in [0, 1) that decides how many formula units the cell has.
        symbol_uniforms: those that decide the symbols of its composition.
        rng: the job's random numbers after these.
    """

    position: int
    job: Job
    units_uniform: float
    symbol_uniforms: Float[np.ndarray, "draws"]
    rng: np.random.Generator

    @classmethod
    def of(cls, position: int, job: Job) -> CellRow:
        """The job's row; its random numbers are the first of the job's own."""
        rng = job.rng()
        return cls(position, job, units_uniform=rng.random(), symbol_uniforms=rng.random(_SYMBOL_DRAWS), rng=rng)


class CellChooser:
    """Chooses cells as a model would.

    Args:
        model: gives probabilities of compositions.
        temperature: of its symbols.
        accepts: whether a cell satisfies a request; None: every cell does.
        size_evidence: log weights of cells; None: all are equal.
        property_vector: of a request; None: nothing can be asked for.
        larger_cells: beyond the model's own that may be chosen; None: none.
        largest: atoms of the largest cell of a known composition; None: of the model's own.
        elements: atomic numbers that are written where the composition is open; None: all.
    """

    def __init__(
        self,
        model: CompositionNetwork,
        temperature: float,
        accepts: Accepts | None = None,
        size_evidence: SizeEvidence | None = None,
        property_vector: PropertyVector | None = None,
        larger_cells: LargerCells | None = None,
        largest: int | None = None,
        elements: frozenset[int] | None = None,
    ) -> None:
        self.model, self.temperature = model, temperature
        self.elements = elements
        self.accepts: Accepts = accepts or (lambda _request, _cell: True)
        self.size_evidence: SizeEvidence = size_evidence or (lambda _request, cells: np.zeros(len(cells)))
        self.property_vector: PropertyVector = property_vector or (
            lambda _request: np.zeros(VECTOR_WIDTH, dtype=np.float32)
        )
        self.larger_cells: LargerCells = larger_cells or (lambda _request, _reduced: [])
        self.largest = max(model.config.max_atoms, largest or 0)
        self._unit_probabilities = BoundedCache[tuple, tuple[list[Counts], np.ndarray]](_REMEMBERED)
        self._sample_cells = BoundedCache[tuple[CrystalRequest, int, int, bytes], list[Counts | None]](_REMEMBERED)

    def choose(self, rows: list[CellRow]) -> list[Counts | UserError]:
        """The cell of every row, or why there is none."""
        cells: list[Counts | UserError | None] = [None] * len(rows)
        open_rows: list[int] = []
        for index, row in enumerate(rows):
            try:
                given = self._given_cell(row)
                if given is None:
                    next_step = "" if self.largest == self.model.config.max_atoms else _GIVE_A_FORMULA
                    grammar = grammar_for(
                        row.job.request, self.model.config.max_atoms, next_step=next_step, known=self.elements
                    )
                else:
                    grammar = grammar_for(row.job.request, self.largest, given)
            except UserError as error:
                cells[index] = error
                continue
            cells[index] = grammar.counts
            if grammar.counts is None:
                open_rows.append(index)
        for index, cell in zip(open_rows, self._draw_cells([rows[i] for i in open_rows]), strict=True):
            cells[index] = cell
        return [cell if cell is not None else UserError("no cell") for cell in cells]

    def earlier_samples(self, row: CellRow, cell: Counts) -> int:
        """How many earlier samples of the same request have this cell; 0 without a formula."""
        if row.job.request.formula is None:
            return 0
        return sum(other == cell for other in self.earlier_cells(row))

    def earlier_cells(self, row: CellRow) -> list[Counts | None]:
        """The cells of the earlier samples of the same request, which has a formula."""
        job = row.job
        if job.request.counts is not None:
            return [job.request.counts] * job.index
        # computed, not remembered from earlier draws: a run that is resumed gets the same answer
        key = job.request, job.request_index, job.seed, key_of(job.peaks)
        cells = self._sample_cells.get(key)
        if cells is None:
            cells = self._sample_cells[key] = []
        for index in range(len(cells), job.index):
            cells.append(self._given_cell(CellRow.of(0, replace(job, index=index))))
        return cells[: job.index]

    def _given_cell(self, row: CellRow) -> Counts | None:
        """The cell that is given, or one drawn among the multiples of the formula; None: the composition is open."""
        request = row.job.request
        if request.formula is None or request.counts is not None:
            return request.counts
        reduced, _ = reduce_counts(parse_formula(request.formula))
        key = (tuple(reduced.items()), request.space_groups, key_of(row.job.peaks))
        known = self._unit_probabilities.get(key)
        if known is None:
            fits = partial(self.accepts, request)
            cells, probability = unit_probabilities(self.model, reduced, self.temperature, fits, row.job.peaks)
            larger = [cell for cell in self.larger_cells(request, reduced) if fits(cell)]
            if not cells and not larger:
                larger = self._smallest_that_fits(reduced, fits)
            cells = [*cells, *larger]
            probability = np.concatenate([probability, np.full(len(larger), _LARGER)])
            if cells:
                log_weights = self.size_evidence(request, cells)
                probability = probability * np.exp(log_weights - log_weights.max()) + _SMALLEST_PROBABILITY
            known = self._unit_probabilities[key] = cells, probability / probability.sum()
        cells, probability = known
        if not cells:
            if sum(reduced.values()) > self.largest:
                raise UserError(
                    "more atoms in one formula unit than the model takes",
                    got=f"{sum(reduced.values())} in {format_formula(reduced)}",
                    wanted=f"at most {self.largest}",
                    next_step="give a smaller formula of nearly these ratios, or a model of larger cells",
                )
            raise UserError(
                f"no cell of {format_formula(reduced)} with up to {self.largest} atoms fits",
                got=f"space groups {request.crystal_system or request.space_group}",
                next_step="allow other space groups",
            )
        uniform, later = row.units_uniform, row.job.index - _BY_PROBABILITY
        if later >= 0:
            probability = self._flattened(cells, probability)
            uniform = (CellRow.of(0, replace(row.job, index=_BY_PROBABILITY)).units_uniform + later * _GOLDEN) % 1.0
        return cells[min(int(np.searchsorted(probability.cumsum(), uniform)), len(cells) - 1)]

    def _flattened(self, cells: list[Counts], probability: Float[np.ndarray, "cells"]) -> Float[np.ndarray, "cells"]:
        """Among the model's own sizes; larger ones, which cost much, and hopeless ones stay as likely as they are."""
        own = np.array([sum(cell.values()) <= self.model.config.max_atoms for cell in cells]) & (
            probability > _HOPELESS
        )
        share = probability[own].sum()
        flat = np.where(own, probability ** (1 / _FLATTENED), 0.0)
        return np.where(own, share * flat / flat[own].sum(), probability) if own.any() else probability

    def _smallest_that_fits(self, reduced: Counts, fits: Callable[[Counts], bool]) -> list[Counts]:
        """Of the cells that are larger than the model's own: nothing says how likely they are."""
        per_unit = sum(reduced.values())
        first = self.model.config.max_atoms // per_unit + 1
        multiples = ({n: count * z for n, count in reduced.items()} for z in range(first, self.largest // per_unit + 1))
        return next(([cell] for cell in multiples if fits(cell)), [])

    def _draw_cells(self, rows: list[CellRow]) -> list[Counts | UserError]:
        """Compositions symbol by symbol; those that do not fit the request are drawn again."""
        results: list[Counts | UserError] = [
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
            requests = [rows[i].job.request for i in left]
            uniforms = np.stack([_symbol_uniforms(rows[i], trial) for i in left])
            grammars = [grammar_for(each, self.model.config.max_atoms, known=self.elements) for each in requests]
            property_vectors = np.stack([self.property_vector(request) for request in requests])
            peaks = [rows[i].job.peaks for i in left]
            cells = draw_compositions(self.model, grammars, uniforms, self.temperature, property_vectors, peaks)
            open_rows, left = left, []
            for i, cell in zip(open_rows, cells, strict=True):
                request = rows[i].job.request
                if self.accepts(request, cell) and (not request.charge_balanced or _is_charge_balanced(cell)):
                    results[i] = cell
                else:
                    left.append(i)
        return results


def _is_charge_balanced(cell: Counts) -> bool:
    # late: the chemistry stack need not be there where nobody asks for it
    from unigen.crystals.plausibility.charge_balance import check_composition

    return check_composition(format_formula(reduce_counts(cell)[0])).valid


def _symbol_uniforms(row: CellRow, trial: int) -> Float[np.ndarray, "draws"]:
    """The row's random numbers; other ones at a later trial."""
    if trial == 0:
        return row.symbol_uniforms
    job = row.job
    seeds = [job.seed, job.request_index, job.index, UNUSED, trial]
    return np.random.default_rng(seeds).random(_SYMBOL_DRAWS)


def prompt_batch(prompts: list[list[int]], device: torch.device, peaks: PeakBatch | None = None) -> TokenBatch:
    """Composition prompts, finished or not, as a batch, behind the peaks that are asked for."""
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    longest = int(lengths.max())
    shape = (len(prompts), longest)
    return TokenBatch(
        symbols=pad([np.array(prompt) for prompt in prompts], longest).to(device),
        vectors=torch.zeros(*shape, VECTOR_WIDTH, device=device),
        channel=torch.full(shape, Channel.SYMBOL, device=device),
        descriptor=torch.zeros(*shape, DESCRIPTOR_WIDTH, dtype=torch.long, device=device),
        lengths=lengths,
        peaks=None if peaks is None else peaks.to(device),
    )


@torch.no_grad()
def unit_probabilities(
    model: CompositionNetwork,
    reduced: Counts,
    temperature: float,
    fits: Callable[[Counts], bool],
    peaks: PeakList | None = None,
) -> tuple[list[Counts], Float[np.ndarray, "cells"]]:
    """Cells with 1, 2, ... formula units that fit, and the probability of each under the model's data.

    Args:
        model: in evaluation mode.
        reduced: one formula unit.
        temperature: of the symbols.
        fits: which cells may be chosen; no cell does where one formula unit is already larger than the model's.
        peaks: of a powder pattern that is asked for, where the model hears them.
    """
    limit = min(model.config.max_atoms // sum(reduced.values()), MAX_COUNT // max(reduced.values()))
    cells = [{number: count * units for number, count in reduced.items()} for units in range(1, limit + 1)]
    cells = [cell for cell in cells if fits(cell)]
    if not cells:
        return [], np.zeros(0)
    device = next(model.parameters()).device
    prompts = [composition_symbols(cell) for cell in cells]
    told = asked_peaks([peaks] * len(cells), model.most_peaks)
    scores = model.symbol_log_likelihoods(prompt_batch(prompts, device, told))
    return cells, torch.softmax(scores.double().cpu() / temperature, 0).numpy()


@torch.no_grad()
def draw_compositions(
    model: CompositionNetwork,
    grammars: list[CompositionGrammar],
    uniforms: Float[np.ndarray, "batch draws"],
    temperature: float,
    property_vectors: Float[np.ndarray, "batch 6"],
    peaks: Sequence[PeakList | None] = (),
) -> list[Counts]:
    """Draw compositions symbol by symbol; the grammar lets nothing be drawn that the request does not allow.

    Args:
        model: in evaluation mode.
        grammars: one a row.
        uniforms: the numbers in [0, 1) that decide each row's draws.
        temperature: of the symbols.
        property_vectors: the vectors of BEGIN; zeros where no property is asked for.
        peaks: of the powder patterns that are asked for, one a row; none: nothing is.
    """
    device = next(model.parameters()).device
    begin_vectors = torch.from_numpy(property_vectors).to(device)
    prompts = [composition_symbols({})[:1] for _ in grammars]
    for step in range(uniforms.shape[1]):
        open_rows = [row for row, prompt in enumerate(prompts) if prompt[-1] != END]
        if not open_rows:
            break
        told = asked_peaks([peaks[row] for row in open_rows], model.most_peaks) if peaks else None
        batch = prompt_batch([prompts[row] for row in open_rows], device, told)
        batch.vectors[:, 0] = begin_vectors[open_rows]
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
