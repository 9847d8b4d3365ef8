"""Templates written anew: a space group, then letter after letter; only those that hold exactly the wanted cell."""

from __future__ import annotations

import numpy as np
import torch

from unigen.crystals.template import Template
from unigen.models.cell_choice import Counts
from unigen.models.wyckoff.batch import WyckoffBatch, collate_shortlists, collate_wyckoff
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.models.wyckoff.network import WyckoffModel
from unigen.models.wyckoff.tokens import WyckoffSequence
from unigen.retrieval.shortlist import Shortlist
from unigen.shapes import Float
from unigen.tokens import vocabulary
from unigen.tokens.composition import composition_symbols
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, VECTOR_WIDTH, Channel, Sequence


class _Draft:
    """A template while it is written."""

    def __init__(self, grammar: WyckoffGrammar) -> None:
        self.grammar = grammar
        self.group = 0
        self.letters: list[int] = []
        self.numbers: list[int] = []

    @property
    def complete(self) -> bool:
        return bool(self.group) and self.grammar.current(self.group, self.letters) is None

    def legal(self) -> np.ndarray:
        """Mask over the vocabulary."""
        mask = np.zeros(vocabulary.CRYSTAL_VOCABULARY_SIZE, dtype=bool)
        if not self.group:
            groups = np.flatnonzero(self.grammar.legal_space_groups())
            mask[[vocabulary.group_symbol(int(number)) for number in groups]] = True
        else:
            letters = np.flatnonzero(self.grammar.legal_letters(self.group, self.letters))
            mask[[vocabulary.letter_symbol(int(letter)) for letter in letters]] = True
        return mask

    def write(self, symbol: int) -> None:
        group, letter = vocabulary.group_of(symbol), vocabulary.letter_of(symbol)
        if group is not None:
            self.group = group
            return
        current = self.grammar.current(self.group, self.letters)
        assert current is not None, "nothing is left to place"
        assert letter is not None, "a letter must stand here"
        self.numbers.append(current[0])
        self.letters.append(letter)

    def extended(self, symbol: int) -> _Draft:
        """Another draft with one symbol more."""
        draft = _Draft(self.grammar)
        draft.group, draft.letters, draft.numbers = self.group, list(self.letters), list(self.numbers)
        draft.write(symbol)
        return draft

    @property
    def template(self) -> Template:
        """What is written, once it is complete."""
        return Template(self.group, tuple(self.numbers), tuple(self.letters))

    def sequence(self) -> WyckoffSequence:
        """What is written, and one position more that knows what it is about to be."""
        counts = self.grammar.counts
        symbols = [*composition_symbols(counts), vocabulary.NEW]
        first = len(symbols) + 1
        descriptor = [(0, 0, 0)] * first
        if self.group:
            symbols += [vocabulary.group_symbol(self.group)]
            for place, letter in enumerate(self.letters):
                descriptor.append(self._place(place))
                symbols.append(vocabulary.letter_symbol(letter))
            descriptor.append(self._place(len(self.letters)))
        length = len(symbols) + 1
        tokens = Sequence(
            symbols=np.array([*symbols, vocabulary.PAD]),
            vectors=np.zeros((length, VECTOR_WIDTH), dtype=np.float32),
            channel=np.full(length, Channel.SYMBOL, dtype=np.int64),
            descriptor=np.array(descriptor, dtype=np.int64).reshape(length, DESCRIPTOR_WIDTH),
        )
        zeros = np.zeros((length, VECTOR_WIDTH), dtype=np.float32)
        none = np.zeros(length, dtype=np.int64)
        return WyckoffSequence(tokens, zeros, zeros, none, none.astype(bool))

    def _place(self, place: int) -> tuple[int, int, int]:
        current = self.grammar.current(self.group, self.letters[:place])
        assert current is not None, "nothing is left to place"
        number, left = current
        return number, left, self.grammar.counts[number]


@torch.no_grad()
def write_templates(
    model: WyckoffModel,
    cells: list[Counts],
    space_groups: list[frozenset[int]],
    uniforms: Float[np.ndarray, "batch draws"],
    temperature: float,
) -> tuple[list[Template], Float[np.ndarray, "batch"]]:
    """Draw a template for each cell, and its log probability under the model (all legal templates sum to 1).

    Args:
        model: in evaluation mode.
        cells: atoms of the primitive cells by atomic number.
        space_groups: those that may be written, for each cell.
        uniforms: the numbers in [0, 1) that decide each row's draws; one a symbol, space group first.
        temperature: of the symbols.

    Raises:
        UserError: a cell that none of its space groups can hold.
    """
    drafts = [_Draft(WyckoffGrammar(cell, groups)) for cell, groups in zip(cells, space_groups, strict=True)]
    for draft in drafts:
        draft.grammar.check()
    scores = np.zeros(len(drafts))
    device = next(model.parameters()).device
    for step in range(uniforms.shape[1]):
        rows = [row for row, draft in enumerate(drafts) if not draft.complete]
        if not rows:
            break
        h = _last_states(model, [drafts[row] for row in rows], device)
        legal = torch.from_numpy(np.stack([drafts[row].legal() for row in rows])).to(device)
        drawn = model.symbol_head.sample(h, legal, torch.from_numpy(uniforms[rows, step]).to(device), temperature)
        logits = model.symbol_head(h).masked_fill(~legal, float("-inf")).double().log_softmax(-1)
        scores[rows] += logits.gather(1, drawn[:, None])[:, 0].cpu().numpy()
        for row, symbol in zip(rows, drawn.tolist(), strict=True):
            drafts[row].write(symbol)
    return [draft.template for draft in drafts], scores


@torch.no_grad()
def search_templates(
    model: WyckoffModel, cells: list[Counts], space_groups: list[frozenset[int]], width: int
) -> list[list[tuple[Template, float]]]:
    """The likeliest templates of each cell, best first, with their log probabilities; fewer where fewer are legal.

    A beam search: exact as long as no more than ``width`` beginnings compete, else a lower bound.

    Args:
        model: in evaluation mode.
        cells: atoms of the primitive cells by atomic number.
        space_groups: those that may be written, for each cell.
        width: of the beam, and how many templates at most.

    Raises:
        UserError: a cell that none of its space groups can hold.
    """
    starts = [_Draft(WyckoffGrammar(cell, groups)) for cell, groups in zip(cells, space_groups, strict=True)]
    for start in starts:
        start.grammar.check()
    device = next(model.parameters()).device
    beams = [[(start, 0.0)] for start in starts]
    while open_drafts := [draft for beam in beams for draft, _ in beam if not draft.complete]:
        logits = model.symbol_head(_last_states(model, open_drafts, device)).double().cpu()
        gains = dict(zip(map(id, open_drafts), logits, strict=True))
        beams = [_grown(beam, gains, width) for beam in beams]
    return [[(draft.template, score) for draft, score in beam] for beam in beams]


def _grown(beam: list[tuple[_Draft, float]], logits: dict[int, torch.Tensor], width: int) -> list[tuple[_Draft, float]]:
    """The best of all complete drafts and all legal continuations of the others."""
    grown: list[tuple[float, _Draft, int | None]] = []
    for draft, score in beam:
        if draft.complete:
            grown.append((score, draft, None))
            continue
        legal = draft.legal()
        gains = logits[id(draft)].masked_fill(torch.from_numpy(~legal), float("-inf")).log_softmax(-1)
        best = gains.topk(min(width, int(legal.sum())))
        grown += [(score + g, draft, s) for g, s in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
    grown.sort(key=lambda one: -one[0])
    return [(draft if symbol is None else draft.extended(symbol), score) for score, draft, symbol in grown[:width]]


def _last_states(model: WyckoffModel, drafts: list[_Draft], device: torch.device) -> torch.Tensor:
    """The backbone's output from which the next symbol of each draft is drawn."""
    sequences = [draft.sequence() for draft in drafts]
    empty = collate_shortlists([Shortlist.empty(draft.grammar.counts) for draft in drafts])
    batch: WyckoffBatch = collate_wyckoff(sequences, [-1] * len(drafts), empty).to(device)
    states = model.states(batch)
    return states[torch.arange(len(drafts), device=device), batch.lengths - 2]
