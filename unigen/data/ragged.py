"""Ragged arrays: lists of different lengths, one a structure, kept one after the other with where each begins."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from unigen.errors import UserError
from unigen.parsing import one_line
from unigen.shapes import Float, Int


def list_items(
    table: pa.Table, name: str, kind: pa.DataType, where: str, width: int = 1
) -> tuple[np.ndarray, Int[np.ndarray, "rows_plus_1"]]:
    """The items of all lists of a column, one after the other, and where the list of each row starts among them.

    Args:
        table: of a Parquet file.
        name: of the column.
        kind: of an item.
        where: the file, for messages.
        width: items that belong together; offsets count in groups of so many.

    Raises:
        UserError: no lists, unknown lists or items, items of another kind, lists that no groups make up.
    """
    column = table[name].type
    if not (pa.types.is_list(column) or pa.types.is_large_list(column) or pa.types.is_fixed_size_list(column)):
        raise UserError(f"column {name}: no lists of numbers", where=where, got=column, wanted=f"lists of {kind}")
    lists = pa.concat_arrays(table[name].chunks) if table[name].num_chunks else pa.array([], column)
    if pa.types.is_fixed_size_list(column):  # Arrow tells no offsets of these
        lengths = np.full(len(lists), column.list_size)
    else:
        lengths = np.diff(np.from_dlpack(lists.offsets))
    items = _known(lists, lists.flatten(), name, kind, where)
    if (lengths % width).any():
        row = int(np.flatnonzero(lengths % width)[0])
        raise UserError(f"column {name}, row {row}: {lengths[row]} numbers", where=where, wanted=f"{width} each")
    return items, np.concatenate([[0], np.cumsum(lengths // width)]).astype(np.int64)


def items(table: pa.Table, name: str, kind: pa.DataType, where: str) -> np.ndarray:
    """A column of one item a row; raises UserError where one is unknown or of another kind."""
    column = table[name].combine_chunks()
    return _known(column, column, name, kind, where)


def numbers(table: pa.Table, name: str, where: str) -> Float[np.ndarray, "rows"]:
    """A column of numbers, NaN where they are missing; raises UserError where they are none."""
    kind = table[name].type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise UserError(f"column {name}: no numbers", where=where, got=kind, next_step="leave this column out")
    # whole numbers beyond 2^53 lose their last digits: no property is known to so many
    values = table[name].cast(pa.float64(), safe=False).combine_chunks()
    return np.from_dlpack(values.fill_null(np.nan) if values.null_count else values)


def _known(column: pa.Array, values: pa.Array, name: str, kind: pa.DataType, where: str) -> np.ndarray:
    """Values without a gap, of a kind that holds all of them."""
    if column.null_count or values.null_count:
        raise UserError(f"column {name}: {column.null_count or values.null_count} values are missing", where=where)
    try:
        # numbers of any width that have room; of fractions single precision is enough, whatever they are written in
        values = values.cast(kind, safe=not pa.types.is_floating(kind))
        # not Arrow's own to_numpy, which brings pandas; DLPack is of numbers alone
        return np.from_dlpack(values) if pa.types.is_primitive(kind) else np.array(values.to_pylist(), dtype=object)
    except (pa.ArrowException, UnicodeDecodeError) as error:  # bytes that are no text are found out at the end
        raise UserError(f"column {name}: not {kind}", where=where, got=one_line(error)) from error


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
