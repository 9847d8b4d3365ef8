"""Files and folders of one kind of structure, walked through in a fixed order: one raw record after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from unigen.cards import Kind
from unigen.data.left_out import LEFT_OUT
from unigen.data.readers.copies import Description, find_copies
from unigen.data.readers.file_names import (
    NO_STRUCTURES,
    OF_VASP,
    VASP_FILES,
    folder_names,
    is_calculation,
    is_left_over,
    is_report,
    own_name,
)
from unigen.data.readers.property_table import is_property_table
from unigen.data.readers.record import Record
from unigen.data.readers.text import csv_rows, stem, suffix
from unigen.disk import LOCK
from unigen.errors import UserError

Reader = Callable[[Path], Iterator[Record]]

OF_A_RUN = "beside the structures of its run"
LEFT_OVER = "hidden, or left over by a system"
REPORT = "a report of ours"
PROPERTY_TABLE = "a table of properties, without structures"


@dataclass(frozen=True)
class PassedOver:
    """A file of a folder that was not read, and that is no structure or says again what another one does.

    Attributes:
        path: of the file.
        why: by what it is counted.
    """

    path: Path
    why: str


@dataclass(frozen=True)
class Survey:
    """What is read of a file or a folder, and what is not.

    Attributes:
        path: the file or folder.
        files: what is read, with how, and with the name of its structures where the file's own says nothing.
        passed_over: the other files of the folder.
    """

    path: Path
    files: tuple[tuple[Path, Reader, str], ...]
    passed_over: tuple[PassedOver, ...] = ()

    def records(self) -> Iterator[Record]:
        """The raw entries, in a fixed order."""
        if self.path.is_file():
            return self.files[0][1](self.path)
        return (record for file, read, name in self.files for record in _renamed(one_of_many(file, read), file, name))

    def passed_over_by_reason(self) -> dict[str, int]:
        """How many files were passed over for which reason, the most frequent first."""
        return dict(Counter(each.why for each in self.passed_over).most_common())


@dataclass(frozen=True, kw_only=True)
class Formats:
    """How the files of one kind of structure are read.

    Attributes:
        kind: of structure.
        by_ending: what reads a file, by its ending without ``.gz``, in small letters.
        by_start: what reads a file whose ending says nothing, by how its name begins or ends, in small letters.
        otherwise: what tries a file that the user names and whose name says nothing; None where nothing does.
        run_file: what a folder written by ``unigen generate`` has.
        read_run: what reads such a folder.
        noun: what messages call these structures.
        wanted: what can be read, for messages; the endings where it is empty.
        own_folders: what else reads a folder as a whole, by a file that it has.
        journals: files of which such a folder has one, too, as anybody may call a file like ours; empty asks for none.
        single: endings of files that hold one structure as a rule; others are looked at.
        unread: endings and names, in small letters, of files that hold structures in a form that is not read.
        describe: what is compared to find the same structures in two files; without it only equal texts are found.
        archives: what reads a file of such an ending that the user names; in a folder it is passed over, since what
            stands beside it says the same (MatterGen's zip) or it is anything (a checkpoint).
    """

    kind: Kind
    by_ending: Mapping[str, Reader]
    by_start: Mapping[str, Reader]
    otherwise: Reader | None
    run_file: str
    read_run: Reader
    noun: str
    wanted: str = ""
    own_folders: Mapping[str, Reader] = field(default_factory=dict)
    journals: frozenset[str] = frozenset()
    single: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    describe: Callable[[Record], Description] | None = None
    archives: Mapping[str, Reader] = field(default_factory=dict)

    def reader(self, path: Path) -> Reader | None:
        """How to read a file, by its name; None when the name says nothing."""
        read = self.by_ending.get(suffix(path))
        if read is not None:
            return read
        name = path.name.lower().removesuffix(".gz")
        if suffix(path) in NO_STRUCTURES:
            return None
        return next(
            (self.by_start[word] for word in self.by_start if name.startswith(word) or name.endswith(word)), None
        )

    def records(self, path: str | Path) -> Iterator[Record]:
        """The raw entries of a file or folder (searched recursively, or written by ``unigen generate``).

        Raises:
            UserError: nothing at the path, or nothing in it that can be read as this kind of structure.
        """
        return self.survey(path).records()

    def survey(self, path: str | Path) -> Survey:
        """What of a file or folder is read, found without reading more than is needed to tell copies.

        Of a folder every file is either read or passed over; one that holds structures in a form that is not read is
        one bad entry, since its structures are left out.

        Raises:
            UserError: nothing at the path, or nothing in it that can be read as this kind of structure.
        """
        path = Path(path)
        if path.is_dir():
            return self._survey_of_folder(path)
        if not path.exists():
            raise UserError("no such file or folder", where=str(path))
        read = self.archives.get(suffix(path)) or self.reader(path) or self.otherwise
        if read is None:
            raise UserError(f"not a file of {self.noun}", where=str(path), wanted=", ".join(self.by_ending))
        return Survey(path, ((path, read, ""),))

    def _survey_of_folder(self, folder: Path) -> Survey:
        # sorted: the order of rows, and with it every store built of them, must not depend on the file system
        # a link to nothing was a structure once: whoever reads it says that it is gone
        files = sorted(
            file
            for file in folder.rglob("*")
            if (file.is_file() or (file.is_symlink() and not file.exists())) and not file.name.endswith(LOCK)
        )
        read: dict[Path, Reader] = {}
        passed: dict[Path, str] = {}
        runs = {parent: self._run_of(parent, folder) for parent in {file.parent for file in files}}
        for file in files:
            run = runs[file.parent]
            if is_left_over(file.relative_to(folder)):
                passed[file] = LEFT_OVER
            elif run is not None:
                read[run[0]] = run[1]
                if file.name not in (self.run_file, *self.own_folders) or file.parent != run[0]:
                    passed[file] = OF_A_RUN
            elif is_report(file, folder):
                passed[file] = REPORT
            elif is_property_table(file):
                passed[file] = PROPERTY_TABLE
            elif (reader := self.reader(file)) is not None:
                read[file] = reader
            elif {suffix(file), stem(file).lower(), file.name.lower()} & self.unread or is_calculation(file):
                read[file] = _not_read
            else:
                passed[file] = f"no {self.noun} ({suffix(file) or 'no ending'})"
        passed |= self._without_copies(read)
        if not any(reader is not _not_read for reader in read.values()):
            wanted = self.wanted or ", ".join(self.by_ending)
            kinds = ", ".join(sorted({suffix(file) or file.name for file in files})[:8])
            raise UserError(f"no {self.noun} in this folder", where=str(folder), got=kinds or None, wanted=wanted)
        names = folder_names([file for file in read if not file.is_dir()], folder)
        chosen = tuple((file, reader, names.get(file, "")) for file, reader in sorted(read.items()))
        return Survey(folder, chosen, tuple(PassedOver(file, why) for file, why in sorted(passed.items())))

    def _run_of(self, inside: Path, folder: Path) -> tuple[Path, Reader] | None:
        """The outermost folder of a run that a folder lies in, and what reads it as a whole."""
        within = [each for each in (inside, *inside.parents) if each == folder or folder in each.parents]
        for each in reversed(within):
            if self.journals and not any((each / name).exists() for name in self.journals):
                continue
            for name, read in {self.run_file: self.read_run, **self.own_folders}.items():
                if (each / name).exists() and not is_report(each / name, folder):
                    return each, read
        return None

    def _without_copies(self, read: dict[Path, Reader]) -> dict[Path, str]:
        """Take out of what is read the files that say again what others do; why, of each."""
        passed: dict[Path, str] = {}
        for file in read:
            result = next((name for name in VASP_FILES if file.parent / name in read), "")
            if result and file.name != result and stem(file).lower() in OF_VASP:
                passed[file] = f"of the calculation whose {result} is read"
        for file in passed:
            del read[file]
        files = {file: reader for file, reader in read.items() if file.is_file() and reader is not _not_read}
        copies = find_copies(files, self.single, self.describe)
        for file, original in copies.items():
            del read[file]
            passed[file] = f"the same structures as {original}"
        return passed


def one_of_many(file: Path, read: Reader) -> Iterator[Record]:
    """A file of a folder: unlike a file the user named, an unreadable one is one bad entry among others."""
    try:
        yield from read(file)
    except UserError as error:
        yield Record(own_name(file), "bad", str(error).removeprefix(f"{file}: "), str(file))


def left_out_records(folder: Path) -> Iterator[Record]:
    """What a folder of ours says was left out of it, as bad entries."""
    if (folder / LEFT_OUT).exists():
        for where, row in csv_rows(folder / LEFT_OUT, "reason"):
            reason = row["reason"].removeprefix(f"{row.get('where')}: ")
            yield Record(row.get("id") or "", "bad", reason, where)


def _not_read(file: Path) -> Iterator[Record]:
    raise UserError(f"structures in a form that is not read ({suffix(file) or file.name})", where=str(file))


def _renamed(records: Iterator[Record], file: Path, name: str) -> Iterator[Record]:
    """The entries of a file whose name says nothing under that of its folder."""
    first = list(islice(records, 2)) if name else []
    for record in first:
        rest = record.id.removeprefix(own_name(file)).removeprefix(stem(file))
        named = rest == record.id and record.form != "bad"  # by itself, not by the file
        yield record if named else replace(record, id=name if len(first) == 1 else name + rest)
    for record in records:
        rest = record.id.removeprefix(stem(file))
        yield record if not name or rest == record.id else replace(record, id=name + rest)
