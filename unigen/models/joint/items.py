"""Crystals and molecules side by side: a row is one of each, a batch a batch of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unigen.cards import Kind
from unigen.errors import UserError
from unigen.models.joint.batch import collate_pairs
from unigen.models.joint.network import JointConfig, JointModel
from unigen.models.sequence_encoder import SequenceEncoder
from unigen.models.smiles.items import open_smiles, smiles_encoder
from unigen.models.training_set import DataConfig, Encode, Rows, TrainingSet
from unigen.models.words.items import open_words, words_encoder
from unigen.shapes import Int


def open_joint(data: DataConfig, config: JointConfig) -> TrainingSet:
    """Crystals of ``data.train`` beside molecules of ``data.molecules``; judged by their losses alone.

    Raises:
        UserError: no molecules are named, or one of the families cannot read its data.
    """
    if data.molecules is None or data.val_molecules is None:
        raise UserError("data.molecules: a joint model needs molecules too", wanted="molecules and val_molecules")
    words = open_words(data, config.crystal)
    molecules = open_smiles(replace(data, train=data.molecules, val=data.val_molecules), config.molecule)
    train = Pairs(words.train, molecules.train, words.encode, molecules.encode)
    val = Pairs(words.val, molecules.val, words.encode_val, molecules.encode_val)

    def prepare(network: JointModel) -> None:
        words.prepare(network.crystal)
        molecules.prepare(network.molecule)

    return TrainingSet(
        train=train,
        encode=train.encode,
        collate=collate_pairs,
        val=val,
        encode_val=val.encode,
        prepare=prepare,
    )


def joint_encoder(network: JointModel, kind: Kind, known: Path) -> SequenceEncoder:
    """The sequences of one kind, read by the part for it, through the backbone of both."""
    if kind == "crystals":
        return words_encoder(network.crystal, kind, known)
    return smiles_encoder(network.molecule, kind, known)


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

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.crystals[index % len(self.crystals)], self.molecules[index % len(self.molecules)]

    def encode(self, index: int, pair: tuple[Any, Any], rng: np.random.Generator) -> tuple[Any, Any]:
        """Both, as they are shown this time."""
        crystal = self.encode_crystal(index % len(self.crystals), pair[0], rng)
        return crystal, self.encode_molecule(index % len(self.molecules), pair[1], rng)
