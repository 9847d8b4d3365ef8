"""Writes unigen/symmetry/symbols.json: the number of the space group that a symbol of any of its settings names.

Run from the repository: ``python data/wyckoff/make_symbols.py``. Symbols are those of all settings that gemmi and
spglib tabulate: Hermann-Mauguin, short and full, without blanks, underscores and what follows a colon; Hall, with one
blank between its parts; both in small letters. Where two groups share one the number is 0, unless it is the standard
symbol of one of them. A test holds the file against this script.
"""

# ruff: noqa: INP001 - a script beside the facts it makes, not a module

from __future__ import annotations

import json
import re
from pathlib import Path

import gemmi
import spglib

OUTPUT = Path(__file__).resolve().parents[2] / "unigen" / "symmetry" / "symbols.json"

OLD = {"Abm2": 39, "Aba2": 41, "Cmca": 64, "Cmma": 67, "Ccca": 68}
"""Before the letter e for double glide planes (1992)."""

Pairs = list[tuple[str, int]]


def symbols() -> dict[str, dict[str, int]]:
    """Numbers by symbol, of both kinds."""
    groups = [*gemmi.spacegroup_table()]
    kinds = [spglib.get_spacegroup_type(hall_number) for hall_number in range(1, 531)]
    standard = {_joined(group.short_name()): group.number for group in groups if group.is_reference_setting()}
    written = [(text, group.number) for group in groups for text in (group.hm, group.short_name())]
    written += [(text, kind.number) for kind in kinds for text in kind.international.split("=")]
    written += [(text, kind.number) for kind in kinds for text in (kind.international_short, kind.international_full)]
    written += [*OLD.items()]
    written += [(short, number) for text, number in written if (short := _shorter(text, number))]
    names = _by_symbol([(_joined(text), number) for text, number in written]) | standard
    halls = _by_symbol(
        [(_parted(group.hall), group.number) for group in groups]
        + [(_parted(kind.hall_symbol), kind.number) for kind in kinds]
    )
    for hall, number in list(halls.items()):
        named = names.get(hall.replace(" ", ""), number)
        if named != number and hall.replace(" ", "", 1) in standard:
            del halls[hall]  # "C 2" is group 5, whatever Hall calls so
        elif named != number:
            halls[hall] = 0  # "P 4 2" may be meant for P42, or be the Hall symbol of P422
    return {"Hermann-Mauguin": names, "Hall": halls}


def _shorter(text: str, number: int) -> str:
    """A monoclinic symbol without its axes of symmetry 1, a short cubic one without its bar; empty for others."""
    parts = text.split()
    if 3 <= number <= 15 and len(parts) == 4:
        return "".join([parts[0], *(part for part in parts[1:] if part != "1")])
    if number >= 195 and "-3" in text and "/" not in text:  # Fm3m, and never F4/m32/m
        return text.replace("-3", "3", 1)
    return ""


def _joined(symbol: str) -> str:
    return re.sub(r":.*", "", "".join(symbol.replace("_", "").split()).casefold())


def _parted(symbol: str) -> str:
    return " ".join(symbol.casefold().split())


def _by_symbol(pairs: Pairs) -> dict[str, int]:
    numbers: dict[str, set[int]] = {}
    for symbol, number in pairs:
        numbers.setdefault(symbol, set()).add(number)
    return {symbol: found.pop() if len(found) == 1 else 0 for symbol, found in sorted(numbers.items())}


def main() -> None:
    """Write the file: one line a kind."""
    lines = [f"{json.dumps(kind)}: {json.dumps(numbers)}" for kind, numbers in symbols().items()]
    OUTPUT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
