"""Properties of a structure, and how far off each may be, by any encoder of its graph of atoms.

What the composition says of them, and the error bars, are those of ``models/residual_predictor.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.errors import UserError
from unigen.models.error_bars import SMALLEST_LOG_SPREAD
from unigen.models.property.batch import LabelledGraphs, graph_of
from unigen.models.residual_predictor import Atoms, PooledProperties, ResidualPredictor
from unigen.molecules.molecule import Molecule
from unigen.nn.encoders.choice import EncoderChoice, FrameAveragingChoice, MessagePassingChoice, build_encoder
from unigen.nn.encoders.graphs import AtomGraphs, collate_graphs


@dataclass(frozen=True, kw_only=True)
class PropertyConfig(PooledProperties):
    """What is predicted, of what, by which encoder.

    Attributes:
        structures: crystals or molecules.
        encoder: of the atoms; see ``nn/encoders/choice.py``.

    Raises:
        UserError: as PooledProperties, or what of crystals would depend on their cell.
    """

    kind: Literal["property"]
    structures: Kind
    encoder: EncoderChoice = MessagePassingChoice()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        super().__post_init__()
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


class GraphPropertyNetwork(ResidualPredictor):
    """See the module's docstring."""

    def __init__(self, config: PropertyConfig) -> None:
        # late: torch-geometric, which models that predict nothing do without
        from unigen.nn.encoders.pooling import Readout

        super().__init__()
        self.config = config
        self.tell_properties(config)
        self.encoder = build_encoder(config.encoder)
        pooling = tuple(config.properties.values())
        self.readout = Readout(pooling, self.encoder.width, columns=1)
        self.spread = Readout(pooling, self.encoder.width, columns=1)

    @property
    def structures(self) -> Kind:
        """See PredictingNetwork."""
        return self.config.structures

    def read(self, structures: Sequence[Crystal] | Sequence[Molecule]) -> AtomGraphs:
        """See ResidualPredictor."""
        graphs = [graph_of(structure, self.config.encoder.cutoff) for structure in structures]
        return collate_graphs(graphs).to(self.scale.device)

    def of_batch(self, batch: LabelledGraphs) -> AtomGraphs:
        """See ResidualPredictor."""
        return batch.graphs

    def atoms(self, read: AtomGraphs) -> Atoms:
        """See ResidualPredictor."""
        return Atoms(read.numbers, read.structure, len(read))

    def relative(self, read: AtomGraphs) -> tuple[Tensor, Tensor]:
        """See ResidualPredictor."""
        atoms = self.encoder.of_atoms(read)
        log_spread = self.spread(atoms.detach(), read.structure, len(read))[..., 0]
        return self.readout(atoms, read.structure, len(read))[..., 0], log_spread.clamp(min=SMALLEST_LOG_SPREAD)

    def large_parts(self) -> list[nn.Module]:
        """See Network."""
        return [self.encoder]
