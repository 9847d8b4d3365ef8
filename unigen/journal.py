"""Results of slow work in a folder: each is written down when it is done, so that nothing is computed twice.

``relax.yaml`` what makes the results, ``relaxed.jsonl`` one line a distinct task, in the order of finishing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from unigen.claimed_folder import claim_folder
from unigen.disk import writing
from unigen.line_journal import Line, append_lines, read_lines

RUN, JOURNAL = "relax.yaml", "relaxed.jsonl"

Task = TypeVar("Task")
Result = TypeVar("Result")
Take = Callable[[int, Result], None]
"""Receives the place of a task and its result."""


class ResultJournal(Generic[Task, Result]):
    """The folder, new or continued.

    Args:
        path: made if need be; None keeps everything in memory.
        facts: what makes the results.
        key: of a task; equal tasks are done once.
        to_line: what is kept of a result.
        from_line: the result again, given its task.

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
    ) -> None:
        self.path = path
        self._key, self._to_line, self._from_line = key, to_line, from_line
        self._lines: dict[str, Line] = {}
        if path is not None:
            claim_folder(path, RUN, facts)
            self._lines = {line["structure"]: line for line in read_lines(path / JOURNAL)}

    def results(self, tasks: Sequence[Task], compute: Callable[[list[Task], Take[Result]], None]) -> list[Result]:
        """One a task, in their order.

        Args:
            tasks: those in the journal are not computed again.
            compute: hands over each result once it is there.
        """
        keys = [self._key(task) for task in tasks]
        todo = {key: task for key, task in zip(keys, tasks, strict=True) if key not in self._lines}
        names = list(todo)

        def take(place: int, result: Result) -> None:
            line = {"structure": names[place]} | self._to_line(result)
            if self.path is not None:
                with writing(self.path):
                    append_lines(self.path / JOURNAL, [line])
            self._lines[names[place]] = line

        compute(list(todo.values()), take)
        return [self._from_line(self._lines[key], task) for key, task in zip(keys, tasks, strict=True)]


def digest(*arrays: np.ndarray) -> str:
    """A key of exactly these arrays."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:32]
