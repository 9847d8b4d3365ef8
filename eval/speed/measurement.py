"""What a measured number depends on, and where it is written."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent


def circumstances(threads: int | None) -> dict[str, object]:
    """Machine, threads, commit and versions; ``load`` tells whether the machine was quiet when it started."""
    return {
        "device": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2),
        "commit": _git("rev-parse", "HEAD") + ("-dirty" if _git("status", "--porcelain", "unigen") else ""),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in ("torch", "numpy")},
    }


def write(name: str, content: dict[str, object]) -> None:
    """``eval/speed/<name>.json``."""
    path = HERE / f"{name}.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"written: eval/speed/{path.name}")


def cpu_seconds(arguments: Sequence[str | Path], folder: Path | str | None = None) -> float:
    """CPU-seconds of Python with these arguments, its own processes included.

    Args:
        arguments: such as ``-m unigen ...``.
        folder: where it runs; by default here.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *map(str, arguments)]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare_with_commit(
    script: str, about: str, measured: Callable[[str], dict[str, float]], *, model: str, against: str, turns: int
) -> None:
    """The ``main`` of a script that measures this tree against an earlier commit, and writes what it found.

    Args:
        script: its file; the results have its name.
        about: what a number is of, such as "a crystal".
        measured: CPU-milliseconds by name, of a model.
        model: by default.
        against: commit by default.
        turns: by default.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=model)
    parser.add_argument("--against", default=against, help="commit of the other tree")
    parser.add_argument("--turns", type=int, default=turns)
    parser.add_argument("--measure", action="store_true", help="what the processes that take turns are called with")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.model)))
        return
    facts = circumstances(threads=1) | {"against": options.against, "turns": options.turns}
    rows = in_turns(script, ["--model", options.model], options.against, options.turns)
    unit = f"CPU-milliseconds {about}; least of all turns, ratio their median"
    write(Path(script).stem, facts | {"unit": unit, "cases": rows})


def in_turns(script: str, arguments: list[str], against: str, turns: int) -> dict[str, dict[str, float]]:
    """What a script measures with this tree and with that of an earlier commit, each in processes that take turns.

    The other tree is checked out for that (``git worktree``) and removed afterwards.

    Args:
        script: called with ``--measure``, it prints its numbers by name as JSON in its last line.
        arguments: for it.
        against: commit of the other tree.
        turns: how many.

    Returns:
        By name: the least of all turns now and before, and the median of the turns' ratios.
    """
    root = HERE.parents[1]
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        subprocess.run(["git", "worktree", "add", "--detach", str(other), against], cwd=root, check=True)
        try:
            found = [[_in_tree(tree, script, arguments) for tree in (root, other)] for _ in range(turns)]
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(other)], cwd=root, check=True)
    rows = {}
    for name in found[0][0]:
        now, before = ([turn[side][name] for turn in found] for side in (0, 1))
        ratio = statistics.median(b / n for n, b in zip(now, before, strict=True))
        rows[name] = {"ms": round(min(now), 2), "ms_before": round(min(before), 2), "ratio": round(ratio, 2)}
        print(f"{name:36s} {min(now):8.1f} ms  before {min(before):8.1f} ms  {ratio:5.2f} x", flush=True)
    return rows


def _in_tree(tree: Path, script: str, arguments: list[str]) -> dict[str, float]:
    """What one process measures with the code of a tree."""
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(script).resolve()), "--measure", *arguments]
    done = subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.PIPE, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    names = (
        [line.split(": ")[1] for line in facts.read_text().splitlines() if line.startswith("model name")]
        if (facts.exists())
        else []
    )
    return names[0] if names else platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True, check=False)
    return done.stdout.strip()
