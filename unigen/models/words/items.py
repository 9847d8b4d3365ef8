"""Crystals as a model of words is trained on them: each time from another origin, in another basis or mirrored."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.errors import UserError
from unigen.geometry.lattice import automorphisms, lattice_parameters
from unigen.models.sequence_encoder import SequenceEncoder
from unigen.models.training_set import DataConfig, TrainingSet
from unigen.models.words.generator import WordsGenerator
from unigen.models.words.network import Autoregressive, AutoregressiveConfig
from unigen.models.words.tokens import WordsTokenizer
from unigen.tokens.labels import token_labels
from unigen.tokens.sequence import Sequence, collate


def open_words(data: DataConfig, config: AutoregressiveConfig) -> TrainingSet:
    """Crystals of up to ``max_atoms`` atoms.

    Raises:
        UserError: a dataset that is not built or has no crystal that fits the model.
    """
    tokenizer = WordsTokenizer(config.max_atoms)
    train, val = (_crystals_that_fit(open_crystals(name), tokenizer) for name in (data.train, data.val))
    return TrainingSet(
        train=train,
        encode=_Encoder(tokenizer),
        collate=collate,
        val=val,
        encode_val=lambda _position, crystal, rng: tokenizer.encode(crystal, rng),
        prepare=partial(_set_lattice_scale, train),
        generator=lambda network: WordsGenerator(network, "training", score_steps=0),
        references=val,
    )


def words_encoder(network: Autoregressive, kind: Kind, _known: Path) -> SequenceEncoder:
    """Crystals from any origin, in any basis, as in training.

    Raises:
        UserError: molecules are to be read.
    """
    if kind != "crystals":
        raise UserError("this model reads crystals", got=kind)
    tokenizer = WordsTokenizer(network.config.max_atoms)
    return SequenceEncoder(
        network, lambda crystal, rng: tokenizer.encode(crystal.reduced(), rng), collate, token_labels
    )


def _set_lattice_scale(crystals: CrystalDataset, network: Autoregressive) -> None:
    """Give the network mean and spread of the training lattices: ln Angstrom, radians."""
    six = lattice_parameters(crystals.lattice)
    six[:, :3] = np.log(six[:, :3])
    network.embedding.lattice_mean.copy_(torch.from_numpy(six.mean(0)))
    network.embedding.lattice_std.copy_(torch.from_numpy(six.std(0) + 1e-3))  # cubic cells have no spread of angles


def _crystals_that_fit(dataset: CrystalDataset, tokenizer: WordsTokenizer) -> CrystalDataset:
    kept = dataset.select(dataset.num_atoms <= tokenizer.max_atoms)
    if not len(kept):
        raise UserError("no crystal fits the model", where=dataset.name, wanted=f"<= {tokenizer.max_atoms} atoms")
    return kept


class _Encoder:
    """Encodes with random origin, basis and mirror image; keeps each crystal's bases once they are known."""

    def __init__(self, tokenizer: WordsTokenizer) -> None:
        self.tokenizer = tokenizer
        self.bases: dict[int, np.ndarray] = {}

    def __call__(self, index: int, crystal: Crystal, rng: np.random.Generator) -> Sequence:
        if index not in self.bases:
            self.bases[index] = automorphisms(crystal.lattice).astype(np.int8)
        return self.tokenizer.encode(crystal, rng, self.bases[index].astype(np.int64))
