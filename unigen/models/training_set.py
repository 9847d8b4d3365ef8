"""What a run trains on and validates with: structures, how they are encoded, and how items become batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import CrystalDataset, open_dataset
from unigen.errors import UserError
from unigen.geometry.lattice import automorphisms, lattice_parameters
from unigen.models.families import Model
from unigen.models.generator import Generator
from unigen.models.joint.items import Pairs, collate_pairs
from unigen.models.joint.network import JointConfig, JointModel
from unigen.models.predictor.items import PropertyItems, collate_properties
from unigen.models.predictor.network import PredictorConfig
from unigen.models.smiles.items import MoleculeItems
from unigen.models.smiles.network import MoleculeConfig
from unigen.models.words.generator import NetworkGenerator
from unigen.models.words.network import Autoregressive, AutoregressiveConfig
from unigen.models.words.tokens import WordsTokenizer
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.models.wyckoff.items import WyckoffItems, collate_items
from unigen.models.wyckoff.network import WyckoffConfig, WyckoffModel
from unigen.retrieval.build_table import open_table
from unigen.retrieval.shortlist import Retriever
from unigen.tokens.collate import collate, collate_molecules
from unigen.tokens.sequence import Sequence as TokenSequence
from unigen.train.batches import Rows
from unigen.train.settings import TrainConfig

Encode = Callable[[int, Any, np.random.Generator], Any]
Items = MoleculeItems | PropertyItems | Pairs


@dataclass(frozen=True, eq=False)
class Material:
    """Everything a run needs to know of its data.

    Attributes:
        train: what to train on.
        encode: ``(place, row, rng)`` to an item, as drawn this time.
        collate: items to a batch.
        val: what to validate with.
        encode_val: the same for validation.
        references: validation crystals, to be drawn and compared; none of molecules.
        generator: makes a generator of a model, without scores.
        prepare: tells a fresh model what it must know of the training data.
    """

    train: Rows
    encode: Encode
    collate: Callable[[list], Any]
    val: Rows
    encode_val: Encode
    references: CrystalDataset | tuple[()]
    generator: Callable[[Model], Generator]
    prepare: Callable[[Model], None]

    def val_batches(self, batch_size: int, count: int, seed: int) -> list[Any]:
        """The same few structures, encoded the same way, at every validation."""
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(self.val))[: batch_size * count].tolist()
        items = [self.encode_val(index, self.val[index], rng) for index in chosen]
        return [self.collate(items[start : start + batch_size]) for start in range(0, len(items), batch_size)]


def open_material(config: TrainConfig) -> Material:
    """The material of a run.

    Raises:
        UserError: a dataset that is not built or has no crystal that fits the model.
    """
    match config.model:
        case WyckoffConfig():
            return _wyckoff(config, config.model)
        case MoleculeConfig():
            return _molecules(config, config.model)
        case PredictorConfig():
            return _properties(config, config.model)
        case JointConfig():
            return _joint(config, config.model)
        case AutoregressiveConfig():
            return _words(config, config.model)


def _words(config: TrainConfig, model: AutoregressiveConfig) -> Material:
    tokenizer = WordsTokenizer(model.max_atoms)
    train, val = (_fitting(open_dataset(name), tokenizer) for name in (config.data.train, config.data.val))
    return Material(
        train=train,
        encode=_WordsEncoder(tokenizer),
        collate=collate,
        val=val,
        encode_val=lambda _place, crystal, rng: tokenizer.encode(crystal, rng),
        references=val,
        generator=_words_generator,
        prepare=partial(_tell_lattices, train),
    )


def _joint(config: TrainConfig, model: JointConfig) -> Material:
    data = config.data
    if data.molecules is None or data.val_molecules is None:
        raise UserError("data.molecules: a joint model needs molecules too", wanted="molecules and val_molecules")
    words = _words(config, model.crystal)
    others = replace(config, data=replace(data, train=data.molecules, val=data.val_molecules))
    molecules = _molecules(others, model.molecule)
    train = Pairs(words.train, molecules.train, words.encode, molecules.encode)
    val = Pairs(words.val, molecules.val, words.encode_val, molecules.encode_val)

    def prepare(fresh: Model) -> None:
        assert isinstance(fresh, JointModel)
        words.prepare(fresh.crystal)
        molecules.prepare(fresh.molecule)

    return _never_drawn(config, train, val, collate_pairs, prepare)


def _molecules(config: TrainConfig, model: MoleculeConfig) -> Material:
    shown = {"rotate": config.data.rotate, "shuffle": config.data.shuffle_atoms}
    train = MoleculeItems(config.data.train, model, config.data.values_of_half, **shown)
    val = MoleculeItems(config.data.val, model, **shown)
    return _never_drawn(config, train, val, collate_molecules, train.prepare)


def _properties(config: TrainConfig, model: PredictorConfig) -> Material:
    train = PropertyItems(config.data.train, model, config.data.values_of_half)
    val = PropertyItems(config.data.val, model)
    return _never_drawn(config, train, val, collate_properties, train.prepare)


def _never_drawn(
    config: TrainConfig,
    train: Items,
    val: Items,
    to_batch: Callable[[list], Any],
    prepare: Callable[[Model], None],
) -> Material:
    """What is judged by its losses alone.

    Raises:
        UserError: a match rate is asked for.
    """
    if config.match_structures:
        raise UserError("match_structures: molecules have no match rate", got=config.match_structures, wanted=0)
    return Material(
        train=train,
        encode=train.encode,
        collate=to_batch,
        val=val,
        encode_val=val.encode,
        references=(),
        generator=_no_generator,
        prepare=prepare,
    )


def _wyckoff(config: TrainConfig, model: WyckoffConfig) -> Material:
    retriever = Retriever(open_table(config.data.retrieve_from or config.data.train))
    train = WyckoffItems(config.data.train, retriever, model, config.data.exchange)
    val = WyckoffItems(config.data.val, retriever, model)
    crystals = open_dataset(config.data.val)
    return Material(
        train=train,
        encode=train.encode,
        collate=collate_items,
        val=val,
        encode_val=val.encode,
        references=crystals.select(crystals.num_atoms <= model.max_atoms),
        generator=partial(_wyckoff_generator, retriever),
        prepare=train.prepare,
    )


def _tell_lattices(crystals: CrystalDataset, model: Model) -> None:
    """Mean and spread of the training lattices: ln Angstrom, radians."""
    assert isinstance(model, Autoregressive)
    six = lattice_parameters(crystals.lattice)
    six[:, :3] = np.log(six[:, :3])
    model.embedding.lattice_mean.copy_(torch.from_numpy(six.mean(0)))
    model.embedding.lattice_std.copy_(torch.from_numpy(six.std(0) + 1e-3))


def _no_generator(model: Model) -> Generator:
    raise AssertionError(f"{type(model).__name__} is not matched with references")


def _words_generator(model: Model) -> Generator:
    assert isinstance(model, Autoregressive)
    return NetworkGenerator(model, "training", score_steps=0)


def _wyckoff_generator(retriever: Retriever, model: Model) -> Generator:
    assert isinstance(model, WyckoffModel)
    return WyckoffGenerator(model, retriever, "training", score_steps=0, exclude_formula=True)


def _fitting(dataset: CrystalDataset, tokenizer: WordsTokenizer) -> CrystalDataset:
    kept = dataset.select(dataset.num_atoms <= tokenizer.max_atoms)
    if not len(kept):
        raise UserError("no crystal fits the model", where=dataset.name, wanted=f"<= {tokenizer.max_atoms} atoms")
    return kept


class _WordsEncoder:
    """Encodes with random origin, basis and mirror image; keeps each crystal's bases once they are known."""

    def __init__(self, tokenizer: WordsTokenizer) -> None:
        self.tokenizer = tokenizer
        self.bases: dict[int, np.ndarray] = {}

    def __call__(self, index: int, crystal: Crystal, rng: np.random.Generator) -> TokenSequence:
        if index not in self.bases:
            self.bases[index] = automorphisms(crystal.lattice).astype(np.int8)
        return self.tokenizer.encode(crystal, rng, self.bases[index].astype(np.int64))
