"""Two symmetric crystals in one setting, orbit by orbit, so that their numbers can be subtracted."""

from __future__ import annotations

import numpy as np

from unigen.crystals.symmetric import SymmetricCrystal
from unigen.symmetry.nearest_setting import nearest_description
from unigen.symmetry.setting import Description


def align(target: SymmetricCrystal, reference: SymmetricCrystal) -> SymmetricCrystal | None:
    """The target described in the reference's setting, or None where their templates differ.

    They have the same template when they are of one space group and, in some setting of it, have the same elements at
    the same letters. The orbits of the result are in the reference's order, ``numbers`` and ``letters`` are the
    reference's; origin, axes and representatives are those for which free parameters and cell are nearest to it.

    Args:
        target: the crystal to describe anew; its handedness is kept.
        reference: the crystal that gives the setting, with the elements of the target in their places.
    """
    if target.space_group != reference.space_group or len(target.numbers) != len(reference.numbers):
        return None
    if not np.array_equal(np.sort(target.numbers), np.sort(reference.numbers)):
        return None
    here, there = _description(target), _description(reference)
    found = nearest_description(target.space_group, here, there, target.numbers, reference.numbers)
    if found is None:
        return None
    return SymmetricCrystal(
        target.space_group, found.lattice, reference.numbers, reference.letters, found.free, target.symprec
    )


def _description(crystal: SymmetricCrystal) -> Description:
    return Description(crystal.lattice, crystal.letters, crystal.free, np.arange(len(crystal.letters)))
