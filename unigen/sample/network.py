"""A trained model as a generator."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
import torch

from unigen.elements import parse_formula, reduce_counts
from unigen.errors import UserError
from unigen.models.autoregressive import Autoregressive
from unigen.sample.composition import Counts, draw_compositions, unit_probabilities
from unigen.sample.decoder import DecodeSettings, Noise, decode
from unigen.sample.job import Draft, Job, refuse_symmetry
from unigen.sample.likelihood import log_likelihoods
from unigen.tokens.collate import collate
from unigen.tokens.grammar import CompositionGrammar
from unigen.tokens.sequence import SLOT_WIDTH, Channel, Sequence
from unigen.tokens.words import WordsTokenizer

_SYMBOL_DRAWS = 130  # two symbols an element and one END, for as many elements as a cell of 64 atoms can hold


@dataclass(frozen=True, eq=False)
class _Row:
    """A job with all its random numbers drawn and its open questions noted."""

    place: int
    job: Job
    units: float
    symbols: np.ndarray
    lattice: np.ndarray
    sites: np.ndarray


class NetworkGenerator:
    """Draws crystals from a model; a draw depends on its job alone, and on its batch by rounding.

    Rounding is amplified where an ODE stands at a fork: about one crystal in a hundred differs visibly between batch
    sizes. With the same batch size the bytes are the same.

    Args:
        model: trained.
        name: reported with every sample.
        version: checksum of the weights.
        settings: how vectors and symbols are drawn.
        score_steps: solver steps of the exact likelihood; 0 leaves the score out.
    """

    def __init__(
        self,
        model: Autoregressive,
        name: str,
        version: str = "",
        settings: DecodeSettings | None = None,
        score_steps: int = 8,
    ) -> None:
        self.model = model.eval()
        self.name, self.version = name, version
        self.settings = settings or DecodeSettings()
        self.score_steps = score_steps
        self.tokenizer = WordsTokenizer(model.config.max_atoms)
        self._units: dict[tuple[tuple[int, int], ...], tuple[list[Counts], np.ndarray]] = {}

    def draw(self, jobs: list[Job]) -> list[Draft]:
        """See Generator. A request the model cannot serve fails with the reason; the others go on."""
        drafts: list[Draft | None] = [None] * len(jobs)
        fixed: list[tuple[_Row, Counts]] = []
        open_rows: list[tuple[_Row, CompositionGrammar]] = []
        for place, job in enumerate(jobs):
            row = self._row(place, job)
            try:
                grammar = self.tokenizer.grammar(job.request, self._choose_cell(row))
            except UserError as error:
                drafts[place] = Draft(None, reason=str(error))
                continue
            if grammar.counts is None:
                open_rows.append((row, grammar))
            else:
                fixed.append((row, grammar.counts))
        if open_rows:
            fixed += self._write_compositions(open_rows)
        for row, draft in self._decode(fixed):
            drafts[row.place] = draft
        return [draft for draft in drafts if draft is not None]

    def _row(self, place: int, job: Job) -> _Row:
        rng = job.rng()
        return _Row(
            place=place,
            job=job,
            units=rng.random(),
            symbols=rng.random(_SYMBOL_DRAWS),
            lattice=rng.standard_normal(SLOT_WIDTH[Channel.LATTICE], dtype=np.float32),
            sites=rng.standard_normal((self.tokenizer.max_atoms - 1, SLOT_WIDTH[Channel.FRACTIONAL]), dtype=np.float32),
        )

    def _choose_cell(self, row: _Row) -> Counts | None:
        """The cell: given, drawn among the formula's multiples, or None for a composition still to be written."""
        request = row.job.request
        refuse_symmetry(request, self.name)
        if request.formula is None or request.counts is not None:
            return request.counts
        reduced, _ = reduce_counts(parse_formula(request.formula))
        key = tuple(reduced.items())
        if key not in self._units:
            self._units[key] = unit_probabilities(self.model, reduced, self.settings.temperature)
        cells, probability = self._units[key]
        return cells[min(int(np.searchsorted(probability.cumsum(), row.units)), len(cells) - 1)]

    def _write_compositions(self, rows: list[tuple[_Row, CompositionGrammar]]) -> list[tuple[_Row, Counts]]:
        uniforms = np.stack([row.symbols for row, _ in rows])
        grammars = [grammar for _, grammar in rows]
        cells = draw_compositions(self.model, grammars, uniforms, self.settings.temperature)
        return [(row, cell) for (row, _), cell in zip(rows, cells, strict=True)]

    def _decode(self, rows: list[tuple[_Row, Counts]]) -> list[tuple[_Row, Draft]]:
        if not rows:
            return []
        rows = sorted(rows, key=lambda pair: -sum(pair[1].values()))
        device = next(self.model.parameters()).device
        noise = Noise(
            lattice=torch.from_numpy(np.stack([row.lattice for row, _ in rows])).to(device),
            sites=torch.from_numpy(np.stack([row.sites for row, _ in rows])).to(device),
        )
        sequences = decode(self.model, [cell for _, cell in rows], noise, self.settings)
        scores = self._scores(sequences)
        return [
            (row, self._draft(sequence, score))
            for (row, _), sequence, score in zip(rows, sequences, scores, strict=True)
        ]

    def _scores(self, sequences: list[Sequence]) -> Items[float | None]:
        if not self.score_steps:
            return [None] * len(sequences)
        device = next(self.model.parameters()).device
        return log_likelihoods(self.model, collate(sequences).to(device), self.score_steps).total.tolist()

    def _draft(self, sequence: Sequence, score: float | None) -> Draft:
        try:
            crystal = self.tokenizer.decode(sequence)
        except UserError as error:
            return Draft(None, reason=str(error), log_likelihood=score)
        return Draft(crystal, log_likelihood=score, score=0.0 if score is None else score)
