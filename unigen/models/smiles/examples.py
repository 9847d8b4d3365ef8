"""Known molecules with nearby values in the prompt: what a property asked for looks like, before it is asked for.

Of a table of training molecules the nearest ones to the values asked for, in standard deviations of the table, stand
before the request, the nearest last. So values are told by molecules that have them, and not by numbers alone
(retrieval in the prompt: Borgeaud et al. 2022, "Improving language models by retrieving from trillions of tokens").

The table is part of the model, a sample of what it was trained on: a model folder needs no dataset to draw from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unigen.data.molecule_store import MoleculeDataset
from unigen.geometry.local_frame import local_frames
from unigen.models.smiles.tokens import Example, MoleculeSequence, encode, written_example
from unigen.molecules.molecule import Molecule
from unigen.shapes import Float
from unigen.smiles.hydrogens import Hydrogens

_PREFIX = "examples."
"""Of the names of the tensors of the table in a model."""

_BONDS_AN_ATOM = 2
"""Most bonds of a molecule an atom: carbon without hydrogen has so many."""


@dataclass(frozen=True, eq=False)
class ExampleTable:
    """Molecules that may stand in prompts.

    Attributes:
        molecules: in any order.
        values: of the model's properties, NaN where unknown, shape (molecules, properties).
        hydrogens: of their SMILES.
    """

    molecules: tuple[Molecule, ...]
    values: Float[np.ndarray, "molecules properties"]
    hydrogens: Hydrogens
    _written: dict[int, tuple[MoleculeSequence, np.ndarray]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def sample(
        cls, dataset: MoleculeDataset, properties: tuple[str, ...], size: int, hydrogens: Hydrogens, half: int | None
    ) -> ExampleTable:
        """Molecules of a dataset that have any of the properties, drawn the same way every time.

        Args:
            dataset: of which all molecules fit the model.
            properties: of the model.
            size: how many molecules at most.
            hydrogens: of their SMILES.
            half: only molecules whose property ``half`` is this; None: all.
        """
        unknown = np.full(len(dataset), np.nan)
        columns = [dataset.properties.get(name, unknown) for name in properties]
        values = np.stack(columns, axis=1) if columns else np.zeros((len(dataset), 0))
        able = np.isfinite(values).any(1)
        if half is not None:
            able &= dataset.properties.get("half", unknown) == half
        chosen = np.random.default_rng(0).permutation(np.flatnonzero(able))[:size]
        # single precision as the table of a model has it: the same examples are the nearest in training and in drawing
        return cls(tuple(dataset[int(row)] for row in chosen), _single(values[chosen]), hydrogens)

    def examples(
        self, values: Mapping[int, float], count: int, rng: np.random.Generator, without: str = ""
    ) -> tuple[Example, ...]:
        """The nearest molecules to the values asked for, the nearest last; fewer where fewer have such values.

        Args:
            values: properties asked for, by their number in the model, from 1.
            count: how many.
            rng: chooses among those that are equally near.
            without: a SMILES as datasets have them; molecules of it are left out.
        """
        if not values or not count:
            return ()
        numbers = list(values)
        rows = self.nearest(values, count, rng, without)[::-1]
        told = self.values[rows][:, [number - 1 for number in numbers]].tolist()
        return tuple(
            written_example(*self._read(row), dict(zip(numbers, own, strict=True)))
            for row, own in zip(rows, told, strict=True)
        )

    def nearest(
        self, values: Mapping[int, float], count: int, rng: np.random.Generator, without: str = ""
    ) -> list[int]:
        """Rows of the nearest molecules, the nearest first; arguments as those of ``examples``."""
        columns = [number - 1 for number in values]
        away = (self.values[:, columns] - list(values.values())) / self._spreads[columns]
        distance = np.square(away).sum(1)
        distance[self._rows_by_smiles.get(without, []) if without else []] = np.nan
        order = np.lexsort((rng.random(len(distance)), distance))  # NaN comes last
        return [int(row) for row in order[:count] if np.isfinite(distance[row])]

    def _read(self, row: int) -> tuple[MoleculeSequence, np.ndarray]:
        """A molecule as a sequence, always of the same SMILES, and its atoms' vectors in their local frames."""
        if row not in self._written:
            sequence = encode(self.molecules[row], np.random.default_rng(row), hydrogens=self.hydrogens)
            positions, near = (
                torch.from_numpy(sequence.positions)[None],
                torch.from_numpy(sequence.graph_distance)[None],
            )
            frames = local_frames(positions, near, torch.arange(len(sequence.numbers))[None])
            self._written[row] = sequence, frames.local(positions)[0].numpy()
        return self._written[row]

    @cached_property
    def _spreads(self) -> Float[np.ndarray, "properties"]:
        """Standard deviations, 1 of a property that is the same everywhere or known of none."""
        known = np.isfinite(self.values)
        count = np.maximum(known.sum(0), 1)
        mean = np.where(known, self.values, 0).sum(0) / count
        spread = np.sqrt(np.where(known, np.square(self.values - mean), 0).sum(0) / count)
        return np.where(spread > 0, spread, 1.0)

    @cached_property
    def _rows_by_smiles(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, molecule in enumerate(self.molecules):
            rows.setdefault(molecule.smiles, []).append(row)
        return rows


class ExampleStore(nn.Module):
    """The tensors of a table, as they are kept with the weights: padded, so that a config tells their shapes.

    Args:
        size: most molecules.
        max_atoms: the largest one.
        properties: how many.
    """

    numbers: Tensor
    charges: Tensor
    positions: Tensor
    bonds: Tensor
    values: Tensor
    known: Tensor

    def __init__(self, size: int, max_atoms: int, properties: int) -> None:
        super().__init__()
        small: dict[str, Any] = {"dtype": torch.int16}
        self.register_buffer("numbers", torch.zeros(size, max_atoms, **small))
        self.register_buffer("charges", torch.zeros(size, max_atoms, **small))
        self.register_buffer("positions", torch.zeros(size, max_atoms, 3))
        self.register_buffer("bonds", torch.zeros(size, _BONDS_AN_ATOM * max_atoms, 3, **small))
        self.register_buffer("values", torch.zeros(size, properties))
        self.register_buffer("known", torch.zeros(size, properties, dtype=torch.bool))

    def keep(self, table: ExampleTable) -> None:
        """Take the molecules of a table, in place of those before."""
        for buffer in self.buffers():
            buffer.zero_()
        for row, molecule in enumerate(table.molecules):
            for buffer, part in (
                (self.numbers, molecule.numbers),
                (self.charges, molecule.charges),
                (self.positions, molecule.positions),
                (self.bonds, molecule.bonds),
            ):
                buffer[row, : len(part)] = torch.tensor(part).to(buffer.dtype)
        count = len(table.molecules)
        self.known[:count] = torch.from_numpy(np.isfinite(table.values))
        self.values[:count] = torch.from_numpy(np.nan_to_num(table.values)).float()

    def table(self, hydrogens: Hydrogens) -> ExampleTable:
        """The molecules, their SMILES written with these hydrogens."""
        numbers, charges, positions, bonds, values, known = (buffer.cpu().numpy() for buffer in self.buffers())
        filled = np.flatnonzero(numbers[:, 0])
        molecules = []
        for row in filled:
            atoms, linked = int((numbers[row] > 0).sum()), int((bonds[row, :, 2] > 0).sum())
            parts = (numbers[row, :atoms], positions[row, :atoms], bonds[row, :linked], charges[row, :atoms])
            molecules.append(Molecule(*parts))
        return ExampleTable(tuple(molecules), np.where(known, values, np.nan)[filled].astype(np.float64), hydrogens)


def merged_examples(fresh: Mapping[str, Tensor], trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The table of a model that goes on from a trained one: every second molecule is one of the trained one's.

    So a property that the new data lack still has examples.

    Args:
        fresh: tensors of the new model, whose table is of the new data; it may know more properties.
        trained: tensors of the trained one.
    """
    names = [name for name in fresh if name.startswith(_PREFIX)]
    merged: dict[str, Tensor] = {}
    for name in names:
        old, new = trained.get(name), fresh[name].clone()
        if old is None or len(old) != len(new) or any(np.greater(old.shape, new.shape)):
            return {}  # another pool, or larger molecules: who compares shapes says so
        new[1::2] = 0
        new[(slice(1, None, 2), *map(slice, old.shape[1:]))] = old[1::2]
        merged[name] = new
    return merged


def _single(values: Float[np.ndarray, "molecules properties"]) -> Float[np.ndarray, "molecules properties"]:
    return values.astype(np.float32).astype(np.float64)
