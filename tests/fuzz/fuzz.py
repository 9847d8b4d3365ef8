"""Mutate files of every format for as long as wanted, and write down what ends in anything but a reading or one line.

    python tests/fuzz/fuzz.py --minutes 60 --seed 0 --out findings

Tries are numbered; try n of a seed is the same on every machine. They are made in a process of their own, which is
ended when it does not answer, so that a hang inside a library or a crash is found too and the search goes on. A finding
is made small (mutations, then lines left out, as long as the same goes wrong) and written to the folder as the file
itself, ``<target>-<try>-<name>``, with a line in ``findings.jsonl``. Findings that come from one line of code with one
type of error are counted as one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that the script runs from anywhere

from tests.fuzz.guard import SECONDS, fault
from tests.fuzz.mutations import Mutation, drawn, mutate
from tests.fuzz.targets import Target, targets

ANSWERS = 6 * SECONDS
"""Seconds of the clock after which a process does not answer: it may share its processor with others."""

SMALLER = 40
"""Tries to leave lines out of a finding."""


def plan(seed: int, number: int, chosen: list[Target]) -> tuple[Target, bytes, list[Mutation]]:
    """Which file the try mutates, and how."""
    rng = random.Random(f"{seed} {number}")  # noqa: S311 - the same on every machine
    target = chosen[number % len(chosen)]
    return target, rng.choice(target.seeds), drawn(rng)


def attempt(target: Target, content: bytes) -> str:
    """What is wrong with how a content is read, if anything."""
    with tempfile.TemporaryDirectory() as folder:
        return fault(target.read, target.write(content, Path(folder)))


def kind_of(found: str) -> str:
    """The same for findings of one place: without numbers, names and texts."""
    return re.sub(r"'[^']*'|\d+|/\S+", "_", found.partition(": ")[0] + found.partition(": ")[2][:60])


def _work(pipe: Connection, seed: int, names: list[str]) -> None:
    """Answer every number with what its try finds."""
    chosen = [target for target in targets() if target.name in names]
    for target in chosen:
        for content in target.seeds:
            attempt(target, content)  # libraries are loaded before memory is bounded
    pipe.send("ready")
    for number in iter(pipe.recv, None):
        if isinstance(number, int):
            target, content, mutations = plan(seed, number, chosen)
            pipe.send(attempt(target, mutate(content, target.form, mutations)))
        else:
            name, content = number
            pipe.send(attempt(next(target for target in chosen if target.name == name), content))


class Worker:
    """A process that makes tries; a new one takes its place when it does not answer.

    Args:
        seed: of all tries.
        names: of the targets.
    """

    def __init__(self, seed: int, names: list[str]) -> None:
        self._arguments = (seed, names)
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()

    def ask(self, what: int | tuple[str, bytes]) -> str:
        """What a try finds."""
        try:
            self._pipe.send(what)
            if self._pipe.poll(ANSWERS):
                return self._pipe.recv()
            found = "hangs: does not answer"
        except (EOFError, ConnectionError):
            self._process.join()
            found = f"crash: the process ended with {self._process.exitcode}"
        self._process.kill()
        self._process.join()
        self._start()
        return found

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def smaller(worker: Worker, target: Target, content: bytes, mutations: list[Mutation], kind: str) -> bytes:
    """A mutated file in which the same goes wrong, with as little else as a few tries find."""

    def still(candidate: bytes) -> bool:
        return kind_of(worker.ask((target.name, candidate))) == kind

    for mutation in list(mutations):
        fewer = [each for each in mutations if each is not mutation]
        if fewer and still(mutate(content, target.form, fewer)):
            mutations = fewer
    small = mutate(content, target.form, mutations)
    if target.form in ("text", "json", "jsonl", "yaml") and len(small) < 1 << 16:
        lines, tries, size = small.split(b"\n"), 0, max(1, small.count(b"\n") // 2)
        while size and tries < SMALLER:
            for start in range(0, len(lines), size):
                without = lines[:start] + lines[start + size :]
                tries += 1
                if without and still(b"\n".join(without)):
                    lines = without
                    break
            else:
                size //= 2
        small = b"\n".join(lines)
    return small


def main() -> None:
    """Parse, fuzz, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--tries", type=int, help="end after so many, whatever the time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first try")
    parser.add_argument("--only", default="", help="groups or names of targets, a regular expression")
    parser.add_argument("--out", type=Path, default=Path("findings"))
    options = parser.parse_args()
    chosen = [each for each in targets() if re.search(options.only, each.name) or re.search(options.only, each.group)]
    if not chosen:
        sys.exit(f"no target is called {options.only}; there are: {', '.join(each.name for each in targets())}")
    worker = Worker(options.seed, [target.name for target in chosen])
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    tried: Counter[str] = Counter()
    found: Counter[str] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    end = time.monotonic() + 60 * options.minutes
    number = options.first
    while time.monotonic() < end and (options.tries is None or number < options.first + options.tries):
        target, content, mutations = plan(options.seed, number, chosen)
        said = worker.ask(number)
        tried[target.name] += 1
        if said:
            found[target.name] += 1
            kind = kind_of(said)
            seen[target.name, kind] += 1
            if seen[target.name, kind] == 1:
                small = smaller(worker, target, content, mutations, kind)
                name = f"{re.sub(r'[^A-Za-z0-9]+', '-', target.name)}-{number}-{Path(target.file).name}"
                (options.out / name).write_bytes(small)
                line = {"target": target.name, "try": number, "found": said, "file": name}
                with (options.out / "findings.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                print(f"{target.name}, try {number}: {said}", flush=True)  # noqa: T201
        number += 1
    worker.end()
    table = [f"{'target':50} {'tries':>8} {'findings':>8} {'kinds':>6}"]
    for target in chosen:
        kinds = sum(name == target.name for name, _ in seen)
        table.append(f"{target.name:50} {tried[target.name]:8,} {found[target.name]:8,} {kinds:6}")
    table.append(f"{'all':50} {tried.total():8,} {found.total():8,} {len(seen):6}")
    print("\n".join(table))  # noqa: T201
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
