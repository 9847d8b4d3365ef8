"""What a dataset is built from: public files of a card, local copies of them, anyone's files, a built dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from unigen.cards import DatasetCard, Kind
from unigen.crystals.extensive import is_extensive
from unigen.data import recipes
from unigen.data.dataset_file import built_kind, dataset_path, name_and_split
from unigen.data.readers.arrays import read_crystal_store, read_molecule_store
from unigen.data.readers.contents import FORMATS, count_entries, kind_of, mixed
from unigen.data.readers.formats import PROPERTY_TABLE, Survey
from unigen.data.readers.property_table import PropertyTable
from unigen.data.readers.record import Record
from unigen.disk import checksum
from unigen.errors import UserError


@dataclass(frozen=True)
class Source:
    """One source of a build: a path, a built dataset, or (no path yet) the public files of a card.

    Attributes:
        label: for messages, and in ``build.yaml``.
        kind: of structure.
        card: of a recipe.
        path: of files.
        dataset: name of a built one.
        properties: a CSV of properties of its structures.
        renamed: what a property of it is called, by the name it has there.
    """

    label: str
    kind: Kind
    card: DatasetCard | None = None
    path: Path | None = None
    dataset: str | None = None
    properties: Path | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)

    def records(self, folder: Path, limit: int | None = None) -> Iterator[Record]:
        """Raw records, the first ``limit`` of each split; public files are fetched into the folder first."""
        records = self._all_records(folder)
        if self.card is not None:
            records = recipes.assign_splits(records, self.card)
        if limit is not None:
            records = first_of_each_split(records, limit)
        for table in self.tables:
            records = table.join(records)
        return _with_names(records, self.renamed, self.label) if self.renamed else records

    def _all_records(self, folder: Path) -> Iterator[Record]:
        if self.dataset is not None:
            return (read_crystal_store if self.kind == "crystals" else read_molecule_store)(self.dataset)
        if self.path is not None:
            assert self._survey is not None
            return self._survey.records()
        assert self.card is not None
        return recipes.read_files(self.card, recipes.fetch(self.card, folder))

    @cached_property
    def _survey(self) -> Survey | None:
        """Of a path, looked through once."""
        return None if self.path is None else FORMATS[self.kind].survey(self.path)

    @cached_property
    def tables(self) -> list[PropertyTable]:
        """Properties that are joined to the structures: the one that is given, and those that lie in the folder."""
        given = [] if self.properties is None else [self.properties]
        inside = [] if self._survey is None else self._survey.passed_over
        found = [each.path for each in inside if each.why == PROPERTY_TABLE]
        paths = [*given, *(path for path in found if not any(path.samefile(other) for other in given))]
        return [PropertyTable.read(path) for path in paths]

    def passed_over(self) -> list[str]:
        """Why files of a folder are not read, one a file."""
        inside = [] if self._survey is None else self._survey.passed_over
        return [each.why for each in inside if each.why != PROPERTY_TABLE]

    @property
    def verified(self) -> bool | None:
        """Whether the card knows the checksum of its files; None for what the user brings."""
        if self.card is None or self.path is not None:
            return None
        return all(file.sha256 for file in self.card.files)

    def count(self) -> int | None:
        """Entries, where that is quickly known."""
        if self.dataset is not None:
            return None if ":" in self.dataset else count_entries(dataset_path(self.dataset, self.kind))
        if self.path is not None:
            return count_entries(self.path)
        assert self.card is not None
        return self.card.counts.get("rows")

    def checksum(self, folder: Path) -> str:
        """SHA-256 that changes when the source does."""
        if self.dataset is not None:
            return checksum(dataset_path(name_and_split(self.dataset)[0], self.kind))
        if self.path is not None:
            return checksum(self.path)
        assert self.card is not None
        stated = [file.sha256 for file in self.card.files]
        if None in stated:
            return ",".join(checksum(path) for path in recipes.fetch(self.card, folder))
        return ",".join(str(sha256) for sha256 in stated)


def _with_names(records: Iterator[Record], renamed: Mapping[str, str], label: str) -> Iterator[Record]:
    """Properties under their new names; raises UserError in the end when no structure had one of them."""
    missing = {*renamed}
    for record in records:
        missing -= record.info.keys()
        for name in {*renamed.values()} & (record.info.keys() - renamed.keys()):
            raise UserError("a structure has a property of that name", where=f"--rename {label}", got=name)
        yield replace(record, info={renamed.get(name, name): value for name, value in record.info.items()})
    if missing:
        raise UserError("no structure has this property", where=f"--rename {label}", got=min(missing))


def first_of_each_split(records: Iterator[Record], limit: int) -> Iterator[Record]:
    """Leave out what comes after the first ``limit`` records of a split."""
    seen: Counter[str] = Counter()
    for record in records:
        seen[record.split] += 1
        if seen[record.split] <= limit:
            yield record


def resolve_sources(
    name: str, texts: tuple[str, ...], properties: Path | None = None, rename: Sequence[str] = ()
) -> list[Source]:
    """The sources of a dataset called ``name``; none given means the public files of its recipe.

    Args:
        name: of the dataset.
        texts: paths or built datasets.
        properties: a CSV of properties of all their structures.
        rename: ``SOURCE:OLD=NEW``, where a source is one of the texts.

    Raises:
        UserError: no such recipe, path or dataset; crystals and molecules together; what is to be renamed is of no
            source, would take the name of another, or would become a total of the cell, or none any more.
    """
    renamed = _renamed(rename, texts)
    card = recipes.recipe(name)
    if not texts:
        if card is None:
            names = ", ".join(sorted(recipes.names()))
            raise UserError(f"no recipe {name!r}", wanted=names, next_step="or say --from PATH for your own structures")
        return [Source(f"recipe {name}", card.kind, card, properties=properties)]
    sources = [replace(_source(text, card), properties=properties, renamed=renamed.get(text, {})) for text in texts]
    if len({source.kind for source in sources}) > 1:
        raise mixed("--from", {source.kind: Path(source.label) for source in reversed(sources)})
    for old, new in ((old, new) for names in renamed.values() for old, new in names.items()):
        # the name says whether a value changes with the cell
        if sources[0].kind == "crystals" and is_extensive(old) != is_extensive(new):
            total, other = (old, new) if is_extensive(old) else (new, old)
            raise UserError(
                f"--rename: {total} is a total of the cell, {other} is none",
                got=f"{old}={new}",
                next_step="give values an atom, which stay as they are in any cell",
            )
    return sources


def _renamed(rename: Sequence[str], texts: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """New names by old ones, by source."""
    found: dict[str, dict[str, str]] = {}
    for text in rename:
        left, _, new = text.partition("=")
        source, _, old = left.rpartition(":")
        if not (source and old and new):
            raise UserError("--rename: not understood", got=text, wanted="SOURCE:OLD=NEW")
        if source not in texts:
            raise UserError(
                "--rename: no such source", got=source, wanted=f"one of --from: {', '.join(texts) or 'none'}"
            )
        names = found.setdefault(source, {})
        if old in names or new in names.values():
            raise UserError("--rename: a name is given twice", where=source, got=text)
        names[old] = new
    return found


def _source(text: str, card: DatasetCard | None) -> Source:
    if Path(text).exists():
        return Source(Path(text).name, card.kind if card else kind_of(Path(text)), card, path=Path(text))
    name = text.rsplit(":", 1)[0]
    kind = built_kind(name)
    if kind is not None:
        return Source(text, kind, None, dataset=text)
    hint = f"run: unigen data build {name}" if recipes.recipe(name) else "names: unigen data list"
    raise UserError("neither a path nor a built dataset", where=f"--from {text}", next_step=hint)
