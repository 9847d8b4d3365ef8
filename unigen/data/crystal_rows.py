"""Rows of crystals: parsed, checked and reduced to their primitive cells; compared by structure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unigen.cards import DatasetCard
from unigen.data import recipes
from unigen.data.compositions import reduced_formulas
from unigen.data.crystal_store import COLUMNS, CrystalDataset, open_dataset, schema, to_table
from unigen.data.dataset_file import flat, list_offsets
from unigen.data.duplicates import find_duplicates
from unigen.data.readers.crystals import parse
from unigen.data.readers.record import Row
from unigen.data.row_kind import RowKind, Task, Treatment, part_table
from unigen.elements import SYMBOLS, parse_formula


def treat(task: Task, treatment: Treatment) -> Row:
    """One row parsed, checked and reduced, or the reason why it is rejected."""
    row = parse(recipes.adapt(task.record, task.card) if task.card else task.record)
    if row.crystal is None:
        return row
    reason = objection(row, task.card) if task.card else ""
    if row.crystal.reduced_formula in treatment.excluded:
        reason = f"{row.where}: excluded composition; got {row.crystal.reduced_formula}"
    if reason:
        return Row(row.id, None, reason, row.where, row.split)
    small = row.crystal.reduced(treatment.symprec)
    if treatment.max_atoms is not None and len(small) > treatment.max_atoms:
        reason = f"{row.where}: too many atoms; got {len(small)}; wanted at most {treatment.max_atoms}"
        return Row(row.id, None, reason, row.where, row.split)
    return Row(row.id, small, "", row.where, row.split)


def objection(row: Row, card: DatasetCard) -> str:
    """Why the card does not let this crystal in; empty when it does."""
    assert row.crystal is not None
    values = dict(row.crystal.properties)
    if "smallest_distance" in card.limits:
        values["smallest_distance"] = row.crystal.smallest_distance()
    return recipes.objection(values, row.where, card)


def treat_shard(tasks: tuple[Task, ...], treatment: Treatment) -> pa.Table:
    """The rows of a shard as a part table."""
    rows = [treat(task, treatment) for task in tasks]
    passed = [(row, row.crystal) for row in rows if row.crystal is not None]
    crystals = [crystal for _, crystal in passed]
    names = sorted({name for crystal in crystals for name in crystal.properties})
    table = to_table(crystals, [row.id for row, _ in passed], [row.split for row, _ in passed], names)
    facts = {"where": [row.where for row, _ in passed], "together": [crystal.reduced_formula for crystal in crystals]}
    return part_table(table, facts, [row for row in rows if row.crystal is None])


def duplicates(parts: list[Path], kept: np.ndarray, workers: int) -> dict[int, int]:
    """Structures that StructureMatcher calls the same; see `find_duplicates`."""
    return find_duplicates(_load(parts).select(kept), workers)


def _load(parts: list[Path]) -> CrystalDataset:
    """The structures of all parts in memory, without their properties: some 20 bytes a site."""
    columns = ["numbers", "frac_coords", "lattice"]
    table = pa.concat_tables([pq.read_table(part, columns=columns) for part in parts]).combine_chunks()
    return CrystalDataset(
        name="parts",
        ids=np.empty(len(table), dtype=object),
        split=np.empty(len(table), dtype=object),
        numbers=flat(table["numbers"]),
        frac_coords=flat(table["frac_coords"]).reshape(-1, 3),
        offsets=list_offsets(table["numbers"]),
        lattice=flat(table["lattice"]).reshape(-1, 3, 3),
    )


def _side_key(formula: str) -> str:
    """Not the formula as it is written: how we order elements for people may change, the side of a formula may not."""
    counts = sorted(parse_formula(formula).items())
    return "".join(f"{SYMBOLS[number]}{count if count > 1 else ''}" for number, count in counts)


def _formulas(dataset: str) -> Iterable[str]:
    return reduced_formulas(open_dataset(dataset))


CRYSTALS = RowKind(
    name="crystals",
    columns=COLUMNS,
    facts=("where", "together"),
    schema=schema,
    treat=treat_shard,
    duplicates=duplicates,
    side_key=_side_key,
    formulas=_formulas,
)
