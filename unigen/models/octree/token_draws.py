"""What stands at nodes and leaves, drawn from outputs of the backbone with random numbers that are there beforehand.

Many tokens at once, of which several may be of one row, one behind the other: nothing is written here, and what the
draw of a token depends on is handed in. So a token that is drawn again from the same output is the same again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import EllipsisType

import numpy as np
import torch
from torch import Tensor

from unigen.batch import TensorRows
from unigen.models.generator import VectorSettings
from unigen.models.octree.embedding import Content
from unigen.models.octree.grammar import OctreeWalk, count_bounds, masked_log_probabilities
from unigen.models.octree.network import OctreeModel, to_place, within
from unigen.models.octree.tokens import OctreeGrid, length_bound
from unigen.nn.heads.symbols import draw_symbols
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.kernels.vector_sampler import sample_vectors
from unigen.nn.process.solvers import karras_levels, log_likelihood
from unigen.shapes import Bool, Float, Int
from unigen.tokens.sequence import SLOT_WIDTH, VECTOR_WIDTH, Channel
from unigen.tokens.vocabulary import SLOT

_DRAWS_A_NODE = 9
"""Its mask, and the atoms of each child."""


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
class Draws(TensorRows):
    """What nodes and leaves were drawn; zeros where a field is of the other kind.

    Attributes:
        child_counts: of a node.
        element: of a leaf.
        offset: of a leaf, as in ``Octrees``.
        score: log probability in nats, at temperature 1, among what was legal.
    """

    child_counts: Int[Tensor, "*batch 8"]
    element: Int[Tensor, "*batch"]
    offset: Tensor
    score: Float[Tensor, "*batch"]

    @classmethod
    def blank(cls, shape: tuple[int, ...], like: Tensor) -> Draws:
        """Nothing drawn yet; offsets are of the kind, and all are on the device, of ``like``."""
        counts = torch.zeros(*shape, 8, dtype=torch.int64, device=like.device)
        score = torch.zeros(shape, dtype=torch.float64, device=like.device)
        return cls(counts, counts[..., 0].clone(), like.new_zeros(*shape, 3), score)

    def at(self, places: tuple[Tensor | slice | None, ...]) -> Draws:
        """Those at some places."""
        return Draws(**{name: values[places] for name, values in vars(self).items()})

    def put(self, at: tuple[Tensor, ...] | Tensor, others: Draws) -> None:
        """Write others at some places."""
        for name, values in vars(others).items():
            getattr(self, name)[at] = values

    def is_equal(self, other: Draws) -> Bool[Tensor, "*batch"]:
        """Where both are the same, whatever their scores."""
        same_place = (self.offset == other.offset).all(-1)
        return (self.child_counts == other.child_counts).all(-1) & (self.element == other.element) & same_place

    @property
    def content(self) -> Content:
        """As the embedding wants it."""
        shape, device = self.element.shape, self.element.device
        return Content(
            symbols=torch.full(shape, SLOT, device=device),
            vectors=torch.zeros(*shape, VECTOR_WIDTH, device=device),
            child_counts=self.child_counts,
            element=self.element,
            offset=self.offset.float(),
        )


@dataclass(frozen=True, eq=False)
class TokenDrawer:
    """Draws tokens of a walk.

    Attributes:
        model: in evaluation mode.
        walk: says what is legal; it is not written here.
        noise: of its rows.
        settings: how to draw.
        score_steps: solver steps of the exact density of each vector; 0 leaves densities out.
    """

    model: OctreeModel
    walk: OctreeWalk
    noise: Noise
    settings: VectorSettings
    score_steps: int

    def draw(
        self,
        rows: Int[Tensor, "some"],
        ahead: Int[Tensor, "some"],
        h: Float[Tensor, "some width"],
        taken: Int[Tensor, "some elements"] | None = None,
    ) -> Draws:
        """Tokens of rows that are not finished.

        Args:
            rows: of each token.
            ahead: how far it stands behind the next one of its row, which is of its kind; less than are ``known``.
            h: output of the backbone before it.
            taken: atoms that the leaves between have; None: none.
        """
        draws = Draws.blank(tuple(rows.shape), self.walk.offset)
        at_node = self.walk.at_node[rows]
        for draw, chosen in ((self._draw_nodes, at_node), (self._draw_leaves, ~at_node)):
            if bool(chosen.any()):
                known = None if taken is None else taken[chosen]
                draws.put(chosen, draw(rows[chosen], ahead[chosen], h[chosen], known))
        return draws

    def vectors(
        self, head: VectorHead, h: Float[Tensor, "some condition"], normal: Float[Tensor, "some width"]
    ) -> tuple[Float[Tensor, "some width"], Float[Tensor, "some"]]:
        """One ODE a vector, and another for its density if that is wanted; 0 if not."""
        process, settings, context = head.process, self.settings, head.context(h)
        levels = karras_levels(settings.steps, process.sigma_min, process.sigma_max).to(h.device)
        start = process.prior(normal)
        vectors = sample_vectors(head, start, levels, context, temperature=settings.temperature, solver=settings.solver)
        score = torch.zeros(len(h), dtype=torch.float64, device=h.device)
        if self.score_steps:
            levels = karras_levels(self.score_steps, process.sigma_min, process.sigma_max).to(h.device)
            denoise = partial(head.denoise_with_slopes, context=context)
            score = log_likelihood(denoise, vectors, levels, process.prior_log_prob).double()
        return vectors, score

    def _draw_nodes(self, rows: Tensor, ahead: Tensor, h: Tensor, taken: Tensor | None) -> Draws:
        """Masks, then the atoms of each child."""
        del taken
        walk, model = self.walk, self.model
        draws = Draws.blank(tuple(rows.shape), walk.offset)
        counts, score = draws.child_counts, draws.score
        uniform = self.noise.nodes[rows, walk.node[rows] + ahead]
        _, _, left = walk.next_node(rows, ahead)
        mask = self._choose(score, ..., model.mask_head(h), walk.legal_masks(rows, ahead), uniform[:, 0])
        capacities = walk.capacities(rows, ahead)
        hidden = model.count_head.hidden(h + model.chosen_mask(mask))
        before = torch.zeros_like(hidden)
        for octant in range(8):
            there = (mask >> octant & 1).bool()
            counts[:, octant] = left  # all that is left may stand here while this child is decided
            low, high = (bound[:, octant] for bound in count_bounds(capacities, mask, counts))
            open_children = low < high
            counts[:, octant] = low
            if bool(open_children.any()):
                logits = model.count_head.step(hidden[open_children], before[open_children], octant)
                legal = within(low[open_children], high[open_children], logits.shape[1])
                chosen = self._choose(score, open_children, logits, legal, uniform[open_children, 1 + octant])
                counts[open_children, octant] = chosen
            left = left - counts[:, octant]
            before = before + there[:, None] * model.count_head.tell(octant, counts[:, octant])
        return draws

    def _draw_leaves(self, rows: Tensor, ahead: Tensor, h: Tensor, taken: Tensor | None) -> Draws:
        """Elements, then places."""
        walk, model = self.walk, self.model
        draws = Draws.blank(tuple(rows.shape), walk.offset)
        leaf = walk.leaf[rows] + ahead
        uniform = self.noise.leaves[rows, leaf]
        legal = walk.legal_elements(rows, taken)
        element = self._choose(draws.score, ..., model.element_head(h), legal, uniform[:, 0])
        told = h + model.chosen_element(element)
        level, code = walk.next_leaf(rows, ahead)
        draws.element[:] = element
        if model.grid.is_binned:
            draws.offset[:] = self._draw_bins(draws.score, rows, level, code, told, uniform[:, 1:])
        else:
            vectors, score = self.vectors(model.vector_head, told, self.noise.places[rows, leaf])
            draws.offset[:] = to_place(vectors, level)
            draws.score.add_(score)
        return draws

    def _draw_bins(
        self, score: Tensor, rows: Tensor, level: Tensor, code: Tensor, h: Tensor, uniform: Tensor
    ) -> Int[Tensor, "some 3"]:
        """Octants from the leaf down to a cell, as far as there are any, then a bin along each axis."""
        walk, head, bins = self.walk, self.model.place_head, self.model.config.bins
        hidden = head.hidden(h)
        cell, before = torch.zeros(len(rows), 3, dtype=torch.int64, device=rows.device), torch.zeros_like(hidden)
        octants = head.place.num_embeddings - 3
        for digit in range(octants):
            below = octants - 1 - digit
            larger = (level > below).nonzero()[:, 0]
            if len(larger):
                legal = walk.legal_octants(rows[larger], torch.full_like(larger, below + 1), code[larger])
                logits = head.step(hidden[larger], before[larger], digit)
                octant = self._choose(score, larger, logits, _widened(legal, logits), uniform[larger, digit])
                code[larger] = code[larger] << 3 | octant
                cell[larger] += (octant[:, None] >> torch.arange(3, device=rows.device) & 1) << below
                before[larger] += head.tell(digit, octant)
        legal = (torch.arange(head.most, device=rows.device) < bins).expand(len(rows), -1)
        inside = []
        for digit in range(octants, octants + 3):
            logits = head.step(hidden, before, digit)
            inside.append(self._choose(score, ..., logits, _widened(legal, logits), uniform[:, digit]))
            before = before + head.tell(digit, inside[-1])
        return cell * bins + torch.stack(inside, 1)

    def _choose(
        self,
        score: Float[Tensor, "tokens"],
        at: Tensor | EllipsisType,
        logits: Float[Tensor, "some choices"],
        legal: Bool[Tensor, "some choices"],
        uniform: Float[Tensor, "some"],
    ) -> Int[Tensor, "some"]:
        """One legal choice for each of some tokens; what it costs is added to their score in place."""
        chosen = draw_symbols(logits / self.settings.temperature, legal, uniform)
        score[at] += masked_log_probabilities(logits, legal).gather(1, chosen[:, None])[:, 0].double()
        return chosen


def _widened(legal: Bool[Tensor, "some digits"], logits: Float[Tensor, "some choices"]) -> Bool[Tensor, "some choices"]:
    """No digit is legal beyond those that there are."""
    return torch.nn.functional.pad(legal, (0, logits.shape[1] - legal.shape[1]))
