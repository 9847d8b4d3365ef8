"""Commands in processes of their own, ended only where they hang."""

from __future__ import annotations

import subprocess
from pathlib import Path

HANGS = 3600
"""Seconds after which a process hangs. No test depends on the clock; a cold compile on a busy machine takes long."""


def finished(
    command: list[str], *, environment: dict[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command's end: exit code and what it said, which is also what is told of a process that hangs."""
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=HANGS, check=False
        )
    except subprocess.TimeoutExpired as error:
        last = (error.stderr or error.stdout or b"").decode(errors="replace")[-500:]
        raise AssertionError(f"{' '.join(command)[:200]}: hangs; its last words: {last or 'none'}") from error
