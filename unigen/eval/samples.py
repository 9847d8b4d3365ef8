"""What samples of crystals and of molecules have in common: what is said of each, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from math import isfinite

from unigen.errors import UserError

_NUMBERED = re.compile(r"(?:__|_)(\d+)$")


@dataclass(frozen=True, eq=False)
class Entry:
    """A sample or a reference, as read; what could not be read is an entry too, without a structure.

    Attributes:
        id: its name; of a sample, the name of the reference it was made for, where one is known.
        index: which sample of its reference it is, where it says so.
        reason: why there is no structure.
        where: file and entry, for messages.
        seed: the seed it was made with, where it says so.
    """

    id: str
    _: KW_ONLY
    index: int | None = None
    reason: str = ""
    where: str = ""
    seed: int | None = None


def dropped(entry: Entry, reason: str) -> dict[str, str]:
    """A line of the report's list of what was not scored."""
    return {"id": entry.id, "where": entry.where, "reason": reason}


def require_readable(structures: Sequence[object | None], entries: Sequence[Entry], noun: str, where: str) -> None:
    """Say so where there is nothing to score.

    Args:
        structures: of the entries, None where there is none.
        entries: the first one's reason is quoted.
        noun: "structure" or "molecule".
        where: they come from.

    Raises:
        UserError: not one structure.
    """
    if all(structure is None for structure in structures):
        first = f"{len(entries)} unreadable entries, the first: {entries[0].reason}" if entries else "no entries"
        raise UserError(f"no readable {noun}", where=where, got=first)


def split_name(name: str) -> tuple[str, int] | None:
    """Name of the reference and index of a numbered sample: ``"mp-5__3"`` and ``"mp-5_3"`` give ``("mp-5", 3)``."""
    ending = _NUMBERED.search(name)
    return (name[: ending.start()], int(ending.group(1))) if ending else None


def read_integer(value: object) -> int | None:
    """A count or seed that a file states, as a number or as text; None for anything else."""
    try:
        return int(str(value))
    except ValueError:
        return None


def read_number(value: object) -> float | None:
    """A finite number that a file states; None for anything else."""
    return float(value) if isinstance(value, int | float) and isfinite(value) else None
