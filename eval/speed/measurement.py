"""What a measured number depends on, and where it is written."""

from __future__ import annotations

import json
import os
import platform
import subprocess
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
