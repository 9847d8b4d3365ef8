"""Molecules of a dataset as a predictor of the octree family is shown them."""

from __future__ import annotations

from functools import partial

import numpy as np

from unigen.data.molecule_store import open_molecules
from unigen.errors import UserError
from unigen.geometry.rotation import random_rotation
from unigen.models.error_bars import calibrate
from unigen.models.octree.batch import OctreeItem
from unigen.models.octree.items import that_fit
from unigen.models.octree.property import (
    OctreePropertyConfig,
    OctreePropertyNetwork,
    SeenMolecule,
    collate_seen,
    sides_of,
)
from unigen.models.residual_predictor import fit_composition
from unigen.models.training_set import DataConfig, TrainingSet
from unigen.molecules.molecule import Molecule
from unigen.shapes import Float, Int


def open_octree_properties(data: DataConfig, config: OctreePropertyConfig) -> TrainingSet:
    """Molecules with known properties that fit into the octree; says how many do not.

    Raises:
        UserError: a dataset that is not built, lacks one of the properties, or has no molecule that fits.
    """
    train, val = (LabelledMolecules(name, config) for name in (data.train, data.val))
    return TrainingSet(
        train=train,
        encode=partial(train.encode, rotate=data.rotate),
        collate=partial(collate_seen, config.octree.grid),
        val=val,
        encode_val=val.encode_val,
        prepare=lambda model: fit_composition(model, train.molecules, train.values),
    )


class LabelledMolecules:
    """The molecules of one split of which any of the properties is known, and which the octree can hold.

    Args:
        dataset: ``NAME:SPLIT`` of a built dataset.
        config: which properties, and how large the octree is.

    Raises:
        UserError: no such molecule, or a property the dataset does not have.
    """

    def __init__(self, dataset: str, config: OctreePropertyConfig) -> None:
        opened = open_molecules(dataset)
        keep = np.isfinite(opened.values_of(config.properties)).any(axis=1)
        if not keep.any():
            raise UserError("no structure with a known property", where=dataset)
        self.molecules = that_fit(opened.select(keep), config.octree)
        self.values: Float[np.ndarray, "molecules properties"] = self.molecules.values_of(config.properties)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def num_atoms(self) -> Int[np.ndarray, "molecules"]:
        """Atoms of each, for batches of similar size."""
        return self.molecules.num_atoms

    def __getitem__(self, index: int) -> Molecule:
        return self.molecules[index]

    def encode(self, index: int, molecule: Molecule, rng: np.random.Generator, *, rotate: bool) -> SeenMolecule:
        """From one side: any, or one along its principal axes."""
        if rotate:
            side = OctreeItem(molecule.numbers, molecule.positions @ random_rotation(rng))
        else:
            sides = sides_of(molecule)
            side = sides[int(rng.integers(len(sides)))]
        return SeenMolecule((side,), self.values[index])

    def encode_val(self, index: int, molecule: Molecule, _rng: np.random.Generator) -> SeenMolecule:
        """From all four sides along its principal axes, as it is told."""
        return SeenMolecule(sides_of(molecule), self.values[index])


def calibrate_errors(model: OctreePropertyNetwork, data: DataConfig) -> None:
    """Tell a trained model by what factors its error bars hold nine errors of ten of all validation molecules."""
    held_out = LabelledMolecules(data.val, model.config)
    calibrate(
        model, model.calibration, held_out.molecules, held_out.values, model.every_property, batch_size=data.batch_size
    )
