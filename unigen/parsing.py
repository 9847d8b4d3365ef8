"""What strangers' parsers need and raise: text from anywhere, their errors by type and in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unigen.errors import UserError

PARSER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What the parsers of pymatgen and ASE raise on broken files: nearly anything that is no bug of ours."""


def numeric(values: dict) -> dict[str, float]:
    """The entries that are finite numbers, as floats: what can be a property."""
    scalars = (int, float, np.integer, np.floating)
    return {
        str(name): float(value) for name, value in values.items() if isinstance(value, scalars) and np.isfinite(value)
    }


def read_text(path_or_text: str | Path) -> tuple[str, str]:
    """The text and the name for messages: of a path, or of text itself (which has more than one line)."""
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return path_or_text, "the text"
    try:
        return Path(path_or_text).read_text(encoding="utf-8", errors="replace"), str(path_or_text)
    except OSError as error:
        raise UserError("cannot be read", where=str(path_or_text), got=error.strerror) from error


def one_line(message: object) -> str:
    """What a library says, on one line of a length that can be read."""
    return " ".join(str(message).split())[:160] or type(message).__name__
