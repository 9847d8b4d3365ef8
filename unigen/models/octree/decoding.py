"""Octrees drawn token by token in a batch: one cached step of the backbone a token, the rest in small heads.

Rows stand at different places of their trees; those that are finished are taken out. Every draw is among what is legal
(``OctreeWalk``), so that each row ends in exactly the atoms it was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from unigen.batch import PeakBatch
from unigen.models.generator import VectorSettings
from unigen.models.octree.batch import OctreeBatch, Stage, prompt_tokens
from unigen.models.octree.embedding import Content, Target, contents, following, targets
from unigen.models.octree.grammar import OctreeWalk, count_bounds, masked_log_probabilities
from unigen.models.octree.network import OctreeModel, to_place, within
from unigen.models.octree.tokens import OctreeGrid, Octrees, length_bound
from unigen.nn.heads.digits import DigitHead
from unigen.nn.heads.symbols import draw_symbols
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.kernels.vector_sampler import sample_vectors
from unigen.nn.mixers.backbone import pick_rows
from unigen.nn.mixers.interface import State
from unigen.nn.process.solvers import karras_levels, log_likelihood
from unigen.shapes import Bool, Float, Int
from unigen.tokens.sequence import SLOT_WIDTH, VECTOR_WIDTH, Channel
from unigen.tokens.vocabulary import SLOT

Counts = dict[int, int]
"""Atoms of a structure by atomic number."""

_DRAWS_A_NODE = 9
"""Its mask, and the atoms of each child."""


@dataclass(frozen=True, kw_only=True)
class OctreeSettings(VectorSettings):
    """How an octree model draws.

    Attributes:
        temperature: of all that is drawn, symbols and vectors; 1 is the model itself.
    """

    temperature: float = 1.0


@dataclass(frozen=True, eq=False)
class Noise:
    """All random numbers of a batch, drawn beforehand a row, so that no row depends on its batch.

    Attributes:
        nodes: uniform, of each node the numbers of its mask and its children.
        leaves: uniform, of each leaf those of its element, its octants and its bins.
        places: standard normal, of each leaf.
        lattice: standard normal.
    """

    nodes: Float[Tensor, "batch nodes draws"]
    leaves: Float[Tensor, "batch leaves digits"]
    places: Float[Tensor, "batch leaves 3"]
    lattice: Float[Tensor, "batch 6"]

    @classmethod
    def of(cls, rngs: list[np.random.Generator], grid: OctreeGrid, max_atoms: int, device: torch.device) -> Noise:
        """The next random numbers of each row; as many whatever the structure, so that none depends on another."""
        nodes = length_bound(grid, max_atoms) - max_atoms
        parts = [
            (
                rng.random((nodes, _DRAWS_A_NODE)),
                rng.random((max_atoms, 1 + grid.depth + 3)),
                rng.standard_normal((max_atoms, 3), dtype=np.float32),
                rng.standard_normal(SLOT_WIDTH[Channel.LATTICE], dtype=np.float32),
            )
            for rng in rngs
        ]
        return cls(*(torch.from_numpy(np.stack(part)).to(device) for part in zip(*parts, strict=True)))


@dataclass(frozen=True, eq=False)
class Drawn:
    """What was drawn.

    Attributes:
        octrees: of all rows.
        lattice: six numbers a row, zeros for molecules.
        log_likelihood: nats, of each octree (and lattice) given its composition, as the model has it at temperature 1,
            among what was legal; of vectors their density where ``decode`` was given steps for it.
    """

    octrees: Octrees
    lattice: Float[Tensor, "batch 6"]
    log_likelihood: Float[Tensor, "batch"]


@torch.no_grad()
def decode(
    model: OctreeModel,
    compositions: list[Counts],
    noise: Noise,
    settings: OctreeSettings,
    score_steps: int = 0,
    peaks: PeakBatch | None = None,
) -> Drawn:
    """Draw octrees (and lattices) of given compositions.

    Args:
        model: in evaluation mode.
        compositions: of each row.
        noise: random numbers, row by row.
        settings: how to draw.
        score_steps: solver steps of the exact density of each vector; 0 leaves densities out.
        peaks: of the powder patterns that are asked for, a list a row; None: no row has one.
    """
    decoder = _Decoder(model, compositions, noise, settings, score_steps, peaks)
    while len(decoder.rows):
        decoder.advance()
    return Drawn(decoder.walk.octrees(), decoder.lattice, decoder.score)


class _Decoder:
    """A batch on its way: the walk, the states of the backbone, and its output for the next token of each row.

    ``rows`` are those that are not finished; ``h`` and ``states`` are theirs alone.
    """

    def __init__(
        self,
        model: OctreeModel,
        compositions: list[Counts],
        noise: Noise,
        settings: OctreeSettings,
        score_steps: int,
        peaks: PeakBatch | None,
    ) -> None:
        self.model, self.noise, self.settings, self.score_steps = model, noise, settings, score_steps
        device = next(model.parameters()).device
        counts = torch.zeros(len(compositions), len(model.seen), dtype=torch.int64)
        for row, composition in enumerate(compositions):
            counts[row, list(composition)] = torch.tensor(list(composition.values()))
        self.walk = OctreeWalk(model.grid, counts.to(device))
        self.rows = torch.arange(len(compositions), device=device)
        self.score = torch.zeros(len(compositions), dtype=torch.float64, device=device)
        self.lattice = torch.zeros(len(compositions), SLOT_WIDTH[Channel.LATTICE], device=device)
        self.h, self.states, self.position = self._read_prompts(compositions, peaks, device)
        if model.config.is_periodic:
            self._draw_lattices()

    def advance(self) -> None:
        """The next token of each row that is not finished."""
        target = self._target(self.rows)
        content = self._blank(len(self.rows))
        at_node, at_leaf = self.walk.at_node[self.rows], self.walk.at_leaf[self.rows]
        if bool(at_node.any()):
            content.child_counts[at_node] = self._draw_nodes(self.rows[at_node], self.h[at_node])
        if bool(at_leaf.any()):
            element, offset = self._draw_leaves(self.rows[at_leaf], self.h[at_leaf])
            content.element[at_leaf], content.offset[at_leaf] = element, offset.float()
        open_rows = (self.walk.at_node | self.walk.at_leaf)[self.rows]
        if not bool(open_rows.all()):
            kept = open_rows.nonzero()[:, 0]
            self.rows, self.position = self.rows[kept], self.position[kept]
            self.states = pick_rows(self.states, kept)
            target, content = target.select(kept), content.select(kept)
        if len(self.rows):
            self._step(target, content)

    def _read_prompts(
        self, compositions: list[Counts], peaks: PeakBatch | None, device: torch.device
    ) -> tuple[Tensor, list[State], Tensor]:
        """Output at the end of each composition (for the first token behind it), states, the backbone's positions."""
        model = self.model
        slots = [np.zeros(VECTOR_WIDTH, dtype=np.float32) if model.config.is_periodic else None] * len(compositions)
        first = torch.full((len(compositions),), 0 if model.config.is_periodic else 1)
        batch = OctreeBatch.prompts(prompt_tokens(compositions, slots, first)).to(device)
        ends = batch.lengths - 1  # behind the prompt stands what comes first, of which all but its content is known
        if not model.config.is_periodic:
            root = self._target(self.rows)
            for name in ("stage", "level", "code", "count"):
                getattr(batch, name)[self.rows, ends] = getattr(root, name)
        target = targets(batch)
        content, next_target = contents(batch), following(target)
        read, upcoming = model.embedding.content(target, content), model.embedding.upcoming(next_target)
        places = model.places(target, content, next_target)
        places, peaks = None if places is None else places[:, :-1], None if peaks is None else peaks.to(device)
        x, layout = model.inputs(read[:, :-1], upcoming[:, :-1], ends, places, peaks)
        longest = length_bound(model.grid, int(self.walk.atoms.max())) + batch.tokens.symbols.shape[1]
        room = longest * model.inputs_a_token + (0 if peaks is None else int(peaks.lengths.max()))
        states = model.backbone.init_states(len(batch), room, x)
        h = model.backbone(x, layout, states)
        return h[self.rows, layout.lengths - 1], states, layout.lengths

    def _draw_lattices(self) -> None:
        head = self.model.lattice_head
        self.lattice = self.model.embedding.restore(self._vectors(head, self.rows, self.h, self.noise.lattice))
        content = self._blank(len(self.rows))
        content.vectors[:] = self.lattice
        zero = torch.zeros_like(self.rows)
        self._step(Target(zero + Stage.LATTICE, zero, zero, zero), content)

    def _step(self, target: Target, content: Content) -> None:
        """The backbone reads what was drawn, and what is known of the next token."""
        model, position = self.model, self.position
        next_target = self._target(self.rows)
        read = model.embedding.content(target, content)
        upcoming = model.embedding.upcoming(next_target)
        places = model.places(target, content, next_target)
        if model.config.form == "descriptor":
            self.h, self.states = model.backbone.step(read + upcoming, position, self.states, places)
        else:
            lies, looks = (None, None) if places is None else (places[:, [1, 1]], places[:, [0, 0]])
            _, self.states = model.backbone.step(read, position, self.states, lies)
            self.h, self.states = model.backbone.step(upcoming, position + 1, self.states, looks)
        self.position = position + model.inputs_a_token

    def _target(self, rows: Int[Tensor, "some"]) -> Target:
        """What is known of the next token of rows that are not finished."""
        at_node = self.walk.at_node[rows]
        level, code, count = (torch.ones_like(rows) for _ in range(3))
        level[at_node], code[at_node], count[at_node] = self.walk.next_node(rows[at_node])
        level[~at_node], code[~at_node] = self.walk.next_leaf(rows[~at_node])
        return Target(torch.where(at_node, Stage.NODE, Stage.LEAF), level, code, count)

    def _blank(self, rows: int) -> Content:
        """Slots of which nothing is drawn yet."""
        device = self.rows.device
        return Content(
            symbols=torch.full((rows,), SLOT, device=device),
            vectors=torch.zeros(rows, VECTOR_WIDTH, device=device),
            child_counts=torch.zeros(rows, 8, dtype=torch.int64, device=device),
            element=torch.zeros(rows, dtype=torch.int64, device=device),
            offset=torch.zeros(rows, 3, device=device),
        )

    def _draw_nodes(self, rows: Int[Tensor, "some"], h: Float[Tensor, "some width"]) -> Int[Tensor, "some 8"]:
        """Masks, then the atoms of each child."""
        walk, model = self.walk, self.model
        uniform = self.noise.nodes[rows, walk.node[rows]]
        _, _, left = walk.next_node(rows)
        mask = self._drawn(rows, model.mask_head(h), walk.legal_masks(rows), uniform[:, 0])
        capacities = walk.capacities(rows)
        hidden = model.count_head.hidden(h + model.chosen_mask(mask))
        counts, before = torch.zeros(len(rows), 8, dtype=torch.int64, device=rows.device), torch.zeros_like(hidden)
        for octant in range(8):
            there = (mask >> octant & 1).bool()
            counts[:, octant] = left  # all that is left may stand here while this child is decided
            low, high = (bound[:, octant] for bound in count_bounds(capacities, mask, counts))
            open_children = low < high
            counts[:, octant] = low
            if bool(open_children.any()):
                logits = model.count_head.step(hidden[open_children], before[open_children], octant)
                legal = within(low[open_children], high[open_children], logits.shape[1])
                chosen = self._drawn(rows[open_children], logits, legal, uniform[open_children, 1 + octant])
                counts[open_children, octant] = chosen
            left = left - counts[:, octant]
            before = before + there[:, None] * model.count_head.tell(octant, counts[:, octant])
        walk.write_node(rows, counts)
        return counts

    def _draw_leaves(self, rows: Int[Tensor, "some"], h: Float[Tensor, "some width"]) -> tuple[Tensor, Tensor]:
        """Elements, then places."""
        walk, model = self.walk, self.model
        leaf = walk.leaf[rows]
        uniform = self.noise.leaves[rows, leaf]
        element = self._drawn(rows, model.element_head(h), walk.legal_elements(rows), uniform[:, 0])
        if model.grid.is_binned:
            offset = self._draw_bins(rows, h + model.chosen_element(element), uniform[:, 1:])
        else:
            told = h + model.chosen_element(element)
            vectors = self._vectors(model.vector_head, rows, told, self.noise.places[rows, leaf])
            offset = to_place(vectors, walk.next_leaf(rows)[0])
        walk.write_leaf(rows, element, offset)
        return element, offset

    def _draw_bins(
        self, rows: Int[Tensor, "some"], h: Float[Tensor, "some width"], uniform: Float[Tensor, "some digits"]
    ) -> Int[Tensor, "some 3"]:
        """Octants from the leaf down to a cell, as far as there are any, then a bin along each axis."""
        walk, head, bins = self.walk, self.model.place_head, self.model.config.bins
        level, code = walk.next_leaf(rows)
        hidden = head.hidden(h)
        cell, before = torch.zeros(len(rows), 3, dtype=torch.int64, device=rows.device), torch.zeros_like(hidden)
        octants = head.place.num_embeddings - 3
        for digit in range(octants):
            below = octants - 1 - digit
            larger = (level > below).nonzero()[:, 0]
            if len(larger):
                legal = walk.legal_octants(rows[larger], torch.full_like(larger, below + 1), code[larger])
                octant = self._digit(head, rows[larger], hidden[larger], before[larger], digit, legal, uniform[larger])
                code[larger] = code[larger] << 3 | octant
                cell[larger] += (octant[:, None] >> torch.arange(3, device=rows.device) & 1) << below
                before[larger] += head.tell(digit, octant)
        legal = (torch.arange(head.most, device=rows.device) < bins).expand(len(rows), -1)
        inside = []
        for digit in range(octants, octants + 3):
            inside.append(self._digit(head, rows, hidden, before, digit, legal, uniform))
            before = before + head.tell(digit, inside[-1])
        return cell * bins + torch.stack(inside, 1)

    def _digit(
        self, head: DigitHead, rows: Tensor, hidden: Tensor, before: Tensor, digit: int, legal: Tensor, uniform: Tensor
    ) -> Int[Tensor, "some"]:
        logits = head.step(hidden, before, digit)
        padded = torch.nn.functional.pad(legal, (0, logits.shape[1] - legal.shape[1]))
        return self._drawn(rows, logits, padded, uniform[:, digit])

    def _drawn(
        self,
        rows: Int[Tensor, "some"],
        logits: Float[Tensor, "some choices"],
        legal: Bool[Tensor, "some choices"],
        uniform: Float[Tensor, "some"],
    ) -> Int[Tensor, "some"]:
        """One legal choice a row, and what it costs."""
        chosen = draw_symbols(logits / self.settings.temperature, legal, uniform)
        of_choice = masked_log_probabilities(logits, legal).gather(1, chosen[:, None])[:, 0]
        self.score[rows] += of_choice.double()
        return chosen

    def _vectors(
        self, head: VectorHead, rows: Int[Tensor, "some"], h: Tensor, normal: Float[Tensor, "some width"]
    ) -> Float[Tensor, "some width"]:
        """One ODE a vector, and another for its density if that is wanted."""
        process, settings, context = head.process, self.settings, head.context(h)
        levels = karras_levels(settings.steps, process.sigma_min, process.sigma_max).to(h.device)
        start = process.prior(normal)
        vectors = sample_vectors(head, start, levels, context, temperature=settings.temperature, solver=settings.solver)
        if self.score_steps:
            levels = karras_levels(self.score_steps, process.sigma_min, process.sigma_max).to(h.device)
            denoise = partial(head.denoise_with_slopes, context=context)
            self.score[rows] += log_likelihood(denoise, vectors, levels, process.prior_log_prob).double()
        return vectors
