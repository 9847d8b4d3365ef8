"""From part files to one store: what can be decided only with all rows in view (second ids, duplicates, splits)."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unigen.data.duplicates import find_duplicates
from unigen.data.shards import Rejected, rejected_of
from unigen.data.store import COLUMNS, CrystalDataset, schema
from unigen.elements import SYMBOLS, parse_formula
from unigen.errors import UserError

_OWN = ("where", "formula")


@dataclass(frozen=True)
class Assembly:
    """The rows of a dataset, decided but not yet written.

    Attributes:
        parts: the part files.
        ids: final id of every row of the parts.
        split: final split of every row.
        keep: which rows get in.
        rejected: all rows that did not.
    """

    parts: list[Path]
    ids: list[str]
    split: list[str]
    keep: np.ndarray
    rejected: list[Rejected]

    @property
    def splits(self) -> dict[str, int]:
        """Crystals a split."""
        return dict(sorted(Counter(split for split, kept in zip(self.split, self.keep, strict=True) if kept).items()))

    def write(self, path: Path) -> None:
        """Write the store, one row group a part; properties that some parts lack are NaN there."""
        schemas = [pq.read_schema(part) for part in self.parts]
        names = sorted({name for part in schemas for name in part.names} - set(COLUMNS) - set(_OWN))
        wanted = schema(names)
        start = 0
        with pq.ParquetWriter(path, wanted, compression="zstd") as writer:
            for part in self.parts:
                table = pq.read_table(part)
                rows = slice(start, start + len(table))
                start = rows.stop
                columns = {name: table[name] for name in table.column_names if name not in _OWN}
                columns |= {
                    "id": pa.array(self.ids[rows], pa.string()),
                    "split": pa.array(self.split[rows], pa.string()),
                }
                unknown = pa.array(np.full(len(table), np.nan))
                ordered = pa.table([columns.get(name, unknown) for name in wanted.names], schema=wanted)
                chosen = ordered.filter(pa.array(self.keep[rows]))
                if len(chosen):
                    writer.write_table(chosen)


def assemble(
    parts: list[Path], *, unique_ids: bool, dedup: bool, merge_splits: bool, split_val: float, workers: int
) -> Assembly:
    """Decide over all rows of the parts.

    Args:
        parts: part files in order.
        unique_ids: reject the second row of an id; otherwise it gets another id.
        dedup: reject crystals like an earlier one.
        merge_splits: every row is of split "train" first.
        split_val: fraction of reduced formulas that move from split "train" to "val".
        workers: processes for the comparison.

    Raises:
        UserError: no row passed.
    """
    rejected = [row for part in parts for row in rejected_of(part)]
    if not parts or not sum(pq.read_metadata(part).num_rows for part in parts):
        first = rejected[0].reason if rejected else "the source is empty"
        raise UserError("no crystal passed the checks", got=f"{len(rejected)} rejected rows, the first: {first}")
    facts = pa.concat_tables([pq.read_table(part, columns=["id", "split", *_OWN]) for part in parts])
    ids, split, where, formulas = (facts[name].to_pylist() for name in ("id", "split", *_OWN))
    keep = np.ones(len(ids), dtype=bool)
    if unique_ids:
        rejected += _drop_second_ids(ids, where, keep)
    if dedup:
        rejected += _drop_duplicates(parts, ids, where, keep, workers=workers)
    if merge_splits:
        split = ["train"] * len(split)
    split = [_moved(word, formula, split_val) for word, formula in zip(split, formulas, strict=True)]
    return Assembly(parts, _distinct(ids), split, keep, rejected)


def _drop_second_ids(ids: list[str], where: list[str], keep: np.ndarray) -> list[Rejected]:
    seen: set[str] = set()
    dropped = []
    for index, name in enumerate(ids):
        if name in seen:
            keep[index] = False
            dropped.append(Rejected(name, where[index], f"{where[index]}: second entry of this id; got {name}"))
        seen.add(name)
    return dropped


def _drop_duplicates(
    parts: list[Path], ids: list[str], where: list[str], keep: np.ndarray, *, workers: int
) -> list[Rejected]:
    kept = np.flatnonzero(keep)
    found = find_duplicates(_load(parts).select(kept), workers)
    dropped = []
    for later, first in ((int(kept[a]), int(kept[b])) for a, b in found.items()):
        keep[later] = False
        reason = f"{where[later]}: duplicate; got the structure of {ids[first]}"
        dropped.append(Rejected(ids[later], where[later], reason))
    return dropped


def _load(parts: list[Path]) -> CrystalDataset:
    """The structures of all parts in memory, without their properties: some 20 bytes a site."""
    columns = ["numbers", "frac_coords", "lattice"]
    table = pa.concat_tables([pq.read_table(part, columns=columns) for part in parts]).combine_chunks()
    numbers, coords, lattice = (table[name].combine_chunks() for name in columns)
    sizes = numbers.value_lengths().to_numpy()
    return CrystalDataset(
        name="parts",
        ids=np.empty(len(table), dtype=object),
        split=np.empty(len(table), dtype=object),
        numbers=numbers.flatten().to_numpy(),
        frac_coords=coords.flatten().to_numpy().reshape(-1, 3),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        lattice=lattice.flatten().to_numpy().reshape(-1, 3, 3),
    )


def _moved(split: str, formula: str, fraction: float) -> str:
    """Polymorphs stay together, and a formula falls on the same side in every dataset."""
    if split != "train" or fraction <= 0:
        return split
    # Not the formula as it is written: how we order elements for people may change, the side of a formula may not.
    counts = sorted(parse_formula(formula).items())
    key = "".join(f"{SYMBOLS[number]}{count if count > 1 else ''}" for number, count in counts)
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    return "val" if place < fraction else "train"


def _distinct(ids: list[str]) -> list[str]:
    """Different names for different rows: the second ``a`` is called ``a-2``."""
    taken: set[str] = set()
    times: Counter[str] = Counter()
    named = []
    for name in ids:
        new = name
        while new in taken:
            times[name] += 1
            new = f"{name}-{times[name] + 1}"
        taken.add(new)
        named.append(new)
    return named
