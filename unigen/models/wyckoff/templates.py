"""New templates from the model: a space group, then letter after letter; only those that hold exactly the cell."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from unigen.batch import PeakBatch
from unigen.crystals.template import Template
from unigen.models.cell_choice import Counts
from unigen.models.wyckoff.cached_decoder import CachedDecoder
from unigen.models.wyckoff.grammar import Beginning, WyckoffGrammar
from unigen.retrieval.table import MAX_ORBITS
from unigen.shapes import Bool, Float, Int
from unigen.tokens import vocabulary
from unigen.tokens.composition import composition_symbols
from unigen.tokens.sequence import DESCRIPTOR_WIDTH

_FIRST_LETTER = vocabulary.letter_symbol(0)


@dataclass(frozen=True, eq=False)
class _Draft:
    """A template while it is written, symbol by symbol.

    Attributes:
        grammar: of its cell.
        beginning: what is written; None before the space group is.
        numbers: atomic number of each orbit so far.
        letters: its letter.
    """

    grammar: WyckoffGrammar
    beginning: Beginning | None = None
    numbers: tuple[int, ...] = ()
    letters: tuple[int, ...] = ()

    @property
    def complete(self) -> bool:
        return self.beginning is not None and not self.beginning.counts

    def extended(self, symbol: int) -> _Draft:
        """With one symbol more."""
        if self.beginning is None:
            group = vocabulary.group_of(symbol)
            assert group is not None, "a space group must stand here"
            return replace(self, beginning=self.grammar.beginning(group))
        element, letter = self.grammar.next_element(self.beginning), vocabulary.letter_of(symbol)
        assert element is not None, "nothing is left to place"
        assert letter is not None, "a letter must stand here"
        return _Draft(
            self.grammar, self.beginning.extended(letter), (*self.numbers, element[0]), (*self.letters, letter)
        )

    @property
    def following(self) -> tuple[int, int, int]:
        """The target descriptor of the next letter: element, how many atoms of it are left, and how many there are."""
        element = None if self.beginning is None else self.grammar.next_element(self.beginning)
        assert element is not None, "nothing is left to place"
        number, left = element
        return number, left, self.grammar.counts[number]

    @property
    def template(self) -> Template:
        """What is written, once it is complete."""
        assert self.beginning is not None, "a template has a space group"
        return Template(self.beginning.space_group, self.numbers, self.letters)


def _legal(drafts: list[_Draft]) -> Bool[torch.Tensor, "drafts vocabulary"]:
    """Which symbols may come next."""
    mask = np.zeros((len(drafts), vocabulary.CRYSTAL_VOCABULARY_SIZE), dtype=bool)
    for row, draft in zip(mask, drafts, strict=True):
        if draft.beginning is None:
            groups = np.flatnonzero(draft.grammar.legal_space_groups())
            row[[vocabulary.group_symbol(int(number)) for number in groups]] = True
        else:
            row[_FIRST_LETTER : _FIRST_LETTER + vocabulary.LETTER_COUNT] = draft.beginning.legal_letters()
    return torch.from_numpy(mask)


def _following(drafts: list[_Draft]) -> Int[torch.Tensor, "drafts 3"]:
    return torch.tensor([draft.following for draft in drafts]).reshape(-1, DESCRIPTOR_WIDTH)


def _prompt(cell: Counts) -> list[int]:
    return [*composition_symbols(cell), vocabulary.NEW]


def _room(cell: Counts) -> int:
    """The most symbols of a template: a space group and as many orbits as there are atoms, or as may be written."""
    return 1 + min(sum(cell.values()), MAX_ORBITS)


@torch.no_grad()
def draw_templates(
    decoder: CachedDecoder,
    cells: list[Counts],
    space_groups: list[frozenset[int]],
    uniforms: Float[np.ndarray, "batch draws"],
    temperature: float,
    peaks: PeakBatch | None = None,
) -> tuple[list[Template], Float[np.ndarray, "batch"]]:
    """Draw a template for each cell, and its log probability under the model (all legal templates sum to 1).

    Args:
        decoder: of the model.
        cells: atoms of the primitive cells by atomic number.
        space_groups: those that may be written, for each cell.
        uniforms: the numbers in [0, 1) that decide each row's draws; one a symbol, space group first.
        temperature: of the symbols.
        peaks: of the powder patterns that are asked for, a list a row; None: none is.

    Raises:
        UserError: a cell that none of its space groups can hold.
    """
    drafts = [
        _Draft(WyckoffGrammar(cell, groups, MAX_ORBITS)) for cell, groups in zip(cells, space_groups, strict=True)
    ]
    for draft in drafts:
        draft.grammar.check()
    scores = np.zeros(len(drafts))
    head = decoder.model.symbol_head
    reading = decoder.read_prompts([_prompt(cell) for cell in cells], max(map(_room, cells)), peaks)
    device = reading.h.device
    rows = list(range(len(drafts)))
    for step in range(uniforms.shape[1]):
        legal = _legal([drafts[row] for row in rows]).to(device)
        drawn = head.sample(reading.h, legal, torch.from_numpy(uniforms[rows, step]).to(device), temperature)
        log_probability = head(reading.h).masked_fill(~legal, float("-inf")).double().log_softmax(-1)
        scores[rows] += log_probability.gather(1, drawn[:, None])[:, 0].cpu().numpy()
        for row, symbol in zip(rows, drawn.tolist(), strict=True):
            drafts[row] = drafts[row].extended(symbol)
        is_open = [not drafts[row].complete for row in rows]
        if not all(is_open):
            left = torch.tensor(is_open, device=device).nonzero()[:, 0]
            rows = [row for row, still in zip(rows, is_open, strict=True) if still]
            if not rows:
                break
            reading, drawn = reading.pick(left), drawn[left]
        reading = decoder.write_symbols(reading, drawn, _following([drafts[row] for row in rows]).to(device))
    return [draft.template for draft in drafts], scores


@torch.no_grad()
def space_group_log_probabilities(
    decoder: CachedDecoder, cells: list[Counts], space_groups: frozenset[int]
) -> Float[np.ndarray, "cells"]:
    """How likely a new template of each cell has one of these space groups, in nats; all that can hold it sum to 1.

    Args:
        decoder: of the model.
        cells: atoms of the primitive cells by atomic number; one of the groups can hold each of them.
        space_groups: their numbers.
    """
    legal = _legal([_Draft(WyckoffGrammar(cell)) for cell in cells])
    wanted = torch.zeros(legal.shape[1], dtype=torch.bool)
    wanted[[vocabulary.group_symbol(number) for number in space_groups]] = True
    h = decoder.read_prompts([_prompt(cell) for cell in cells], room=0).h
    logits = decoder.model.symbol_head(h).double().cpu()
    log_probability = logits.masked_fill(~legal, float("-inf")).log_softmax(-1)
    return log_probability.masked_fill(~wanted, float("-inf")).logsumexp(-1).numpy()


@dataclass(frozen=True)
class Search:
    """The likeliest templates of a cell.

    Attributes:
        found: the likeliest first, with their log probabilities.
        finished: whether there are no more to be found with this width.
    """

    found: list[tuple[Template, float]]
    finished: bool


@torch.no_grad()
def search_templates(
    decoder: CachedDecoder,
    cell: Counts,
    space_groups: frozenset[int],
    width: int,
    wanted: int | None = None,
    peaks: PeakBatch | None = None,
) -> Search:
    """The likeliest templates of a cell; fewer where fewer are legal.

    A beam search: exact as long as no more than ``width`` beginnings compete, else a lower bound. Continuations are no
    likelier than what they continue, so the best templates are known as soon as they are complete, and the search ends
    when there are enough of them. They are the first of those that it would find without an end.

    Args:
        decoder: of the model.
        cell: atoms of the primitive cell by atomic number.
        space_groups: those that may be written.
        width: of the beam, and how many templates at most.
        wanted: how many are needed; None: all that there are.
        peaks: of the powder pattern that is asked for, one list; None: none is.

    Raises:
        UserError: a cell that none of its space groups can hold.
    """
    grammar = WyckoffGrammar(cell, space_groups, MAX_ORBITS)
    grammar.check()
    reading = decoder.read_prompts([_prompt(cell)], _room(cell), peaks)
    device = reading.h.device
    beam = [(0.0, _Draft(grammar))]
    while True:
        drafts = [draft for _, draft in beam if not draft.complete]
        logits = decoder.model.symbol_head(reading.h).double().cpu()
        log_probability = logits.masked_fill(~_legal(drafts), float("-inf")).log_softmax(-1)
        best = log_probability.topk(min(width, log_probability.shape[1]))
        continuations = iter(zip(best.values.tolist(), best.indices.tolist(), strict=True))
        # what each draft may become: its score, the draft, its row in the reading and the symbol; both None if complete
        grown: list[tuple[float, _Draft, int, int]] = []
        row = 0
        for score, draft in beam:
            if draft.complete:
                grown.append((score, draft, -1, -1))
                continue
            gains = zip(*next(continuations), strict=True)
            grown += [(score + gain, draft, row, symbol) for gain, symbol in gains if gain > -np.inf]
            row += 1
        grown.sort(key=lambda entry: -entry[0])
        kept = grown[:width]
        beam = [(score, draft if symbol < 0 else draft.extended(symbol)) for score, draft, _, symbol in kept]
        places = [place for place, (_, draft) in enumerate(beam) if not draft.complete]
        known = places[0] if places else len(beam)
        if not places or (wanted is not None and known >= wanted):
            return Search([(draft.template, score) for score, draft in beam[:known]], not places)
        rows = [kept[place][2] for place in places]
        if rows != list(range(len(reading))):
            reading = reading.pick(torch.tensor(rows, device=device))
        symbols = torch.tensor([kept[place][3] for place in places], device=device)
        following = _following([beam[place][1] for place in places]).to(device)
        reading = decoder.write_symbols(reading, symbols, following)
