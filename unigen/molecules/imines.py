"""The two sides on which the hydrogen of C=N-H can stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from unigen.molecules.molecule import Molecule

MOST_TURNED = 3
"""Hydrogens turned in one molecule; more of them together are in no molecule that the models write."""


def imines_turned(molecule: Molecule) -> Iterator[Molecule]:
    """The molecule with some of the hydrogens of its C=N-H on the other side, fewest turned first.

    Such a hydrogen is turned half round the double bond; nothing else moves.
    """
    imines = _imines(molecule)
    for count in range(1, min(len(imines), MOST_TURNED) + 1):
        for chosen in combinations(imines, count):
            positions = molecule.positions.copy()
            for hydrogen, nitrogen, other in chosen:
                axis = positions[other] - positions[nitrogen]
                axis /= np.linalg.norm(axis)
                arm = positions[hydrogen] - positions[nitrogen]
                positions[hydrogen] = positions[nitrogen] + 2 * (arm @ axis) * axis - arm
            yield replace(molecule, positions=positions)


def _imines(molecule: Molecule) -> list[tuple[int, int, int]]:
    """Hydrogen, nitrogen and its double-bonded neighbour of every C=N-H."""
    found = []
    for nitrogen in np.flatnonzero(molecule.numbers == 7).tolist():
        bonds = molecule.bonds[(molecule.bonds[:, :2] == nitrogen).any(axis=1)]
        others = {int(one if two == nitrogen else two): int(order) for one, two, order in bonds}
        hydrogen = next((atom for atom, order in others.items() if order == 1 and molecule.numbers[atom] == 1), None)
        double = next((atom for atom, order in others.items() if order == 2), None)
        if len(others) == 2 and hydrogen is not None and double is not None:
            found.append((hydrogen, nitrogen, double))
    return found
