"""Molecules that are known: what novelty, distributions and the rates of real molecules are measured with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from unigen.data.dataset_file import built_kind, name_and_split
from unigen.data.molecule_store import MoleculeDataset, open_molecules, open_smiles_table, smiles_table_path
from unigen.data.readers import molecules as molecule_sources
from unigen.data.readers.record import Record, Row
from unigen.errors import UserError
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import flat_smiles, parse_smiles
from unigen.parallel import Workers


@dataclass(frozen=True, eq=False)
class MoleculeReference:
    """A reference set.

    Attributes:
        name: where it comes from, for the report.
        smiles: one a molecule, in any form.
        molecules: those that have positions.
        ids: one a molecule that has positions.
        unreadable: entries that are not used.
        largest_fragment: of entries of several molecules the largest is meant.
    """

    name: str
    smiles: Sequence[str]
    molecules: Sequence[Molecule] | MoleculeDataset
    ids: Sequence[str]
    unreadable: int = 0
    largest_fragment: bool = False

    def drawn(self, count: int, seed: int) -> list[Molecule]:
        """So many molecules with positions, or all there are, in a random order."""
        order = np.random.default_rng(seed).permutation(len(self.molecules))[:count]
        return [self.molecules[int(index)] for index in order]

    def graphs(self, workers: Workers) -> tuple[set[str], int]:
        """The canonical SMILES without stereo, and of how many entries there is none."""
        counts = Counter(map(str, self.smiles))
        found = workers.map(partial(_flat, largest_fragment=self.largest_fragment), list(counts), "Reference graphs")
        return set(found) - {""}, sum(n for n, flat in zip(counts.values(), found, strict=True) if not flat)


def read_reference(
    reference: str | Path | Sequence[Molecule], workers: Workers, *, largest_fragment: bool = False
) -> MoleculeReference:
    """A built dataset (``"qm9:train"``, or its Parquet file), files of molecules or of SMILES, or molecules.

    Args:
        reference: what is known.
        workers: processes.
        largest_fragment: of an entry of several molecules take the largest; otherwise a SMILES of several is none.

    Raises:
        UserError: neither a dataset nor files, or nothing readable there; molecules in memory without bonds.
    """
    if not isinstance(reference, str | Path):
        reference = [molecule.largest_fragment() for molecule in reference] if largest_fragment else reference
        smiles = [flat_smiles(molecule.to_rdkit()) for molecule in reference]
        return MoleculeReference("reference", smiles, reference, [f"reference-{n}" for n in range(len(reference))])
    path = Path(reference)
    if not path.exists() or path.suffix == ".parquet":
        dataset = open_molecules(reference)
        return MoleculeReference(str(reference), dataset.smiles.tolist(), dataset, dataset.ids.tolist())
    records = list(molecule_sources.MOLECULE_FORMATS.records(path))
    rows = workers.map(partial(_parse, largest_fragment=largest_fragment), records, "Reading the reference")
    placed = [(row.id, row.structure) for row in rows if row.structure is not None]
    texts = [str(record.content) for record in records if record.form == "smiles"]
    texts += [molecule.smiles or flat_smiles(molecule.to_rdkit()) for _, molecule in placed]
    if not texts:
        raise UserError("no readable molecule", where=str(path), got=rows[0].reason if rows else "no entries")
    molecules, ids = [molecule for _, molecule in placed], [name for name, _ in placed]
    return MoleculeReference(str(path), texts, molecules, ids, len(records) - len(texts), largest_fragment)


def known_graphs(sources: Sequence[str | Path], workers: Workers) -> tuple[set[str], int]:
    """The canonical SMILES without stereo of everything that has one of these names, and how many entries have none.

    Args:
        sources: built datasets, tables of SMILES (of one name both are meant, ``"moses:train"``), or files.
        workers: processes.

    Raises:
        UserError: as `read_reference`.
    """
    graphs: set[str] = set()
    without = 0
    for source in sources:
        held = []
        has_table = not Path(source).exists() and smiles_table_path(str(source)).exists()
        if has_table:
            texts = open_smiles_table(str(source)).smiles.to_pylist()
            held.append(MoleculeReference(str(source), texts, (), ()))
        if not has_table or built_kind(name_and_split(str(source))[0]) == "molecules":
            held.append(read_reference(source, workers))
        for each in held:
            found, missing = each.graphs(workers)
            graphs |= found
            without += missing + each.unreadable
    return graphs, without


def _parse(record: Record, *, largest_fragment: bool) -> Row[Molecule]:
    """A SMILES stays as it is: no positions are made up for it."""
    if record.form == "smiles":
        return Row(record.id, None, "a SMILES without positions", record.where)
    return molecule_sources.parse_molecule(record, largest_fragment=largest_fragment)


def _flat(text: str, *, largest_fragment: bool) -> str:
    try:
        return flat_smiles(parse_smiles(text, largest_fragment=largest_fragment))
    except UserError:
        return ""
