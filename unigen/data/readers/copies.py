"""The same structures in two files of one folder: a format beside another, a compressed file beside the open one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path

from unigen.data.readers.record import Record
from unigen.data.readers.text import stem, suffix
from unigen.errors import UserError
from unigen.parsing import read_whole

Description = tuple[str, tuple[float, ...]]
"""Of a structure: a formula, and numbers that other formats hold to some digits; equal of the same structure."""

Reader = Callable[[Path], Iterator[Record]]

_MOST = 2000
"""Structures a file: comparing them means reading them, some milliseconds each. Larger files are compared in order, at
`_DRAWN` places, where their names are alike, and not at all otherwise."""
_DRAWN = 100

_ALL_BUT = 0.5
"""Files whose numbers of entries are further apart are not compared: copies differ by what could not be read."""

_DIGITS = 2e-3
"""Relative difference of the numbers of one structure in two formats: CIFs of old programs have three digits."""

_WITH_BONDS = (".sdf", ".sd", ".mol")
_OF_FIELDS = (".jsonl", ".ndjson", ".json", ".extxyz", ".xyz", ".csv", ".db", ".traj", ".npz", ".parquet", ".cif")
_RICHEST = (*_WITH_BONDS, *_OF_FIELDS)
"""Of two formats that say the same structures the first is read: it holds most beside them."""


def find_copies(
    files: Mapping[Path, Reader], one_a_file: Container[str], describe: Callable[[Record], Description] | None
) -> dict[Path, str]:
    """The files whose structures are read from another one, with that other's name.

    Files of one structure are compared where they lie in one folder and have one name; a file of several with one of
    another format, or with the single files of one folder together. Equal files of one format are no copies: a model
    may well make one structure twice.

    Args:
        files: what would be read, with how.
        one_a_file: endings of files that hold one structure; others are looked at.
        describe: what is compared of a structure; None compares compressed with open files alone.
    """
    copies: dict[Path, str] = {}
    for file in files:
        unpacked = file.with_name(file.name.removesuffix(".gz"))
        if unpacked != file and unpacked in files and _same_text(file, unpacked):
            copies[file] = unpacked.name
    if describe is None:
        return copies
    compared = [file for file in files if file not in copies]
    if len({suffix(file) for file in compared}) < 2:
        return copies
    groups = []
    together: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for file in compared:
        if suffix(file) in one_a_file or _holds_one(file, files[file]):
            together[file.parent, suffix(file)].append(file)
        else:
            groups.append(_Group([file], False, files, describe))
    groups += [_Group(members, True, files, describe) for members in together.values()]
    groups.sort(key=lambda group: group.rank)
    for index, group in enumerate(groups):
        for other in groups[index + 1 :]:
            if group.suffix != other.suffix and not {*group.files, *other.files} & copies.keys():
                copies |= _copies_of(group, other)
    return copies


def _holds_one(file: Path, read: Reader) -> bool:
    try:
        return len(list(islice(read(file), 2))) == 1
    except UserError:
        return False


def _copies_of(original: _Group, other: _Group) -> dict[Path, str]:
    """Which files of a group say again what the original does."""
    if original.single and other.single:
        twins = {(file.parent, stem(file).lower()): file for file in original.files}
        pairs = ((file, twins.get((file.parent, stem(file).lower()))) for file in other.files)
        return {file: twin.name for file, twin in pairs if twin and original.only(twin).is_like(other.only(file))}
    if not original.is_like(other):
        return {}
    # single files that cannot be read say nothing again
    unreadable = {record.where for record in other.unreadable} if other.single else set()
    return {file: original.name for file in other.files if str(file) not in unreadable}


class _Group:
    """A file of several structures, or the files of one structure of one folder and format.

    Args:
        members: its files.
        single: whether each holds one structure.
        readers: of all files.
        describe: what is compared of a structure.
    """

    def __init__(
        self,
        members: list[Path],
        single: bool,
        readers: Mapping[Path, Reader],
        describe: Callable[[Record], Description],
    ) -> None:
        self.files, self.single, self.suffix = members, single, suffix(members[0])
        self._readers, self._describe = readers, describe

    def only(self, file: Path) -> _Group:
        return _Group([file], self.single, self._readers, self._describe)

    @property
    def name(self) -> str:
        """For messages."""
        first = self.files[0]
        return first.name if len(self.files) == 1 else f"{first.parent.name}/*{self.suffix}"

    @cached_property
    def rank(self) -> tuple[bool, int, list[Path]]:
        """Bonds before none, named structures before numbered ones, rich formats before poor ones, else by name."""
        numbered = False
        if not self.single and self.suffix not in _WITH_BONDS:
            first = next(self.records(), None)
            numbered = first is None or first.id.startswith(f"{stem(self.files[0])}-")
        place = _RICHEST.index(self.suffix) if self.suffix in _RICHEST else len(_RICHEST)
        return numbered, place, self.files

    def records(self) -> Iterator[Record]:
        """All entries; a file that cannot be read is one."""
        for file in self.files:
            try:
                yield from self._readers[file](file)
            except UserError:
                yield Record(stem(file), "bad", "", str(file))

    @cached_property
    def count(self) -> int:
        """Entries."""
        return sum(1 for _ in self.records())

    @cached_property
    def described(self) -> list[tuple[Description, Record]]:
        """What is compared, in the order of the entries."""
        step = 1 if self.count <= _MOST else self.count // _DRAWN
        return [(self._describe(each), each) for each in islice(self.records(), 0, None, step)]

    @property
    def unreadable(self) -> list[Record]:
        """The entries of which nothing can be compared."""
        return [record for (formula, _), record in self.described if not formula]

    def is_like(self, other: _Group) -> bool:
        """Whether another group holds the same structures, and no unreadable entry that this one lacks.

        Where there are very many, they must come in the same order.
        """
        one, two = self.files[0], other.files[0]
        names_alike = stem(one).lower() == stem(two).lower() and one.parent == two.parent
        fewer, more = sorted((self.count, other.count))
        if fewer < _ALL_BUT * more or not (fewer > 1 or (fewer and names_alike)) or (more > _MOST and not names_alike):
            return False
        found = [[described for described, _ in group.described if described[0]] for group in (self, other)]
        if more <= _MOST:
            found = [sorted(each) for each in found]
        if len(found[0]) != len(found[1]) or not found[0] or not all(map(_same, *found)):
            return False
        return other.single or len(other.unreadable) <= len(self.unreadable)


def _same(one: Description, other: Description) -> bool:
    pairs = zip(one[1], other[1], strict=False)
    return one[0] == other[0] and all(abs(x - y) <= _DIGITS * max(abs(x), abs(y)) for x, y in pairs)


def _same_text(one: Path, other: Path) -> bool:
    try:
        return read_whole(one) == read_whole(other)
    except UserError:
        return False
