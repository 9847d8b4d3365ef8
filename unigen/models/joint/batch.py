"""A batch of crystals beside a batch of molecules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from unigen.batch import TensorRows, TokenBatch
from unigen.models.smiles.batch import MoleculeBatch, collate_molecules
from unigen.shapes import Int
from unigen.tokens.sequence import collate


@dataclass(frozen=True, eq=False)
class JointBatch(TensorRows):
    """A batch of each kind, of the same size."""

    crystals: TokenBatch
    molecules: MoleculeBatch

    def __len__(self) -> int:
        return len(self.crystals)

    @property
    def lengths(self) -> Int[Tensor, "batch"]:
        """Positions in use, of both together."""
        return self.crystals.lengths + self.molecules.lengths


def collate_pairs(pairs: list[tuple[Any, Any]]) -> JointBatch:
    """Encoded pairs to a batch of each kind."""
    crystals, molecules = zip(*pairs, strict=True)
    return JointBatch(collate(list(crystals)), collate_molecules(list(molecules)))
