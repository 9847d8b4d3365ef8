"""One molecule to be scored, as its file has it, and how samples are read: nothing is refused that can be looked at.

Data for training has to be sound; a sample may have any fault and must still be counted. So the bonds a file carries
are kept apart from the positions: where RDKit refuses the bonds, the positions are scored all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unigen.data.readers import molecules as molecule_sources
from unigen.data.readers.record import MoleculeArrays, Record
from unigen.errors import UserError
from unigen.eval.samples import Entry, read_integer, read_number, require_readable
from unigen.molecules.ensemble import is_left_out
from unigen.molecules.files import refuse_queries
from unigen.molecules.molecule import Molecule
from unigen.parsing import PARSER_ERRORS, one_line, open_text, parse_json

Carried = Literal["none", "accepted", "refused"]


@dataclass(frozen=True, eq=False)
class MoleculeEntry(Entry):
    """A sample, or a reference conformer; ``reason`` may also say why its bonds are refused.

    Attributes:
        molecule: None for what could not be read or was never made: it counts as a failure. It has bonds when its
            file carries some and RDKit accepts them.
        carried: what became of the bonds its file carries.
        smiles: what it was asked to be, where it says so.
        requested: values of properties it was asked to have, where it says so.
    """

    molecule: Molecule | None
    carried: Carried = "none"
    smiles: str = field(default="", kw_only=True)
    requested: Mapping[str, float] = field(default_factory=dict, kw_only=True)

    def largest_fragment(self) -> MoleculeEntry:
        """The same entry with the largest of several molecules, where its bonds tell that there are several."""
        if self.molecule is None or self.carried != "accepted":
            return self
        return replace(self, molecule=self.molecule.largest_fragment())


@dataclass(frozen=True, eq=False)
class MoleculeSet:
    """Entries with the name of where they come from, for the report.

    Attributes:
        name: where they come from.
        entries: those that could not be read are among them.
        passed_over: files of the folder that were not read, by reason.
    """

    name: str
    entries: tuple[MoleculeEntry, ...] = ()
    passed_over: dict[str, int] = field(default_factory=dict)


Molecules = str | Path | Iterable[Molecule | MoleculeEntry]
"""A path, or molecules or entries in memory."""


def entry_from_record(record: Record) -> MoleculeEntry:
    """The entry of a raw record; ``info`` may hold what UniGen's own output does: id, index, seed, smiles, request."""
    name, request = record.info.get("id"), record.info.get("request")
    smiles, properties = record.info.get("smiles"), None
    if isinstance(request, Mapping):
        smiles, properties = request.get("smiles"), request.get("properties")
    entry = MoleculeEntry(
        id=name if isinstance(name, str) and name else record.id,
        molecule=None,
        index=read_integer(record.info.get("index")),
        where=record.where,
        seed=read_integer(record.info.get("seed")),
        smiles=smiles if isinstance(smiles, str) else "",
        requested=_numbers(properties),
    )
    try:
        molecule, reason = _read(record)
    except UserError as error:
        return replace(entry, reason=str(error))
    except PARSER_ERRORS as error:
        return replace(entry, reason=f"{record.where}: {type(error).__name__}: {one_line(error)}")
    carried: Carried = "refused" if reason else "accepted" if len(molecule.bonds) else "none"
    return replace(entry, molecule=molecule, carried=carried, reason=reason, smiles=entry.smiles or molecule.smiles)


def _read(record: Record) -> tuple[Molecule, str]:
    """The molecule, and why it lacks the bonds that the record carries."""
    content: Any = record.content
    if record.form == "frame":
        return Molecule.from_xyz(content, where=record.where, bonds=False), ""
    if record.form == "arrays" and isinstance(content, MoleculeArrays):
        bare = Molecule(content.numbers.astype(np.int64), content.positions.astype(np.float64), smiles=content.smiles)
        if content.bonds is None or content.charges is None:
            return bare, ""
        return replace(bare, bonds=content.bonds, charges=content.charges), ""
    if record.form == "sdf":
        return _read_sdf(content, record.where)
    if record.form == "smiles":
        raise UserError("a SMILES without positions", where=record.where, wanted="SDF, XYZ, extxyz")
    raise UserError(str(content), where=record.where)


def _read_sdf(text: str, where: str) -> tuple[Molecule, str]:
    from rdkit import Chem, rdBase

    refuse_queries(text, where)
    with rdBase.BlockLogs():
        # unsanitised: there are positions to score even where RDKit refuses the bonds
        mol = Chem.MolFromMolBlock(text, sanitize=False, removeHs=False)
    if mol is None or not mol.GetNumAtoms() or not mol.GetNumConformers():
        raise UserError("not a readable SD entry", where=where)
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.int64)
    bare = Molecule(numbers, mol.GetConformer().GetPositions())
    if not mol.GetNumBonds():
        return bare, ""
    try:
        return Molecule.from_sdf(text, where), ""
    except UserError as error:
        return bare, str(error)
    except PARSER_ERRORS as error:  # what RDKit raises of bonds does not take the positions away
        return bare, f"{where}: {type(error).__name__}: {one_line(error)}"


def _numbers(values: object) -> dict[str, float]:
    """What is a number among named values; nothing where they are somebody else's."""
    if not isinstance(values, Mapping):
        return {}
    numbers = {str(name): read_number(value) for name, value in values.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def read_samples(samples: Molecules) -> MoleculeSet:
    """The molecules to be scored: SD and XYZ files, ragged npz, a Parquet store, folders of these, a run folder.

    Molecules already in memory are taken in the order given.

    Raises:
        UserError: nothing at the path, or not one readable molecule there.
    """
    if isinstance(samples, str | Path):
        path = Path(samples)
        is_run = (path / "samples.jsonl").exists()
        if is_run:
            made = MoleculeSet(str(samples), tuple(map(entry_from_record, _records_of_run(path))))
        else:
            survey = molecule_sources.MOLECULE_FORMATS.survey(path)
            entries = tuple(map(entry_from_record, survey.records()))
            made = MoleculeSet(str(samples), entries, survey.passed_over_by_reason())
    else:
        made = MoleculeSet(
            "samples",
            tuple(
                each
                if isinstance(each, MoleculeEntry)
                else MoleculeEntry(f"samples-{n}", each, "accepted" if len(each.bonds) else "none", smiles=each.smiles)
                for n, each in enumerate(samples)
            ),
        )
    require_readable([entry.molecule for entry in made.entries], made.entries, "molecule", where=made.name)
    return made


def _records_of_run(folder: Path) -> Iterator[Record]:
    """A folder written by ``unigen generate``: a line of facts a sample; those that were made stand in samples.sdf."""
    sdf = folder / "samples.sdf"
    made = molecule_sources.MOLECULE_FORMATS.records(sdf) if sdf.exists() else iter(())
    with open_text(folder / "samples.jsonl") as file:
        for number, line in enumerate(filter(str.strip, file), start=1):
            where = f"{folder / 'samples.jsonl'} line {number}"
            facts = _facts(line, where)
            failed = facts.get("reason")
            if is_left_out(facts):  # of an ensemble: no failure, what it is judged by is what it holds
                continue
            if failed:
                yield Record(f"sample-{number}", "bad", str(failed), where, info=facts)
                continue
            record = next(made, None) or Record(f"sample-{number}", "bad", "not in samples.sdf", where)
            yield replace(record, info=record.info | facts)
    if next(made, None) is not None:
        raise UserError("more molecules in samples.sdf than lines in samples.jsonl", where=str(folder))


def _facts(line: str, where: str) -> dict[str, object]:
    facts = parse_json(line, where)
    if not isinstance(facts, dict):
        raise UserError("not a JSON object", where=where, got=str(facts)[:60])
    return facts
