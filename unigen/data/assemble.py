"""From part files to one store: what can be decided only with all rows in view (second ids, duplicates, splits)."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unigen.data.left_out import LeftOut
from unigen.data.shards import RowKind, rejected_of
from unigen.errors import UserError


@dataclass(frozen=True)
class Assembly:
    """The rows of a dataset, decided but not yet written.

    Attributes:
        kind: of structure.
        parts: the part files.
        ids: final id of every row of the parts.
        split: final split of every row.
        keep: which rows get in.
        rejected: all rows that did not.
        origins: rows by where their positions come from; empty of kinds that do not keep it.
        not_kept: what entries say that is not kept, such as isotopes, and of how many rows.
    """

    kind: RowKind
    parts: list[Path]
    ids: list[str]
    split: list[str]
    keep: np.ndarray
    rejected: list[LeftOut]
    origins: dict[str, int]
    not_kept: dict[str, int]

    @property
    def splits(self) -> dict[str, int]:
        """Structures a split."""
        return dict(sorted(Counter(split for split, kept in zip(self.split, self.keep, strict=True) if kept).items()))

    def write(self, path: Path) -> None:
        """Write the store, one row group a part; properties that some parts lack are NaN there."""
        columns, facts = self.kind.dataset.column_names(), self.kind.facts
        names = {name for part in self.parts for name in pq.read_schema(part).names}
        schema = self.kind.dataset.schema(sorted(names - {*columns, *facts}))
        start = 0
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for part in self.parts:
                table = pq.read_table(part)
                rows = slice(start, start + len(table))
                start = rows.stop
                arrays = {name: table[name] for name in table.column_names if name not in facts}
                arrays["id"] = pa.array(self.ids[rows], pa.string())
                arrays["split"] = pa.array(self.split[rows], pa.string())
                unknown = pa.array(np.full(len(table), np.nan))
                ordered = pa.table([arrays.get(name, unknown) for name in schema.names], schema=schema)
                kept = ordered.filter(pa.array(self.keep[rows]))
                if len(kept):
                    writer.write_table(kept)


def assemble(
    kind: RowKind,
    parts: list[Path],
    *,
    unique_ids: bool,
    dedup: bool,
    merge_splits: bool,
    split_val: float,
    hold_out_test: bool,
    workers: int,
) -> Assembly:
    """Decide over all rows of the parts.

    Args:
        kind: of structure.
        parts: part files in order.
        unique_ids: reject the second row of an id; otherwise it gets another id.
        dedup: reject structures like an earlier one.
        merge_splits: every row is of split "train" first.
        split_val: fraction of the groups that stay together (crystals of one reduced formula, stereoisomers of one
            molecule) that move from split "train" to "val".
        hold_out_test: reject rows of other splits whose group occurs in split "test".
        workers: processes for the comparison.

    Raises:
        UserError: no row passed.
    """
    rejected = [row for part in parts for row in rejected_of(part)]
    if not parts or not sum(pq.read_metadata(part).num_rows for part in parts):
        first = rejected[0].reason if rejected else "the source is empty"
        got = f"{len(rejected)} rejected rows, the first: {first}"
        raise UserError(f"no {kind.dataset.kind.removesuffix('s')} passed the checks", got=got)
    facts = pa.concat_tables([pq.read_table(part, columns=["id", "split", *kind.facts]) for part in parts])
    ids, split, where, groups = (facts[name].to_pylist() for name in ("id", "split", "where", "together"))
    keep = np.ones(len(ids), dtype=bool)
    # first: a row that is out is no structure that another could repeat
    if unique_ids:
        rejected += _drop_second_ids(ids, where, keep)
    if dedup:
        rejected += _drop_duplicates(kind, parts, ids, where, keep, workers=workers)
    if hold_out_test:
        rejected += _drop_held_out(ids, split, where, groups, keep)
    if merge_splits:
        split = ["train"] * len(split)
    sides = [kind.side_key(group) for group in groups] if split_val else groups
    split = [val_split_off(word, key, split_val) for word, key in zip(split, sides, strict=True)]
    origins, not_kept = (
        facts[name].to_numpy()[keep].tolist() if name in kind.facts else [] for name in ("origin", "not_kept")
    )
    return Assembly(
        kind,
        parts,
        _distinct(ids),
        split,
        keep,
        rejected,
        dict(sorted(Counter(origins).items())),
        dict(Counter(words for said in not_kept for words in said.splitlines()).most_common()),
    )


def _drop_second_ids(ids: list[str], where: list[str], keep: np.ndarray) -> list[LeftOut]:
    seen: set[str] = set()
    dropped = []
    for index, name in enumerate(ids):
        if name in seen:
            keep[index] = False
            dropped.append(LeftOut(name, where[index], f"{where[index]}: second entry of this id; got {name}"))
        seen.add(name)
    return dropped


def _drop_held_out(
    ids: list[str], split: list[str], where: list[str], groups: list[str], keep: np.ndarray
) -> list[LeftOut]:
    held_out = {group for group, word in zip(groups, split, strict=True) if word == "test"}
    dropped = []
    for index in np.flatnonzero(keep).tolist():
        if split[index] != "test" and groups[index] in held_out:
            keep[index] = False
            reason = f"{where[index]}: held out for the test; got {groups[index]}"
            dropped.append(LeftOut(ids[index], where[index], reason))
    return dropped


def _drop_duplicates(
    kind: RowKind, parts: list[Path], ids: list[str], where: list[str], keep: np.ndarray, *, workers: int
) -> list[LeftOut]:
    kept = np.flatnonzero(keep)
    dropped = []
    for repeated, earlier in kind.duplicates(parts, kept, workers).items():
        later, first = int(kept[repeated]), int(kept[earlier])
        keep[later] = False
        reason = f"{where[later]}: duplicate; got the structure of {ids[first]}"
        dropped.append(LeftOut(ids[later], where[later], reason))
    return dropped


def val_split_off(split: str, key: str, fraction: float) -> str:
    """The split of a row after ``fraction`` of the keys of "train" went to "val"; equal keys go the same way."""
    if split != "train" or fraction <= 0:
        return split
    # a hash, not a draw: a formula keeps its side whatever else is in the dataset; eight bytes are uniform in [0, 1)
    uniform = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    return "val" if uniform < fraction else "train"


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
