"""Rows of crystals: parsed, checked and reduced to their primitive cells; compared by structure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unigen.cards import DatasetCard
from unigen.crystals.cell import too_large
from unigen.crystals.crystal import Crystal
from unigen.data import recipes
from unigen.data.compositions import reduced_formulas
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.data.duplicates import find_duplicates
from unigen.data.readers.crystals import parse_crystal, read_crystal_rows
from unigen.data.readers.record import Row
from unigen.data.shards import RowKind, Task, Treatment
from unigen.elements import SYMBOLS, parse_formula


def treat_crystal(task: Task, treatment: Treatment) -> Row[Crystal]:
    """One row parsed, checked and reduced, or the reason why it is rejected."""
    card = task.card
    row = parse_crystal(recipes.adapt(task.record, card) if card else task.record)
    crystal = row.structure
    if crystal is None:
        return row
    reason = objection(row, card) if card else ""
    if crystal.reduced_formula in treatment.excluded:
        reason = f"{row.where}: excluded composition; got {crystal.reduced_formula}"
    if too_large(len(crystal)):
        reason = f"{row.where}: {too_large(len(crystal))}"
    if reason:
        return row.rejected(reason)
    primitive = crystal.reduced(treatment.symprec)
    if card:  # a unit says more than a name: an energy in eV/atom is no total
        units = {name: str(facts.get("unit", "")) for name, facts in card.properties.items()}
        stays = {name: value for name, value in crystal.properties.items() if "/" in units.get(name, "")}
        primitive = replace(primitive, properties=primitive.properties | stays)
    if treatment.max_atoms is not None and len(primitive) > treatment.max_atoms:
        return row.rejected(f"{row.where}: too many atoms; got {len(primitive)}; wanted at most {treatment.max_atoms}")
    return replace(row, structure=primitive)


def objection(row: Row[Crystal], card: DatasetCard) -> str:
    """Why the card does not let this crystal in; empty when it does."""
    assert row.structure is not None
    values = dict(row.structure.properties)
    if "smallest_distance" in card.limits:
        values["smallest_distance"] = row.structure.smallest_distance()
    return recipes.objection(values, row.where, card)


def duplicates(parts: list[Path], kept: np.ndarray, workers: int) -> dict[int, int]:
    """Structures that StructureMatcher calls the same; see `find_duplicates`."""
    columns = list(CrystalDataset.column_names())  # without the properties all parts fit into memory
    table = pa.concat_tables([pq.read_table(part, columns=columns) for part in parts])
    return find_duplicates(CrystalDataset.from_table("parts", table).select(kept), workers)


def side_key(formula: str) -> str:
    """Not the formula as it is written: how we order elements for people may change, the side of a formula may not."""
    counts = sorted(parse_formula(formula).items())
    return "".join(f"{SYMBOLS[number]}{count if count > 1 else ''}" for number, count in counts)


def formulas(dataset: str) -> Iterable[str]:
    """The reduced formulas of a dataset."""
    return reduced_formulas(open_crystals(dataset))


CRYSTALS = RowKind(
    dataset=CrystalDataset,
    read_rows=read_crystal_rows,
    treat=treat_crystal,
    group=attrgetter("reduced_formula"),
    keeps_origin=False,  # a crystal's are those of its source
    duplicates=duplicates,
    side_key=side_key,
    formulas=formulas,
)
