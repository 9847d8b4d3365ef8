"""The network read symbol by symbol and slot by slot, each position once: what was read is remembered.

Templates that are searched or drawn and the numbers of planned crystals are written by the same two moves: read what is
known, then take one step a position. Rows are picked, dropped and repeated between steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from unigen.batch import Layout, PeakBatch
from unigen.models.cell_choice import prompt_batch
from unigen.models.wyckoff.batch import WyckoffBatch
from unigen.models.wyckoff.embedding import shifted
from unigen.models.wyckoff.network import WyckoffModel
from unigen.nn.conditions.peaks import told_peaks
from unigen.nn.mixers.backbone import first_rows, pick_rows
from unigen.nn.mixers.interface import State
from unigen.shapes import Float, Int
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, Channel


@dataclass(frozen=True, eq=False)
class Reading:
    """Sequences that were read up to some position.

    Attributes:
        h: the network's output there, from which what stands at the next position is drawn.
        position: the next position of each row.
        before: positions that each row has before its sequence: those of the peaks that are asked for.
        states: what the backbone remembers; a step writes into it.
    """

    h: Float[Tensor, "batch width"]
    position: Int[Tensor, "batch"]
    before: Int[Tensor, "batch"]
    states: list[State]

    def __len__(self) -> int:
        return len(self.h)

    def first(self, count: int) -> Reading:
        """The first rows; they share the memory of this one."""
        if count == len(self):
            return self
        return Reading(self.h[:count], self.position[:count], self.before[:count], first_rows(self.states, count))

    def pick(self, rows: Int[Tensor, "picked"]) -> Reading:
        """Some of the rows, in any order and maybe repeated; each goes its own way from here."""
        return Reading(self.h[rows], self.position[rows], self.before[rows], pick_rows(self.states, rows))


@dataclass(frozen=True, eq=False)
class PlanReading:
    """Plans that were read up to their lattices, and what will be read with each of their numbers.

    Attributes:
        reading: as far as they were read.
        plans: most slots first.
        asked: whether any of them has properties that it is asked for.
        content: of every position, but for its numbers.
        upcoming: what every position knows of the next one.
    """

    reading: Reading
    plans: WyckoffBatch
    asked: bool
    content: Float[Tensor, "batch tokens width"]
    upcoming: Float[Tensor, "batch tokens width"]

    def pick(self, rows: Int[Tensor, "picked"]) -> PlanReading:
        """Some of the rows, as they were before any slot."""
        reading, plans = self.reading.pick(rows), self.plans.select(rows)
        return PlanReading(reading, plans, self.asked, self.content[rows], self.upcoming[rows])


class CachedDecoder:
    """Reads sequences with a model, each position once.

    Args:
        model: in evaluation mode; what its weights say of every element is looked up once, so make another decoder when
            they change.
    """

    def __init__(self, model: WyckoffModel) -> None:
        self.model = model
        with torch.no_grad():
            self._of_elements = model.embedding.of_elements()

    def read_prompts(self, prompts: list[list[int]], room: int, peaks: PeakBatch | None = None) -> Reading:
        """Read compositions and the symbol that says that a template is written; no template hears of properties.

        Args:
            prompts: their symbols.
            room: positions that may be written after each of them.
            peaks: that stand before each of them; None: none do.
        """
        tokens = prompt_batch(prompts, next(self.model.parameters()).device, peaks)
        x = self.model.prompt_inputs(self._of_elements, tokens)
        return self.read(x, tokens.lengths, room, tokens.peaks)

    def write_symbols(
        self, reading: Reading, symbols: Int[Tensor, "batch"], following: Int[Tensor, "batch 3"]
    ) -> Reading:
        """Write a symbol of a template behind each row, and read it.

        Args:
            reading: its memory is written into.
            symbols: of the vocabulary.
            following: the target descriptor of the position behind it.
        """
        embedding, no_slot = self.model.embedding, torch.zeros_like(symbols)
        undescribed = symbols.new_zeros(len(symbols), DESCRIPTOR_WIDTH)
        x = embedding.content(self._of_elements, symbols, no_slot, undescribed)
        x = x + embedding.upcoming(self._of_elements, no_slot, following, no_slot)
        return self.step(x, reading)

    def read_plans(self, plans: WyckoffBatch) -> PlanReading:
        """Read plans up to where their lattices will stand."""
        tokens, embedding = plans.tokens, self.model.embedding
        position = (tokens.channel == Channel.LATTICE).to(torch.int8).argmax(1)
        content = embedding.content(self._of_elements, tokens.symbols, tokens.channel, tokens.descriptor)
        channel, descriptor, start, free, role = map(
            shifted, (tokens.channel, tokens.descriptor, plans.start, plans.free, plans.role)
        )
        upcoming = embedding.upcoming(self._of_elements, channel, descriptor, role)
        for each, starts in (
            (Channel.LATTICE, embedding.start.of_lattices),
            (Channel.FRACTIONAL, embedding.start.of_sites),
        ):
            before = channel == each
            upcoming[before] += starts(start[before], free[before])
        longest = int(position.max())
        x = self.model.with_followed(content + upcoming, plans)[:, :longest]
        reading = self.read(x, position, tokens.symbols.shape[1] - longest, tokens.peaks)
        asked = bool(tokens.vectors[:, 0].any())
        if asked:
            reading = replace(reading, h=self._conditioned(reading.h, plans))
        return PlanReading(reading, plans, asked, content, upcoming)

    def write_slots(self, plan: PlanReading, reading: Reading, channel: Channel, numbers: Tensor) -> Reading:
        """Write the numbers of the slot at which each row stands, and read them.

        Args:
            plan: what was read before any slot.
            reading: of its first rows; its memory is written into.
            channel: of all these slots.
            numbers: (batch, 6).
        """
        rows, at = torch.arange(len(reading), device=numbers.device), reading.position
        drawn = self.model.embedding.drawn
        embed = drawn.of_lattices if channel == Channel.LATTICE else drawn.of_sites
        x = plan.content[rows, at] + embed(numbers, plan.plans.free[rows, at]) + plan.upcoming[rows, at]
        written = self.step(x, reading)
        # where nothing is asked for the output stays what it is, which need not be computed
        return replace(written, h=self._conditioned(written.h, plan.plans)) if plan.asked else written

    def read(
        self,
        x: Float[Tensor, "batch tokens width"],
        lengths: Int[Tensor, "batch"],
        room: int,
        peaks: PeakBatch | None = None,
    ) -> Reading:
        """Read embedded sequences behind their peaks, each up to its own length; so many positions may follow."""
        layout = Layout.padded(lengths, x.shape[1])
        prompt = told_peaks(self.model.peaks, peaks)
        if prompt is not None:
            x, layout = prompt.before(x, layout)
        states = self.model.backbone.init_states(len(x), x.shape[1] + room, x)
        h = self.model.backbone(x, layout, states)
        last = h[torch.arange(len(x), device=x.device), layout.lengths - 1]
        return Reading(last, lengths, torch.zeros_like(lengths) if peaks is None else peaks.lengths, states)

    def step(self, x: Float[Tensor, "batch width"], reading: Reading) -> Reading:
        """Read one embedded position more of each row; the memory of the reading is written into."""
        h, states = self.model.backbone.step(x, reading.before + reading.position, reading.states)
        return Reading(h, reading.position + 1, reading.before, states)

    def _conditioned(self, h: Float[Tensor, "batch width"], plans: WyckoffBatch) -> Float[Tensor, "batch width"]:
        """Moved by what the first plans are asked for."""
        return self.model.conditioned(h, plans.tokens.vectors[: len(h), 0])
