"""New templates from the model: a space group, then letter after letter; only those that hold exactly the cell."""

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
from unigen.retrieval.table import MAX_ORBITS
from unigen.shapes import Float
from unigen.tokens import vocabulary
from unigen.tokens.composition import composition_symbols
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, VECTOR_WIDTH, Channel, Sequence


class _PartialTemplate:
    """A template while it is written, symbol by symbol."""

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

    def extended(self, symbol: int) -> _PartialTemplate:
        """A copy with one symbol more."""
        longer = _PartialTemplate(self.grammar)
        longer.group, longer.letters, longer.numbers = self.group, list(self.letters), list(self.numbers)
        longer.write(symbol)
        return longer

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
            symbols += [vocabulary.letter_symbol(letter) for letter in self.letters]
            for written in range(len(self.letters) + 1):
                current = self.grammar.current(self.group, self.letters[:written])
                assert current is not None, "nothing is left to place"
                number, left = current
                descriptor.append((number, left, self.grammar.counts[number]))
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


@torch.no_grad()
def draw_templates(
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
    partials = [
        _PartialTemplate(WyckoffGrammar(cell, groups, MAX_ORBITS))
        for cell, groups in zip(cells, space_groups, strict=True)
    ]
    for partial in partials:
        partial.grammar.check()
    scores = np.zeros(len(partials))
    device = next(model.parameters()).device
    for step in range(uniforms.shape[1]):
        rows = [row for row, partial in enumerate(partials) if not partial.complete]
        if not rows:
            break
        h = _last_states(model, [partials[row] for row in rows], device)
        legal = torch.from_numpy(np.stack([partials[row].legal() for row in rows])).to(device)
        drawn = model.symbol_head.sample(h, legal, torch.from_numpy(uniforms[rows, step]).to(device), temperature)
        logits = model.symbol_head(h).masked_fill(~legal, float("-inf")).double().log_softmax(-1)
        scores[rows] += logits.gather(1, drawn[:, None])[:, 0].cpu().numpy()
        for row, symbol in zip(rows, drawn.tolist(), strict=True):
            partials[row].write(symbol)
    return [partial.template for partial in partials], scores


@torch.no_grad()
def space_group_log_probabilities(
    model: WyckoffModel, cells: list[Counts], space_groups: frozenset[int]
) -> Float[np.ndarray, "cells"]:
    """How likely a new template of each cell has one of these space groups, in nats; all that can hold it sum to 1.

    Args:
        model: in evaluation mode.
        cells: atoms of the primitive cells by atomic number; one of the groups can hold each of them.
        space_groups: their numbers.
    """
    partials = [_PartialTemplate(WyckoffGrammar(cell)) for cell in cells]
    legal = torch.from_numpy(np.stack([partial.legal() for partial in partials]))
    wanted = torch.zeros(legal.shape[1], dtype=torch.bool)
    wanted[[vocabulary.group_symbol(number) for number in space_groups]] = True
    device = next(model.parameters()).device
    logits = model.symbol_head(_last_states(model, partials, device)).double().cpu()
    log_probability = logits.masked_fill(~legal, float("-inf")).log_softmax(-1)
    return log_probability.masked_fill(~wanted, float("-inf")).logsumexp(-1).numpy()


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
    starts = [
        _PartialTemplate(WyckoffGrammar(cell, groups, MAX_ORBITS))
        for cell, groups in zip(cells, space_groups, strict=True)
    ]
    for start in starts:
        start.grammar.check()
    device = next(model.parameters()).device
    beams = [[(start, 0.0)] for start in starts]
    # All cells grow by one symbol at a time, so that one pass of the backbone serves all of their beams.
    while open_templates := [partial for beam in beams for partial, _ in beam if not partial.complete]:
        logits = model.symbol_head(_last_states(model, open_templates, device)).double().cpu()
        logits_of = dict(zip(map(id, open_templates), logits, strict=True))
        beams = [_grown(beam, logits_of, width) for beam in beams]
    return [[(partial.template, score) for partial, score in beam] for beam in beams]


def _grown(
    beam: list[tuple[_PartialTemplate, float]], logits: dict[int, torch.Tensor], width: int
) -> list[tuple[_PartialTemplate, float]]:
    """The best of all complete templates and all legal continuations of the others."""
    grown: list[tuple[float, _PartialTemplate, int | None]] = []
    for partial, score in beam:
        if partial.complete:
            grown.append((score, partial, None))
            continue
        legal = partial.legal()
        log_probability = logits[id(partial)].masked_fill(torch.from_numpy(~legal), float("-inf")).log_softmax(-1)
        best = log_probability.topk(min(width, int(legal.sum())))
        gains = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        grown += [(score + gain, partial, symbol) for gain, symbol in gains]
    grown.sort(key=lambda entry: -entry[0])
    return [
        (partial if symbol is None else partial.extended(symbol), score) for score, partial, symbol in grown[:width]
    ]


def _last_states(model: WyckoffModel, partials: list[_PartialTemplate], device: torch.device) -> torch.Tensor:
    """The backbone's output from which the next symbol of each template is drawn."""
    sequences = [partial.sequence() for partial in partials]
    empty = collate_shortlists([Shortlist.empty(partial.grammar.counts) for partial in partials])
    batch: WyckoffBatch = collate_wyckoff(sequences, [-1] * len(partials), empty).to(device)
    states = model.states(batch)
    return states[torch.arange(len(partials), device=device), batch.lengths - 2]
