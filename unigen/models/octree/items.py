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
from unigen.geometry.lattice import lattice_parameters
from unigen.geometry.morton import OPERATIONS, operations
from unigen.geometry.rotation import random_rotation
from unigen.models.octree.batch import OctreeItem, collate_octrees
from unigen.models.octree.generator import OctreeCrystalGenerator
from unigen.models.octree.network import OctreeCrystalConfig, OctreeModel, OctreeMoleculeConfig, OctreeSizes
from unigen.models.octree.tokens import OctreeGrid, encode
from unigen.models.peaks import shown_peaks
from unigen.models.sequence_encoder import SequenceEncoder
from unigen.models.training_set import DataConfig, TrainingSet
from unigen.molecules.molecule import Molecule
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
        UserError: a dataset that is not built, or has no crystal that fits the model.
    """
    train, val = (that_fit(open_crystals(name), config) for name in (data.train, data.val))
    encoded = _crystal_item
    if config.peaks:
        encoded = partial(_asked_item, peaks=config.peaks, hidden=config.peak_dropout)

    def prepare(network: OctreeModel) -> None:
        _tell_elements(train, network)
        six = _lattice_numbers(train.lattice)
        network.embedding.lattice_mean.copy_(torch.from_numpy(six.mean(0)))
        network.embedding.lattice_std.copy_(torch.from_numpy(six.std(0) + 1e-3))  # cubic cells: no spread of angles

    return TrainingSet(
        train=train,
        encode=encoded,
        collate=partial(collate_octrees, config.grid, most_peaks=config.peaks),
        val=val,
        encode_val=encoded,
        prepare=prepare,
        generator=lambda network: OctreeCrystalGenerator(network, "training", score_steps=0),
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
            return _crystal_item(0, structure.reduced(), rng)
        return _molecule_item(0, structure, rng, rotate=True)

    return SequenceEncoder(network, encoded, partial(collate_octrees, network.grid), partial(_labels, network.grid))


def _molecule_item(_index: int, molecule: Molecule, rng: np.random.Generator, *, rotate: bool) -> OctreeItem:
    positions = molecule.positions @ random_rotation(rng) if rotate else molecule.positions
    return OctreeItem(molecule.numbers, positions)


def _crystal_item(_index: int, crystal: Crystal, rng: np.random.Generator) -> OctreeItem:
    """From a random origin, with its axes in any order and sense: improper ones show the mirror image."""
    operation = int(rng.integers(OPERATIONS))
    axes = operations(torch.device("cpu"))[operation].numpy()
    coords = crystal.frac_coords + rng.random(3)
    return OctreeItem(crystal.numbers, coords, _lattice_numbers(axes @ crystal.lattice), operation)


def _asked_item(index: int, crystal: Crystal, rng: np.random.Generator, *, peaks: int, hidden: float) -> OctreeItem:
    """The same behind its peaks, where these are not hidden."""
    item = _crystal_item(index, crystal, rng)
    return replace(item, peaks=shown_peaks(crystal, peaks, hidden, rng))


def _lattice_numbers(lattice: Float[np.ndarray, "*crystals 3 3"]) -> Float[np.ndarray, "*crystals 6"]:
    """Ln Angstrom, radians."""
    six = lattice_parameters(lattice.astype(np.float64))
    six[..., :3] = np.log(six[..., :3])
    return six


def _tell_elements(dataset: Structures, network: OctreeModel) -> None:
    """Which elements there are: no others are written de novo."""
    network.seen[torch.from_numpy(np.unique(dataset.numbers).astype(np.int64))] = True


def that_fit(dataset: Any, config: OctreeSizes) -> Any:
    """The structures of a dataset that an octree of these sizes can hold; says how many cannot.

    Raises:
        UserError: none.
    """
    small = dataset.select(dataset.num_atoms <= config.max_atoms)
    fits = np.array([_fits(config.grid, _coords(small, index)) for index in range(len(small))], dtype=bool)
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


def _fits(grid: OctreeGrid, coords: Float[np.ndarray, "atoms 3"]) -> bool:
    """Whether a structure can be encoded from any origin, a molecule in any orientation."""
    between = np.abs(coords[:, None] - coords)[np.triu_indices(len(coords), 1)]
    if not len(between):
        return True
    if grid.periodic:
        apart = np.abs(between - np.round(between)).max(1)
        return bool(apart.min() > grid.separation * grid.cell_side)
    distance = np.linalg.norm(between, axis=1)
    # cells apart along some axis, whatever the orientation, with a bin for rounding
    near = (grid.separation * np.sqrt(3.0) + 2.0 / grid.bins) * grid.cell_side
    return bool(distance.min() > near and distance.max() < grid.side - grid.cell_side)


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
