"""Files and folders of one kind of structure, walked through in a fixed order: one raw record after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from unigen.cards import Kind
from unigen.data.readers.record import Record
from unigen.data.readers.text import suffix
from unigen.errors import UserError

Reader = Callable[[Path], Iterator[Record]]


@dataclass(frozen=True, kw_only=True)
class Formats:
    """How the files of one kind of structure are read.

    Attributes:
        kind: of structure.
        by_ending: what reads a file, by its ending without ``.gz``, in small letters.
        by_start: what reads a file, by how its name begins, in small letters; asked first.
        otherwise: what tries a file that the user names and whose name says nothing; None where nothing does.
        run_file: what a folder written by ``unigen generate`` has.
        read_run: what reads such a folder.
        noun: what messages call these structures.
        wanted: what can be read, for messages; the endings where it is empty.
    """

    kind: Kind
    by_ending: Mapping[str, Reader]
    by_start: Mapping[str, Reader]
    otherwise: Reader | None
    run_file: str
    read_run: Reader
    noun: str
    wanted: str = ""

    def reader(self, path: Path) -> Reader | None:
        """How to read a file, by its name; None when the name says nothing."""
        name = path.name.lower()
        starts = (read for start, read in self.by_start.items() if name.startswith(start))
        return next(starts, self.by_ending.get(suffix(path)))

    def records(self, path: str | Path) -> Iterator[Record]:
        """The raw entries of a file or folder (searched recursively, or written by ``unigen generate``).

        Raises:
            UserError: nothing at the path, or nothing in it that can be read as this kind of structure.
        """
        path = Path(path)
        if path.is_dir():
            return self._records_of_folder(path)
        if not path.exists():
            raise UserError("no such file or folder", where=str(path))
        read = self.reader(path) or self.otherwise
        if read is None:
            raise UserError(f"not a file of {self.noun}", where=str(path), wanted=", ".join(self.by_ending))
        return read(path)

    def _records_of_folder(self, folder: Path) -> Iterator[Record]:
        if (folder / self.run_file).exists():
            return self.read_run(folder)
        # sorted: the order of rows, and with it every store built of them, must not depend on the file system
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        readers = [(file, read) for file in files if (read := self.reader(file))]
        if not readers:
            wanted = self.wanted or ", ".join(self.by_ending)
            raise UserError(f"no {self.noun} in this folder", where=str(folder), wanted=wanted)
        return (record for file, read in readers for record in one_of_many(file, read))


def one_of_many(file: Path, read: Reader) -> Iterator[Record]:
    """A file of a folder: unlike a file the user named, an unreadable one is one bad entry among others."""
    try:
        yield from read(file)
    except UserError as error:
        yield Record(file.stem, "bad", error.reason, str(file))
