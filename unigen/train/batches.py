"""Training batches as a pure function of (seed, step): a run that is killed goes on with the very same batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset

from unigen.models.training_set import Rows
from unigen.shapes import Int


def epoch_batches(
    lengths: Int[np.ndarray, "crystals"], batch_size: int, bucket: int, seed: int, epoch: int
) -> list[Int[np.ndarray, "batch"]]:
    """A shuffled pass over a dataset in batches of similar length; incomplete batches are left to the next epoch.

    Args:
        lengths: of each structure, any unit.
        batch_size: structures a batch.
        bucket: batches that are sorted by length together.
        seed: of the run.
        epoch: which pass.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    order = order[: max(len(order) // batch_size, 1) * batch_size]
    window = batch_size * bucket
    chunks = [order[start : start + window] for start in range(0, len(order), window)]
    ordered = np.concatenate([chunk[np.argsort(lengths[chunk], kind="stable")] for chunk in chunks])
    batches = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    return [batches[index] for index in rng.permutation(len(batches))]


class StepBatches(IterableDataset):
    """Endless encoded batches, from ``first_step`` on.

    Args:
        dataset: what to encode.
        encode: ``(index, dataset[index], rng) -> item``.
        collate: items to a batch.
        batch_size: structures a batch and device.
        bucket: see ``epoch_batches``.
        seed: of the run.
        first_step: where to start: the optimizer steps already done.
        rank: this process.
        world: processes; each takes every world-th batch.
    """

    def __init__(
        self,
        dataset: Rows,
        encode: Callable[[int, Any, np.random.Generator], object],
        collate: Callable[[list], object],
        *,
        batch_size: int,
        bucket: int,
        seed: int,
        first_step: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__()
        self.dataset, self.encode, self.collate = dataset, encode, collate
        self.batch_size, self.bucket, self.seed = min(batch_size, len(dataset)), bucket, seed
        self.first_step, self.rank, self.world = first_step, rank, world

    def __iter__(self) -> Iterator[object]:
        worker = torch.utils.data.get_worker_info()
        skip, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for step, index in enumerate(self._indices()):
            if step >= self.first_step and (step - self.first_step) % stride == skip:
                rng = np.random.default_rng([self.seed, step, self.rank])
                yield self.collate([self.encode(int(i), self.dataset[int(i)], rng) for i in index])

    def _indices(self) -> Iterator[Int[np.ndarray, "batch"]]:
        epoch = 0
        while True:
            batches = epoch_batches(self.dataset.num_atoms, self.batch_size, self.bucket, self.seed, epoch)
            usable = max(len(batches) // self.world, 1) * self.world
            padded = batches + batches[: max(usable - len(batches), 0)] * self.world
            yield from padded[self.rank : usable : self.world]
            epoch += 1
