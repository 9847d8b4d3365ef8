"""Where a number comes from: machine, code, and the run that made the samples."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from unigen.config import read_yaml

RUN = "run.yaml"


def provenance(samples: str) -> dict[str, object]:
    """Facts for a report.

    Args:
        samples: where the samples come from; the ``run.yaml`` of a run folder is quoted, without its requests.

    Returns:
        ``machine`` that scored, ``commit`` of the checkout (None in an installed wheel; "-dirty" when the package
        differs from it), and ``run``: model, checksum, seed, device and settings of the generation where known.
    """
    run = Path(samples) / RUN
    facts = read_yaml(run) if run.is_file() else {}
    return {
        "machine": f"{platform.machine()} {platform.system()}, Python {platform.python_version()}",
        "commit": _commit(),
        "run": {key: value for key, value in facts.items() if key != "requests"} or None,
    }


def _commit() -> str | None:
    package = Path(__file__).parents[1]
    if not (package.parent / ".git").exists():
        return None
    try:
        head = _git(package, "rev-parse", "HEAD")
        return head + ("-dirty" if _git(package, "status", "--porcelain", "--", ".") else "")
    except OSError:  # no git on this machine
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603, S607 - fixed words
    return done.stdout.strip()
