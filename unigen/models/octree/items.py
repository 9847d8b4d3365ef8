"""Structures as an octree model is trained on them: molecules turned at random, crystals from any origin and basis."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from warnings import warn

import numpy as np
import torch

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.data.molecule_store import MoleculeDataset, open_molecules
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.geometry.rotation import random_rotation
from unigen.models.octree.batch import OctreeItem, collate_octrees
from unigen.models.octree.generator import OctreeCrystalGenerator
from unigen.models.octree.neighbours import Frame, TaughtNeighbours, lattice_numbers
from unigen.models.octree.network import OctreeCrystalConfig, OctreeModel, OctreeMoleculeConfig, OctreeSizes
from unigen.models.octree.tokens import OctreeGrid, always_fits, encode
from unigen.models.peaks import shown_peaks
from unigen.models.sequence_encoder import SequenceEncoder
from unigen.models.training_set import DataConfig, Encode, TrainingSet
from unigen.molecules.molecule import Molecule
from unigen.retrieval.build_table import table_path
from unigen.retrieval.mapped_table import open_retriever
from unigen.retrieval.shortlist import Retriever
from unigen.shapes import Float
from unigen.tokens.composition import composition_symbols
from unigen.tokens.vocabulary import count_of, element_of

Structures = CrystalDataset | MoleculeDataset


def open_octree_molecules(data: DataConfig, config: OctreeMoleculeConfig) -> TrainingSet:
    """Molecules of up to ``max_atoms`` atoms that fit into the box in every orientation; says how many do not.

    Raises:
        UserError: a dataset that is not built, or has no molecule that fits the model.
    """
    train, val = (that_fit(open_molecules(name), config) for name in (data.train, data.val))
    encoded = partial(_molecule_item, rotate=data.rotate)
    return TrainingSet(
        train=train,
        encode=encoded,
        collate=partial(collate_octrees, config.grid),
        val=val,
        encode_val=encoded,
        prepare=partial(_tell_elements, train),
    )


def open_octree_crystals(data: DataConfig, config: OctreeCrystalConfig) -> TrainingSet:
    """Crystals of up to ``max_atoms`` atoms, none two of which ever share a leaf cell; says how many do not fit.

    Raises:
        UserError: a dataset that is not built, or has no crystal that fits the model; for a model that is shown
            neighbours, one without templates or lessons.
    """
    train, val = (that_fit(open_crystals(name), config) for name in (data.train, data.val))
    encoded: list[Encode] = [partial(_crystal_item, config=config)] * 2
    retriever: Retriever | None = None
    if config.neighbours:
        retriever = open_retriever(*table_path(data.retrieve_from or data.train))
        encoded = [
            partial(_crystal_item, config=config, taught=TaughtNeighbours(name, crystals, retriever, config))
            for name, crystals in ((data.train, train), (data.val, val))
        ]

    def prepare(network: OctreeModel) -> None:
        _tell_elements(train, network)
        six = lattice_numbers(train.lattice)
        network.embedding.lattice_mean.copy_(torch.from_numpy(six.mean(0)))
        network.embedding.lattice_std.copy_(torch.from_numpy(six.std(0) + 1e-3))  # cubic cells: no spread of angles

    return TrainingSet(
        train=train,
        encode=encoded[0],
        collate=partial(collate_octrees, config.grid, most_peaks=config.peaks, most_neighbours=config.neighbours),
        val=val,
        encode_val=encoded[1],
        prepare=prepare,
        generator=lambda network: OctreeCrystalGenerator(
            network, "training", score_steps=0, retriever=retriever, exclude_formula=True
        ),
        references=val,
    )


def octree_encoder(network: OctreeModel, kind: Kind, _known: Path) -> SequenceEncoder:
    """Structures as in training.

    Raises:
        UserError: structures of the other kind are to be read.
    """
    mine: Kind = "crystals" if network.config.is_periodic else "molecules"
    if kind != mine:
        raise UserError(f"this model reads {mine}", got=kind)

    def encoded(structure: Any, rng: np.random.Generator) -> OctreeItem:
        if len(structure) > network.config.max_atoms:
            raise UserError("more atoms than the model is trained on", wanted=f"<= {network.config.max_atoms}")
        if network.config.is_periodic:
            return Frame.drawn(rng).item(structure.reduced())
        return _molecule_item(0, structure, rng, rotate=True)

    return SequenceEncoder(network, encoded, partial(collate_octrees, network.grid), partial(_labels, network.grid))


def _molecule_item(_index: int, molecule: Molecule, rng: np.random.Generator, *, rotate: bool) -> OctreeItem:
    positions = molecule.positions @ random_rotation(rng) if rotate else molecule.positions
    return OctreeItem(molecule.numbers, positions)


def _crystal_item(
    index: int,
    crystal: Crystal,
    rng: np.random.Generator,
    *,
    config: OctreeCrystalConfig,
    taught: TaughtNeighbours | None = None,
) -> OctreeItem:
    """From a random origin, with its axes in any order and sense, behind neighbours and peaks where it is shown any."""
    item = Frame.drawn(rng).item(crystal) if taught is None else taught.item(index, crystal, rng)
    if not config.peaks:
        return item
    return replace(item, peaks=shown_peaks(crystal, config.peaks, config.peak_dropout, rng))


def _tell_elements(dataset: Structures, network: OctreeModel) -> None:
    """Which elements there are: no others are written de novo."""
    network.seen[torch.from_numpy(np.unique(dataset.numbers).astype(np.int64))] = True


def that_fit(dataset: Any, config: OctreeSizes) -> Any:
    """The structures of a dataset that an octree of these sizes can hold; says how many cannot.

    Raises:
        UserError: none.
    """
    small = dataset.select(dataset.num_atoms <= config.max_atoms)
    fits = np.array([always_fits(config.grid, _coords(small, index)) for index in range(len(small))], dtype=bool)
    if not fits.any():
        raise UserError(
            "no structure fits the model",
            where=dataset.name,
            wanted=f"<= {config.max_atoms} atoms, in {config.grid.cells} cells an axis",
        )
    if not fits.all():
        warn(f"{dataset.name}: {(~fits).sum()} of {len(fits)} left out, which the octree cannot hold", stacklevel=2)
    return small.select(fits)


def _coords(dataset: Any, index: int) -> Float[np.ndarray, "atoms 3"]:
    start, end = dataset.offsets[index : index + 2]
    coords = dataset.frac_coords if isinstance(dataset, CrystalDataset) else dataset.positions
    return coords[start:end].astype(np.float64)


def _labels(grid: OctreeGrid, item: OctreeItem) -> list[str]:
    """A text a token: the composition, then nodes as ``level:mask``, then leaves as elements."""
    octrees = encode(
        grid,
        torch.from_numpy(item.numbers),
        torch.from_numpy(item.coords),
        torch.tensor([len(item.numbers)]),
        torch.tensor([item.operation]),
    )
    composition = [f"{count_of(s) or SYMBOLS[element_of(s) or 0]}" for s in composition_symbols(item.counts)[1:-1]]
    nodes = [f"{level}:{mask:08b}" for level, mask in zip(octrees.level.tolist(), octrees.mask.tolist(), strict=True)]
    leaves = [f"{SYMBOLS[number]}·" for number in octrees.element.tolist()]
    return ["begin", *composition, "end", *(["cell"] if item.lattice is not None else []), *nodes, *leaves]
