"""Properties of a molecule from its elements and positions: the judge of molecules made for a property.

Each layer expands messages of the atoms in radial functions and spherical harmonics around every atom
(``surroundings.py``), mixes these densities, and updates the atom by their scalar products, which no rotation
changes; vectors are kept beside scalars, as in PaiNN (Schuett, Unke and Gastegger 2021).

``property = offset + sum_i b(element_i) + scale readout(atoms)``: the linear part is fitted before the training starts.
Where error bars are wanted, the same atoms tell how far off each value may be (``models/error_bars.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from unigen.batch import pad
from unigen.cards import Kind
from unigen.config import check_ranges
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.models.error_bars import ERROR_BARS, SMALLEST_LOG_SPREAD, UNCALIBRATED, laplace_nats, means_of_known
from unigen.models.interface import ALL, LAYERS, WIDTHS, PredictingNetwork
from unigen.models.predictor.batch import PropertyBatch
from unigen.molecules.molecule import Molecule
from unigen.nn.encoders.readout import Pooling, PropertyReadout
from unigen.nn.encoders.surroundings import Surroundings, surroundings
from unigen.shapes import Float, Int


@dataclass(frozen=True, kw_only=True)
class PredictorConfig:
    """Size and parts of the network.

    Attributes:
        properties: what is predicted, in the units of the training data, and how atoms add up to it.
        units: of the properties, by name; those that are not named have none.
        error_bars: whether each value is told with how far off it may be.
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
    units: dict[str, str] = field(default_factory=dict)
    error_bars: bool = False
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
        for name in self.units:
            if name not in self.properties:
                raise UserError("units: no such property", got=name, wanted=f"some of {', '.join(self.properties)}")


class PropertyNetwork(PredictingNetwork):
    """See the module's docstring. Turned, mirrored, moved or with its atoms in another order, a molecule is the same.

    Attributes:
        of_element: what each atom adds to a property before anything is learned, by atomic number.
        offset: what is added once.
        scale: one standard deviation of the rest.
        calibration: error bars in scales of the distribution of errors; 0 where too little was held out to tell.
        seen: whether there was an element in training, by atomic number.
    """

    headline = "val_loss"
    of_element: Tensor
    offset: Tensor
    scale: Tensor
    calibration: Tensor
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
        if config.error_bars:  # of orbitals or of dipoles, how far off is no sum over atoms
            self.register_buffer("calibration", torch.full((count,), UNCALIBRATED))
            self.spread = PropertyReadout(dict.fromkeys(config.properties, "attention"), config.width, config.vectors)

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
        return self.readout(*self._atoms(numbers, positions), positions, numbers > 0)

    def _log_spread(self, x: Tensor, vectors: Tensor, positions: Tensor, numbers: Tensor) -> Tensor:
        """Logarithm of the scale of each error, in standard deviations; features learn nothing of it."""
        found: Tensor = self.spread(x.detach(), vectors.detach(), positions, numbers > 0)
        return found.clamp(min=SMALLEST_LOG_SPREAD)

    def _atoms(self, numbers: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Scalars and vectors of each atom."""
        around = surroundings(numbers, positions, self.config.radial, self.config.cutoff)
        x = self.elements(numbers)
        vectors = x.new_zeros(*numbers.shape, 3, self.config.vectors)
        for layer in self.layers:
            x, vectors = layer(x, vectors, around)
        return self.norm(x), vectors

    @property
    def structures(self) -> Kind:
        """See PredictingNetwork."""
        return "molecules"

    @property
    def properties(self) -> tuple[str, ...]:
        """See PredictingNetwork."""
        return tuple(self.config.properties)

    @property
    def units(self) -> tuple[str, ...]:
        """See PredictingNetwork."""
        return tuple(self.config.units.get(name, "") for name in self.properties)

    def predicted(self, structures: Sequence[Molecule]) -> tuple[Tensor, Tensor]:
        """See PredictingNetwork."""
        atoms = max(map(len, structures))
        numbers = pad([molecule.numbers for molecule in structures], atoms).to(self.scale.device)
        positions = pad([molecule.positions for molecule in structures], atoms).to(self.scale)
        x, vectors = self._atoms(numbers, positions)
        rest = self.readout(x, vectors, positions, numbers > 0)
        values = self.baseline(numbers) + self.scale * rest
        if not self.config.error_bars:
            return values, torch.full_like(values, torch.nan)
        scales = self.scale * self._log_spread(x, vectors, positions, numbers).exp()
        return values, (self.calibration * scales).masked_fill(self.calibration == 0, torch.nan)

    def trained_alone(self, only: str) -> nn.Module:
        """See Network; how far off the values are can be learned afterwards, from molecules that it has not seen."""
        if only != ERROR_BARS:
            raise UserError(f"only: this model has no part for {only}", got=only, wanted=f"{ALL} or {ERROR_BARS}")
        if not self.config.error_bars:
            raise UserError("only: this model has no error bars", next_step="set model.error_bars=true")
        return self.spread

    def large_parts(self) -> list[nn.Module]:
        """See Network."""
        return list(self.layers)

    def losses(
        self, batch: PropertyBatch, generator: torch.Generator | None = None, repeats: int = 1, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Mean absolute error of each property in standard deviations, over the molecules where it is known.

        Where there are error bars, also the nats of an error's distribution; nothing is drawn.
        """
        del generator, repeats
        numbers, positions = batch.numbers, batch.positions
        with torch.set_grad_enabled(torch.is_grad_enabled() and only != ERROR_BARS):
            x, vectors = self._atoms(numbers, positions)
            rest = self.readout(x, vectors, positions, numbers > 0)
        # a number everywhere, or the gradient of what is unknown would be none
        error = (rest - (batch.values.nan_to_num() - self.baseline(numbers)) / self.scale).abs()
        losses = dict(zip(self.properties, means_of_known(error, batch.values), strict=True))
        if self.config.error_bars:
            nats = laplace_nats(error, self._log_spread(x, vectors, positions, numbers))
            losses[ERROR_BARS] = means_of_known(nats, batch.values).mean()
        return {ERROR_BARS: losses[ERROR_BARS]} if only == ERROR_BARS else losses

    def validated(
        self, batch: PropertyBatch, generator: torch.Generator | None = None, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Mean absolute errors, each in the unit of its property, and their mean in standard deviations."""
        del only
        losses = self.losses(batch, generator)
        errors = {f"val_mae_{name}": value for name, value in self.errors(batch).items()}
        told = {f"val_{ERROR_BARS}": losses.pop(ERROR_BARS)} if self.config.error_bars else {}
        return errors | told | {"val_loss": torch.stack(list(losses.values())).mean()}

    def errors(self, batch: PropertyBatch) -> dict[str, Float[Tensor, ""]]:
        """Mean absolute error of each property in its own unit, over the molecules where it is known."""
        found = means_of_known((self(batch.numbers, batch.positions) - batch.values).abs(), batch.values)
        return dict(zip(self.properties, found, strict=True))


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
