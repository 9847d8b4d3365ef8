"""The one exception for what a user can cause; the command line prints it as one line and exits with 2."""

from __future__ import annotations


class UserError(ValueError):
    """Bad input, named completely: what is wrong, where, what was got, what was wanted, what to do next.

    Only the parts that are given are printed, in that order, on one line.
    """

    def __init__(
        self, what: str, *, where: str = "", got: object = None, wanted: object = None, next_step: str = ""
    ) -> None:
        parts = [f"{where}: {what}" if where else what]
        if got is not None:
            parts.append(f"got {got}")
        if wanted is not None:
            parts.append(f"wanted {wanted}")
        if next_step:
            parts.append(next_step)
        self.reason = what
        super().__init__("; ".join(parts).replace("\n", " "))
