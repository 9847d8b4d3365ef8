"""Which structures a step sees: a pure function of (seed, step, rank)."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.data.crystal_store import open_crystals
from unigen.models.training_set import MixedRows
from unigen.train.batches import StepBatches, epoch_batches

sizes = st.tuples(st.integers(1, 200), st.integers(1, 17), st.integers(1, 9), st.integers(0, 5))


@given(sizes, st.integers(0, 3))
def test_an_epoch_visits_a_structure_at_most_once(size, epoch):
    count, batch_size, bucket, seed = size
    lengths = np.random.default_rng(seed).integers(1, 21, count)
    batches = epoch_batches(lengths, min(batch_size, count), bucket, seed, epoch)
    seen = np.concatenate(batches)
    assert len(set(seen.tolist())) == len(seen)
    assert {len(batch) for batch in batches} == {min(batch_size, count)}
    assert count - len(seen) < min(batch_size, count)  # what is left over is less than a batch


def test_buckets_put_similar_lengths_together():
    lengths = np.random.default_rng(0).integers(1, 21, 640)

    def spread(bucket):
        return np.mean([np.ptp(lengths[batch]) for batch in epoch_batches(lengths, 16, bucket, 0, 0)])

    assert spread(40) < 2 < spread(8) < spread(1)
    short_first = [lengths[batch].mean() for batch in epoch_batches(lengths, 16, 40, 0, 0)]
    assert sorted(short_first) != short_first  # and yet the order of the batches is random


@pytest.fixture(scope="module")
def dataset(crystals):
    return open_crystals(f"{crystals}:train")


def batches(dataset, count, **changes):
    """What the steps see: (index, a random number of the encoding) of each structure."""
    settings = {"batch_size": 8, "bucket": 3, "seed": 0} | changes
    stream = StepBatches(dataset, lambda index, crystal, rng: (index, rng.random()), list, **settings)
    return list(islice(iter(stream), count))


@given(first=st.integers(0, 40), world=st.integers(1, 4), data=st.data())
def test_starting_at_a_step_equals_skipping_to_it(dataset, first, world, data):
    rank = data.draw(st.integers(0, world - 1))
    place = {"rank": rank, "world": world}
    assert batches(dataset, 5, first_step=first, **place) == batches(dataset, first + 5, **place)[first:]


def test_epochs_seeds_and_ranks_draw_differently(dataset):
    per_epoch = len(dataset) // 8
    stream = batches(dataset, 2 * per_epoch)
    assert stream[:per_epoch] != stream[per_epoch:]
    assert batches(dataset, 3, seed=1) != stream[:3]
    for world in (2, 3, 4):
        ranks = [batches(dataset, per_epoch // world, rank=rank, world=world) for rank in range(world)]
        seen = Counter(index for rank in ranks for batch in rank for index, _ in batch)
        assert max(seen.values()) == 1  # over a whole epoch no two ranks see the same structure
        assert len({number for rank in ranks for batch in rank for _, number in batch}) == sum(seen.values())


def test_a_dataset_smaller_than_a_batch_is_one_batch(dataset):
    few = dataset.select(np.arange(5))
    for batch in batches(few, 4, rank=1, world=2):
        assert sorted(index for index, _ in batch) == list(range(5))


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from([0.2, 0.5, 0.8]))
def test_a_replay_has_about_its_share_and_shows_every_row_as_often_as_the_others(first, second, share):
    rows = MixedRows(_Numbers(first), _Numbers(second), share)
    counts = Counter(rows[place] for place in range(len(rows)))
    times = [{count for (replayed, _), count in counts.items() if replayed == which} for which in (False, True)]
    assert len(counts) == first + second
    assert all(len(each) == 1 for each in times)
    assert len(rows.num_atoms) == len(rows)
    assert all(rows.num_atoms[place] == rows[place][1] for place in range(len(rows)))
    ratio = sum(count for (replayed, _), count in counts.items() if replayed) / sum(
        count for (replayed, _), count in counts.items() if not replayed
    )
    wanted = share / (1 - share)
    assert 0.5 < ratio / wanted < 2  # whole copies: at worst 1.5 of them become one or two


class _Numbers:
    """Rows that are their own places, which is how long they are."""

    def __init__(self, count: int) -> None:
        self.num_atoms = np.arange(count)

    def __len__(self) -> int:
        return len(self.num_atoms)

    def __getitem__(self, index: int) -> int:
        return index
