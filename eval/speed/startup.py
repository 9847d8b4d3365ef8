"""Wall seconds until the command line answers, against an empty Python and against ``import torch``.

python eval/speed/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from measurement import circumstances, write

RUNS = 7
COMMANDS = {
    "python -c pass": "pass",
    "import torch": "import torch",
    "unigen --help": "import sys; sys.argv = ['unigen', '--help']; from unigen.cli import main; main()",
    "import unigen": "import unigen",
    "import unigen; unigen.generate": "import unigen; unigen.generate",
}


def seconds(code: str) -> float:
    """Median wall time of a fresh interpreter; the first run, which may read from disk, is left out."""
    times = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def main() -> None:
    """Measure, print, write."""
    facts = circumstances(threads=None)
    found = {name: seconds(code) for name, code in COMMANDS.items()}
    empty, torch = found["python -c pass"], found["import torch"]
    for name, value in found.items():
        print(f"{name:32s} {value:6.3f} s  {value / empty:5.1f} x python -c pass  {value / torch:5.2f} x import torch")
    write(
        "startup",
        facts
        | {"runs": RUNS, "seconds": {name: round(value, 4) for name, value in found.items()}}
        | {"help_over_import_torch": round(found["unigen --help"] / torch, 4)},
    )


if __name__ == "__main__":
    main()
