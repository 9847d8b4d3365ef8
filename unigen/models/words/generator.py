"""A trained model as a generator."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence as Items

import numpy as np
import torch

from unigen.errors import UserError
from unigen.models.cell_choice import CellChooser, CellRow, Counts
from unigen.models.generator import SCORE_STEPS, Draft, Job, Makes, Opened, Range, refuse_more_than_composition
from unigen.models.words.decoding import Noise, decode
from unigen.models.words.network import Autoregressive
from unigen.models.words.settings import WordsSettings
from unigen.models.words.tokens import WordsTokenizer
from unigen.tokens.sequence import SLOT_WIDTH, Channel, Sequence, collate


class NetworkGenerator:
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

    makes: Makes = "crystals"

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

    def draw(self, jobs: list[Job]) -> list[Draft]:
        """See Generator. A request the model cannot serve fails with the reason; the others go on."""
        drafts: list[Draft | None] = [None] * len(jobs)
        rows: list[CellRow] = []
        for place, job in enumerate(jobs):
            try:
                refuse_more_than_composition(job.request, self.name)
                rows.append(CellRow.of(place, job))
            except UserError as error:
                drafts[place] = Draft(None, reason=str(error))
        kept: list[tuple[CellRow, Counts]] = []
        for row, cell in zip(rows, self.cells.choose(rows), strict=True):
            if isinstance(cell, UserError):
                drafts[row.place] = Draft(None, reason=str(cell))
            else:
                kept.append((row, cell))
        for row, draft in self._decode(kept):
            drafts[row.place] = draft
        return [draft for draft in drafts if draft is not None]

    def ranges(self, properties: Collection[str]) -> dict[str, Range]:
        """See Generator: no property can be asked for."""
        del properties
        return {}

    def _decode(self, rows: list[tuple[CellRow, Counts]]) -> list[tuple[CellRow, Draft]]:
        if not rows:
            return []
        rows = sorted(rows, key=lambda pair: -sum(pair[1].values()))
        sequences = decode(self.model, [cell for _, cell in rows], self._noise([row for row, _ in rows]), self.settings)
        scores = self._scores(sequences)
        return [
            (row, self._draft(sequence, score))
            for (row, _), sequence, score in zip(rows, sequences, scores, strict=True)
        ]

    def _noise(self, rows: list[CellRow]) -> Noise:
        """The next random numbers of each job after those of its composition."""
        device = next(self.model.parameters()).device
        size = self.tokenizer.max_atoms - 1, SLOT_WIDTH[Channel.FRACTIONAL]
        lattice = [row.rng.standard_normal(SLOT_WIDTH[Channel.LATTICE], dtype=np.float32) for row in rows]
        sites = [row.rng.standard_normal(size, dtype=np.float32) for row in rows]
        return Noise(*(torch.from_numpy(np.stack(part)).to(device) for part in (lattice, sites)))

    def _scores(self, sequences: list[Sequence]) -> Items[float | None]:
        if not self.score_steps:
            return [None] * len(sequences)
        device = next(self.model.parameters()).device
        return self.model.log_likelihoods(collate(sequences).to(device), self.score_steps).total.tolist()

    def _draft(self, sequence: Sequence, score: float | None) -> Draft:
        try:
            crystal = self.tokenizer.decode(sequence)
        except UserError as error:
            return Draft(None, reason=str(error), log_likelihood=score)
        return Draft(crystal, log_likelihood=score, score=0.0 if score is None else score)


def words_generator(opened: Opened) -> NetworkGenerator:
    """A generator of a trained model of words."""
    return NetworkGenerator(opened.network, opened.name, opened.version, opened.settings, opened.score_steps)
