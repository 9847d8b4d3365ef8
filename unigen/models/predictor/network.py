"""Properties of a molecule from its elements and positions: the judge of molecules made for a property.

Each layer expands messages of the atoms in radial functions and spherical harmonics around every atom
(``surroundings.py``), mixes these densities, and updates the atom by their scalar products, which no rotation
changes; vectors are kept beside scalars, as in PaiNN (Schuett, Unke and Gastegger 2021).

``property = offset + sum_i b(element_i) + scale readout(atoms)``: the linear part is fitted before the training starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unigen.config import check_ranges
from unigen.elements import SYMBOLS
from unigen.models.interface import ALL, LAYERS, WIDTHS, PredictingNetwork
from unigen.models.predictor.batch import PropertyBatch
from unigen.nn.encoders.readout import Pooling, PropertyReadout
from unigen.nn.encoders.surroundings import Surroundings, surroundings
from unigen.shapes import Float, Int


@dataclass(frozen=True, kw_only=True)
class PredictorConfig:
    """Size and parts of the network.

    Attributes:
        properties: what is predicted, in the units of the training data, and how atoms add up to it.
        layers: of message passing.
        width: scalars an atom.
        vectors: vectors an atom.
        tensors: tensors of degree two that a layer makes for an atom.
        channels: scalars in a message, and vectors.
        radial: radial functions, two at least.
        cutoff: Angstrom; atoms farther apart do not see each other within one layer.

    Raises:
        UserError: a value out of its range.
    """

    kind: Literal["predictor"]
    properties: dict[str, Pooling]
    layers: int = 3
    width: int = 128
    vectors: int = 64
    tensors: int = 32
    channels: int = 12
    radial: int = 12
    cutoff: float = 6.0

    def __post_init__(self) -> None:
        check_ranges(
            self,
            properties=(1, 1_000),  # more columns than any dataset has
            layers=LAYERS,
            width=WIDTHS,
            vectors=WIDTHS,
            tensors=WIDTHS,
            channels=(1, 1_024),
            radial=(2, 1_024),  # the first and the last have their places
            cutoff=(1, 1_000),  # Angstrom: from a bond to the largest molecule
        )


class PropertyNetwork(PredictingNetwork):
    """See the module's docstring. Turned, mirrored, moved or with its atoms in another order, a molecule is the same.

    Attributes:
        of_element: what each atom adds to a property before anything is learned, by atomic number.
        offset: what is added once.
        scale: one standard deviation of the rest.
        seen: whether there was an element in training, by atomic number.
    """

    headline = "val_loss"
    of_element: Tensor
    offset: Tensor
    scale: Tensor
    seen: Tensor

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.config = config
        count = len(config.properties)
        self.register_buffer("of_element", torch.zeros(len(SYMBOLS), count))
        self.register_buffer("offset", torch.zeros(count))
        self.register_buffer("scale", torch.ones(count))
        self.register_buffer("seen", torch.zeros(len(SYMBOLS), dtype=torch.bool))
        self.elements = nn.Embedding(len(SYMBOLS), config.width, padding_idx=0)
        self.layers = nn.ModuleList(PredictorLayer(config, first=index == 0) for index in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.readout = PropertyReadout(config.properties, config.width, config.vectors)

    def forward(
        self, numbers: Int[Tensor, "batch atoms"], positions: Float[Tensor, "batch atoms 3"]
    ) -> Float[Tensor, "batch properties"]:
        """Properties in their own units.

        Args:
            numbers: atomic numbers, padded with 0.
            positions: Angstrom.
        """
        return self.baseline(numbers) + self.scale * self.relative(numbers, positions)

    def baseline(self, numbers: Int[Tensor, "batch atoms"]) -> Float[Tensor, "batch properties"]:
        """The part that is linear in the composition."""
        return self.offset + self.of_element[numbers].sum(1)

    def relative(
        self, numbers: Int[Tensor, "batch atoms"], positions: Float[Tensor, "batch atoms 3"]
    ) -> Float[Tensor, "batch properties"]:
        """The rest, in standard deviations."""
        around = surroundings(numbers, positions, self.config.radial, self.config.cutoff)
        x = self.elements(numbers)
        vectors = x.new_zeros(*numbers.shape, 3, self.config.vectors)
        for layer in self.layers:
            x, vectors = layer(x, vectors, around)
        return self.readout(self.norm(x), vectors, positions, numbers > 0)

    @property
    def properties(self) -> tuple[str, ...]:
        """See PredictingNetwork."""
        return tuple(self.config.properties)

    def large_parts(self) -> list[nn.Module]:
        """See Network."""
        return list(self.layers)

    def losses(
        self, batch: PropertyBatch, generator: torch.Generator | None = None, repeats: int = 1, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Mean absolute error of each property in standard deviations, over the molecules where it is known.

        Nothing is drawn, and no part is trained alone.
        """
        del generator, repeats, only
        target = (batch.values - self.baseline(batch.numbers)) / self.scale
        return self._errors(self.relative(batch.numbers, batch.positions), target)

    def validated(
        self, batch: PropertyBatch, generator: torch.Generator | None = None, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Mean absolute errors, each in the unit of its property, and their mean in standard deviations."""
        losses = self.losses(batch, generator, only=only)
        errors = {f"val_mae_{name}": value for name, value in self.errors(batch).items()}
        return errors | {"val_loss": torch.stack(list(losses.values())).mean()}

    def errors(self, batch: PropertyBatch) -> dict[str, Float[Tensor, ""]]:
        """Mean absolute error of each property in its own unit, over the molecules where it is known."""
        return self._errors(self(batch.numbers, batch.positions), batch.values)

    def _errors(
        self, predicted: Float[Tensor, "batch properties"], target: Float[Tensor, "batch properties"]
    ) -> dict[str, Float[Tensor, ""]]:
        is_known = ~torch.isnan(target)
        errors = torch.where(is_known, predicted - target, 0.0).abs().sum(0) / is_known.sum(0).clamp(min=1)
        return dict(zip(self.config.properties, errors, strict=True))


class PredictorLayer(nn.Module):
    """One step of message passing: each atom is updated by the densities of messages around it.

    Args:
        config: sizes.
        first: atoms have no vectors yet.
    """

    def __init__(self, config: PredictorConfig, *, first: bool) -> None:
        super().__init__()
        width, vectors, tensors = config.width, config.vectors, config.tensors
        expanded, products = config.radial * config.channels, vectors + tensors
        self.norm = nn.LayerNorm(width)
        self.say = nn.Linear(width, config.channels)
        self.say_vectors = None if first else nn.Linear(vectors, config.channels, bias=False)
        self.numbers = nn.Linear(expanded if first else 2 * expanded, width)
        self.vectors = nn.Linear(expanded if first else 2 * expanded, vectors, bias=False)
        self.tensors = nn.Linear(expanded, tensors, bias=False)
        self.other_vectors = nn.Linear(vectors, vectors, bias=False)
        self.other_tensors = nn.Linear(tensors, tensors, bias=False)
        self.learn = nn.Sequential(
            nn.LayerNorm(2 * width + products),
            nn.Linear(2 * width + products, width),
            nn.SiLU(),
            nn.Linear(width, width + vectors),
        )

    def forward(
        self,
        x: Float[Tensor, "batch atoms width"],
        vectors: Float[Tensor, "batch atoms 3 vectors"],
        around: Surroundings,
    ) -> tuple[Float[Tensor, "batch atoms width"], Float[Tensor, "batch atoms 3 vectors"]]:
        """Updated scalars and vectors of the atoms."""
        message = self.say(self.norm(x))
        scalar_density, vector_density, tensor_density = (around.density(message, degree) for degree in range(3))
        scalar_density = scalar_density.squeeze(2)
        if self.say_vectors is not None:
            vector_message = self.say_vectors(vectors)
            scalar_density = torch.cat([scalar_density, around.divergence(vector_message)], -1)
            vector_density = torch.cat([vector_density, around.carried(vector_message)], -1)
        new_vectors, tensors = self.vectors(vector_density), self.tensors(tensor_density)
        vector_products = (new_vectors * self.other_vectors(new_vectors)).sum(2)
        tensor_products = (tensors * self.other_tensors(tensors)).sum(2)
        invariants = torch.cat([x, self.numbers(scalar_density), vector_products, tensor_products], -1)
        update, gate = self.learn(invariants).split([x.shape[-1], vectors.shape[-1]], -1)
        return x + update, vectors + new_vectors * gate[:, :, None]
