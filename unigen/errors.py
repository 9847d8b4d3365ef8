"""The one exception for what a user can cause; the command line prints it as one line and exits with 2."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST_GOT, _LONGEST_WHAT, _LONGEST_WHERE = 200, 600, 400
"""Characters: what a person reads of a value that may be a whole file, of a sentence that may quote one, and of a path
or the title of an entry."""


class UserError(ValueError):
    """Bad input, named completely: what is wrong, where, what was got, what was wanted, what to do next.

    Only the parts that are given are printed, in that order, on one line that any terminal can show.
    """

    def __init__(
        self, what: str, *, where: str = "", got: object = None, wanted: object = None, next_step: str = ""
    ) -> None:
        what = _shortened(what, _LONGEST_WHAT)
        if len(where) > _LONGEST_WHERE:
            where = f"{where[: _LONGEST_WHERE // 2]}...{where[-_LONGEST_WHERE // 2 :]}"  # both ends tell something
        parts = [f"{where}: {what}" if where else what]
        if got is not None:
            parts.append(f"got {_shortened(_text(got), _LONGEST_GOT)}")
        if wanted is not None:
            parts.append(f"wanted {wanted}")
        if next_step:
            parts.append(next_step)
        self.reason = what
        # bytes that move a terminal's cursor, halves of letters that nothing can encode
        shown = (letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in "; ".join(parts))
        super().__init__("".join(shown))


def did_you_mean(given: str, names: Iterable[str]) -> str:
    """The next step after a name that is none of these: the one most like it, or nothing.

    Example:
        >>> did_you_mean("Temperature_", ["steps", "temperature"])
        'did you mean temperature?'
    """
    by_small = {name.lower(): name for name in names}
    near = get_close_matches(given.lower(), by_small, n=1)
    return f"did you mean {by_small[near[0]]}?" if near else ""


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _text(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # an integer of more digits than Python writes
        return "a number of thousands of digits"
