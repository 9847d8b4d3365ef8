"""Octrees drawn token by token in a batch: one cached pass of the backbone a token or more, the rest in small heads.

Rows stand at different places of their trees; those that are finished are taken out. Every draw is among what is legal
(``OctreeWalk``), so that each row ends in exactly the atoms it was asked for.

**Drafts.** Which cubes come next is known before what is drawn of them, and all random numbers are there beforehand. So
some tokens of each row can be guessed and read in one pass, which gives the output before each of them; from these they
are drawn again with the same random numbers, and kept as far as guess and draw agree, and the first one that does not
as well: it was drawn from what is right. What is drawn is what one token at a time gives, up to rounding, whatever the
guesses. First guesses are blanks, which are never kept but let the output behind them know its place; those of later
passes are the draws that were not kept, from outputs that knew most of what is before them. That is Jacobi iteration
(Song et al. 2021, "Accelerating feedforward computation via parallel nonlinear equation solving") with shared random
numbers (Wiggers and Hoogeboom 2020, "Predictive sampling with forecasting autoregressive models"); of the speculative
decoding of Leviathan et al. 2023 it needs no second model and no rejection.

One at a time are drawn: what a diffusion head draws (floating numbers agree only where all before them was right
already, so no guess is ever kept), places that atoms drawn before may take away (``separation`` 2), and all of a
backbone whose states sum up what was read and cannot be taken back (``TokenMixer.rewinds``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from unigen.batch import PeakBatch, Rows, TensorRows
from unigen.config import check_ranges
from unigen.models.generator import VectorSettings
from unigen.models.octree.batch import NeighbourBatch, OctreeBatch, Stage, prompt_tokens
from unigen.models.octree.embedding import Content, Target, contents, following, targets
from unigen.models.octree.grammar import OctreeWalk
from unigen.models.octree.neighbour_prompt import Shown
from unigen.models.octree.network import OctreeModel
from unigen.models.octree.token_draws import Draws, Noise, TokenDrawer
from unigen.models.octree.tokens import Octrees, length_bound
from unigen.nn.conditions.prompt import Prompt
from unigen.nn.mixers.backbone import first_rows, put_rows
from unigen.nn.mixers.interface import State
from unigen.shapes import Float, Int
from unigen.tokens.sequence import SLOT_WIDTH, VECTOR_WIDTH, Channel

Counts = dict[int, int]
"""Atoms of a structure by atomic number."""


@dataclass(frozen=True, kw_only=True)
class OctreeSettings(VectorSettings):
    """How an octree model draws.

    Attributes:
        temperature: of all that is drawn, symbols and vectors; 1 is the model itself.
        draft: tokens that a pass of the backbone reads at most, of all rows together: each row reads one, and what is
            left is shared out for guesses behind it. What is drawn is the same with any, up to rounding. 1: no guesses.
            With 16 one molecule takes 4 to 13 % less of a CPU than with 1 (weights of a short training; of random ones
            30 %), and batches of 16 and more, where a pass costs what its tokens cost, nothing more.
    """

    temperature: float = 1.0
    draft: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, draft=(1, 1_000_000))


@dataclass(frozen=True, eq=False)
class Drawn:
    """What was drawn.

    Attributes:
        octrees: of all rows.
        lattice: six numbers a row, zeros for molecules.
        log_likelihood: nats, of each octree (and lattice) given its composition, as the model has it at temperature 1,
            among what was legal; of vectors their density where ``decode`` was given steps for it.
        passes: of the backbone behind the compositions, each over some rows.
    """

    octrees: Octrees
    lattice: Float[Tensor, "batch 6"]
    log_likelihood: Float[Tensor, "batch"]
    passes: int


@torch.no_grad()
def decode(
    model: OctreeModel,
    compositions: list[Counts],
    noise: Noise,
    settings: OctreeSettings,
    score_steps: int = 0,
    peaks: PeakBatch | None = None,
    neighbours: NeighbourBatch | None = None,
) -> Drawn:
    """Draw octrees (and lattices) of given compositions.

    Args:
        model: in evaluation mode.
        compositions: of each row.
        noise: random numbers, row by row.
        settings: how to draw.
        score_steps: solver steps of the exact density of each vector; 0 leaves densities out.
        peaks: of the powder patterns that are asked for, a list a row; None: no row has one.
        neighbours: known structures that each row is shown; None: no row is shown any.

    Raises:
        UserError: peaks or neighbours, and a model that hears none.
    """
    device = next(model.parameters()).device
    shown = model.shown(None if neighbours is None else neighbours.to(device))
    prompt = model.prompt(None if peaks is None else peaks.to(device), shown)
    decoder = _Decoder(model, compositions, noise, settings, score_steps, prompt, shown)
    while len(decoder.open.row):
        decoder.advance()
    return Drawn(decoder.walk.octrees(), decoder.lattice, decoder.score, decoder.passes)


@dataclass(frozen=True, eq=False)
class _Open(TensorRows):
    """Rows that are not finished, each with a token that is drawn but not read yet.

    Attributes:
        row: of the walk.
        before: positions of the backbone that are taken by what stands before the composition.
        position: of that token, in tokens behind these.
        content: of that token.
        target: what was known of it.
        guesses: of tokens behind it.
        guessed: how many of those there are.
    """

    row: Int[Tensor, "batch"]
    before: Int[Tensor, "batch"]
    position: Int[Tensor, "batch"]
    content: Content
    target: Target
    guesses: Draws
    guessed: Int[Tensor, "batch"]


class _Decoder:
    """A batch on its way: the walk, rows that are not finished, and the states and outputs of the backbone for them.

    ``h`` (batch, tokens, width) is the output before the next token of each row, and before those behind it, as read
    with ``guesses`` for all but the last; of these, ``window`` count.
    """

    open: _Open
    states: list[State]
    h: Float[Tensor, "batch tokens width"]
    guesses: Draws
    window: Int[Tensor, "batch"]
    longest: int

    def __init__(
        self,
        model: OctreeModel,
        compositions: list[Counts],
        noise: Noise,
        settings: OctreeSettings,
        score_steps: int,
        prompt: Prompt | None,
        shown: Shown | None,
    ) -> None:
        self.model, self.shown = model, shown
        device = next(model.parameters()).device
        counts = torch.zeros(len(compositions), len(model.seen), dtype=torch.int64)
        for row, composition in enumerate(compositions):
            counts[row, list(composition)] = torch.tensor(list(composition.values()))
        self.walk = OctreeWalk(model.grid, counts.to(device))
        self.drawer = TokenDrawer(model, self.walk, noise, settings, score_steps)
        self.score = torch.zeros(len(compositions), dtype=torch.float64, device=device)
        self.lattice = torch.zeros(len(compositions), SLOT_WIDTH[Channel.LATTICE], device=device)
        self.passes, grid = 0, model.grid
        self.draft = settings.draft if model.backbone.rewinds else 1
        # a mask or an octant is legal whatever was drawn before, but for what takes room from its neighbours
        self.drafts_nodes = grid.separation == 1 or grid.stops_at_single
        self.drafts_leaves = grid.is_binned and (grid.separation == 1 or not grid.stops_at_single)
        self._read_prompts(compositions, prompt)

    def advance(self) -> None:
        """Draw the next tokens of each row as far as they are certain, then read them and guesses behind them."""
        drawn, kept = self._draw()
        target = self._targets(self.open.row, kept - 1)
        self._write(drawn, kept)
        each = torch.arange(len(kept), device=kept.device)
        count = drawn.element.shape[1]
        behind = (kept[:, None] + torch.arange(count, device=kept.device)).clamp(max=count - 1)
        self.open = _Open(
            row=self.open.row,
            before=self.open.before,
            position=self.open.position + kept,
            content=drawn.at((each, kept - 1)).content,
            target=target,
            guesses=drawn.at((each[:, None], behind)),
            guessed=self.window - kept,
        )
        self._leave_out_finished()
        if len(self.open.row):
            self._read()

    def _draw(self) -> tuple[Draws, Int[Tensor, "batch"]]:
        """All tokens of the windows, and how many of each row are as if they had been drawn one by one."""
        index = torch.arange(self.h.shape[1], device=self.h.device)
        if len(index) == 1:
            draws = self.drawer.draw(self.open.row, torch.zeros_like(self.open.row), self.h[:, 0])
            return draws.at((slice(None), None)), torch.ones_like(self.window)
        at = (index < self.window[:, None]).nonzero(as_tuple=True)
        each = torch.nn.functional.one_hot(self.guesses.element, self.walk.left.shape[1])
        taken = each.cumsum(1) - each
        drawn = Draws.blank((len(self.window), len(index)), self.walk.offset)
        drawn.put(at, self.drawer.draw(self.open.row[at[0]], at[1], self.h[at], taken[at]))
        agrees = drawn.is_equal(self.guesses) & (index + 1 < self.window[:, None])
        return drawn, 1 + agrees.long().cumprod(1).sum(1)

    def _write(self, drawn: Draws, kept: Int[Tensor, "batch"]) -> None:
        """Put the first tokens of each row into the walk and their scores into the sum."""
        at_node = self.walk.at_node[self.open.row]
        for index in range(int(kept.max())):
            for at_kind, is_node in ((at_node, True), (~at_node, False)):
                chosen = (at_kind & (kept > index)).nonzero()[:, 0]
                if len(chosen):
                    rows, tokens = self.open.row[chosen], drawn.at((chosen, torch.full_like(chosen, index)))
                    if is_node:
                        self.walk.write_node(rows, tokens.child_counts)
                    else:
                        self.walk.write_leaf(rows, tokens.element, tokens.offset)
                    self.score[rows] += tokens.score

    def _leave_out_finished(self) -> None:
        """The last rows take the places of those that are finished: of all memory, theirs alone is copied."""
        is_open = (self.walk.at_node | self.walk.at_leaf)[self.open.row]
        if not bool(is_open.all()):
            count = int(is_open.sum())
            order, places = is_open.nonzero()[:, 0], torch.arange(count, device=is_open.device)
            holes, moved = places[~is_open[:count]], order[order >= count]
            places[holes] = moved
            put_rows(self.states, holes, self.states, moved)
            self.open, self.states = self.open.select(places), first_rows(self.states, count)

    def _read(self) -> None:
        """The backbone reads the token that was drawn of each row, and guesses of those behind it."""
        model, rows = self.model, self.open.row
        # of each row, which is padded to the row of most: there is no memory beyond the longest
        most = min(max(self.draft // len(rows), 1), self.longest - int(self.open.position.max()))
        drafts = torch.where(self.walk.at_node[rows], self.drafts_nodes, self.drafts_leaves)
        self.window = self.walk.known[rows].clamp(max=most).where(drafts, 1)
        index = torch.arange(int(self.window.max()), device=rows.device)
        self.guesses = Draws.blank((len(rows), len(index)), self.walk.offset)
        if len(index) > 1:
            is_guessed = (index + 1 < self.window[:, None]) & (index < self.open.guessed[:, None])
            at = is_guessed.nonzero(as_tuple=True)
            self.guesses.put(at, self.open.guesses.at(at))
        content = _behind(self.open.content, self.guesses.content)
        ahead = torch.minimum(index, self.window[:, None] - 1)
        known = self._targets(rows[:, None].expand_as(ahead), ahead)
        target = _behind(self.open.target, known)
        read, upcoming = model.embedding.content(target, content), model.upcoming(known, self.shown, rows)
        x, layout = model.inputs(read, upcoming, self.window, model.places(target, content, known), None)
        position = self.open.before + self.open.position * model.inputs_a_token
        h, self.states = model.backbone.steps(x, position, self.states, layout.places)
        self.h = h[:, model.inputs_a_token - 1 :: model.inputs_a_token]
        self.passes += 1

    def _read_prompts(self, compositions: list[Counts], prompt: Prompt | None) -> None:
        """The backbone reads compositions behind what stands before them, and the lattices that are drawn then."""
        model, device, is_periodic = self.model, self.score.device, self.model.config.is_periodic
        slots = [np.zeros(VECTOR_WIDTH, dtype=np.float32) if is_periodic else None] * len(compositions)
        first = torch.full((len(compositions),), 0 if is_periodic else 1)
        batch = OctreeBatch.prompts(prompt_tokens(compositions, slots, first)).to(device)
        rows = torch.arange(len(compositions), device=device)
        ends = batch.lengths - 1  # behind the prompt stands what comes first, of which all but its content is known
        if not is_periodic:
            for name, known in vars(self._targets(rows, torch.zeros_like(rows))).items():
                getattr(batch, name)[rows, ends] = known
        target, content = targets(batch), contents(batch)
        next_target = following(target)
        read, upcoming = model.embedding.content(target, content), model.upcoming(next_target, self.shown)
        places = model.places(target, content, next_target)
        places = None if places is None else places[:, :-1]
        x, layout = model.inputs(read[:, :-1], upcoming[:, :-1], ends, places, prompt)
        before = torch.zeros_like(rows) if prompt is None else prompt.lengths
        self.longest = int(ends.max()) + 1 + length_bound(model.grid, int(self.walk.atoms.max()))
        room = int(before.max()) + self.longest * model.inputs_a_token
        self.states = model.backbone.init_states(len(batch), room, x)
        h = model.backbone(x, layout, self.states)[rows, layout.lengths - 1]
        self.h, self.window = h[:, None], torch.ones_like(rows)
        self.guesses = Draws.blank((len(rows), 1), self.walk.offset)
        content = Content(*(part[rows, ends] for part in vars(content).values()))
        target = Target(*(part[rows, ends] for part in vars(target).values()))
        self.open = _Open(rows, before, ends - 1, content, target, self.guesses, torch.zeros_like(rows))
        if is_periodic:
            vectors, score = self.drawer.vectors(model.lattice_head, h, self.drawer.noise.lattice)
            self.lattice, self.score = model.embedding.restore(vectors), self.score + score
            self.open = replace(self.open, position=ends, content=replace(content, vectors=self.lattice))
            self._read()

    def _targets(self, rows: Int[Tensor, "*batch"], ahead: Int[Tensor, "*batch"]) -> Target:
        """What is known of tokens so far behind the next one of rows that are not finished."""
        at_node = self.walk.at_node[rows]
        level, code, count = (torch.ones_like(rows) for _ in range(3))
        level[at_node], code[at_node], count[at_node] = self.walk.next_node(rows[at_node], ahead[at_node])
        level[~at_node], code[~at_node] = self.walk.next_leaf(rows[~at_node], ahead[~at_node])
        return Target(torch.where(at_node, Stage.NODE, Stage.LEAF), level, code, count)


def _behind(first: Rows, others: Rows) -> Rows:
    """The first token of each row, and behind it all others but the last."""
    return type(first)(
        **{name: torch.cat([part[:, None], getattr(others, name)[:, :-1]], 1) for name, part in vars(first).items()}
    )
