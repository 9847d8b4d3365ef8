"""A large table of known structures, and what is fitted to it, as arrays that are mapped from a file and not read.

Of a million structures the Parquet file takes five CPU-seconds to unpack and the fit two more, and their arrays a
gigabyte. Beside such a table a file ``templates.arrow`` holds the same arrays as they lie in memory (Arrow's IPC
format, uncompressed, one row whose columns are the arrays): opening it reads nothing but where they are, and processes
share its pages. It is made where a table is opened for the first time, made again where it belongs to another content
of the table, and never needed: in a folder that nobody may write to the table is read.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from unigen.disk import alone_at, durable, partial_of, sha256_of
from unigen.element_similarity import element_distances
from unigen.errors import UserError
from unigen.journal import digest
from unigen.parsing import PARSER_ERRORS
from unigen.retrieval.bond_lengths import BondLengths
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.neighbours import CountGroup, NeighbourIndex
from unigen.retrieval.shortlist import Retriever
from unigen.retrieval.table import TemplateTable, read_table
from unigen.retrieval.table_fit import TableFit
from unigen.retrieval.volume import VolumeModel
from unigen.version import __version__

MAPPED_FROM = 16 << 20
"""Bytes of a Parquet file from which on its table is mapped: some 100,000 structures, which take half a second to read.
Smaller ones, as the bundled models have, are as quick to read, and the mapped file is four times as large."""

_FORM = 1
"""Raised where the arrays, or what is fitted, become others."""


def open_retriever(path: Path, split: str | None = None, *, followable: bool = False) -> Retriever:
    """A retriever over a table, whose arrays are mapped where it is large.

    Args:
        path: the Parquet file.
        split: only the crystals of this one.
        followable: only those small enough to be followed (``TemplateTable.followable``).

    Raises:
        UserError: not a table; no such split.
    """
    if path.stat().st_size < MAPPED_FROM:
        return Retriever(_read(path, split, followable=followable))
    part = json.dumps([split, followable])
    # any word may be a split, so that files of parts are told apart by a digest
    ending = "" if split is None and not followable else f"-{digest(np.frombuffer(part.encode(), np.uint8))[:12]}"
    target = path.with_name(f"{path.stem}{ending}.arrow")
    key = f"{_FORM} {__version__} {part} {sha256_of(path)}"
    mapped = map_table(target, str(path), key)
    if mapped is not None:
        return mapped
    retriever = Retriever(_read(path, split, followable=followable))
    # on a full disk, in a folder of somebody else, or while another process writes it, the table is read
    with suppress(UserError, OSError), alone_at(target):
        try:
            write_mapped(target, retriever, key)
        finally:
            partial_of(target).unlink(missing_ok=True)
    mapped = map_table(target, str(path), key)
    if mapped is None:
        return retriever
    del retriever
    pa.default_memory_pool().release_unused()  # a gigabyte that is needed once
    return mapped


def _read(path: Path, split: str | None, *, followable: bool) -> TemplateTable:
    table = read_table(path)
    if split is not None:
        table = table.only(split)
    return table.select(table.followable) if followable else table


def write_mapped(path: Path, retriever: Retriever, key: str) -> None:
    """Write a table and its fit, whole or not at all.

    Args:
        path: of the file.
        retriever: over the table.
        key: that `map_table` must be given.

    Raises:
        UserError: the disk is full.
    """
    table, fit = retriever.table, retriever.fit
    groups = [*fit.index.groups.values()]
    arrays = {each.name: getattr(table, each.name) for each in fields(table) if each.name != "name"}
    # texts as fixed numbers of letters: an object of Python each would have to be made at every opening
    arrays |= {name: arrays[name].astype(str) for name in ("ids", "split")}
    arrays |= {
        "owner": fit.compositions.owner,
        "volume": fit.compositions.volume,
        "rank": fit.index.rank,
        "per_atom": fit.volume.per_atom,
        "facts": fit.facts,
        "log_length": retriever.bonds.log_length,
        "group_widths": np.array([len(group.counts) for group in groups]),
        "group_sizes": np.array([len(group.index) for group in groups]),
        "group_counts": np.concatenate([group.counts for group in groups]),
        "group_elements": np.concatenate([group.elements.ravel() for group in groups]),
        "group_index": np.concatenate([group.index for group in groups]),
    }
    forms = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    columns = {name: _one_row(np.ascontiguousarray(array)) for name, array in arrays.items()}
    batch = pa.RecordBatch.from_pydict(columns, metadata={"key": key, "forms": json.dumps(forms)})
    with durable(path) as partial, pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as file:
        file.write_batch(batch)


def _one_row(array: np.ndarray) -> pa.Array:
    """A column whose only row is the bytes of an array, which are not copied."""
    content = pa.Array.from_buffers(pa.uint8(), array.nbytes, [None, pa.py_buffer(array)])
    return pa.LargeListArray.from_arrays(pa.array([0, array.nbytes], pa.int64()), content)


def map_table(path: Path, name: str, key: str) -> Retriever | None:
    """What `write_mapped` wrote with this key, its arrays mapped; None where there is no such file.

    Args:
        path: of the file.
        name: of the table, for messages.
        key: tells the content.
    """
    try:
        with pa.memory_map(str(path)) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
        metadata = batch.schema.metadata
        if metadata[b"key"] != key.encode():
            return None
        forms = json.loads(metadata[b"forms"])
        arrays = {
            name: np.frombuffer(batch.column(name).values.buffers()[1] or b"", dtype).reshape(shape)
            for name, (dtype, shape) in forms.items()
        }
    except (OSError, pa.ArrowException, *PARSER_ERRORS):  # of a file that is cut off, or none of ours
        return None
    table = TemplateTable(
        name=name, **{each.name: arrays[each.name] for each in fields(TemplateTable) if each.name != "name"}
    )
    compositions = Compositions(
        owner=arrays["owner"],
        number=table.elements,
        count=table.element_counts,
        volume=arrays["volume"],
        stability=table.stability,
    )
    index = NeighbourIndex(_groups(arrays), element_distances(), arrays["rank"])
    bonds = BondLengths(arrays["log_length"])
    fit = TableFit(compositions, index, VolumeModel(arrays["per_atom"]), arrays["facts"], bonds)
    return Retriever(table, fit=fit)


def _groups(arrays: dict[str, np.ndarray]) -> dict[tuple[int, ...], CountGroup]:
    """Candidates by multiset of counts, each a view of one long array."""
    widths, sizes = arrays["group_widths"], arrays["group_sizes"]
    counts, members, elements = (
        pairwise(np.cumsum([0, *lengths]).tolist()) for lengths in (widths, sizes, widths * sizes)
    )
    groups: dict[tuple[int, ...], CountGroup] = {}
    for count, member, element, width in zip(counts, members, elements, widths.tolist(), strict=True):
        key = tuple(arrays["group_counts"][slice(*count)].tolist())
        rows = arrays["group_elements"][slice(*element)].reshape(-1, width)
        groups[key] = CountGroup(key, rows, arrays["group_index"][slice(*member)])
    return groups
