"""What a network of any family is to those who train, save and use it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from unigen.batch import TokenBatch
from unigen.cards import Kind
from unigen.config import check_ranges
from unigen.errors import UserError
from unigen.nn.heads.symbols import SymbolHead, symbol_scores
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.mixers.backbone import Backbone
from unigen.nn.mixers.pattern import check_pattern
from unigen.nn.process.gaussian import GaussianProcess
from unigen.nn.process.torus import TorusProcess
from unigen.shapes import Bool, Float, Int
from unigen.tokens.sequence import SLOT_WIDTH, Channel
from unigen.tokens.vocabulary import CRYSTAL_VOCABULARY_SIZE

ALL = "all"
"""What is trained, unless it is a part alone."""


@runtime_checkable
class ModelConfig(Protocol):
    """Size and parts of a network: a frozen dataclass whose ``kind`` is the word for it in YAML."""

    kind: str


WIDTHS, LAYERS, SHARES = (1, 65_536), (0, 1_000), (0, 1)
"""Ranges of the fields of configs. Widths and layers are ten times those of the largest language models: what is beyond
is a slip of the pen, and building it would take the memory before anything could be said."""


def check_backbone(config: Any) -> None:
    """Check what every config with a backbone has: ``mixers``, ``width``, ``heads``, ``dropout`` and diffusion heads.

    Raises:
        UserError: out of range, a mixer that is none, or heads that the width cannot be divided among.
    """
    check_ranges(
        config,
        mixers=LAYERS,
        width=WIDTHS,
        heads=WIDTHS,
        dropout=SHARES,
        head_width=WIDTHS,
        head_blocks=(1, LAYERS[1]),
    )
    check_pattern(config.mixers, config.heads)
    if config.mixers and config.width % (2 * config.heads):  # twice: rotary positions turn pairs of numbers
        raise UserError(
            "heads: the width cannot be divided among them",
            got=f"width {config.width}, heads {config.heads}",
            wanted="a width that is a multiple of twice the heads",
        )


def check_properties(config: Any, most: int) -> None:
    """Check ``properties`` and ``units``: at most so many, none twice, a unit each; raises UserError."""
    check_ranges(config, properties=(0, most))
    if len(set(config.properties)) < len(config.properties):
        raise UserError("properties: one is given twice", got=", ".join(config.properties))
    if len(config.units) != len(config.properties):
        raise UserError(
            "units: not one a property", got=f"{len(config.units)} units", wanted=f"{len(config.properties)} units"
        )


@runtime_checkable
class Batch(Protocol):
    """Encoded structures as tensors: as a rule ``unigen.batch.TensorRows``."""

    @property
    def lengths(self) -> Int[Tensor, "batch"]:
        """How much of each row is no padding."""
        ...

    def __len__(self) -> int:
        """Structures."""
        ...

    def to(self, device: torch.device | str) -> Any:
        """The same on a device."""
        ...

    def select(self, rows: Int[Tensor, "chosen"]) -> Any:
        """Some of the structures."""
        ...


class Network(nn.Module, ABC):
    """A network that is trained by its losses.

    Attributes:
        config: what it was built from; written beside the weights.
        headline: the validated number that is shown while it trains; empty for none.
        property_part: the part that hears properties and can be trained alone; empty where there is none.
    """

    config: Any
    headline: ClassVar[str] = ""
    property_part: ClassVar[str] = ""

    @abstractmethod
    def losses(
        self, batch: Any, generator: torch.Generator, repeats: int = 4, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Mean loss of each part, by name.

        Args:
            batch: as the family's training set collates it.
            generator: draws all that is random.
            repeats: noise levels drawn a vector, where vectors are drawn.
            only: the part that is trained alone: losses that it has no part in may be left out.
        """

    @abstractmethod
    def validated(self, batch: Any, generator: torch.Generator, only: str = ALL) -> dict[str, Float[Tensor, ""]]:
        """What it is judged by while it trains, by the name it is logged under; arguments as those of ``losses``."""

    @abstractmethod
    def large_parts(self) -> list[nn.Module]:
        """Where most of the work is done: worth compiling."""

    def trained_alone(self, only: str) -> nn.Module:
        """The part that is trained alone under this name.

        Raises:
            UserError: there is no such part.
        """
        raise UserError(f"only: this model has no part for {only}", got=only, wanted=ALL)

    def joined(self, other: Network, only: str) -> Network:
        """This network with the part of another that was trained alone; may change this one.

        Raises:
            UserError: one of them has no such part, or they differ in size.
        """
        raise UserError(f"{self.config.kind} models have no part for {only}", got=other.config.kind)

    def beginning(self, trained: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state to begin with of this fresh network, which knows its data, where a trained one has these tensors.

        Parts that the trained one lacks stay fresh.
        """
        return self.state_dict() | trained

    def told(self, name: str, unit: str) -> Any:
        """The config of a network that can be asked for one more property.

        Raises:
            UserError: there is no place for one, or it can be asked for none.
        """
        got = f"{name}, {unit}" if unit else name
        raise UserError(f"{self.config.kind} models cannot learn a property later", got=got)


class PredictingNetwork(Network):
    """A network that tells properties of whole structures, and how far off each may be.

    Attributes:
        seen: whether there was an element in training, by atomic number.
    """

    seen: Bool[Tensor, "elements"]

    @property
    @abstractmethod
    def structures(self) -> Kind:
        """What it knows properties of."""

    @property
    @abstractmethod
    def properties(self) -> tuple[str, ...]:
        """What it predicts, in this order, in the units of the data it was trained on."""

    @property
    @abstractmethod
    def units(self) -> tuple[str, ...]:
        """Of the properties; empty where nobody said."""

    @abstractmethod
    def predicted(
        self, structures: Sequence[Any]
    ) -> tuple[Float[Tensor, "structures properties"], Float[Tensor, "structures properties"]]:
        """Values, and error bars: they hold nine errors of ten on structures like those of the training; NaN: unknown.

        Args:
            structures: crystals or molecules of elements that were there in training, computed together.
        """


class CompositionNetwork(Network):
    """A network whose sequences begin with a composition, of which it can tell and draw probabilities.

    Attributes:
        symbol_head: draws the symbols of compositions.
    """

    symbol_head: SymbolHead

    @property
    def most_peaks(self) -> int:
        """Of a powder pattern, that may stand before a sequence; 0: it hears none."""
        return 0

    @abstractmethod
    def forward(self, tokens: TokenBatch) -> Float[Tensor, "batch tokens width"]:
        """Backbone output; position t knows the tokens up to t."""

    def symbol_log_likelihoods(self, tokens: TokenBatch) -> Float[Tensor, "batch"]:
        """Log probability of the symbols of each sequence, in nats."""
        return symbol_scores(self.symbol_head, self(tokens)[:, :-1], tokens).sum(1)


class CrystalNetwork(CompositionNetwork):
    """A network that writes a composition, then draws a lattice and sites, each vector by a diffusion head.

    Args:
        config: ``width``, ``mixers``, ``heads``, ``dropout`` of the backbone, ``head_width`` and ``head_blocks`` of the
            diffusion heads.
        embedding: of tokens; made before the rest, as it has always been, so that a seed gives the same weights.
    """

    def __init__(self, config: Any, embedding: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.embedding = embedding
        self.backbone = Backbone(config.mixers, config.width, config.heads, config.dropout)
        self.symbol_head = SymbolHead(config.width, CRYSTAL_VOCABULARY_SIZE)
        size = {"condition_width": config.width, "width": config.head_width, "blocks": config.head_blocks}
        self.lattice_head = VectorHead(GaussianProcess(), SLOT_WIDTH[Channel.LATTICE], **size)
        self.site_head = VectorHead(TorusProcess(), SLOT_WIDTH[Channel.FRACTIONAL], **size)

    def head(self, channel: Channel) -> VectorHead:
        """The diffusion head of a channel."""
        return self.lattice_head if channel == Channel.LATTICE else self.site_head

    def heads_by_loss(self) -> dict[str, tuple[Channel, VectorHead]]:
        """Channel and diffusion head, by the name of their loss."""
        return {
            "lattice": (Channel.LATTICE, self.lattice_head),
            "site": (Channel.FRACTIONAL, self.site_head),
        }

    def large_parts(self) -> list[nn.Module]:
        """See Network."""
        return [self.backbone, self.lattice_head.stack, self.site_head.stack]
