"""Properties of a molecule, read from its octree by the backbone of the octree model.

The states of the leaves, one an atom, are pooled as those of atoms of a graph. So what a generative octree model has
learned, or one that tells hidden leaves (``masked`` of ``OctreeSizes``), is where this begins: ``start_from``.

An octree is that of a molecule seen from a side. In training a molecule is turned at random (``data.rotate``), or seen
along its principal axes, from a side that is drawn among the four (Puny et al. 2022); what is told is the mean over all
four. So it does not change when the molecule is turned, up to the rounding of places to bins, and where two principal
moments agree and axes are arbitrary: then it does (``eval/README.md`` says how far).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.errors import UserError
from unigen.geometry.frames import principal_frames
from unigen.models.error_bars import SMALLEST_LOG_SPREAD
from unigen.models.octree.batch import OctreeBatch, OctreeItem, Stage, collate_octrees
from unigen.models.octree.network import OctreeMoleculeConfig, OctreeNetwork, check_sees_all
from unigen.models.octree.tokens import OctreeGrid
from unigen.models.residual_predictor import Atoms, PooledProperties, ResidualPredictor
from unigen.molecules.molecule import Molecule
from unigen.nn.heads.symbols import start_small
from unigen.shapes import Float, Int


@dataclass(frozen=True, kw_only=True)
class OctreePropertyConfig(PooledProperties):
    """What is predicted of molecules, by which octree model's backbone.

    Attributes:
        octree: the section ``model`` of the octree model; its heads are not used.
        looks_ahead: whether each token sees all others, or those before it alone, as where octrees are generated.

    Raises:
        UserError: as PooledProperties, or layers that cannot look ahead.
    """

    kind: Literal["octree-property"]
    octree: OctreeMoleculeConfig = OctreeMoleculeConfig()  # noqa: RUF009 - frozen
    looks_ahead: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.looks_ahead:
            check_sees_all(self.octree.mixers)


@dataclass(frozen=True, eq=False)
class SeenMolecule:
    """One molecule from one side or more, and what is known of it."""

    sides: tuple[OctreeItem, ...]
    values: Float[np.ndarray, "properties"]


@dataclass(frozen=True, eq=False)
class SeenMolecules:
    """A batch.

    Attributes:
        octrees: of every molecule as many rows as sides, one behind the other.
        values: in the units of the data, NaN where unknown.
    """

    octrees: OctreeBatch
    values: Float[Tensor, "molecules properties"]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def sides(self) -> int:
        """From which each molecule is seen."""
        return len(self.octrees) // len(self.values)

    @property
    def lengths(self) -> Int[Tensor, "molecules"]:
        """Tokens of each molecule, from the first side."""
        return self.octrees.lengths[:: self.sides]

    def to(self, device: torch.device | str) -> SeenMolecules:
        """The same on a device."""
        return SeenMolecules(self.octrees.to(device), self.values.to(device))

    def select(self, rows: Int[Tensor, "chosen"]) -> SeenMolecules:
        """Some of the molecules."""
        each = (rows[:, None] * self.sides + torch.arange(self.sides, device=rows.device)).flatten()
        return SeenMolecules(self.octrees.select(each), self.values[rows])


def collate_seen(grid: OctreeGrid, items: list[SeenMolecule]) -> SeenMolecules:
    """Items to a batch; each is seen from as many sides.

    Raises:
        UserError: a molecule that the grid cannot hold.
    """
    octrees = collate_octrees(grid, [side for item in items for side in item.sides])
    return SeenMolecules(octrees, torch.from_numpy(np.stack([item.values for item in items]).astype(np.float32)))


def sides_of(molecule: Molecule) -> tuple[OctreeItem, ...]:
    """A molecule along its principal axes, in all four ways that are rotations."""
    positions = molecule.positions.astype(np.float64)
    centred = torch.from_numpy(positions - positions.mean(0))
    axes = principal_frames((centred.T @ centred)[None]).axes[0]
    return tuple(OctreeItem(molecule.numbers, (centred @ each).numpy()) for each in axes)


class OctreePropertyNetwork(OctreeNetwork, ResidualPredictor):
    """See the module's docstring."""

    def __init__(self, config: OctreePropertyConfig) -> None:
        # late: torch-geometric, which models that predict nothing do without
        from unigen.nn.encoders.pooling import Readout

        super().__init__()
        self.config = config
        self.tell_properties(config)
        self.make_reader(config.octree)
        self.apply(start_small)
        pooling = tuple(config.properties.values())
        self.readout = Readout(pooling, config.octree.width, columns=1)
        self.spread = Readout(pooling, config.octree.width, columns=1)

    @property
    def structures(self) -> Kind:
        """See PredictingNetwork."""
        return "molecules"

    def read(self, structures: Sequence[Crystal] | Sequence[Molecule]) -> SeenMolecules:
        """See ResidualPredictor.

        Raises:
            UserError: a molecule that the octree cannot hold.
        """
        items = []
        for molecule in structures:
            assert isinstance(molecule, Molecule), "what it predicts properties of"
            if len(molecule) > self.sizes.max_atoms:
                wanted = f"<= {self.sizes.max_atoms}"
                raise UserError("more atoms than the model is trained on", got=len(molecule), wanted=wanted)
            items.append(SeenMolecule(sides_of(molecule), np.full(len(self.config.properties), np.nan)))
        return collate_seen(self.grid, items).to(self.scale.device)

    def of_batch(self, batch: SeenMolecules) -> SeenMolecules:
        """See ResidualPredictor."""
        return batch

    def atoms(self, read: SeenMolecules) -> Atoms:
        """See ResidualPredictor: those of the first side."""
        stage, element = (each[:: read.sides] for each in (read.octrees.stage, read.octrees.element))
        group, column = (stage == Stage.LEAF).nonzero().unbind(1)
        return Atoms(element[group, column], group, len(read))

    def relative(self, read: SeenMolecules) -> tuple[Tensor, Tensor]:
        """See ResidualPredictor: the mean over all sides."""
        leaf = read.octrees.stage == Stage.LEAF
        masked = torch.zeros_like(leaf) if self.config.looks_ahead else None
        atoms, row = self.hidden(read.octrees, masked)[leaf], leaf.nonzero()[:, 0]
        rest, log_spread = (
            readout(x, row, len(leaf))[..., 0].unflatten(0, (len(read), read.sides)).mean(1)
            for readout, x in ((self.readout, atoms), (self.spread, atoms.detach()))
        )
        return rest, log_spread.clamp(min=SMALLEST_LOG_SPREAD)

    def beginning(self, trained: dict[str, Tensor]) -> dict[str, Tensor]:
        """See Network: of an octree model embedding and backbone, of a predictor all."""
        if "scale" not in trained:
            trained = {name: part for name, part in trained.items() if name.startswith(("embedding.", "backbone."))}
        return super().beginning(trained)

    def large_parts(self) -> list[nn.Module]:
        """See Network."""
        return [self.backbone]
