"""A trained model of words as a generator: compositions, then lattice and sites."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch

from unigen.cards import Kind
from unigen.errors import UserError
from unigen.models.cell_choice import CellChooser, CellRow, Counts
from unigen.models.generator import SCORE_STEPS, Candidate, Job, OpenedModel, Range, refuse_more_than_composition
from unigen.models.words.decoding import Noise, WordsSettings, decode
from unigen.models.words.network import Autoregressive
from unigen.models.words.tokens import WordsTokenizer
from unigen.tokens.sequence import SLOT_WIDTH, Channel, collate


class WordsGenerator:
    """Draws crystals from a model of words; a draw depends on its job alone, and on its batch by rounding.

    Rounding is amplified where an ODE stands at a fork: about one crystal in a hundred differs visibly between batch
    sizes. With the same batch size the bytes are the same.

    Args:
        model: trained.
        name: reported with every sample.
        version: checksum of the weights.
        settings: how vectors and symbols are drawn.
        score_steps: solver steps of the exact likelihood; 0 leaves the score out.
    """

    makes: Kind = "crystals"

    def __init__(
        self,
        model: Autoregressive,
        name: str,
        version: str = "",
        settings: WordsSettings | None = None,
        score_steps: int = SCORE_STEPS,
    ) -> None:
        self.model = model.eval()
        self.name, self.version = name, version
        self.settings = settings or WordsSettings()
        self.score_steps = score_steps
        self.tokenizer = WordsTokenizer(model.config.max_atoms)
        self.cells = CellChooser(model, self.settings.temperature)

    def draw(self, jobs: list[Job]) -> list[Candidate]:
        """See Generator. A request the model cannot serve fails with the reason; the others go on."""
        candidates: list[Candidate | None] = [None] * len(jobs)
        rows: list[CellRow] = []
        for position, job in enumerate(jobs):
            try:
                refuse_more_than_composition(job.request, self.name)
                rows.append(CellRow.of(position, job))
            except UserError as error:
                candidates[position] = Candidate(None, reason=str(error))
        with_cell: list[tuple[CellRow, Counts]] = []
        for row, cell in zip(rows, self.cells.choose(rows), strict=True):
            if isinstance(cell, UserError):
                candidates[row.position] = Candidate(None, reason=str(cell))
            else:
                with_cell.append((row, cell))
        for row, candidate in self._decode(with_cell):
            candidates[row.position] = candidate
        return [candidate for candidate in candidates if candidate is not None]

    def ranges(self, properties: Collection[str]) -> dict[str, Range]:
        """See Generator: no property can be asked for."""
        del properties
        return {}

    def _decode(self, rows: list[tuple[CellRow, Counts]]) -> list[tuple[CellRow, Candidate]]:
        """Lattices and sites of all cells, from the next random numbers of each job after those of its composition."""
        if not rows:
            return []
        device = next(self.model.parameters()).device
        rows = sorted(rows, key=lambda pair: -sum(pair[1].values()))  # largest cell first: see ``decode``
        site_shape = self.tokenizer.max_atoms - 1, SLOT_WIDTH[Channel.FRACTIONAL]  # one shape, whatever the batch
        lattice = [row.rng.standard_normal(SLOT_WIDTH[Channel.LATTICE], dtype=np.float32) for row, _ in rows]
        sites = [row.rng.standard_normal(site_shape, dtype=np.float32) for row, _ in rows]
        noise = Noise(*(torch.from_numpy(np.stack(part)).to(device) for part in (lattice, sites)))
        sequences = decode(self.model, [cell for _, cell in rows], noise, self.settings)
        scores: list[float | None] = [None] * len(rows)
        if self.score_steps:
            scores = self.model.log_likelihoods(collate(sequences).to(device), self.score_steps).total.tolist()
        candidates = []
        for (row, _), sequence, score in zip(rows, sequences, scores, strict=True):
            try:
                crystal = self.tokenizer.decode(sequence)
                candidate = Candidate(crystal, log_likelihood=score, score=0.0 if score is None else score)
            except UserError as error:
                candidate = Candidate(None, reason=str(error), log_likelihood=score)
            candidates.append((row, candidate))
        return candidates


def words_generator(opened: OpenedModel) -> WordsGenerator:
    """A generator of a trained model of words."""
    return WordsGenerator(opened.network, opened.name, opened.version, opened.settings, opened.score_steps)
