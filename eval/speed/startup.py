"""What a command costs before and beside its work, against an empty Python and against ``import torch``.

python eval/speed/startup.py

Wall seconds until the command line answers, and CPU-seconds of a whole command that draws one crystal: what somebody
waits for who types one formula. The commands take turns.
"""

from __future__ import annotations

import statistics
import tempfile
import time

from measurement import circumstances, cpu_seconds, write

RUNS = 7
COMMANDS = {
    "python -c pass": "pass",
    "import torch": "import torch",
    "unigen --help": "import sys; sys.argv = ['unigen', '--help']; from unigen.cli import main; main()",
    "import unigen": "import unigen",
    "import unigen; unigen.generate": "import unigen; unigen.generate",
}


ONE_CRYSTAL = ("generate", "crystal", "--formula", "SrTiO3", "--n", "1", "--out", "run")
BARE_CRYSTAL = (*ONE_CRYSTAL, "--no-page", "--no-picture")


def measured(codes: dict[str, list[str]]) -> dict[str, tuple[float, float]]:
    """Median wall and CPU-seconds of each of these arguments of Python; a first turn, which reads from disk, apart."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in codes}
    for _ in range(RUNS + 1):
        for name, arguments in codes.items():
            with tempfile.TemporaryDirectory() as folder:  # a new one: what is made is not made again
                started = time.perf_counter()
                used = cpu_seconds(arguments, folder)
                wall = time.perf_counter() - started
            found[name].append((wall, used))
    return {
        name: (statistics.median(wall for wall, _ in turns[1:]), statistics.median(used for _, used in turns[1:]))
        for name, turns in found.items()
    }


def main() -> None:
    """Measure, print, write."""
    facts = circumstances(threads=1)
    codes = {name: ["-c", code] for name, code in COMMANDS.items()}
    codes["one crystal"] = ["-m", "unigen", *ONE_CRYSTAL]
    codes["one crystal, no page, no picture"] = ["-m", "unigen", *BARE_CRYSTAL]
    found = measured(codes)
    (empty, _), (_, torch) = found["python -c pass"], found["import torch"]
    for name, (wall, used) in found.items():
        ratios = f"{wall / empty:6.1f} x python -c pass  {used / torch:5.2f} x CPU of import torch"
        print(f"{name:34s} {wall:6.3f} s, {used:6.3f} CPU-s  {ratios}")
    write(
        "startup",
        facts
        | {
            "runs": RUNS,
            "seconds": {name: round(wall, 4) for name, (wall, _) in found.items()},
            "cpu_seconds": {name: round(used, 4) for name, (_, used) in found.items()},
            "cpu_over_import_torch": {name: round(used / torch, 3) for name, (_, used) in found.items()},
        },
    )


if __name__ == "__main__":
    main()
