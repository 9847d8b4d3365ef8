"""The octree model: composition (and lattice), then nodes and leaves, each predicted at a place that is known.

Uni-3DAR (Lu et al. 2025) predicts every token at a mask that stands at its place; here the same is told in one of two
forms. "descriptor": what is known of the next token is added to the input of the one before it, so nothing gets longer.
"doubled", as published: behind each token stands a mask that holds what is known of the next one, and predicts it.
Before all of it may stand the peaks of a powder pattern (``nn/conditions/peaks.py``) and known structures of other
compositions (``neighbour_prompt.py``), which are not predicted. Neighbours are looked up for a composition that is
known, so behind them none is predicted either: what writes compositions are the rows without.

Where ``masked`` is set it learns something else with the same parts, to be a beginning for a predictor
(``property.py``): a share of the leaves is hidden, and each told from all that is not, by attention in both directions.

Of a node its mask is drawn among the legal ones, then the atoms of each child within their bounds; of a leaf its
element among those that are left, then its place in the cell. All is scored with the distribution over what is legal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from unigen.batch import Layout, PeakBatch, TokenBatch
from unigen.config import check_ranges
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.geometry.morton import MAX_DEPTH
from unigen.models.interface import ALL, SHARES, CompositionNetwork, Network, check_backbone
from unigen.models.octree.batch import NeighbourBatch, OctreeBatch, Stage
from unigen.models.octree.embedding import Content, OctreeEmbedding, Target, contents, following, targets
from unigen.models.octree.grammar import (
    MASKS,
    child_capacities,
    count_bounds,
    legal_masks,
    mask_of,
    masked_log_probabilities,
)
from unigen.models.octree.neighbour_prompt import MOST_NEIGHBOURS, NeighbourPrompt, Shown
from unigen.models.octree.tokens import CELL, OctreeGrid
from unigen.models.peaks import MOST_PEAKS
from unigen.nn.conditions.peaks import PeakPrompt, told_peaks
from unigen.nn.conditions.prompt import Prompt, behind
from unigen.nn.heads.digits import DigitHead
from unigen.nn.heads.symbols import SymbolHead, start_small
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.mixers.backbone import Backbone
from unigen.nn.mixers.pattern import AttentionLayer, ExpertsLayer, Layer, RepeatedLayer, mixer_of
from unigen.nn.process.gaussian import GaussianProcess
from unigen.shapes import Bool, Float, Int
from unigen.tokens.sequence import SLOT_WIDTH, Channel
from unigen.tokens.vocabulary import CRYSTAL_VOCABULARY_SIZE, MAX_COUNT

_UNIFORM = math.sqrt(12.0)
"""One over the standard deviation of a number that is uniform in [0, 1): the process is of numbers of variance 1."""


@dataclass(frozen=True, kw_only=True)
class OctreeSizes:
    """Size and parts of an octree model; see ``OctreeGrid`` for what divides space.

    Attributes:
        max_atoms: the largest structure.
        depth: levels of nodes.
        cell: side of a leaf cell in Angstrom; of crystals it is ``2^-depth`` of a lattice vector.
        bins: places along each axis of a leaf cell, where it is told in bins.
        position: how a place in a leaf is told: "bins", or "continuous", drawn by a diffusion head.
        stops_at_single: a node of one atom is a leaf.
        separation: 2: no two atoms in touching leaf cells.
        form: how a target is told: "descriptor" or "doubled".
        rotary: how attention tells where tokens are: "axial", by their places in space along three axes (of crystals
            periodic) and by their order; "order", by their order alone.
        mixers: of each layer; see ``nn/mixers/pattern.py``.
        width: of the backbone.
        heads: of attention.
        head_width: of the small heads.
        head_blocks: residual blocks of a diffusion head.
        dropout: of the backbone's residual branches.
        element_dropout: how often an element's own embedding is hidden.
        masked: share of the leaves that are hidden, and told from all that is not: pre-training for a predictor; 0:
            each token is told from those before it, and it generates.

    Raises:
        UserError: a value out of its range.
    """

    is_periodic: ClassVar[bool] = False
    max_atoms: int = 32
    depth: int = 6
    cell: float = CELL
    bins: int = 24
    position: Literal["bins", "continuous"] = "bins"
    stops_at_single: bool = True
    separation: Literal[1, 2] = 1
    form: Literal["descriptor", "doubled"] = "descriptor"
    rotary: Literal["axial", "order"] = "axial"
    mixers: tuple[Layer, ...] = ("attention",) * 6
    width: int = 192
    heads: int = 6
    head_width: int = 128
    head_blocks: int = 2
    dropout: float = 0.05
    element_dropout: float = 0.0
    masked: float = 0.0

    @property
    def most_peaks(self) -> int:
        """Of a powder pattern, before a sequence; 0: none is heard."""
        return 0

    @property
    def most_neighbours(self) -> int:
        """Known structures before a sequence; 0: none is shown."""
        return 0

    @property
    def grid(self) -> OctreeGrid:
        """How space is divided."""
        return OctreeGrid(
            depth=self.depth,
            periodic=self.is_periodic,
            cell=self.cell,
            bins=self.bins,
            position=self.position,
            stops_at_single=self.stops_at_single,
            separation=self.separation,
        )

    def __post_init__(self) -> None:
        check_backbone(self)
        # what the symbols of a composition can write: so many of one element
        check_ranges(self, max_atoms=(1, MAX_COUNT), depth=(1, MAX_DEPTH), element_dropout=SHARES, masked=SHARES)
        if self.masked:
            check_sees_all(self.mixers)
        if self.max_atoms > self.grid.capacity:
            raise UserError(
                "max_atoms: more than the octree can hold", got=self.max_atoms, wanted=f"at most {self.grid.capacity}"
            )


@dataclass(frozen=True, kw_only=True)
class OctreeMoleculeConfig(OctreeSizes):
    """Of molecules in a Cartesian box."""

    kind: Literal["octree"] = "octree"


@dataclass(frozen=True, kw_only=True)
class OctreeCrystalConfig(OctreeSizes):
    """Of crystals on the fractional torus.

    Attributes:
        peaks: the most peaks of a powder pattern that may stand in the prompt; 0: it cannot be asked for one.
        peak_dropout: how often the whole pattern is hidden in training, so that it can be asked without one, too.
        neighbours: known structures of other compositions that stand in the prompt; 0: none does.
        neighbour_dropout: how often all of them are hidden in training: these rows teach it to write compositions, and
            what nothing known resembles.
    """

    is_periodic: ClassVar[bool] = True
    kind: Literal["octree-crystals"] = "octree-crystals"
    max_atoms: int = 20
    peaks: int = 0
    peak_dropout: float = 0.25
    neighbours: int = 0
    neighbour_dropout: float = 0.25

    @property
    def most_peaks(self) -> int:
        """See OctreeSizes."""
        return self.peaks

    @property
    def most_neighbours(self) -> int:
        """See OctreeSizes."""
        return self.neighbours

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, peaks=(0, MOST_PEAKS), peak_dropout=SHARES)
        check_ranges(self, neighbours=(0, MOST_NEIGHBOURS), neighbour_dropout=SHARES)
        for name in ("peaks", "neighbours"):
            if self.masked and (got := getattr(self, name)):
                raise UserError(
                    "masked: leaves are told from each other alone", got=f"{name} {got}", wanted=f"{name} 0"
                )


def check_sees_all(layers: tuple[Layer, ...]) -> None:
    """Check that every layer can see all of a sequence at once; raises UserError."""
    for layer in layers:
        mixer = mixer_of(layer.mixer if isinstance(layer, RepeatedLayer | ExpertsLayer) else layer)
        if not isinstance(mixer, AttentionLayer) or mixer.distances:
            raise UserError("mixers: not all can see what stands behind a token", got=mixer.kind, wanted="attention")


@dataclass(frozen=True, eq=False)
class Scores:
    """Log probabilities in nats of the tokens of each kind, 0 where none stands."""

    symbol: Float[Tensor, "batch steps"]
    mask: Float[Tensor, "batch steps"]
    children: Float[Tensor, "batch steps"]
    element: Float[Tensor, "batch steps"]
    place: Float[Tensor, "batch steps"]

    @property
    def total(self) -> Float[Tensor, "batch"]:
        """Of all that is discrete in each structure."""
        return (self.symbol + self.mask + self.children + self.element + self.place).sum(1)


class OctreeNetwork(Network):
    """What reads octrees: an embedding of tokens and a backbone."""

    peaks: PeakPrompt | None
    neighbours: NeighbourPrompt | None

    def make_reader(self, sizes: OctreeSizes) -> None:
        """Make both; nothing is heard before a sequence."""
        self.peaks = self.neighbours = None
        self.sizes, self.grid = sizes, sizes.grid
        self.embedding = OctreeEmbedding(self.grid, sizes.width, sizes.max_atoms, sizes.element_dropout)
        self.backbone = Backbone(sizes.mixers, sizes.width, sizes.heads, sizes.dropout)

    def hidden(
        self, batch: OctreeBatch, masked: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """Backbone output: position t knows the tokens up to t, and what is known of t + 1, which it predicts.

        Args:
            batch: octrees.
            masked: of which tokens no more is known than of a target; where it is given, none perhaps, each position
                knows all other tokens of its structure, too.
        """
        target = targets(batch)
        content, next_target = contents(batch), following(target)
        shown = self.shown(batch.neighbours)
        read, upcoming = self.embedding.content(target, content), self.upcoming(next_target, shown)
        places = self.places(target, content, next_target)
        prompt = self.prompt(batch.tokens.peaks, shown)
        if masked is not None:
            read = torch.where(masked[..., None], self.embedding.upcoming(target), read)
            if places is not None:  # it lies in the middle of its cube, for all that is known
                middle = torch.stack([places[..., 0, :], self.embedding.middle(target)], dim=-2)
                places = torch.where(masked[..., None, None], middle, places)
        x, layout = self.inputs(read, upcoming, batch.lengths, places, prompt)
        layout = replace(layout, looks_ahead=masked is not None)
        h = self.backbone(x, layout)
        if prompt is not None:
            h = behind(h, prompt.lengths, read.shape[1] * self.inputs_a_token)
        return h[:, self.inputs_a_token - 1 :: self.inputs_a_token]

    def shown(self, neighbours: NeighbourBatch | None) -> Shown | None:
        """Neighbours as they are read; None: there are none.

        Raises:
            UserError: this model is shown none.
        """
        if neighbours is None:
            return None
        if self.neighbours is None:
            raise UserError("this model is shown no neighbours", wanted="a model trained with model.neighbours=1")
        return self.neighbours.read(self.embedding, neighbours)

    def prompt(self, peaks: PeakBatch | None, shown: Shown | None) -> Prompt | None:
        """What stands before each sequence: peaks, then neighbours; None: nothing does.

        Raises:
            UserError: peaks, and a model that hears none.
        """
        told = told_peaks(self.peaks, peaks)
        if shown is None:
            return told
        return shown.prompt if told is None else told.then(shown.prompt)

    def upcoming(
        self, target: Target, shown: Shown | None, row: Int[Tensor, "rows"] | None = None
    ) -> Float[Tensor, "rows tokens width"]:
        """What is known of tokens before they are drawn, and what their neighbours have there.

        Args:
            target: of each token.
            shown: neighbours; None: there are none.
            row: whose neighbours they are, of each row of targets; None: row for row.
        """
        known = self.embedding.upcoming(target)
        if shown is None or self.neighbours is None:
            return known
        return known + self.neighbours.beside(target, shown, row)

    @property
    def inputs_a_token(self) -> int:
        """Positions of the backbone that a token takes."""
        return 2 if self.sizes.form == "doubled" else 1

    def inputs(
        self, content: Tensor, upcoming: Tensor, lengths: Tensor, places: Tensor | None, prompt: Prompt | None
    ) -> tuple[Tensor, Layout]:
        """What the backbone reads, content and mask in turn or their sum, the prompt before them, and how it lies.

        Args:
            content: of each token.
            upcoming: what is known of the token behind each.
            lengths: tokens of each row.
            places: of ``places``.
            prompt: what stands before each row; None: nothing does.
        """
        x = content + upcoming
        if self.sizes.form == "doubled":
            x, lengths = torch.stack([content, upcoming], dim=2).flatten(1, 2), 2 * lengths
            if places is not None:  # a token looks from where it lies, a mask from and at what it stands for
                places = places.flip(-2).repeat_interleave(2, -2).unflatten(-2, (2, 2)).flatten(1, 2)
        layout = replace(Layout.padded(lengths, x.shape[1]), places=places)
        return (x, layout) if prompt is None else prompt.before(x, layout)

    def places(self, target: Target, content: Content, next_target: Target) -> Float[Tensor, "*batch 2 3"] | None:
        """Where each token looks from, the middle of the cube that comes next, and where it lies; symbols at 0."""
        if self.sizes.rotary == "order":
            return None
        return torch.stack([self.embedding.middle(next_target), self.embedding.lies(target, content)], dim=-2)


class OctreeModel(OctreeNetwork, CompositionNetwork):
    """See the module's docstring; decoding lives in ``decoding.py``."""

    headline = "val_nll"
    seen: Tensor

    def __init__(self, config: OctreeSizes) -> None:
        super().__init__()
        self.config = config
        self.make_reader(config)
        width = config.width
        self.symbol_head = SymbolHead(width, CRYSTAL_VOCABULARY_SIZE)
        self.mask_head = SymbolHead(width, MASKS)
        self.chosen_mask = nn.Embedding(MASKS, width)
        self.count_head = DigitHead(width, config.head_width, (config.max_atoms + 1,) * 8)
        self.element_head = SymbolHead(width, len(SYMBOLS))
        self.chosen_element = nn.Embedding(len(SYMBOLS), width)
        size: dict[str, Any] = {"condition_width": width, "width": config.head_width, "blocks": config.head_blocks}
        if self.grid.is_binned:
            octants = (8,) * (config.depth if config.stops_at_single else 0)
            self.place_head = DigitHead(width, config.head_width, (*octants, *(config.bins,) * 3))
        else:
            self.vector_head = VectorHead(GaussianProcess(), 3, **size)
        if config.is_periodic:
            self.lattice_head = VectorHead(GaussianProcess(), SLOT_WIDTH[Channel.LATTICE], **size)
        self.register_buffer("seen", torch.zeros(len(SYMBOLS), dtype=torch.bool))
        self.apply(start_small)
        # last: all else begins as it does without
        self.peaks = PeakPrompt(width) if config.most_peaks else None
        if config.most_neighbours:
            self.neighbours = NeighbourPrompt(self.grid, width, config.most_neighbours, config.element_dropout)

    def forward(self, tokens: TokenBatch) -> Float[Tensor, "batch tokens width"]:
        """Backbone output for compositions, finished or not: each position predicts the next symbol."""
        return self.hidden(OctreeBatch.prompts(tokens))

    @property
    def most_peaks(self) -> int:
        """See CompositionNetwork."""
        return self.config.most_peaks

    def scores(self, batch: OctreeBatch, before: Float[Tensor, "batch steps width"]) -> Scores:
        """Log probabilities of all tokens but the first; of compositions, in the rows that are shown no neighbours.

        Where ``separation`` is 2, the tokens of leaf cells are scored among all cells of a block: which of these leave
        room for later atoms only a walk knows.

        Args:
            batch: encoded structures.
            before: ``hidden`` at all positions but the last.
        """
        stage = batch.stage[:, 1:]
        symbol, mask, counts, element, place = (before.new_zeros(stage.shape, dtype=torch.float32) for _ in range(5))
        chosen = batch.is_written_symbol[:, 1:]
        symbol[chosen] = -self.symbol_head.loss(before[chosen], batch.tokens.symbols[:, 1:][chosen])
        chosen = stage == Stage.NODE
        level, code, children = (part[:, 1:][chosen] for part in (batch.level, batch.code, batch.child_counts))
        mask[chosen], counts[chosen] = self.node_scores(before[chosen], level, code, children)
        chosen = stage == Stage.LEAF
        element[chosen] = self.element_scores(before, batch)[chosen]
        if self.grid.is_binned:
            of_leaves = (part[:, 1:][chosen] for part in (batch.element, batch.level, batch.code, batch.offset))
            place[chosen] = self.place_scores(before[chosen], *of_leaves)
        return Scores(symbol, mask, counts, element, place)

    def node_scores(
        self,
        h: Float[Tensor, "nodes width"],
        level: Int[Tensor, "nodes"],
        code: Int[Tensor, "nodes"],
        child_counts: Int[Tensor, "nodes 8"],
    ) -> tuple[Float[Tensor, "nodes"], Float[Tensor, "nodes"]]:
        """Log probabilities of the masks of nodes, and of the counts of their children given these."""
        whole = torch.full((len(level), 3), self.grid.cells, device=level.device)
        capacities = child_capacities(self.grid, level, code, whole)
        mask, count = mask_of(child_counts), child_counts.sum(1)
        of_masks = masked_log_probabilities(self.mask_head(h), legal_masks(capacities, count))
        low, high = count_bounds(capacities, mask, child_counts)
        logits = self.count_head(h + self.chosen_mask(mask), child_counts, child_counts > 0)
        of_counts = masked_log_probabilities(logits, within(low, high, logits.shape[-1]))
        each = of_counts.gather(-1, child_counts[..., None])[..., 0]
        return of_masks.gather(1, mask[:, None])[:, 0], each.sum(1)

    def element_scores(self, before: Float[Tensor, "batch steps width"], batch: OctreeBatch) -> Tensor:
        """Log probability of the element of each leaf among those of which atoms are left; 0 for other tokens."""
        placed = nn.functional.one_hot(batch.element[:, 1:], len(SYMBOLS))
        placed[..., 0] = 0
        left = placed.flip(1).cumsum(1).flip(1) > 0  # an element is left if a leaf from here on has it
        is_leaf = batch.stage[:, 1:] == Stage.LEAF
        scores = before.new_zeros(is_leaf.shape, dtype=torch.float32)
        of_elements = masked_log_probabilities(self.element_head(before[is_leaf]), left[is_leaf])
        scores[is_leaf] = of_elements.gather(1, batch.element[:, 1:][is_leaf][:, None])[:, 0]
        return scores

    def place_scores(
        self,
        h: Float[Tensor, "leaves width"],
        element: Int[Tensor, "leaves"],
        level: Int[Tensor, "leaves"],
        code: Int[Tensor, "leaves"],
        offset: Float[Tensor, "leaves 3"],
    ) -> Float[Tensor, "leaves"]:
        """Log probabilities of the places of leaves: octants down to a cell, then bins."""
        del code  # in a whole cube all octants are legal
        digits, there = self.place_digits(level, offset.long())
        logits = self.place_head(h + self.chosen_element(element), digits, there)
        sizes = torch.tensor([8] * (digits.shape[1] - 3) + [self.config.bins] * 3, device=level.device)
        legal = within(torch.zeros_like(sizes), sizes - 1, logits.shape[-1]).expand_as(logits)
        each = masked_log_probabilities(logits, legal).gather(-1, digits[..., None])[..., 0]
        return (each * there).sum(1)

    def place_digits(
        self, level: Int[Tensor, "leaves"], offset: Int[Tensor, "leaves 3"]
    ) -> tuple[Int[Tensor, "leaves digits"], Bool[Tensor, "leaves digits"]]:
        """Octants from the leaf's children down, then bins of x, y and z; and which of the octants there are."""
        cell, inside = offset // self.config.bins, offset % self.config.bins
        below = torch.arange(self.place_head.place.num_embeddings - 3, device=level.device).flip(0)
        octants = ((cell[:, None] >> below[:, None] & 1) << torch.arange(3, device=level.device)).sum(-1)
        there = below < level[:, None]
        return torch.cat([octants * there, inside], 1), torch.cat([there, torch.ones_like(inside, dtype=torch.bool)], 1)

    def vector_context(self, h: Float[Tensor, "leaves width"], element: Int[Tensor, "leaves"]) -> Tensor:
        """What the diffusion head of places is told."""
        return self.vector_head.context(h + self.chosen_element(element))

    def losses(
        self, batch: OctreeBatch, generator: torch.Generator, repeats: int = 4, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Nats a symbol, a node (mask, counts) and a leaf (element, place); EDM loss of vectors. See Network."""
        del only
        if self.config.masked:
            return self.masked_losses(batch, generator, repeats)
        before, stage = self.hidden(batch)[:, :-1], batch.stage[:, 1:]
        scores = self.scores(batch, before)
        of_stage = {
            "symbol": batch.is_written_symbol[:, 1:],
            "mask": stage == Stage.NODE,
            "children": stage == Stage.NODE,
        }
        of_stage |= {"element": stage == Stage.LEAF} | ({"place": stage == Stage.LEAF} if self.grid.is_binned else {})
        losses = {name: -getattr(scores, name).sum() / chosen.sum().clamp(min=1) for name, chosen in of_stage.items()}
        if not self.grid.is_binned:
            losses["place"] = self.vector_loss(batch, before, stage == Stage.LEAF, generator, repeats)
        if self.config.is_periodic:
            slot = stage == Stage.LATTICE
            context = self.lattice_head.context(before[slot]).repeat(repeats, 1)
            lattice = self.embedding.standardise(batch.tokens.vectors[:, 1:][slot]).repeat(repeats, 1)
            losses["lattice"] = self.lattice_head.loss(context, lattice, generator).mean()
        return losses

    def vector_loss(
        self,
        batch: OctreeBatch,
        before: Float[Tensor, "batch steps width"],
        leaf: Bool[Tensor, "batch steps"],
        generator: torch.Generator,
        repeats: int,
    ) -> Float[Tensor, ""]:
        """EDM loss of the places of some leaves."""
        size = (1 << batch.level[:, 1:][leaf])[:, None]
        place = (batch.offset[:, 1:][leaf] / size - 0.5) * _UNIFORM
        context = self.vector_context(before[leaf], batch.element[:, 1:][leaf]).repeat(repeats, 1)
        return self.vector_head.loss(context, place.repeat(repeats, 1), generator).mean()

    def masked_losses(
        self, batch: OctreeBatch, generator: torch.Generator, repeats: int
    ) -> dict[str, Float[Tensor, ""]]:
        """Nats a hidden leaf of its element, among those of the composition, and of its place in its cube.

        Nodes are not hidden: the cubes of their children, which stand in the sequence, tell what they hold.
        """
        drawn = torch.rand(batch.stage.shape, generator=generator, device=generator.device).to(batch.stage.device)
        masked = (batch.stage == Stage.LEAF) & (drawn < self.config.masked)
        before, chosen = self.hidden(batch, masked)[:, :-1], masked[:, 1:]
        there = nn.functional.one_hot(batch.element, len(SYMBOLS)).amax(1, keepdim=True) > 0
        there[..., 0] = False
        legal = there.expand(-1, chosen.shape[1], -1)[chosen]
        of_leaves = (part[:, 1:][chosen] for part in (batch.element, batch.level, batch.code, batch.offset))
        element, level, code, offset = of_leaves
        of_elements = masked_log_probabilities(self.element_head(before[chosen]), legal).gather(1, element[:, None])
        count = chosen.sum().clamp(min=1)
        losses = {"element": -of_elements.sum() / count}
        if self.grid.is_binned:
            losses["place"] = -self.place_scores(before[chosen], element, level, code, offset).sum() / count
        elif bool(chosen.any()):
            losses["place"] = self.vector_loss(batch, before, chosen, generator, repeats)
        else:
            losses["place"] = before.sum() * 0.0
        return losses

    def validated(
        self, batch: OctreeBatch, generator: torch.Generator, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Losses of each part, and nats a structure of all that is discrete; where leaves are hidden, nats of each."""
        losses = self.losses(batch, generator, only=only)
        if self.config.masked:
            total = torch.stack(list(losses.values())).sum()
            return {"val_nll": total} | {f"val_loss_{name}": loss for name, loss in losses.items()}
        total = self.log_likelihoods(batch, self.hidden(batch)[:, :-1])
        return {"val_nll": -total.mean()} | {f"val_loss_{name}": loss for name, loss in losses.items()}

    def log_likelihoods(self, batch: OctreeBatch, before: Float[Tensor, "batch steps width"]) -> Float[Tensor, "batch"]:
        """Of all that is discrete in each structure; its composition before any neighbour is shown, as it is drawn.

        Args:
            batch: encoded structures.
            before: ``hidden`` at all positions but the last.
        """
        scores = self.scores(batch, before)
        if batch.neighbours is None:
            return scores.total
        alone = replace(batch, neighbours=None)
        return scores.total - scores.symbol.sum(1) + self.scores(alone, self.hidden(alone)[:, :-1]).symbol.sum(1)

    def large_parts(self) -> list[nn.Module]:
        """See Network."""
        return [self.backbone]


def within(low: Int[Tensor, "*rest"], high: Int[Tensor, "*rest"], most: int) -> Bool[Tensor, "*rest most"]:
    """Which of the numbers from 0 to ``most - 1`` lie between two bounds."""
    values = torch.arange(most, device=low.device)
    return (values >= low[..., None]) & (values <= high[..., None])


def to_place(vector: Float[Tensor, "leaves 3"], level: Int[Tensor, "leaves"]) -> Float[Tensor, "leaves 3"]:
    """Offsets in leaf cells of vectors as the diffusion head draws them, held to their leaves."""
    # off the faces by more than a rounding of single precision, so that a place is never in the next cell
    inside = (vector.double() / _UNIFORM + 0.5).clamp(1e-6, 1.0 - 1e-6)
    return inside * (1 << level)[:, None]
