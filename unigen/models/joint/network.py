"""One backbone for crystals and molecules: what each kind reads and draws is its own, what is between is shared.

The model of words writes crystals, the model of molecules molecules; both read elements by the same vectors and think
in the same layers. Trained on a batch of each at every step, it answers whether one helps the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from unigen.errors import UserError
from unigen.models.interface import ALL, Network
from unigen.models.joint.batch import JointBatch
from unigen.models.smiles.network import MoleculeConfig, MoleculeModel
from unigen.models.words.network import Autoregressive, AutoregressiveConfig
from unigen.nn.mixers.backbone import Backbone
from unigen.shapes import Float

SHARED = ("mixers", "width", "heads", "dropout")
"""What the two configs must agree in."""


@dataclass(frozen=True, kw_only=True)
class JointConfig:
    """Two models with one backbone.

    Attributes:
        crystal: of the model of words.
        molecule: of the model of molecules.

    Raises:
        UserError: their backbones differ.
    """

    kind: Literal["joint"]
    crystal: AutoregressiveConfig
    molecule: MoleculeConfig

    def __post_init__(self) -> None:
        for name in SHARED:
            crystal, molecule = getattr(self.crystal, name), getattr(self.molecule, name)
            if crystal != molecule:
                raise UserError(f"crystal.{name} and molecule.{name} differ", got=f"{crystal} and {molecule}")


class JointModel(Network):
    """See the module's docstring. ``crystal`` and ``molecule`` are used like models of their own."""

    def __init__(self, config: JointConfig) -> None:
        super().__init__()
        self.config = config
        self.crystal = Autoregressive(config.crystal)
        self.molecule = MoleculeModel(config.molecule)
        self._share(self.molecule, "backbone", self.crystal.backbone)
        self._share(self.molecule.embedding, "element", self.crystal.embedding.element)

    @staticmethod
    def _share(borrower: nn.Module, name: str, part: nn.Module) -> None:
        """Let a module use a part without owning it: weights are then saved, moved and averaged once."""
        delattr(borrower, name)
        object.__setattr__(borrower, name, part)

    @property
    def backbone(self) -> Backbone:
        """The shared one."""
        return self.crystal.backbone

    def large_parts(self) -> list[nn.Module]:
        """See Network: the shared backbone once; it is the first part of both."""
        return [*self.crystal.large_parts(), *self.molecule.large_parts()[1:]]

    def losses(
        self, batch: JointBatch, generator: torch.Generator, repeats: int = 4, only: str = ALL
    ) -> dict[str, Float[torch.Tensor, ""]]:
        """The losses of both, each with the name of its kind before it."""
        parts = {
            "crystal": self.crystal.losses(batch.crystals, generator, repeats, only),
            "molecule": self.molecule.losses(batch.molecules, generator, repeats, only),
        }
        return {f"{kind}_{name}": loss for kind, losses in parts.items() for name, loss in losses.items()}

    def validated(
        self, batch: JointBatch, generator: torch.Generator, only: str = ALL
    ) -> dict[str, Float[torch.Tensor, ""]]:
        """Losses as in training."""
        return {f"val_loss_{name}": loss for name, loss in self.losses(batch, generator, only=only).items()}
