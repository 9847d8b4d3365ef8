"""Properties of a structure, and how far off each may be.

``property = baseline(composition) + scale * readout(encoder(structure))``: the baseline is linear in the numbers of
atoms (of what is summed) or in their shares, and fitted before the training starts. Beside each value stands the scale
of a Laplace distribution of its error, which the same atoms' features tell without changing them; once the network is
trained, held-out structures say how many of these scales hold nine errors of ten (``models/error_bars.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from unigen.cards import Kind
from unigen.config import check_ranges
from unigen.crystals.crystal import Crystal
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.models.error_bars import ERROR_BARS, SMALLEST_LOG_SPREAD, UNCALIBRATED, laplace_nats, means_of_known
from unigen.models.interface import ALL, PredictingNetwork
from unigen.models.property.batch import LabelledGraphs, graph_of
from unigen.molecules.molecule import Molecule
from unigen.nn.encoders.choice import (
    GROWING,
    EncoderChoice,
    FrameAveragingChoice,
    MessagePassingChoice,
    Pooling,
    build_encoder,
)
from unigen.nn.encoders.graphs import AtomGraphs, collate_graphs, sum_by
from unigen.shapes import Float


@dataclass(frozen=True, kw_only=True)
class PropertyConfig:
    """What is predicted, of what, by which encoder.

    Attributes:
        structures: crystals or molecules.
        properties: columns of the data, and how atoms add up to each; see ``nn/encoders/choice.py``.
        units: of the properties, by name.
        auxiliary: those that are learned for the others' sake, and not told.
        encoder: of the atoms; see there, too.

    Raises:
        UserError: a value out of its range, not one unit a property, or what of crystals would depend on their cell.
    """

    kind: Literal["property"]
    structures: Kind
    properties: dict[str, Pooling]
    units: dict[str, str]
    auxiliary: tuple[str, ...] = ()
    encoder: EncoderChoice = MessagePassingChoice()  # noqa: RUF009 - frozen

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
        if self.structures == "crystals" and "monoid" in self.properties.values():
            raise UserError(
                "properties: what a monoid tells of a crystal would depend on the cell that it is written in",
                got="monoid",
                wanted="mean or attention",
            )
        is_spectral = isinstance(self.encoder, FrameAveragingChoice) and self.encoder.positional > 0
        if self.structures == "crystals" and is_spectral:
            raise UserError(
                "encoder: positional: the spectrum of a crystal's graph depends on the cell that it is written in",
                got=self.encoder,
                wanted="positional: 0, or molecules",
            )


class Predicted(NamedTuple):
    """In the units of the data.

    Attributes:
        values: one row a structure.
        errors: nine errors of ten are smaller, on structures like those of the training.
    """

    values: Float[Tensor, "structures properties"]
    errors: Float[Tensor, "structures properties"]


class GraphPropertyNetwork(PredictingNetwork):
    """See the module's docstring.

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

    def __init__(self, config: PropertyConfig) -> None:
        # late: torch-geometric, which models that predict nothing do without
        from unigen.nn.encoders.pooling import Readout

        super().__init__()
        self.config = config
        count = len(config.properties)
        self.register_buffer("of_element", torch.zeros(len(SYMBOLS), count))
        self.register_buffer("offset", torch.zeros(count))
        self.register_buffer("scale", torch.ones(count))
        self.register_buffer("nonnegative", torch.zeros(count, dtype=torch.bool))
        self.register_buffer("calibration", torch.full((count,), UNCALIBRATED))
        self.register_buffer("seen", torch.zeros(len(SYMBOLS), dtype=torch.bool))
        self.encoder = build_encoder(config.encoder)
        pooling = tuple(config.properties.values())
        self.readout = Readout(pooling, self.encoder.width, columns=1)
        self.spread = Readout(pooling, self.encoder.width, columns=1)
        self.register_buffer("is_sum", torch.tensor([how in GROWING for how in pooling]), persistent=False)

    @property
    def properties(self) -> tuple[str, ...]:
        """See PredictingNetwork."""
        return tuple(name for name in self.config.properties if name not in self.config.auxiliary)

    @property
    def structures(self) -> Kind:
        """See PredictingNetwork."""
        return self.config.structures

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
        graphs = [graph_of(structure, self.config.encoder.cutoff) for structure in structures]
        found: Predicted = self(collate_graphs(graphs).to(self.scale.device))
        return found

    def forward(self, graphs: AtomGraphs) -> Predicted:
        """Properties of structures, with error bars."""
        rest, log_spread = self.relative(graphs)
        values = self.baseline(graphs) + self.scale * rest
        values = torch.where(self.nonnegative, values.clamp(min=0.0), values)
        return Predicted(values, self.calibration * self.scale * log_spread.exp())

    def baseline(self, graphs: AtomGraphs) -> Float[Tensor, "structures properties"]:
        """The part that the composition alone tells."""
        total = sum_by(self.of_element[graphs.numbers], graphs.structure, len(graphs))
        return self.offset + torch.where(self.is_sum, total, total / graphs.lengths[:, None])

    def relative(self, graphs: AtomGraphs) -> tuple[Tensor, Tensor]:
        """The rest in standard deviations, and the logarithm of the scale of its error, (structures, properties)."""
        atoms = self.encoder.of_atoms(graphs)
        log_spread = self.spread(atoms.detach(), graphs)[..., 0]
        return self.readout(atoms, graphs)[..., 0], log_spread.clamp(min=SMALLEST_LOG_SPREAD)

    def large_parts(self) -> list[nn.Module]:
        """See Network."""
        return [self.encoder]

    def losses(
        self, batch: LabelledGraphs, generator: torch.Generator | None = None, repeats: int = 1, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Of each property its mean absolute error in standard deviations, and nats of its error's distribution.

        Nothing is drawn, and no part is trained alone.
        """
        del generator, repeats, only
        rest, log_spread = self.relative(batch.graphs)
        # a number everywhere, or the gradient of what is unknown would be none
        error = (rest - (batch.values.nan_to_num() - self.baseline(batch.graphs)) / self.scale).abs()
        nats = laplace_nats(error, log_spread)
        losses = dict(zip(self.config.properties, means_of_known(error, batch.values), strict=True))
        return losses | {ERROR_BARS: means_of_known(nats, batch.values).mean()}

    def validated(
        self, batch: LabelledGraphs, generator: torch.Generator | None = None, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Mean absolute errors, each in the unit of its property, and their mean in standard deviations."""
        del generator, only
        found = self(batch.graphs)
        errors = means_of_known((found.values - batch.values).abs(), batch.values)
        named = {f"val_mae_{name}": value for name, value in zip(self.config.properties, errors, strict=True)}
        return named | {"val_loss": (errors / self.scale).mean()}
