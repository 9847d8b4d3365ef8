"""What a molecule must be to be used: the refusals that several ways of reading share, one line each."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from unigen.elements import SMALLEST_DISTANCE, SYMBOLS
from unigen.errors import UserError
from unigen.shapes import Integer


def check_elements(
    numbers: Iterable[int], elements: Collection[int] | None, where: str = "", next_step: str = ""
) -> None:
    """Raises UserError, naming the elements, when some atomic number is not among ``elements`` (None: all may be)."""
    foreign = [] if elements is None else sorted(set(numbers) - set(elements))
    if foreign:
        allowed = " ".join(SYMBOLS[number] for number in sorted(elements or ()))
        got = " ".join(SYMBOLS[number] for number in foreign)
        raise UserError(
            "elements that may not occur", where=where, got=got, wanted=f"some of {allowed}", next_step=next_step
        )


def check_size(n_atoms: int, max_atoms: int | None, where: str = "") -> None:
    """Raises UserError when there are more atoms than ``max_atoms`` (None: as many as there are)."""
    if max_atoms is not None and n_atoms > max_atoms:
        raise UserError("too many atoms", where=where, got=n_atoms, wanted=f"at most {max_atoms}")


def check_fragments(count: int, where: str = "") -> None:
    """Raises UserError when a molecule is in more than one piece."""
    if count > 1:
        raise UserError(
            "several fragments",
            where=where,
            got=count,
            wanted="one molecule",
            next_step="--largest-fragment (largest_fragment=True) takes the largest",
        )


def check_distance(
    numbers: Integer[np.ndarray, "atoms"], pair: tuple[int, int], distance: float, where: str = ""
) -> None:
    """Raises UserError, naming the two atoms, when they are closer than 0.1 Angstrom."""
    if distance < SMALLEST_DISTANCE:
        first, second = (f"{index} ({SYMBOLS[numbers[index]]})" for index in pair)
        raise UserError(
            "atoms too close",
            where=where,
            got=f"atoms {first} and {second} {distance:.3g} A apart",
            wanted=f"at least {SMALLEST_DISTANCE} A",
        )
