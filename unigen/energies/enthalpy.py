"""Which of several phases is stable at which pressure: enthalpies H = E + PV, and where they cross.

For a relaxed crystal dH/dP = V: of every relaxation under pressure both the value and the slope of H are known, so
that between two pressures H is the cubic that has both at either end (Hermite's). Two phases change places where their
cubics cross, which is far more exact than a line between the same relaxations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from unigen.errors import UserError
from unigen.shapes import Float

GPA_PER_EV_A3 = 160.2176634
"""GPa of 1 eV/Angstrom^3; exact, as the elementary charge is since 2019."""

_EQUAL = 1e-9
"""eV/atom: two enthalpies that meet; roots of cubics are exact to about 1e-12 of them."""


@dataclass(frozen=True, eq=False)
class Phase:
    """A structure relaxed at several pressures.

    Attributes:
        name: of it.
        pressures: GPa, ascending.
        energies: eV/atom at each pressure, without PV; NaN where there is none (a relaxation that failed).
        volumes: cubic Angstrom an atom, likewise.

    Raises:
        UserError: pressures that do not ascend.
    """

    name: str
    pressures: Float[np.ndarray, "pressures"]
    energies: Float[np.ndarray, "pressures"]
    volumes: Float[np.ndarray, "pressures"]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.pressures).all() and (np.diff(self.pressures) > 0).all()):
            raise UserError("pressures must ascend", got=[float(each) for each in self.pressures], wanted="0,20,50")

    @property
    def enthalpies(self) -> Float[np.ndarray, "pressures"]:
        """eV/atom at each pressure."""
        return self.energies + self.pressures * self.volumes / GPA_PER_EV_A3


@dataclass(frozen=True)
class Transition:
    """Where the stable phase changes.

    Attributes:
        pressure: GPa.
        below: name of the phase that is stable at lower pressure.
        above: at higher pressure.
        volume_change: of going from the former to the latter there, relative to the former; not positive.
    """

    pressure: float
    below: str
    above: str
    volume_change: float


def stable_phases(phases: Sequence[Phase]) -> list[str | None]:
    """The name of the phase of lowest enthalpy at each pressure, the first of equal ones; None where none is known.

    Args:
        phases: relaxed at the same pressures.

    Raises:
        UserError: other pressures.

    Example:
        >>> at = np.array([0.0, 20.0])
        >>> loose = Phase("loose", at, np.array([0.0, 0.1]), np.array([20.0, 18.0]))
        >>> dense = Phase("dense", at, np.array([0.2, 0.3]), np.array([18.0, 16.0]))
        >>> stable_phases([loose, dense])
        ['loose', 'dense']
    """
    if not phases:
        return []
    _check_pressures(phases)
    enthalpies = np.array([phase.enthalpies for phase in phases])
    known = np.isfinite(enthalpies)
    lowest = np.where(known, enthalpies, np.inf).argmin(axis=0)
    return [phases[row].name if known[row, column] else None for column, row in enumerate(lowest)]


def transitions(phases: Sequence[Phase]) -> list[Transition]:
    """Where the phase of lowest enthalpy changes, by ascending pressure.

    Nothing is said beyond the pressures of a phase, nor between two of which it is not known at both: where a phase
    comes or goes because a relaxation failed, no transition is told.

    Args:
        phases: relaxed at the same pressures.

    Raises:
        UserError: other pressures.

    Example:
        >>> at = np.array([0.0, 20.0])
        >>> loose = Phase("loose", at, np.array([0.0, 0.1]), np.array([20.0, 18.0]))
        >>> dense = Phase("dense", at, np.array([0.2, 0.3]), np.array([18.0, 16.0]))
        >>> [(round(each.pressure, 1), each.below, each.above) for each in transitions([loose, dense])]
        [(16.0, 'loose', 'dense')]
    """
    _check_pressures(phases)
    found: list[Transition] = []
    before: int | None = None
    for left in range(len(phases[0].pressures) - 1 if phases else 0):
        cubics = _cubics(phases, left)
        known = np.flatnonzero(np.isfinite(cubics).all(axis=1))
        start, end = phases[0].pressures[left : left + 2]
        cuts = [0.0, *_crossings(cubics[known]), 1.0]
        for low, high in pairwise(cuts):
            if not len(known):
                before = None
                continue
            # between two crossings the order is everywhere the same: that of their middle
            stable = int(known[np.argmin(_at(cubics[known], (low + high) / 2))])
            if before is not None and stable != before:
                pair = cubics[[before, stable]]
                # where the one is not known any more, or the other only from here on, they do not meet
                if abs(np.subtract(*_at(pair, low))) < _EQUAL:
                    volumes = _slope(pair, low)
                    change = float(volumes[1] / volumes[0] - 1)
                    pressure = float(start + low * (end - start))
                    found.append(Transition(pressure, phases[before].name, phases[stable].name, change))
            before = stable
    return found


def _check_pressures(phases: Sequence[Phase]) -> None:
    for phase in phases:
        if not np.array_equal(phase.pressures, phases[0].pressures):
            raise UserError("phases at other pressures", got=phase.name, wanted=f"those of {phases[0].name}")


def _cubics(phases: Sequence[Phase], left: int) -> Float[np.ndarray, "phases 4"]:
    """Coefficients of H(t), highest power first, t from 0 to 1 between a pressure and the next: Hermite's cubic."""
    pair = slice(left, left + 2)
    width = float(np.diff(phases[0].pressures[pair])[0])
    ends = np.array([phase.enthalpies[pair] for phase in phases])
    slopes = np.array([phase.volumes[pair] for phase in phases]) * width / GPA_PER_EV_A3
    (h0, h1), (v0, v1) = ends.T, slopes.T
    return np.stack([2 * h0 - 2 * h1 + v0 + v1, 3 * h1 - 3 * h0 - 2 * v0 - v1, v0, h0], axis=1)


def _at(cubics: Float[np.ndarray, "phases 4"], t: float) -> Float[np.ndarray, "phases"]:
    return cubics @ np.array([t**3, t**2, t, 1.0])


def _slope(cubics: Float[np.ndarray, "phases 4"], t: float) -> Float[np.ndarray, "phases"]:
    return cubics @ np.array([3 * t**2, 2 * t, 1.0, 0.0])


def _crossings(cubics: Float[np.ndarray, "phases 4"]) -> list[float]:
    """Where any two of the cubics are equal, within (0, 1), ascending."""
    crossings: set[float] = set()
    for first in range(len(cubics)):
        for second in range(first + 1, len(cubics)):
            roots = np.roots(cubics[first] - cubics[second])
            # a double root (two that touch) comes out as a pair beside the real axis, and changes nothing
            crossings |= {float(root.real) for root in roots if abs(root.imag) < 1e-12 and 0 < root.real < 1}
    return sorted(crossings)
