"""Folders of slow results: claimed by what makes them, written line by line, gone on with where they stopped.

A folder says in one YAML file what makes its results, so that only the same work goes on in it. Beside it a file of
JSON lines only grows, synced line by line: an interrupted run loses nothing that was finished. `ResultJournal` joins
the two: ``relax.yaml`` what makes the results, ``relaxed.jsonl`` one line a distinct task: in the order of finishing
while it grows, of their keys when all are there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from unigen.config import flat, read_yaml, write_yaml
from unigen.disk import LOCK, alone_in, empty_folder, may_overwrite, partial_of, write_text, writing
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS

RUN, JOURNAL = "relax.yaml", "relaxed.jsonl"

Line = dict[str, Any]

Task = TypeVar("Task")
Result = TypeVar("Result")
Compute = Callable[[list[Task]], Iterable[tuple[int, Result]]]
"""The index of each task and its result, in the order of finishing."""


def claim_folder(
    path: Path,
    name: str,
    facts: dict[str, Any],
    not_compared: Collection[str] = (),
    sections: Collection[str] = (),
    added: Mapping[str, object] | None = None,
    revisable: Collection[str] = (),
) -> bool:
    """Make a folder ours, or check that it is.

    Args:
        path: the folder; made if need be.
        name: of the file in it.
        facts: what makes the results.
        not_compared: names of facts that are for the reader alone: other ones make the same results.
        sections: names of facts that are mappings, of which a folder may hold more keys than are given: those make no
            difference, and are not compared.
        added: facts, such as ``settings.pressure``, that folders of earlier versions do not tell, and what they were
            when these were made.
        revisable: names of facts, such as ``stable.limit`` or ``n``, or beginnings of such names that end in a dot: the
            work in the folder serves other ones as well, so that the folder takes them over.

    Returns:
        Whether the folder took such facts over: results made by the old ones are to be made again.

    Raises:
        UserError: the folder holds results of other facts, or other files, or cannot be written.
    """
    facts = json.loads(json.dumps(facts))  # as it will be read
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        if not (path / name).exists():
            _check_empty(path, name)
            write_yaml(path / name, facts)
            return False
        held = read_yaml(path / name)
    for section in {*sections} & {*facts} & {*held}:
        if isinstance(held[section], dict):  # else it is compared as it is, and found to be another
            held[section] = {key: value for key, value in held[section].items() if key in facts[section]}
    ours, held = (
        flat({key: value for key, value in each.items() if key not in not_compared}) for each in (facts, held)
    )
    held = {**(added or {}), **held}
    revised = False
    for key in sorted({*ours, *held}):
        if ours.get(key) != held.get(key):
            if any(key.startswith(each) if each.endswith(".") else key == each for each in revisable):
                revised = True
                continue
            if may_overwrite():
                with writing(path):
                    empty_folder(path)
                    write_yaml(path / name, facts)
                return False
            got, wanted = _difference(key, ours.get(key), held.get(key))
            raise UserError(
                "this folder holds other results",
                where=str(path),
                got=got,
                wanted=f"{wanted} (as in the folder)",
                next_step="give another --out, or --overwrite",
            )
    if revised:
        with writing(path):
            write_yaml(path / name, facts)
    return revised


_LONGEST_VALUE = 60
"""Characters of a value that differs; of what is longer, those from just before the first that is another."""


def _difference(key: str, ours: object, held: object) -> tuple[str, str]:
    """The innermost value that is another, under its whole name, as it was asked for and as the folder has it."""
    if isinstance(ours, dict) and isinstance(held, dict):
        for name in sorted({*ours, *held}, key=str):
            if (name in ours, ours.get(name)) != (name in held, held.get(name)):
                return _difference(f"{key}.{name}", ours.get(name, "nothing"), held.get(name, "nothing"))
    if isinstance(ours, list) and isinstance(held, list):
        if len(ours) != len(held):
            return f"{len(ours)} {key}", f"{len(held)} {key}"
        for place, (one, other) in enumerate(zip(ours, held, strict=True)):
            if one != other:
                return _difference(f"{key}[{place}]", one, other)
    texts = str(ours), str(held)
    another = (place for place, (one, other) in enumerate(zip(*texts, strict=False)) if one != other)
    start = max(0, next(another, min(map(len, texts))) - _LONGEST_VALUE // 2)
    if max(map(len, texts)) <= _LONGEST_VALUE:
        start = 0
    end = start + _LONGEST_VALUE
    got, wanted = ("..." * (start > 0) + text[start:end] + "..." * (len(text) > end) for text in texts)
    return f"{key}: {got}", f"{key}: {wanted}"


def _check_empty(path: Path, name: str) -> None:
    # what a process leaves that is killed at its start
    ours = {partial_of(path / name).name, LOCK}
    if any(file.name not in ours for file in path.iterdir()):
        raise UserError("this folder holds other files", where=str(path), next_step="give another --out")


def read_lines(path: Path, *, mend: bool = True) -> Iterator[Line]:
    """The lines that are whole. The end of a line torn by a kill is cut off; what it held is made again.

    Args:
        path: of the journal.
        mend: False for who only looks: another process may be writing that line.
    """
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if mend and whole < len(content):
        os.truncate(path, whole)  # never rewritten: on a full disk that would lose it
    for line in content[:whole].splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):  # a crash of the machine may leave zeros: made again, to the same bytes
            continue
        if isinstance(found, dict):
            yield found


def append_lines(path: Path, lines: Iterable[Line]) -> None:
    """Add lines, synced to disk before this returns."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(line_text(line) for line in lines)
        file.flush()
        os.fsync(file.fileno())


def line_text(line: Line) -> str:
    """One line of the file."""
    return json.dumps(line) + "\n"


class ResultJournal(Generic[Task, Result]):
    """The folder, new or continued.

    Args:
        path: made if need be; None keeps everything in memory.
        facts: what makes the results.
        key: of a task; equal tasks are done once.
        to_line: what is kept of a result.
        from_line: the result again, given its task.
        added: facts that earlier versions did not tell, see `claim_folder`.

    Raises:
        UserError: the folder holds results made otherwise, or other files, or cannot be written.
    """

    def __init__(
        self,
        path: Path | None,
        facts: dict[str, Any],
        *,
        key: Callable[[Task], str],
        to_line: Callable[[Result], Line],
        from_line: Callable[[Line, Task], Result],
        added: Mapping[str, object] | None = None,
    ) -> None:
        self.path = path
        self._key, self._to_line, self._from_line = key, to_line, from_line
        self._lines: dict[str, Line] = {}
        if path is not None:
            claim_folder(path, RUN, facts, added=added)
            lines = read_lines(path / JOURNAL)
            self._lines = {line["structure"]: line for line in lines if isinstance(line.get("structure"), str)}

    def results(self, tasks: Sequence[Task], compute: Compute[Task, Result]) -> list[Result]:
        """One a task, in their order.

        Args:
            tasks: those in the journal are not computed again.
            compute: called with those that are not; each result is written down once it is there.
        """
        keys = [self._key(task) for task in tasks]
        missing = {key: task for key, task in zip(keys, tasks, strict=True) if not self._holds(key, task)}
        with nullcontext() if self.path is None else alone_in(self.path):
            for key, line in self._computed(missing, compute):
                if self.path is not None:
                    with writing(self.path):
                        append_lines(self.path / JOURNAL, [line])
                self._lines[key] = line
            self._sort()
        return [self._from_line(self._lines[key], task) for key, task in zip(keys, tasks, strict=True)]

    def _holds(self, key: str, task: Task) -> bool:
        """Whether there is a line of a task that a result can be made of; a damaged one is as good as none."""
        try:
            return key in self._lines and self._from_line(self._lines[key], task) is not None
        except PARSER_ERRORS:
            return False

    def _computed(self, missing: dict[str, Task], compute: Compute[Task, Result]) -> Iterator[tuple[str, Line]]:
        keys = list(missing)
        for index, result in compute(list(missing.values())):
            yield keys[index], {"structure": keys[index]} | self._to_line(result)

    def _sort(self) -> None:
        """Bring the lines into the order of their keys, which depends neither on who was faster nor on a kill."""
        if self.path is None or not self._lines:
            return
        text = "".join(line_text(self._lines[key]) for key in sorted(self._lines))
        with writing(self.path):
            if (self.path / JOURNAL).read_bytes() != text.encode():
                write_text(self.path / JOURNAL, text)


def digest(*arrays: np.ndarray) -> str:
    """A key of exactly these arrays."""
    sha256 = hashlib.sha256()
    for array in arrays:
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()[:32]  # 128 bits: no two structures of any set meet by chance
