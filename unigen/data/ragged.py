"""Ragged arrays: lists of different lengths, one a structure, kept one after the other with where each begins."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from unigen.errors import UserError
from unigen.shapes import Int


def flat(column: pa.ChunkedArray) -> np.ndarray:
    """The items of all lists, one after the other."""
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False)


def list_offsets(column: pa.ChunkedArray, width: int = 1) -> Int[np.ndarray, "rows_plus_1"]:
    """Where the list of each row starts among all items, counted in groups of ``width``; at last, how many."""
    lengths = column.combine_chunks().value_lengths().to_numpy() // width
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def row_index(keep: np.ndarray) -> Int[np.ndarray, "chosen"]:
    """Row numbers, of a mask or of themselves."""
    return np.flatnonzero(keep) if np.asarray(keep).dtype == bool else np.asarray(keep, dtype=np.int64)


def rows_of_split(splits: np.ndarray, split: str, dataset: str) -> Int[np.ndarray, "chosen"]:
    """The rows of one split; raises UserError, naming the splits there are, when it is empty."""
    rows = np.flatnonzero(splits == split)
    if not len(rows):
        raise UserError(f"no split {split!r}", where=dataset, wanted=f"one of {sorted(set(splits))}")
    return rows


def chosen_items(
    offsets: Int[np.ndarray, "rows_plus_1"], index: Int[np.ndarray, "chosen"]
) -> tuple[Int[np.ndarray, "chosen_plus_1"], Int[np.ndarray, "items"]]:
    """New offsets, and the items in the lists of the chosen rows."""
    counts = np.diff(offsets)[index]
    new = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return new, np.repeat(offsets[:-1][index] - new[:-1], counts) + np.arange(new[-1])
