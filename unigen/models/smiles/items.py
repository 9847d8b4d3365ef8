"""Molecules as a model is shown them: each time another SMILES, turned at random, with some of its properties."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unigen.cards import Kind
from unigen.data.molecule_store import MoleculeDataset, open_molecules, open_smiles_table
from unigen.errors import UserError
from unigen.geometry.rotation import random_rotation
from unigen.models.sequence_encoder import SequenceEncoder
from unigen.models.smiles.atoms_first import atoms_first
from unigen.models.smiles.batch import collate_molecules
from unigen.models.smiles.embedding import CHARGES
from unigen.models.smiles.examples import ExampleTable
from unigen.models.smiles.network import MoleculeConfig, MoleculeModel
from unigen.models.smiles.tokens import Example, MoleculeSequence, encode, encode_graph
from unigen.models.training_set import DataConfig, TrainingSet
from unigen.molecules.descriptors import DESCRIPTORS, computed
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import parse_smiles
from unigen.shapes import Int
from unigen.smiles.reader import read_smiles
from unigen.smiles.text import smiles_symbols
from unigen.tokens.labels import token_labels

_UNCONDITIONAL, _SINGLE_PROPERTY = 0.25, 0.5
"""How often a molecule is shown without any property, so that de novo generation and guidance stay possible (with
``values_of_half`` every molecule of the other half is, too); how often with one alone otherwise, as most users ask."""

_STEREO = 0.5
"""How often its SMILES says its stereo."""


def open_smiles(data: DataConfig, config: MoleculeConfig) -> TrainingSet:
    """Molecules of up to ``max_atoms`` atoms.

    Raises:
        UserError: a dataset that is not built, has no molecule that fits the model or not its properties.
    """
    shown: dict[str, Any] = {
        "rotate": data.rotate,
        "shuffle": data.shuffle_atoms,
        "partly": data.some_properties,
    }
    train = MoleculeItems(data.train, config, data.values_of_half, **shown)
    val = MoleculeItems(data.val, config, **shown, table=train.table)
    opened = TrainingSet(
        train=train,
        encode=train.encode,
        collate=collate_molecules,
        val=val,
        encode_val=val.encode,
        prepare=train.prepare,
    )
    if data.smiles is None:
        return opened
    written = GraphItems(data.smiles, config, train.table)
    return opened.mixed_with(written, written.encode, data.smiles_share)


def smiles_encoder(network: MoleculeModel, kind: Kind, _known: Path) -> SequenceEncoder:
    """Molecules turned at random, as another SMILES each time, of which no property is told: as in training.

    Raises:
        UserError: crystals are to be read.
    """
    if kind != "molecules":
        raise UserError("this model reads molecules", got=kind)
    config = network.config

    def encoded(molecule: Molecule, rng: np.random.Generator) -> MoleculeSequence:
        if len(molecule) > config.max_atoms:
            raise UserError("more atoms than the model is trained on", wanted=f"<= {config.max_atoms}")
        first = config.layout == "graph-first"
        positions = molecule.positions @ random_rotation(rng)
        stereo = first and bool(rng.random() < _STEREO)
        sequence = encode(molecule, rng, stereo=stereo, positions=positions, hydrogens=config.hydrogens)
        return sequence if first else atoms_first(sequence)

    return SequenceEncoder(network, encoded, collate_molecules, _labels)


def _labels(sequence: MoleculeSequence) -> list[str]:
    descriptor = sequence.tokens.descriptor.copy()
    descriptor[sequence.slot, 0] = sequence.numbers
    return token_labels(replace(sequence.tokens, descriptor=descriptor))


class MoleculeItems:
    """The molecules of one split that fit a model; ``items.encode(index, molecule, rng)`` gives one as it is shown.

    Args:
        dataset: ``NAME:SPLIT`` of a built dataset.
        config: sizes and properties of the model.
        half: show no properties of molecules of the other half (their property ``half``); None: of all.
        rotate: turn them at random.
        shuffle: place their atoms in any order.
        partly: whether the dataset may lack properties of the model.
        table: of the molecules that stand in prompts; None: a sample of these, for a model that has any.

    Raises:
        UserError: no molecule fits, or a property the dataset does not have.
    """

    def __init__(
        self,
        dataset: str,
        config: MoleculeConfig,
        half: int | None = None,
        *,
        rotate: bool = True,
        shuffle: bool = False,
        partly: bool = False,
        table: ExampleTable | None = None,
    ) -> None:
        molecules = open_molecules(dataset)
        if not partly:
            molecules.check_properties((*config.properties, "half") if half is not None else config.properties)
        self.molecules: MoleculeDataset = molecules.select(molecules.num_atoms <= config.max_atoms)
        self.properties, self.half = config.properties, half
        self.rotate, self.shuffle, self.layout = rotate, shuffle, config.layout
        self.hydrogens, self.examples = config.hydrogens, config.examples
        if shuffle and self.layout == "atoms-first":
            raise UserError("shuffle_atoms: an atom cannot be placed before the SMILES names it", wanted="graph-first")
        if not len(self.molecules):
            raise UserError("no molecule fits the model", where=dataset, wanted=f"<= {config.max_atoms} atoms")
        if table is None and self.examples:
            table = ExampleTable.sample(self.molecules, self.properties, config.example_pool, self.hydrogens, half)
        self.table = table

    def __len__(self) -> int:
        return len(self.molecules)

    @property
    def num_atoms(self) -> Int[np.ndarray, "molecules"]:
        """Atoms of each, for batches of similar length."""
        return self.molecules.num_atoms

    def __getitem__(self, index: int) -> Molecule:
        return self.molecules[index]

    def encode(self, _index: int, molecule: Molecule, rng: np.random.Generator) -> MoleculeSequence:
        """A molecule as the model is shown it this time."""
        has_values = self.half is None or molecule.properties.get("half", self.half) == self.half
        values = self._condition(molecule, rng) if rng.random() >= _UNCONDITIONAL and has_values else {}
        positions = molecule.positions @ random_rotation(rng) if self.rotate else molecule.positions
        stereo = self.layout == "graph-first" and bool(rng.random() < _STEREO)
        examples: tuple[Example, ...] = ()
        if self.table is not None:  # by random numbers of their own: the molecule is shown as it is without them
            examples = self.table.examples(values, self.examples, rng.spawn(1)[0], molecule.smiles)
        sequence = encode(
            molecule,
            rng,
            values,
            stereo=stereo,
            positions=positions,
            shuffle=self.shuffle,
            hydrogens=self.hydrogens,
            examples=examples,
        )
        return sequence if self.layout == "graph-first" else atoms_first(sequence)

    def _condition(self, molecule: Molecule, rng: np.random.Generator) -> dict[int, float]:
        """Some of the properties that the molecule has: value by number, from 1."""
        known = [number for number, name in enumerate(self.properties, start=1) if name in molecule.properties]
        return {number: molecule.properties[self.properties[number - 1]] for number in _told(known, rng)}

    def prepare(self, model: MoleculeModel) -> None:
        """Tell the model which atoms there are, mean, spread and range of the properties, and known molecules."""
        numbers, charges = (column.astype(np.int64) for column in (self.molecules.numbers, self.molecules.charges))
        counted = np.abs(charges) <= CHARGES
        atoms_seen = np.zeros(model.atoms_seen.shape, dtype=np.int64)
        np.add.at(atoms_seen, (numbers[counted], charges[counted] + CHARGES), 1)
        model.atoms_seen.copy_(torch.from_numpy(atoms_seen))
        heavy = np.add.reduceat(numbers > 1, self.molecules.offsets[:-1])
        model.most_heavy.fill_(int(heavy.max()))
        embedding = model.embedding
        for number, name in enumerate(self.properties, start=1):
            if name not in self.molecules.properties:
                continue
            values = torch.from_numpy(self.molecules.properties[name])
            values = values[torch.isfinite(values)]
            embedding.property_mean[number] = values.mean()
            embedding.property_std[number] = values.std() + 1e-12  # a property that is the same everywhere
            embedding.property_range[number] = torch.stack([values.min(), values.max()])
        if model.examples is not None and self.table is not None:
            model.examples.keep(self.table)


class GraphItems:
    """SMILES without positions, each time another one, with some of the properties that follow from the graph.

    Which elements may be written and how large molecules may be is told by molecules in space alone: what is learned
    here of others is never drawn.

    Args:
        dataset: ``NAME`` or ``NAME:SPLIT`` of a table of SMILES.
        config: sizes and properties of the model.
        table: of the molecules that stand in prompts; None: none do.

    Raises:
        UserError: no such table, no molecule fits, or a layout that places atoms as they are written.
    """

    def __init__(self, dataset: str, config: MoleculeConfig, table: ExampleTable | None = None) -> None:
        if config.layout == "atoms-first":
            raise UserError(
                "data.smiles: each atom is placed when it is written", got="atoms-first", wanted="graph-first"
            )
        found = open_smiles_table(dataset)
        self.smiles = found.select(np.flatnonzero(found.num_atoms <= config.max_atoms))
        if not len(self.smiles):
            raise UserError("no molecule fits the model", where=dataset, wanted=f"<= {config.max_atoms} atoms")
        self.properties, self.hydrogens, self.examples = config.properties, config.hydrogens, config.examples
        self.table = table
        self._computed = [number for number, name in enumerate(self.properties, start=1) if name in DESCRIPTORS]

    def __len__(self) -> int:
        return len(self.smiles)

    @property
    def num_atoms(self) -> Int[np.ndarray, "molecules"]:
        """Half the atoms of each: its sequence is about as long as that of a placed molecule of so many."""
        return (self.smiles.num_atoms + 1) // 2

    def __getitem__(self, index: int) -> str:
        return self.smiles[index]

    def encode(self, _index: int, smiles: str, rng: np.random.Generator) -> MoleculeSequence:
        """A molecule as the model is shown it this time."""
        told = _told(self._computed, rng) if rng.random() >= _UNCONDITIONAL else []
        values: dict[int, float] = {}
        if told:
            found = computed(parse_smiles(smiles), [self.properties[number - 1] for number in told])
            values = dict(zip(told, found.values(), strict=True))
        stereo = bool(rng.random() < _STEREO)
        examples: tuple[Example, ...] = ()
        if self.table is not None:
            examples = self.table.examples(values, self.examples, rng.spawn(1)[0], smiles)
        skeleton = read_smiles(smiles_symbols(smiles)).skeleton
        return encode_graph(skeleton, rng, values, stereo=stereo, hydrogens=self.hydrogens, examples=examples)


def _told(known: list[int], rng: np.random.Generator) -> list[int]:
    """One of the properties that are known, or each with even chance."""
    if known and rng.random() < _SINGLE_PROPERTY:
        return [known[int(rng.integers(len(known)))]]
    return [number for number in known if rng.random() < 0.5]
