"""The seven crystal systems and what each leaves free of the six numbers of a conventional cell (numpy, batched).

Angles in radians. Trigonal groups are on hexagonal axes, monoclinic ones have b as their unique axis.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unigen.elements import SYSTEM_SPACE_GROUPS
from unigen.errors import UserError
from unigen.shapes import Bool, Float


class _LatticeRule(NamedTuple):
    """For each of the six numbers which one it copies (or -1), and the values that angles have when they are fixed."""

    copies: tuple[int, int, int, int, int, int]
    fixed: tuple[float, float, float]


_RIGHT, _HEXAGONAL = np.pi / 2, 2 * np.pi / 3
_LATTICE_RULES = {
    "triclinic": _LatticeRule((0, 1, 2, 3, 4, 5), (0.0, 0.0, 0.0)),
    "monoclinic": _LatticeRule((0, 1, 2, -1, 4, -1), (_RIGHT, 0.0, _RIGHT)),
    "orthorhombic": _LatticeRule((0, 1, 2, -1, -1, -1), (_RIGHT, _RIGHT, _RIGHT)),
    "tetragonal": _LatticeRule((0, 0, 2, -1, -1, -1), (_RIGHT, _RIGHT, _RIGHT)),
    "trigonal": _LatticeRule((0, 0, 2, -1, -1, -1), (_RIGHT, _RIGHT, _HEXAGONAL)),
    "hexagonal": _LatticeRule((0, 0, 2, -1, -1, -1), (_RIGHT, _RIGHT, _HEXAGONAL)),
    "cubic": _LatticeRule((0, 0, 0, -1, -1, -1), (_RIGHT, _RIGHT, _RIGHT)),
}

CRYSTAL_SYSTEMS: tuple[str, ...] = tuple(SYSTEM_SPACE_GROUPS)
"""From the least to the most symmetric lattice, trigonal before hexagonal."""


def crystal_system(number: int) -> str:
    """The crystal system of a space group by its international number.

    Raises:
        UserError: the number is not 1 to 230.

    Example:
        >>> crystal_system(225)
        'cubic'
    """
    if not 1 <= number <= 230:
        raise UserError("there is no such space group", got=number, wanted="1 to 230")
    return next(system for system, numbers in SYSTEM_SPACE_GROUPS.items() if number in numbers)


def free_lattice(system: str) -> Bool[np.ndarray, "6"]:
    """Which of (a, b, c, alpha, beta, gamma) a crystal system leaves free; the same for the logarithms of lengths.

    Example:
        >>> free_lattice("tetragonal").tolist()
        [True, False, True, False, False, False]
    """
    return np.array(_LATTICE_RULES[system].copies) == np.arange(6)


def complete_lattice(system: str, six: Float[np.ndarray, "*batch 6"]) -> Float[np.ndarray, "*batch 6"]:
    """The six numbers with all that are not free filled in from those that are.

    Args:
        system: a name of CRYSTAL_SYSTEMS.
        six: lengths (or their logarithms, or anything else by axis) and angles in radians; only free ones are read.
    """
    rule = _LATTICE_RULES[system]
    full = six[..., np.maximum(rule.copies, 0)]
    return np.where(np.array(rule.copies) >= 0, full, np.array([0.0, 0.0, 0.0, *rule.fixed]))
