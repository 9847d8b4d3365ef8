"""Molecules as the predictor is shown them: atoms in space, and the properties that are known."""

from __future__ import annotations

import numpy as np
import torch

from unigen.data.molecule_store import MoleculeDataset, open_molecules
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.models.predictor.batch import PropertyItem, collate_properties
from unigen.models.predictor.network import PredictorConfig, PropertyNetwork
from unigen.models.training_set import DataConfig, TrainingSet
from unigen.shapes import Float, Int


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
        needed = [*config.properties, "half"] if half is not None else [*config.properties]
        missing = [name for name in needed if name not in molecules.properties]
        if missing:
            raise UserError(
                f"{dataset} has no property {missing[0]!r}", wanted=f"some of {sorted(molecules.properties)}"
            )
        values = np.column_stack([molecules.properties[name] for name in config.properties])
        keep = np.isfinite(values).any(axis=1)
        if half is not None:
            keep &= molecules.properties["half"] == half
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

    def __getitem__(self, place: int) -> PropertyItem:
        atoms = slice(self.molecules.offsets[place], self.molecules.offsets[place + 1])
        numbers = self.molecules.numbers[atoms].astype(np.int64)
        return PropertyItem(numbers, self.molecules.positions[atoms], self.values[place].astype(np.float32))

    def encode(self, _place: int, item: PropertyItem, _rng: np.random.Generator) -> PropertyItem:
        """Nothing is drawn: the network sees neither axes nor order."""
        return item

    def prepare(self, model: PropertyNetwork) -> None:
        """Tell the model what the elements alone say of each property, by least squares, and the spread of the rest.

        A length has no part that is linear in the elements: of a dipole moment only its spread is told.
        """
        elements = np.unique(self.molecules.numbers)
        model.seen[torch.from_numpy(elements).long()] = True
        counts = self._counts()[:, [0, *elements]]
        for place, pooling in enumerate(self.config.properties.values()):
            known = np.isfinite(self.values[:, place])
            rest = self.values[known, place]
            if pooling != "dipole":
                fitted = np.linalg.lstsq(counts[known], rest, rcond=None)[0]
                rest = rest - counts[known] @ fitted
                model.offset[place] = fitted[0]
                model.of_element[torch.from_numpy(elements).long(), place] = torch.from_numpy(fitted[1:]).float()
            model.scale[place] = float(rest.std()) + 1e-6

    def _counts(self) -> Float[np.ndarray, "molecules elements"]:
        """Atoms by atomic number; a one in the place of number 0."""
        counts = np.zeros((len(self), len(SYMBOLS)))
        np.add.at(counts, (np.repeat(np.arange(len(self)), self.num_atoms), self.molecules.numbers), 1)
        counts[:, 0] = 1
        return counts
