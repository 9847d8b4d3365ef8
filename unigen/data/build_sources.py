"""What a dataset is built from: public files of a card, local copies of them, anyone's files, a built dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from unigen.cards import DatasetCard, Kind
from unigen.data import recipes
from unigen.data.dataset_file import built_kind, dataset_path, name_and_split
from unigen.data.readers.arrays import read_crystal_store, read_molecule_store
from unigen.data.readers.contents import FORMATS, count_entries, kind_of, mixed
from unigen.data.readers.formats import Survey
from unigen.data.readers.record import Record
from unigen.disk import checksum
from unigen.errors import UserError


@dataclass(frozen=True)
class Source:
    """One source of a build: a path, a built dataset, or (no path yet) the public files of a card."""

    label: str
    kind: Kind
    card: DatasetCard | None = None
    path: Path | None = None
    dataset: str | None = None

    def records(self, folder: Path, limit: int | None = None) -> Iterator[Record]:
        """Raw records, the first ``limit`` of each split; public files are fetched into the folder first."""
        records = self._all_records(folder)
        if self.card is not None:
            records = recipes.assign_splits(records, self.card)
        return records if limit is None else first_of_each_split(records, limit)

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

    def passed_over(self) -> list[str]:
        """Why files of a folder are not read, one a file."""
        return [] if self._survey is None else [each.why for each in self._survey.passed_over]

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


def first_of_each_split(records: Iterator[Record], limit: int) -> Iterator[Record]:
    """Leave out what comes after the first ``limit`` records of a split."""
    seen: Counter[str] = Counter()
    for record in records:
        seen[record.split] += 1
        if seen[record.split] <= limit:
            yield record


def resolve_sources(name: str, texts: tuple[str, ...]) -> list[Source]:
    """The sources of a dataset called ``name``; none given means the public files of its recipe.

    Raises:
        UserError: no such recipe, path or dataset; crystals and molecules together.
    """
    card = recipes.recipe(name)
    if not texts:
        if card is None:
            names = ", ".join(sorted(recipes.names()))
            raise UserError(f"no recipe {name!r}", wanted=names, next_step="or say --from PATH for your own structures")
        return [Source(f"recipe {name}", card.kind, card)]
    sources = [_source(text, card) for text in texts]
    if len({source.kind for source in sources}) > 1:
        raise mixed("--from", {source.kind: Path(source.label) for source in reversed(sources)})
    return sources


def _source(text: str, card: DatasetCard | None) -> Source:
    if Path(text).exists():
        return Source(Path(text).name, card.kind if card else kind_of(Path(text)), card, path=Path(text))
    name = text.rsplit(":", 1)[0]
    kind = built_kind(name)
    if kind is not None:
        return Source(text, kind, None, dataset=text)
    hint = f"run: unigen data build {name}" if recipes.recipe(name) else "names: unigen data list"
    raise UserError("neither a path nor a built dataset", where=f"--from {text}", next_step=hint)
