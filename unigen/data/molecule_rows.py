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
from unigen.data.molecule_store import MoleculeDataset, open_molecules
from unigen.data.readers.molecules import parse_molecule, read_molecule_rows
from unigen.data.readers.record import Row
from unigen.data.shards import RowKind, Task, Treatment
from unigen.elements import hill_formula
from unigen.errors import UserError
from unigen.molecules.descriptors import computed
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import isomer_smiles, parse_smiles, without_stereo
from unigen.molecules.relaxation.estimated import relaxed_estimate
from unigen.molecules.stereoisomers import same_stereoisomer


def treat_molecule(task: Task, treatment: Treatment) -> Row[Molecule]:
    """One row parsed, checked and brought to canonical order, or the reason why it is rejected."""
    record = recipes.adapt(task.record, task.card) if task.card else task.record
    row = parse_molecule(record, largest_fragment=treatment.largest_fragment, max_atoms=treatment.max_atoms)
    molecule = row.structure
    if molecule is None:
        return row
    reason = recipes.objection(molecule.properties, row.where, task.card) if task.card else ""
    if molecule.formula in treatment.excluded:
        reason = f"{row.where}: excluded composition; got {molecule.formula}"
    if reason:
        return row.rejected(reason)
    try:
        molecule = molecule.checked(
            row.where, elements=treatment.elements or None, max_atoms=treatment.max_atoms, connected=True
        )
        if treatment.relax and row.origin != "given":
            molecule, origin = relaxed_estimate(molecule, treatment.relax, row.where)
            row = replace(row, origin=origin)
        molecule = molecule.canonical()
        if treatment.compute:
            found = computed(molecule.to_rdkit(), treatment.compute)
            molecule = replace(molecule, properties=molecule.properties | found)
    except UserError as error:
        return row.rejected(str(error))
    return replace(row, structure=molecule)


def group(molecule: Molecule) -> str:
    """The SMILES without stereo: stereoisomers fall on one side of a split."""
    return without_stereo(molecule.smiles)


def duplicates(parts: list[Path], kept: np.ndarray, workers: int) -> dict[int, int]:  # noqa: ARG001
    """Conformers are the same molecule, mirror images are not: by canonical isomeric SMILES, and then by positions.

    RDKit's text overlooks some isomers, such as the two of an imine, and tells others apart that turn into each other.
    """
    columns = list(MoleculeDataset.column_names())
    table = pa.concat_tables([pq.read_table(part, columns=columns) for part in parts])
    molecules = MoleculeDataset.from_table("parts", table).select(kept)
    first: dict[str, list[int]] = {}
    repeated = {}
    for index, smiles in enumerate(molecules.smiles.tolist()):
        key = isomer_smiles(parse_smiles(smiles)) if "[N@" in smiles else smiles
        alike = first.setdefault(key, [])
        mol = molecules[index].to_rdkit() if alike else None
        earlier = next((other for other in alike if mol and same_stereoisomer(mol, molecules[other].to_rdkit())), None)
        if earlier is None:
            alike.append(index)
        else:
            repeated[index] = earlier
    return repeated


def formulas(dataset: str) -> Iterable[str]:
    """The formulas of a dataset."""
    return (hill_formula(counts) for counts in compositions(open_molecules(dataset)))


MOLECULES = RowKind(
    dataset=MoleculeDataset,
    read_rows=read_molecule_rows,
    treat=treat_molecule,
    group=group,
    keeps_origin=True,  # the source's, or an estimate from the SMILES
    duplicates=duplicates,
    side_key=str,
    formulas=formulas,
)
