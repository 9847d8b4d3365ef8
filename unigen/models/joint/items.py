"""Crystals and molecules side by side: a row is one of each, a batch a batch of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unigen.batch import JointBatch
from unigen.shapes import Int
from unigen.tokens.collate import collate, collate_molecules
from unigen.train.batches import Rows

Encode = Callable[[int, Any, np.random.Generator], Any]


class Pairs:
    """Rows of two kinds; the shorter list begins anew until the longer one ends.

    Args:
        crystals: rows.
        molecules: rows.
        encode_crystal: of a crystal.
        encode_molecule: of a molecule.
    """

    def __init__(self, crystals: Rows, molecules: Rows, encode_crystal: Encode, encode_molecule: Encode) -> None:
        self.crystals, self.molecules = crystals, molecules
        self.encode_crystal, self.encode_molecule = encode_crystal, encode_molecule

    def __len__(self) -> int:
        return max(len(self.crystals), len(self.molecules))

    @property
    def num_atoms(self) -> Int[np.ndarray, "pairs"]:
        """Of the molecules, for batches in which they are of similar length."""
        return self.molecules.num_atoms[np.arange(len(self)) % len(self.molecules)]

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        return self.crystals[place % len(self.crystals)], self.molecules[place % len(self.molecules)]

    def encode(self, place: int, pair: tuple[Any, Any], rng: np.random.Generator) -> tuple[Any, Any]:
        """Both, as they are shown this time."""
        crystal = self.encode_crystal(place % len(self.crystals), pair[0], rng)
        return crystal, self.encode_molecule(place % len(self.molecules), pair[1], rng)


def collate_pairs(pairs: list[tuple[Any, Any]]) -> JointBatch:
    """Encoded pairs to a batch of each kind."""
    crystals, molecules = zip(*pairs, strict=True)
    return JointBatch(collate(list(crystals)), collate_molecules(list(molecules)))
