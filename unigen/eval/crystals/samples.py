"""One crystal to be scored, or to be scored against, what is said of it, and how both are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from unigen.crystals.cell import too_large
from unigen.crystals.crystal import Crystal
from unigen.crystals.template import apply_template
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.data.dataset_file import resolve_dataset
from unigen.data.readers.crystals import CRYSTAL_FORMATS, parse_crystal
from unigen.data.readers.record import Row
from unigen.errors import UserError
from unigen.eval.samples import Entry, dropped, read_integer, read_number, require_readable
from unigen.request import CrystalRequest


@dataclass(frozen=True)
class Statement:
    """What a sample was asked to be and what its generator says it is.

    Attributes:
        request: what was wanted, None where the file does not tell.
        space_group: international number that the generator wrote, None where it wrote none.
    """

    request: CrystalRequest | None = None
    space_group: int | None = None


@dataclass(frozen=True, eq=False)
class CrystalEntry(Entry):
    """A sample or a reference.

    Attributes:
        crystal: None for what could not be read or was never made: it counts as a failure.
        score: of its generator, larger is better among the samples of one reference, where it says so.
        statement: what it was asked to be and says it is, where it says so.
    """

    crystal: Crystal | None
    score: float | None = field(default=None, kw_only=True)
    statement: Statement | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class CrystalSet:
    """Entries with the name of where they come from, for the report.

    Attributes:
        name: where they come from.
        entries: those that could not be read are among them.
        passed_over: files of the folder that were not read, by reason.
        dataset: folder of the built dataset that they come from; None where they come from elsewhere.
    """

    name: str
    entries: tuple[CrystalEntry, ...] = ()
    passed_over: dict[str, int] = field(default_factory=dict)
    dataset: Path | None = None

    @property
    def crystals(self) -> list[Crystal]:
        """What could be read."""
        return [entry.crystal for entry in self.entries if entry.crystal is not None]

    def unreadable(self, whose: str) -> list[dict[str, str]]:
        """Id, place and reason of what could not be read, for the report; the reason says whose it is."""
        return [dropped(entry, f"{whose}: {entry.reason}") for entry in self.entries if entry.crystal is None]


Structures = str | Path | Iterable[Crystal | Row[Crystal] | CrystalEntry]
"""A path, or crystals, rows or entries in memory."""


def entry_from_row(row: Row[Crystal]) -> CrystalEntry:
    """The entry of a row as read; ``info`` may hold what UniGen's own output does.

    That is ``id``, ``index``, ``seed``, ``score``; ``request``, ``space_group``, ``template`` as in `read_statement`.
    """
    large = too_large(len(row.structure)) if row.structure is not None else ""
    return CrystalEntry(
        id=row.name,
        crystal=None if large else row.structure,
        index=read_integer(row.info.get("index")),
        reason=f"{row.where}: {large}" if large else row.reason,
        where=row.where,
        seed=read_integer(row.info.get("seed")),
        score=read_number(row.info.get("score")),
        statement=read_statement(row.info),
    )


def read_statement(info: Mapping[str, object]) -> Statement | None:
    """The statement in the fields of an entry: ``request`` (an object), ``space_group``, or else ``template``.

    What cannot be understood is taken as not said: these fields may be somebody else's.

    Example:
        >>> read_statement({"space_group": 221, "request": {"formula": "SrTiO3"}}).request.formula
        'SrTiO3'
    """
    template = info.get("template")
    group = _space_group(info.get("space_group"))
    if group is None and isinstance(template, str):
        # a template begins with the number of its space group: 221 Sr:a Ti:b O:c
        group = _space_group(template.partition(" ")[0])
    statement = Statement(_request(info.get("request")), group)
    return None if statement == Statement() else statement


def _space_group(value: object) -> int | None:
    """A number of a space group; 0, as a symbol or nothing gives, is none."""
    text = str(value)
    return int(text) if text.isdecimal() and 1 <= int(text) <= 230 else None


def _request(value: object) -> CrystalRequest | None:
    if not isinstance(value, Mapping):
        return None
    given = {each.name: value[each.name] for each in fields(CrystalRequest) if value.get(each.name) is not None}
    if isinstance(given.get("elements"), list):
        given["elements"] = tuple(given["elements"])  # JSON knows lists alone
    try:
        return apply_template(CrystalRequest(**given))
    except (UserError, TypeError, AttributeError):  # not our own fields, whatever their names
        return None


def read_samples(samples: Structures) -> CrystalSet:
    """The structures to be scored: anything `unigen.data.readers.crystals.read_crystal_rows` reads, or in memory.

    Raises:
        UserError: nothing at the path, or not one readable structure there.
    """
    if isinstance(samples, str | Path):
        return _read_files(samples)
    return _from_memory(samples, "samples")


def read_reference(reference: Structures) -> CrystalSet:
    """The reference: a built dataset (``"mp-20:test"``, or its Parquet file), structure files, or in memory.

    Raises:
        UserError: neither a dataset nor files, or nothing readable there.
    """
    if not isinstance(reference, str | Path):
        return _from_memory(reference, "reference")
    path = Path(reference)
    # a store is a dataset by its path; any other name that is no path is one by its name
    if path.exists() and path.suffix != ".parquet":
        return _read_files(reference)
    dataset: CrystalDataset = open_crystals(reference)
    entries = tuple(CrystalEntry(str(dataset.ids[index]), dataset[index]) for index in range(len(dataset)))
    return CrystalSet(str(reference), entries, dataset=resolve_dataset(reference)[0].parent)


def _read_files(path: str | Path) -> CrystalSet:
    survey = CRYSTAL_FORMATS.survey(path)
    entries = tuple(entry_from_row(parse_crystal(record)) for record in survey.records())
    return _readable(CrystalSet(str(path), entries, survey.passed_over_by_reason()))


def _from_memory(structures: Iterable[Crystal | Row[Crystal] | CrystalEntry], name: str) -> CrystalSet:
    """In the order given."""
    entries = []
    for position, structure in enumerate(structures):
        if isinstance(structure, CrystalEntry):
            entries.append(structure)
        elif isinstance(structure, Crystal):
            entries.append(CrystalEntry(f"{name}-{position}", structure))
        else:
            entries.append(entry_from_row(structure))
    return _readable(CrystalSet(name, tuple(entries)))


def _readable(crystals: CrystalSet) -> CrystalSet:
    structures = [entry.crystal for entry in crystals.entries]
    require_readable(structures, crystals.entries, "structure", where=crystals.name)
    return crystals
