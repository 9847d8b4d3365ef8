"""The symmetry of a crystal, made exact and kept while it is relaxed: ASE's constraint, with what that does not check.

ASE's `FixSymmetry` moves the atoms onto the symmetry that spglib finds within a tolerance, and then symmetrises every
step. Cell and positions are made exact by two searches, which near the tolerance find two groups: its steps then keep
operations that the structure itself misses by as much as the tolerance. So it is called again until they hold, and
they are looked at once more where the relaxation ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unigen.crystals.cell import quiet_spglib
from unigen.shapes import Float, Int

if TYPE_CHECKING:
    from ase import Atoms
    from ase.constraints import FixSymmetry

EXACT = 1e-6
"""Angstrom by which an operation may miss: ten thousand times less than the tolerance of the search, and far above
what rounding leaves after some hundred steps (below 1e-10 in our tests)."""

_TRIES = 5
"""Of making the symmetry exact. Of 1,000 fcc, hcp and rock-salt crystals shaken by up to the tolerance
881 needed one, one needed four."""


class SymmetryError(ValueError):
    """The symmetry found cannot be made exact, or was lost."""


@dataclass(frozen=True, eq=False)
class KeptSymmetry:
    """Operations of a crystal, in its own cell.

    Attributes:
        space_group: international number.
        rotations: on columns of fractional coordinates.
        images: the atom that each atom is moved onto, by operation.
        symprec: tolerance in Angstrom at which they were found.
    """

    space_group: int
    rotations: Int[np.ndarray, "operations 3 3"]
    images: Int[np.ndarray, "operations atoms"]
    symprec: float

    @classmethod
    def constrain(cls, atoms: Atoms, symprec: float) -> KeptSymmetry:
        """Make the symmetry of atoms exact, and constrain them to it; they are moved, by some ``symprec`` at most.

        Args:
            atoms: changed in place; cell, order and orientation stay.
            symprec: tolerance in Angstrom.

        Raises:
            SymmetryError: spglib finds none, or another one at every try.
        """
        from ase.constraints import FixSymmetry

        for _ in range(_TRIES):
            with quiet_spglib():
                if space_group_number(atoms, symprec) is None:
                    break
                constraint = FixSymmetry(atoms, symprec)
                found = cls._of(constraint, space_group_number(atoms, symprec), symprec)
            if found is not None and found.largest_miss(atoms) < EXACT:
                # arrays: the atoms are copied with their constraints at every step of a batch
                constraint.symm_map = list(found.images)
                atoms.set_constraint(constraint)
                return found
        raise SymmetryError(f"the symmetry within {symprec:g} A cannot be made exact")

    @classmethod
    def _of(cls, constraint: FixSymmetry, number: int | None, symprec: float) -> KeptSymmetry | None:
        """None where an operation moves two atoms onto one: ASE takes the nearest, whatever it is."""
        images = np.array(constraint.symm_map)
        if number is None or (np.sort(images, axis=1) != np.arange(images.shape[1])).any():
            return None
        return cls(number, np.asarray(constraint.rotations), images, symprec)

    def largest_miss(self, atoms: Atoms) -> float:
        """Angstrom by which the worst operation misses an atom or, relative to it, the longest edge of the cell.

        What a common shift mends is no miss: of the translations of operations the atoms are the only measure.
        """
        lattice = atoms.cell.array
        if (atoms.numbers[self.images] != atoms.numbers).any():
            return np.inf
        points: Float[np.ndarray, "atoms 3"] = atoms.cell.scaled_positions(atoms.positions)
        miss = points[self.images] - np.einsum("oij,aj->oai", self.rotations, points)
        miss -= miss[:, :1]
        miss -= np.round(miss)
        miss -= miss.mean(axis=1, keepdims=True)
        metric = lattice @ lattice.T
        turned = np.einsum("oji,jk,okl->oil", self.rotations, metric, self.rotations)
        longest = float(np.sqrt(np.diag(metric).max()))
        return max(float(np.linalg.norm(miss @ lattice, axis=-1).max()), float(np.abs(turned - metric).max()) / longest)

    def outcome(self, atoms: Atoms, tolerance: float = EXACT) -> str:
        """What has become of the symmetry where a relaxation ends; empty where it is the same group.

        Args:
            atoms: relaxed.
            tolerance: Angstrom; more where something was held as it was given.

        Raises:
            SymmetryError: an operation no longer holds.
        """
        miss = self.largest_miss(atoms)
        if not miss < tolerance:
            raise SymmetryError(f"space group {self.space_group} not kept: {miss:.1e} A")
        with quiet_spglib():
            number = space_group_number(atoms, self.symprec)
        return "" if number == self.space_group else f"space group {self.space_group} has become {number}"


def space_group_number(atoms: Atoms, symprec: float) -> int | None:
    """International number by spglib; None where it finds none."""
    import spglib

    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with quiet_spglib():
        dataset = spglib.get_symmetry_dataset(cell, symprec=symprec)
    return None if dataset is None else int(dataset.number)
