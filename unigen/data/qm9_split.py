"""How EDM splits QM9: 100,000 / 17,748 / 13,083 molecules by a fixed permutation, and its train part into halves.

Hoogeboom et al., ICML 2022, arXiv:2203.17003, as its public code does it: after Cormorant's preparation of the 130,831
molecules in the order of their index, ``numpy.random.seed(0)`` and a permutation: train, validation, and a tenth for
test at its end. For conditional generation the train part, in the order of the index, is permuted with seed 42: the
first half trains the property predictor, the second the generator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np

from unigen.data.readers.record import Record
from unigen.errors import UserError
from unigen.shapes import Int

MOLECULES = 130_831
UNCHARACTERISED = 3_054
"""Molecules that QM9 numbers but that are left out; EDM leaves them out too."""

_SPLITS = ("train", "val", "test")
_TRAIN, _TEST = 100_000, MOLECULES // 10


@cache
def edm_split() -> tuple[Int[np.ndarray, "molecules"], Int[np.ndarray, "molecules"]]:
    """Index into ("train", "val", "test"), and half of the train part (1 or 2, else 0), of the molecules in order."""
    # numpy's old generator, whose permutation is EDM's
    order = np.random.RandomState(0).permutation(MOLECULES)
    split = np.zeros(MOLECULES, dtype=np.int64)
    split[order[_TRAIN:]] = 1
    split[order[MOLECULES - _TEST :]] = 2  # the end of what the line before calls val
    half = np.zeros(MOLECULES, dtype=np.int64)
    train = np.flatnonzero(split == 0)
    mixed = train[np.random.RandomState(42).permutation(_TRAIN)]
    half[mixed[: _TRAIN // 2]], half[mixed[_TRAIN // 2 :]] = 1, 2
    return split, half


def assign_edm_split(records: Iterator[Record]) -> Iterator[Record]:
    """The records of QM9, named by their index, with EDM's splits; those of train have a ``half``.

    Raises:
        UserError: they are not the characterised molecules from the first on, in order.
    """
    split, half = edm_split()
    for row, record in enumerate(records):
        index = int(record.id) if record.id.isdecimal() else -1
        # counted from 1 and with gaps: each molecule that was left out before it puts its row one behind its index
        if row >= MOLECULES or not 0 <= index - 1 - row <= UNCHARACTERISED:
            raise UserError(
                "not QM9 in its order",
                where=record.where,
                got=f"index {record.id} at place {row + 1}",
                wanted=f"the {MOLECULES:,} characterised molecules from the first on",
            )
        info = record.info | ({"half": int(half[row])} if half[row] else {})
        yield replace(record, split=_SPLITS[split[row]], info=info)
