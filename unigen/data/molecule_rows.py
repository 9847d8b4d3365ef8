"""Rows of molecules: parsed, with bonds, checked, in canonical order; compared by canonical SMILES."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unigen.data import recipes
from unigen.data.compositions import compositions
from unigen.data.molecule_store import COLUMNS, open_molecules, schema, to_table
from unigen.data.readers.molecules import parse_molecule
from unigen.data.readers.record import MoleculeRow
from unigen.data.row_kind import RowKind, Task, Treatment, part_table
from unigen.elements import hill_formula
from unigen.errors import UserError
from unigen.molecules.rdkit_smiles import without_stereo


def treat(task: Task, treatment: Treatment) -> MoleculeRow:
    """One row parsed, checked and brought to canonical order, or the reason why it is rejected."""
    record = recipes.adapt(task.record, task.card) if task.card else task.record
    row = parse_molecule(record, largest_fragment=treatment.largest_fragment, max_atoms=treatment.max_atoms)
    molecule = row.molecule
    if molecule is None:
        return row
    if treatment.largest_fragment:
        molecule = molecule.largest_fragment()
    reason = recipes.objection(molecule.properties, row.where, task.card) if task.card else ""
    if molecule.formula in treatment.excluded:
        reason = f"{row.where}: excluded composition; got {molecule.formula}"
    if reason:
        return replace(row, molecule=None, reason=reason)
    try:
        molecule = molecule.checked(row.where, max_atoms=treatment.max_atoms, connected=True).canonical()
    except UserError as error:
        return replace(row, molecule=None, reason=str(error))
    return replace(row, molecule=molecule)


def treat_shard(tasks: tuple[Task, ...], treatment: Treatment) -> pa.Table:
    """The rows of a shard as a part table."""
    rows = [treat(task, treatment) for task in tasks]
    passed = [(row, row.molecule) for row in rows if row.molecule is not None]
    molecules = [molecule for _, molecule in passed]
    names = sorted({name for molecule in molecules for name in molecule.properties})
    table = to_table(molecules, [row.id for row, _ in passed], [row.split for row, _ in passed], names)
    facts: dict[str, list[str]] = {
        "where": [row.where for row, _ in passed],
        "together": [without_stereo(molecule.smiles) for molecule in molecules],
        "origin": [str(row.origin) for row, _ in passed],
    }
    return part_table(table, facts, [row for row in rows if row.molecule is None])


def duplicates(parts: list[Path], kept: np.ndarray, workers: int) -> dict[int, int]:  # noqa: ARG001
    """Molecules of one canonical isomeric SMILES: conformers are the same molecule, mirror images are not."""
    smiles = pa.concat_tables([pq.read_table(part, columns=["smiles"]) for part in parts])["smiles"].to_pylist()
    first: dict[str, int] = {}
    repeated = {}
    for place, index in enumerate(kept.tolist()):
        earlier = first.setdefault(smiles[index], place)
        if earlier != place:
            repeated[place] = earlier
    return repeated


def _formulas(dataset: str) -> Iterable[str]:
    return (hill_formula(counts) for counts in compositions(open_molecules(dataset)))


MOLECULES = RowKind(
    name="molecules",
    columns=COLUMNS,
    facts=("where", "together", "origin"),
    schema=schema,
    treat=treat_shard,
    duplicates=duplicates,
    side_key=str,
    formulas=_formulas,
)
