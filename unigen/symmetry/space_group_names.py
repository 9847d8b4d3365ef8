"""What users call a space group, a number or a Hermann-Mauguin symbol, and the number that it has."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache

from unigen.errors import UserError
from unigen.symmetry.space_groups import space_group

_OLD_SYMBOLS = {"Abm2": 39, "Aba2": 41, "Cmca": 64, "Cmma": 67, "Ccca": 68}
"""Before the letter e for double glide planes (1992)."""


def space_group_number(name: str) -> int:
    """The number of a space group named by number or symbol of its standard setting; ``_`` and blanks may be left out.

    Raises:
        UserError: neither a number from 1 to 230 nor such a symbol.

    Example:
        >>> space_group_number("225"), space_group_number("Fm-3m"), space_group_number("P21/c")
        (225, 225, 14)
    """
    plain = _plain(name)
    if plain.isascii() and plain.isdigit():
        return space_group(int(plain)).number
    if plain not in _numbers():
        close = [space_group(_numbers()[symbol]).symbol for symbol in get_close_matches(plain, _numbers(), 3)]
        raise UserError(
            f"unknown space group {name!r}",
            wanted="a number from 1 to 230 or the symbol of a standard setting, such as Pm-3m",
            next_step=f"did you mean {', '.join(dict.fromkeys(close))}?" if close else "",
        )
    return _numbers()[plain]


def _plain(name: str) -> str:
    return name.replace("_", "").replace(" ", "")


@cache
def _numbers() -> dict[str, int]:
    return {_plain(space_group(number).symbol): number for number in range(1, 231)} | _OLD_SYMBOLS
