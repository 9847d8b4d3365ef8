"""What a run trains on and validates with: structures, how they are encoded, and how items become batches."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from unigen.config import check_ranges
from unigen.data.crystal_store import CrystalDataset
from unigen.models.generator import Generator
from unigen.models.interface import Batch
from unigen.shapes import Int

Encode = Callable[[int, Any, np.random.Generator], Any]
"""``(place, row, rng)`` to an item, as drawn this time."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What to train on.

    Attributes:
        train: dataset (``name``, ``name:split`` or a Parquet file) of reduced crystals.
        val: dataset of compositions not in ``train``.
        molecules: dataset of molecules that a joint model is trained on beside the crystals of ``train``.
        val_molecules: those it is validated with.
        retrieve_from: where the neighbours of a wyckoff or an octree model come from, by default ``train``.
        replay: a second dataset to train on, of what a model is not to forget while it learns the first.
        replay_share: of the structures that are shown.
        smiles: SMILES without positions that a model of molecules learns to write, too: a table (``NAME`` or
            ``NAME:SPLIT``) of ``unigen data smiles``.
        smiles_share: of what is shown of both.
        some_properties: the data may lack properties of the model.
        exchange: share of crystals that a wyckoff model is shown with one element exchanged for a similar one.
        values_of_half: only molecules of this half of the dataset show their properties; those of the other half are
            left to the predictor that judges what was asked for, which is trained on molecules of this half alone.
        rotate: show molecules turned at random each time (only axes that do not turn with them notice).
        shuffle_atoms: place a molecule's heavy atoms, then its hydrogens, in any order in place of the SMILES' own.
        batch_size: structures a step and device.
        bucket: batches sorted by length together; 1 shuffles fully, larger pads less.

    Raises:
        UserError: a value out of its range.
    """

    train: str
    val: str
    molecules: str | None = None
    val_molecules: str | None = None
    retrieve_from: str | None = None
    replay: str | None = None
    replay_share: float = 0.5
    smiles: str | None = None
    smiles_share: float = 0.5
    some_properties: bool = False
    exchange: float = 0.0
    values_of_half: int | None = None
    rotate: bool = True
    shuffle_atoms: bool = False
    batch_size: int = 64
    bucket: int = 16

    def __post_init__(self) -> None:
        # more than the largest datasets hold: a slip of the pen
        check_ranges(
            self,
            exchange=(0, 1),
            replay_share=(0.01, 0.99),
            smiles_share=(0.01, 0.99),
            values_of_half=(1, 2),
            batch_size=(1, 10**7),
            bucket=(1, 10**7),
        )


@runtime_checkable
class Rows(Sized, Protocol):
    """Things to encode, and a measure of how long each becomes."""

    @property
    def num_atoms(self) -> Int[np.ndarray, "rows"]:
        """How long each is, in any unit."""
        ...

    def __getitem__(self, index: int) -> Any:
        """One of them."""
        ...


class MixedRows:
    """Rows of two datasets, repeated as whole numbers of times come nearest to a share of the second.

    Args:
        first: most of it as a rule.
        second: ``share`` of the whole.
        share: between 0 and 1.
    """

    def __init__(self, first: Rows, second: Rows, share: float) -> None:
        self._sizes = len(first), len(second)
        wanted = share / (1 - share) * self._sizes[0] / self._sizes[1]  # copies of the second a copy of the first
        copies = (1, max(1, round(wanted))) if wanted >= 1 else (max(1, round(1 / wanted)), 1)
        self._of_first = copies[0] * self._sizes[0]
        lengths = np.asarray(first.num_atoms), np.asarray(second.num_atoms)
        self._lengths = np.concatenate([np.tile(lengths[0], copies[0]), np.tile(lengths[1], copies[1])])

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def num_atoms(self) -> Int[np.ndarray, "rows"]:
        """See Rows."""
        return self._lengths

    def __getitem__(self, index: int) -> tuple[bool, int]:
        """Whether it is one of the second dataset, and its place there."""
        if index < self._of_first:
            return False, index % self._sizes[0]
        return True, (index - self._of_first) % self._sizes[1]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Everything a run needs to know of its data.

    Attributes:
        train: what to train on.
        encode: a row to an item, as drawn this time.
        collate: items to a batch.
        val: what to validate with.
        encode_val: the same for validation.
        prepare: tells a fresh network what it must know of the training data.
        generator: makes a generator of the network, without scores, whose samples are matched with the references; None
            where no match rate is measured.
        references: validation crystals, to be drawn and compared.
    """

    train: Rows
    encode: Encode
    collate: Callable[[list], Batch]
    val: Rows
    encode_val: Encode
    prepare: Callable[[Any], None]
    generator: Callable[[Any], Generator] | None = None
    references: CrystalDataset | tuple[()] = ()

    def mixed_with(self, other: Rows, encode_other: Encode, share: float) -> TrainingSet:
        """This one, in which a share of what is trained on are other rows; validation stays its own."""
        rows = MixedRows(self.train, other, share)

        def encode(_place: int, row: tuple[bool, int], rng: np.random.Generator) -> Any:
            is_other, place = row
            if is_other:
                return encode_other(place, other[place], rng)
            return self.encode(place, self.train[place], rng)

        return replace(self, train=rows, encode=encode)

    def val_batches(self, batch_size: int, count: int, seed: int) -> list[Batch]:
        """The same few structures, encoded the same way, at every validation."""
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(self.val))[: batch_size * count].tolist()
        items = [self.encode_val(index, self.val[index], rng) for index in chosen]
        return [self.collate(items[start : start + batch_size]) for start in range(0, len(items), batch_size)]
