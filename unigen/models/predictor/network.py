"""Properties of a molecule from its elements and positions: the judge of molecules made for a property.

Each layer expands what the atoms say in radial functions and spherical harmonics around every atom
(``surroundings.py``), mixes these densities, and lets the atom learn from their scalar products, which no rotation
changes; vectors are kept beside numbers, as in PaiNN (Schuett, Unke and Gastegger 2021).

``property = offset + sum_i b(element_i) + scale readout(atoms)``: the linear part is fitted before the training starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unigen.elements import SYMBOLS
from unigen.models.interface import ALL, PredictingNetwork
from unigen.models.predictor.batch import PropertyBatch
from unigen.nn.encoders.readout import Pooling, PropertyReadout
from unigen.nn.encoders.surroundings import Surroundings, surroundings
from unigen.shapes import Float, Int


@dataclass(frozen=True, kw_only=True)
class PredictorConfig:
    """Size and parts of the network.

    Attributes:
        properties: what is predicted, in the units of the training data, and how atoms add up to it.
        layers: times that atoms tell each other what they know.
        width: numbers an atom.
        vectors: vectors an atom.
        tensors: tensors of degree two that a layer makes for an atom.
        channels: numbers that an atom tells the others.
        radial: radial functions, two at least.
        cutoff: Angstrom; atoms farther apart do not see each other within one layer.
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
        self.layers = nn.ModuleList(PredictorLayer(config, first=not place) for place in range(config.layers))
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
        """What the elements alone say."""
        return self.offset + self.of_element[numbers].sum(1)

    def relative(
        self, numbers: Int[Tensor, "batch atoms"], positions: Float[Tensor, "batch atoms 3"]
    ) -> Float[Tensor, "batch properties"]:
        """What the network says: the rest, in standard deviations."""
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
        wanted = (batch.values - self.baseline(batch.numbers)) / self.scale
        return self._errors(self.relative(batch.numbers, batch.positions), wanted)

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
        self, got: Float[Tensor, "batch properties"], wanted: Float[Tensor, "batch properties"]
    ) -> dict[str, Float[Tensor, ""]]:
        known = ~torch.isnan(wanted)
        errors = torch.where(known, got - wanted, 0.0).abs().sum(0) / known.sum(0).clamp(min=1)
        return dict(zip(self.config.properties, errors, strict=True))


class PredictorLayer(nn.Module):
    """Atoms tell each other; each learns from the densities of what is said around it.

    Args:
        config: sizes.
        first: nobody has vectors yet.
    """

    def __init__(self, config: PredictorConfig, *, first: bool) -> None:
        super().__init__()
        width, vectors, tensors = config.width, config.vectors, config.tensors
        told, products = config.radial * config.channels, vectors + tensors
        self.norm = nn.LayerNorm(width)
        self.say = nn.Linear(width, config.channels)
        self.say_vectors = None if first else nn.Linear(vectors, config.channels, bias=False)
        self.numbers = nn.Linear(told if first else 2 * told, width)
        self.vectors = nn.Linear(told if first else 2 * told, vectors, bias=False)
        self.tensors = nn.Linear(told, tensors, bias=False)
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
        """Numbers and vectors of the atoms, after they have learned."""
        said = self.say(self.norm(x))
        zero, one, two = (around.density(said, degree) for degree in range(3))
        zero = zero.squeeze(2)
        if self.say_vectors is not None:
            said = self.say_vectors(vectors)
            zero = torch.cat([zero, around.divergence(said)], -1)
            one = torch.cat([one, around.carried(said)], -1)
        one, two = self.vectors(one), self.tensors(two)
        products = (one * self.other_vectors(one)).sum(2), (two * self.other_tensors(two)).sum(2)
        learned = self.learn(torch.cat([x, self.numbers(zero), *products], -1))
        step, gate = learned.split([x.shape[-1], vectors.shape[-1]], -1)
        return x + step, vectors + one * gate[:, :, None]
