"""A checksum that changes when a source changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from unigen.cards import sha256_of


def checksum(path: Path) -> str:
    """SHA-256 of a file; of a folder, of the sorted list of its files' names and sizes (not of their contents)."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path)} {file.stat().st_size}\n".encode())
    return f"listing-{digest.hexdigest()}"
