"""Molecules as the predictor is shown them: atoms in space, and the properties that are known."""

from __future__ import annotations

import numpy as np
import torch

from unigen.data.molecule_store import MoleculeDataset, open_molecules
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.models.error_bars import calibrate
from unigen.models.predictor.batch import PropertyItem, collate_properties
from unigen.models.predictor.network import PredictorConfig, PropertyNetwork
from unigen.models.training_set import DataConfig, TrainingSet
from unigen.shapes import Float, Int


def calibrate_errors(model: PropertyNetwork, data: DataConfig) -> None:
    """Tell a trained model with error bars by what factors they hold nine errors of ten of all validation molecules."""
    if model.config.error_bars:
        held_out = PropertyItems(data.val, model.config)
        calibrate(
            model, model.calibration, held_out.molecules, held_out.values, model.predicted, batch_size=data.batch_size
        )


def open_properties(data: DataConfig, config: PredictorConfig) -> TrainingSet:
    """Molecules with known properties.

    Raises:
        UserError: a dataset that is not built, or has none of the properties.
    """
    train = PropertyItems(data.train, config, data.values_of_half)
    val = PropertyItems(data.val, config)
    return TrainingSet(
        train=train,
        encode=train.encode,
        collate=collate_properties,
        val=val,
        encode_val=val.encode,
        prepare=train.prepare,
    )


class PropertyItems:
    """The molecules of one split, or of one half of it.

    Args:
        dataset: ``NAME:SPLIT`` of a built dataset.
        config: which properties.
        half: only molecules of this half (their property ``half``); None: all.

    Raises:
        UserError: no such molecule, or a property the dataset does not have.
    """

    def __init__(self, dataset: str, config: PredictorConfig, half: int | None = None) -> None:
        molecules = open_molecules(dataset)
        values = molecules.values_of(config.properties)
        keep = np.isfinite(values).any(axis=1)
        if half is not None:
            keep &= molecules.values_of(["half"])[:, 0] == half
        if not keep.any():
            got = "" if half is None else f" in half {half}"
            raise UserError(f"no molecule with a known property{got}", where=dataset)
        self.molecules: MoleculeDataset = molecules.select(keep)
        self.values: Float[np.ndarray, "molecules properties"] = values[keep]
        self.config = config

    def __len__(self) -> int:
        return len(self.values)

    @property
    def num_atoms(self) -> Int[np.ndarray, "molecules"]:
        """Atoms of each, for batches of similar size."""
        return self.molecules.num_atoms

    def __getitem__(self, index: int) -> PropertyItem:
        atoms = slice(self.molecules.offsets[index], self.molecules.offsets[index + 1])
        numbers = self.molecules.numbers[atoms].astype(np.int64)
        return PropertyItem(numbers, self.molecules.positions[atoms], self.values[index].astype(np.float32))

    def encode(self, _index: int, item: PropertyItem, _rng: np.random.Generator) -> PropertyItem:
        """Nothing is drawn: the network sees neither axes nor order."""
        return item

    def prepare(self, model: PropertyNetwork) -> None:
        """Tell the model what the elements alone say of each property, by least squares, and the spread of the rest.

        A length has no part that is linear in the elements: of a dipole moment only its spread is told.
        """
        elements = np.unique(self.molecules.numbers)
        model.seen[torch.from_numpy(elements).long()] = True
        counts = np.zeros((len(self), len(SYMBOLS)))
        np.add.at(counts, (np.repeat(np.arange(len(self)), self.num_atoms), self.molecules.numbers), 1)
        counts[:, 0] = 1  # no element: the offset of the fit
        counts = counts[:, [0, *elements]]
        for column, pooling in enumerate(self.config.properties.values()):
            is_known = np.isfinite(self.values[:, column])
            rest = self.values[is_known, column]
            if pooling != "dipole":
                fitted = np.linalg.lstsq(counts[is_known], rest, rcond=None)[0]
                rest = rest - counts[is_known] @ fitted
                model.offset[column] = fitted[0]
                model.of_element[torch.from_numpy(elements).long(), column] = torch.from_numpy(fitted[1:]).float()
            model.scale[column] = float(rest.std()) + 1e-6  # a property that follows from the elements alone
