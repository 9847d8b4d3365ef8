"""The model of symmetric crystals that starts from what is known: a reranker, a backbone, heads for what is left free.

``p(structure | cell) = sum_k p(follow k) p(numbers | template and numbers of k) + p(none) p(template) p(numbers)``

The reranker reads the shortlist of known neighbours and gives the probability of following each (``reranker.py``). The
backbone then reads composition, neighbour and template, or writes a new template, and its states condition diffusion
heads that draw the lattice and the free parameters of each orbit, as displacements from the numbers they start from.
The peaks of a powder pattern may stand before all that the backbone reads; the reranker does not see them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from unigen.batch import TokenBatch
from unigen.config import check_ranges
from unigen.errors import UserError
from unigen.geometry.torus import wrap
from unigen.models.interface import (
    ALL,
    LAYERS,
    SHARES,
    WIDTHS,
    CrystalNetwork,
    Network,
    check_backbone,
    check_properties,
)
from unigen.models.peaks import MOST_PEAKS
from unigen.models.wyckoff.batch import NeighbourBatch, WyckoffBatch
from unigen.models.wyckoff.embedding import ElementVectors, WyckoffEmbedding
from unigen.models.wyckoff.reranker import RERANKER_HEADS, NeighbourEncoder, Reranker
from unigen.nn.conditions.peaks import PeakPrompt, told_peaks
from unigen.nn.conditions.prompt import read_behind
from unigen.nn.conditions.properties import MOST_PROPERTIES, PropertyAdapter
from unigen.nn.heads.symbols import start_small
from unigen.nn.mixers.pattern import Layer
from unigen.shapes import Float
from unigen.tokens.sequence import Channel
from unigen.tokens.vocabulary import COPY

RERANKER, PROPERTIES = "reranker", "properties"
"""Parts that may be trained alone: the choice of a neighbour, and what the properties asked for change."""

_UNITS = (((0.25,) * 3 + (0.15,) * 3), ((0.06,) * 3 + (0.04,) * 3))
"""Typical displacement of ln lengths and angles, from a plain start and from a neighbour: the lattice head's units, so
that what it denoises is of order one either way. Trained weights depend on them."""


@dataclass(frozen=True, kw_only=True)
class WyckoffConfig:
    """Size and parts of the model.

    Attributes:
        max_atoms: the largest primitive cell it is trained on; larger ones are read as cells of so many atoms.
        max_orbits: the most orbits it is trained on.
        mixers: of each layer; see ``nn/mixers/pattern.py``.
        width: of the backbone.
        heads: of attention.
        head_width: of the diffusion heads.
        head_blocks: residual blocks of a diffusion head.
        dropout: of the backbone's residual branches.
        element_dropout: how often an element's own vector is hidden.
        peaks: the most peaks of a powder pattern that may stand in the prompt; 0: it cannot be asked for one.
        peak_dropout: how often the whole pattern is hidden in training, so that it can be asked without one, too.
        reranker_width: of the set encoder over the shortlist.
        reranker_layers: of its transformer.
        reranker_dropout: of its hidden layers.
        neighbour_dropout: largest share of a shortlist that is hidden in training.
        properties: at most five that may be asked for: ``density`` (of the cell, g/cm^3), and those of the data.
        units: of the properties.
        adapters: how many of the properties each adapter hears, in their order: a model that was fine-tuned has one
            more for what it learned then; none: a single one hears all.

    Raises:
        UserError: a value out of its range.
    """

    kind: Literal["wyckoff"]
    max_atoms: int = 52
    max_orbits: int = 24
    mixers: tuple[Layer, ...] = ("attention",) * 6
    width: int = 192
    heads: int = 6
    head_width: int = 256
    head_blocks: int = 3
    dropout: float = 0.1
    element_dropout: float = 0.15
    reranker_width: int = 96
    reranker_layers: int = 2
    reranker_dropout: float = 0.1
    neighbour_dropout: float = 0.5
    properties: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    adapters: tuple[int, ...] = ()
    peaks: int = 0
    peak_dropout: float = 0.25

    def __post_init__(self) -> None:
        check_backbone(self)
        check_properties(self, MOST_PROPERTIES)
        if self.adapters and (min(self.adapters) < 1 or sum(self.adapters) != len(self.properties)):
            raise UserError(
                "adapters: not all properties once",
                got=f"{list(self.adapters)}",
                wanted=f"positive counts whose sum is {len(self.properties)}",
            )
        check_ranges(
            self,
            max_atoms=(1, 10_000),  # of cells of more nobody has a symmetry
            max_orbits=(1, 10_000),
            element_dropout=SHARES,
            reranker_width=WIDTHS,
            reranker_layers=LAYERS,
            reranker_dropout=SHARES,
            neighbour_dropout=SHARES,
            peaks=(0, MOST_PEAKS),
            peak_dropout=SHARES,
        )
        if self.reranker_width % RERANKER_HEADS:
            raise UserError(
                "reranker_width: cannot be divided among its heads",
                got=self.reranker_width,
                wanted=f"a multiple of {RERANKER_HEADS}",
            )


class WyckoffModel(CrystalNetwork):
    """See the module's docstring; decoding lives in ``generator.py``."""

    embedding: WyckoffEmbedding
    headline = "val_source"
    property_part = PROPERTIES
    units: Tensor

    def __init__(self, config: WyckoffConfig) -> None:
        super().__init__(config, WyckoffEmbedding(config.width, config.element_dropout, config.max_atoms))
        self.reranker = Reranker(
            config.reranker_width,
            config.reranker_layers,
            config.reranker_dropout,
            config.element_dropout,
            config.max_atoms,
        )
        self.neighbour = NeighbourEncoder(
            config.reranker_width, config.reranker_dropout, config.element_dropout, config.max_atoms
        )
        self.from_neighbour = nn.Linear(config.reranker_width, config.width)
        first, *later = config.adapters or (len(config.properties),)
        self.adapter = PropertyAdapter(first, config.width) if config.properties else None
        starts = np.cumsum([first, *later]).tolist()
        self.added = nn.ModuleList(
            PropertyAdapter(count, config.width, start) for count, start in zip(later, starts, strict=False)
        )
        self.register_buffer("units", torch.tensor(_UNITS), persistent=False)
        self.apply(start_small)
        # last: all else begins as it does without
        self.peaks = PeakPrompt(config.width) if config.peaks else None

    def forward(self, tokens: TokenBatch) -> Float[Tensor, "batch tokens width"]:
        """Backbone output for compositions, finished or not; position t knows the tokens up to t."""
        x = self.prompt_inputs(self.embedding.of_elements(), tokens)
        h = read_behind(self.backbone, told_peaks(self.peaks, tokens.peaks), x, tokens.layout)
        return self.conditioned(h, tokens.vectors[:, 0])

    @property
    def most_peaks(self) -> int:
        """See CompositionNetwork."""
        return self.config.peaks

    def prompt_inputs(self, of: ElementVectors, tokens: TokenBatch) -> Float[Tensor, "batch tokens width"]:
        """What the backbone reads of compositions, with or without the symbol that says that a template is written."""
        no_role = torch.zeros_like(tokens.symbols)
        content = self.embedding.content(of, tokens.symbols, tokens.channel, tokens.descriptor)
        return content + self.embedding.upcoming(of, tokens.channel, tokens.descriptor, no_role)

    def conditioned(
        self, h: Float[Tensor, "batch *tokens width"], property_vectors: Float[Tensor, "batch 6"]
    ) -> Float[Tensor, "batch *tokens width"]:
        """Backbone output, moved by the properties asked for in the vectors of BEGIN."""
        for adapter in self.adapters:
            h = adapter(h, property_vectors)
        return h

    @property
    def adapters(self) -> list[PropertyAdapter]:
        """What hears the properties, in their order."""
        return [] if self.adapter is None else [self.adapter, *cast("list[PropertyAdapter]", list(self.added))]

    def inputs(self, batch: WyckoffBatch) -> Float[Tensor, "batch tokens width"]:
        """What the backbone reads: the tokens, and behind the composition the neighbour that is followed."""
        return self.with_followed(self.embedding(batch), batch)

    def with_followed(
        self, x: Float[Tensor, "batch tokens width"], batch: WyckoffBatch
    ) -> Float[Tensor, "batch tokens width"]:
        """Embedded tokens, and behind the composition the neighbour that is followed."""
        followed = self.from_neighbour(self.neighbour(batch.neighbours, batch.followed))
        is_copy = (batch.tokens.symbols == COPY)[..., None]
        return x + is_copy * followed[:, None]

    def states(self, batch: WyckoffBatch) -> Float[Tensor, "batch tokens width"]:
        """Backbone output; position t knows the tokens up to t and the descriptor of t + 1."""
        tokens = batch.tokens
        h = read_behind(self.backbone, told_peaks(self.peaks, tokens.peaks), self.inputs(batch), tokens.layout)
        return self.conditioned(h, tokens.vectors[:, 0])

    def losses(
        self, batch: WyckoffBatch, generator: torch.Generator, repeats: int = 4, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Mean loss of each part: nats a symbol, EDM loss a free number, nats a choice of neighbour.

        Args:
            batch: encoded structures.
            generator: draws noise, noise levels and which neighbours are hidden.
            repeats: noise levels drawn a slot for one pass of the backbone (MAR, section 3.3).
            only: the reranker has its own loss alone.
        """
        if only == RERANKER:
            return self.source_loss(batch, generator)
        tokens = batch.tokens
        before = self.states(batch)[:, :-1]
        written = batch.written[:, 1:]
        losses = {"symbol": self.symbol_head.loss(before[written], tokens.symbols[:, 1:][written]).mean()}
        for name, (channel, head) in self.heads_by_loss().items():
            is_slot = tokens.channel[:, 1:] == channel
            x, free = (part.repeat(repeats, 1) for part in self.displacements(batch, channel, is_slot))
            loss = head.loss(head.context(before[is_slot]).repeat(repeats, 1), x, generator, free)
            losses[name] = (loss * free.sum(-1)).sum() / free.sum().clamp(min=1)
        return losses | self.source_loss(batch, generator)

    def validated(
        self, batch: WyckoffBatch, generator: torch.Generator, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Losses as in training, and how often the nearest neighbour, and the likeliest choice of one, is right."""
        losses = {f"val_loss_{name}": value for name, value in self.losses(batch, generator, only=only).items()}
        likeliest = self.reranker(batch.neighbours)[:, 1:].argmax(1)
        right = ~torch.isnan(batch.neighbours.rms)
        return losses | {
            "val_nearest": right[:, 0].float().mean(),
            "val_source": right.gather(1, likeliest[:, None]).float().mean(),
        }

    def trained_alone(self, only: str) -> nn.Module:
        """See Network: the reranker, or the last adapter of properties."""
        part = {RERANKER: self.reranker, PROPERTIES: self.adapters[-1] if self.adapters else None}.get(only)
        return super().trained_alone(only) if part is None else part

    def joined(self, other: Network, only: str) -> Network:
        """See Network: this one with the other's reranker, or one that knows the other's properties."""
        if only not in (RERANKER, PROPERTIES):
            return super().joined(other, only)
        if not isinstance(other, WyckoffModel) or (only == PROPERTIES and other.adapter is None):
            part = {RERANKER: "have a reranker", PROPERTIES: "with properties have an adapter"}[only]
            raise UserError(f"only wyckoff models {part}", got=other.config.kind)
        joined = self
        if only == PROPERTIES:
            told = {name: getattr(other.config, name) for name in ("properties", "units", "adapters")}
            joined = WyckoffModel(replace(self.config, **told)).eval()
        prefix = {RERANKER: ("reranker.",), PROPERTIES: ("adapter.", "added.")}[only]
        own = {name: tensor for name, tensor in self.state_dict().items() if not name.startswith(prefix)}
        theirs = {name: tensor for name, tensor in other.state_dict().items() if name.startswith(prefix)}
        try:
            joined.load_state_dict(own | theirs)
        except RuntimeError as error:
            compared = {RERANKER: "rerankers", PROPERTIES: "models"}[only]
            raise UserError(f"the {compared} differ in size", got=str(error).splitlines()[-1].strip()) from error
        return joined

    def told(self, name: str, unit: str) -> WyckoffConfig:
        """See Network: the property gets an adapter of its own."""
        config: WyckoffConfig = self.config
        known = config.adapters or ((len(config.properties),) if config.properties else ())
        return replace(config, properties=(*config.properties, name), units=(*config.units, unit), adapters=(*known, 1))

    def source_loss(self, batch: WyckoffBatch, generator: torch.Generator) -> dict[str, Float[Tensor, ""]]:
        """Nats a choice of neighbour."""
        return {"source": self.reranker.loss(self._hide_some(batch.neighbours, generator)).mean()}

    def displacements(self, batch: WyckoffBatch, channel: Channel, is_slot: Tensor) -> tuple[Tensor, Tensor]:
        """Displacements of the slots in a mask over positions 1, 2, ..., and which of their numbers are free."""
        free = batch.free[:, 1:][is_slot][:, : self.head(channel).slot_width]
        displacement = batch.tokens.vectors[:, 1:][is_slot] - batch.start[:, 1:][is_slot]
        if channel == Channel.LATTICE:
            copied = (batch.followed >= 0)[:, None].expand_as(is_slot)[is_slot]
            return displacement / self.units[copied.long()] * free, free
        return wrap(displacement)[..., :3] * free, free

    def _hide_some(self, neighbours: NeighbourBatch, generator: torch.Generator) -> NeighbourBatch:
        """Other shortlists of the same crystals, as they would be if less were known.

        The share that is hidden is drawn between 0 and ``neighbour_dropout``: full and sparse lists are both seen.
        """
        if not self.training or not self.config.neighbour_dropout:
            return neighbours
        shape, device = neighbours.kind.shape, neighbours.kind.device
        rate = self.config.neighbour_dropout * torch.rand(shape[0], 1, generator=generator, device=device)
        return neighbours.keep(torch.rand(shape, generator=generator, device=device) >= rate)
