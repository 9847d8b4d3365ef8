"""Structures of a dataset as the predictor is shown them: graphs of atoms, and the properties that are known."""

from __future__ import annotations

import numpy as np

from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.data.molecule_store import MoleculeDataset, open_molecules
from unigen.errors import UserError
from unigen.models.error_bars import calibrate
from unigen.models.property.batch import LabelledGraph, collate_labelled, graph_of
from unigen.models.property.network import GraphPropertyNetwork, PropertyConfig
from unigen.models.residual_predictor import fit_composition
from unigen.models.training_set import DataConfig, TrainingSet
from unigen.shapes import Float, Int


def open_labelled(data: DataConfig, config: PropertyConfig) -> TrainingSet:
    """Structures with known properties.

    Raises:
        UserError: a dataset that is not built, or lacks one of the properties.
    """
    train, val = LabelledStructures(data.train, config), LabelledStructures(data.val, config)
    return TrainingSet(
        train=train,
        encode=train.encode,
        collate=collate_labelled,
        val=val,
        encode_val=val.encode,
        prepare=train.prepare,
    )


class LabelledStructures:
    """The structures of one split of which any of the properties is known.

    Args:
        dataset: ``NAME:SPLIT`` of a built dataset.
        config: which properties, of crystals or of molecules.

    Raises:
        UserError: no such structure, or a property the dataset does not have.
    """

    def __init__(self, dataset: str, config: PropertyConfig) -> None:
        opened: CrystalDataset | MoleculeDataset
        opened = open_crystals(dataset) if config.structures == "crystals" else open_molecules(dataset)
        values = opened.values_of(config.properties)
        keep = np.isfinite(values).any(axis=1)
        if not keep.any():
            raise UserError("no structure with a known property", where=dataset)
        self.structures = opened.select(keep)
        self.values: Float[np.ndarray, "structures properties"] = values[keep]
        self.config = config

    def __len__(self) -> int:
        return len(self.values)

    @property
    def num_atoms(self) -> Int[np.ndarray, "structures"]:
        """Atoms of each, for batches of similar size."""
        return self.structures.num_atoms

    def __getitem__(self, index: int) -> LabelledGraph:
        graph = graph_of(self.structures[index], self.config.encoder.cutoff)
        return LabelledGraph(graph, self.values[index].astype(np.float32))

    def encode(self, _index: int, item: LabelledGraph, _rng: np.random.Generator) -> LabelledGraph:
        """Nothing is drawn: the network sees neither axes nor order."""
        return item

    def prepare(self, model: GraphPropertyNetwork) -> None:
        """Tell the model what the composition alone says."""
        fit_composition(model, self.structures, self.values)


def calibrate_errors(model: GraphPropertyNetwork, data: DataConfig) -> None:
    """Tell a trained model by what factors its error bars hold nine errors of ten of all validation structures."""
    held_out = LabelledStructures(data.val, model.config)
    calibrate(
        model, model.calibration, held_out.structures, held_out.values, model.every_property, batch_size=data.batch_size
    )
