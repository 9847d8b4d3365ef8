"""Properties as what the composition says of them, and what a network adds: shared by all that read whole structures.

``property = baseline(composition) + scale * rest``: the baseline is linear in the numbers of atoms (of what is summed,
or folded by a monoid) or in their shares, and fitted before the training starts. Beside each value stands the scale of
a Laplace distribution of its error, which the same features tell without changing them; once the network is trained,
held-out structures say how many of these scales hold nine errors of ten (``error_bars.py``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unigen.config import check_ranges
from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import CrystalDataset
from unigen.data.molecule_store import MoleculeDataset
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.models.error_bars import ERROR_BARS, UNCALIBRATED, laplace_nats, means_of_known
from unigen.models.interface import ALL, PredictingNetwork
from unigen.molecules.molecule import Molecule
from unigen.nn.encoders.choice import GROWING, Pooling
from unigen.nn.encoders.graphs import sum_by
from unigen.shapes import Float, Int

_RIDGE = 1e-3
"""Structures' worth of weight on no effect of an element at all: one that few crystals hold is not fitted to them."""


@dataclass(frozen=True, kw_only=True)
class PooledProperties:
    """What is predicted.

    Attributes:
        properties: columns of the data, and how atoms add up to each; see ``nn/encoders/choice.py``.
        units: of the properties, by name.
        auxiliary: those that are learned for the others' sake, and not told.

    Raises:
        UserError: a value out of its range, or not one unit a property.
    """

    properties: dict[str, Pooling]
    units: dict[str, str]
    auxiliary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_ranges(self, properties=(1, 1_000))  # more columns than any dataset has
        if {*self.units} != {*self.properties}:
            raise UserError(
                "units: not those of the properties",
                got=", ".join(self.units),
                wanted=f"one each of {', '.join(self.properties)}",
            )
        for name in self.auxiliary:
            if name not in self.properties:
                raise UserError("auxiliary: no such property", got=name, wanted=f"some of {', '.join(self.properties)}")
        if {*self.properties} <= {*self.auxiliary}:
            raise UserError("auxiliary: nothing is left to be told", got=", ".join(self.auxiliary))


class Predicted(NamedTuple):
    """In the units of the data.

    Attributes:
        values: one row a structure.
        errors: nine errors of ten are smaller, on structures like those of the training.
    """

    values: Float[Tensor, "structures properties"]
    errors: Float[Tensor, "structures properties"]


class Atoms(NamedTuple):
    """Of all structures of a batch, one behind the other.

    Attributes:
        numbers: atomic numbers.
        group: the structure that each belongs to.
        groups: structures.
    """

    numbers: Int[Tensor, "atoms"]
    group: Int[Tensor, "atoms"]
    groups: int


class ResidualPredictor(PredictingNetwork):
    """See the module's docstring. A batch has ``values``, one row a structure, NaN where a property is unknown.

    Attributes:
        of_element: what each atom, or its share, adds to the baseline, by atomic number.
        offset: what is added once.
        scale: one standard deviation of the rest.
        nonnegative: whether no value of the training is below zero; then none is predicted there.
        calibration: error bars in scales of the Laplace distribution; 0 where too little was held out to tell.
        seen: whether there was an element in training, by atomic number.
    """

    headline = "val_loss"
    of_element: Tensor
    offset: Tensor
    scale: Tensor
    nonnegative: Tensor
    calibration: Tensor
    seen: Tensor
    is_sum: Tensor

    def tell_properties(self, config: PooledProperties) -> None:
        """Make room for what is known before the training."""
        count = len(config.properties)
        self.register_buffer("of_element", torch.zeros(len(SYMBOLS), count))
        self.register_buffer("offset", torch.zeros(count))
        self.register_buffer("scale", torch.ones(count))
        self.register_buffer("nonnegative", torch.zeros(count, dtype=torch.bool))
        self.register_buffer("calibration", torch.full((count,), UNCALIBRATED))
        self.register_buffer("seen", torch.zeros(len(SYMBOLS), dtype=torch.bool))
        is_sum = torch.tensor([how in GROWING for how in config.properties.values()])
        self.register_buffer("is_sum", is_sum, persistent=False)

    @abstractmethod
    def read(self, structures: Sequence[Crystal] | Sequence[Molecule]) -> Any:
        """Structures as the network reads them."""

    @abstractmethod
    def of_batch(self, batch: Any) -> Any:
        """The same of a batch of the training."""

    @abstractmethod
    def atoms(self, read: Any) -> Atoms:
        """The atoms of what is read."""

    @abstractmethod
    def relative(self, read: Any) -> tuple[Tensor, Tensor]:
        """The rest in standard deviations, and the logarithm of the scale of its error, (structures, properties)."""

    @property
    def properties(self) -> tuple[str, ...]:
        """See PredictingNetwork."""
        return tuple(name for name in self.config.properties if name not in self.config.auxiliary)

    @property
    def units(self) -> tuple[str, ...]:
        """See PredictingNetwork."""
        return tuple(self.config.units[name] for name in self.properties)

    def predicted(self, structures: Sequence[Crystal] | Sequence[Molecule]) -> tuple[Tensor, Tensor]:
        """See PredictingNetwork."""
        found = self.every_property(structures)
        told = [place for place, name in enumerate(self.config.properties) if name not in self.config.auxiliary]
        errors = found.errors.masked_fill(self.calibration == 0, torch.nan)
        return found.values[:, told], errors[:, told]

    def every_property(self, structures: Sequence[Crystal] | Sequence[Molecule]) -> Predicted:
        """The same of all properties, auxiliary ones too; an error bar is 0 where it is not known."""
        found: Predicted = self(self.read(structures))
        return found

    def forward(self, read: Any) -> Predicted:
        """Properties of structures, with error bars."""
        rest, log_spread = self.relative(read)
        values = self.baseline(read) + self.scale * rest
        values = torch.where(self.nonnegative, values.clamp(min=0.0), values)
        return Predicted(values, self.calibration * self.scale * log_spread.exp())

    def baseline(self, read: Any) -> Float[Tensor, "structures properties"]:
        """The part that the composition alone tells."""
        numbers, group, groups = self.atoms(read)
        total = sum_by(self.of_element[numbers], group, groups)
        lengths = torch.bincount(group, minlength=groups)
        return self.offset + torch.where(self.is_sum, total, total / lengths[:, None])

    def losses(
        self, batch: Any, generator: torch.Generator | None = None, repeats: int = 1, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Of each property its mean absolute error in standard deviations, and nats of its error's distribution.

        Nothing is drawn, and no part is trained alone.
        """
        del generator, repeats, only
        read = self.of_batch(batch)
        rest, log_spread = self.relative(read)
        # a number everywhere, or the gradient of what is unknown would be none
        error = (rest - (batch.values.nan_to_num() - self.baseline(read)) / self.scale).abs()
        nats = laplace_nats(error, log_spread)
        losses = dict(zip(self.config.properties, means_of_known(error, batch.values), strict=True))
        return losses | {ERROR_BARS: means_of_known(nats, batch.values).mean()}

    def validated(
        self, batch: Any, generator: torch.Generator | None = None, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Mean absolute errors, each in the unit of its property, and their mean in standard deviations."""
        del generator, only
        found = self(self.of_batch(batch))
        errors = means_of_known((found.values - batch.values).abs(), batch.values)
        named = {f"val_mae_{name}": value for name, value in zip(self.config.properties, errors, strict=True)}
        return named | {"val_loss": (errors / self.scale).mean()}


def fit_composition(
    model: ResidualPredictor,
    structures: CrystalDataset | MoleculeDataset,
    values: Float[np.ndarray, "structures properties"],
) -> None:
    """Tell a model what the composition alone says of each property, by least squares, and the spread of the rest.

    Args:
        model: that is told.
        structures: of the training.
        values: of them, NaN where unknown.

    Raises:
        UserError: a property that no structure has.
    """
    elements = np.unique(structures.numbers)
    columns = torch.from_numpy(elements).long()
    model.seen[columns] = True
    counts = np.zeros((len(values), len(SYMBOLS)))
    np.add.at(counts, (np.repeat(np.arange(len(values)), structures.num_atoms), structures.numbers), 1)
    counts = counts[:, elements]
    for place, (name, how) in enumerate(model.config.properties.items()):
        is_known = np.isfinite(values[:, place])
        if not is_known.any():
            raise UserError("no structure with a known value", got=name)
        y, x = values[is_known, place], counts[is_known]
        x = x if how in GROWING else x / x.sum(1, keepdims=True)
        middle = x.mean(0)
        weights = np.linalg.solve(
            (x - middle).T @ (x - middle) + _RIDGE * np.eye(len(elements)), (x - middle).T @ (y - y.mean())
        )
        model.of_element[columns, place] = torch.from_numpy(weights).float()
        model.offset[place] = y.mean() - middle @ weights
        rest = y - y.mean() - (x - middle) @ weights
        model.scale[place] = float(rest.std()) + 1e-6  # a property that follows from the composition alone
        model.nonnegative[place] = bool((y >= 0).all())
