"""Symmetric crystals in settings that are as good as any other, and made-up ones of every space group."""

from __future__ import annotations

import numpy as np

from unigen.crystals.symmetric import SymmetricCrystal
from unigen.symmetry.crystal_systems import complete_lattice
from unigen.symmetry.setting import moved_cosets, parameter_shift
from unigen.symmetry.space_groups import space_group


def scrambled(crystal: SymmetricCrystal, random: np.random.Generator) -> SymmetricCrystal:
    """The same crystal: another setting, polar origin, representative of each orbit, order of orbits."""
    group = space_group(crystal.space_group)
    small = np.flatnonzero(np.abs(group.normaliser[:, :, :3]).max(axis=(1, 2)) <= 1)
    moved = moved_cosets(group, crystal.lattice, crystal.letters, crystal.free, random.choice(small, 1))
    shift = (random.random(3) @ group.polar.T) @ group.polar
    free = [
        variants[0, random.integers(variants.shape[1])] + parameter_shift(group, int(letter), shift[None])[0]
        for letter, variants in zip(moved.letters[0], moved.free, strict=True)
    ]
    order = random.permutation(len(crystal.numbers))
    return SymmetricCrystal(
        crystal.space_group,
        moved.lattices[0],
        crystal.numbers[order],
        moved.letters[0][order],
        np.array(free)[order] % 1,
        crystal.symprec,
    )


def made_up(number: int, seed: int, orbits: int = 4) -> SymmetricCrystal:
    """Random orbits in a random cell of a space group; fixed positions at most once."""
    group, random = space_group(number), np.random.default_rng([number, seed])
    letters = random.integers(len(group.dof), size=orbits)
    fixed = group.dof[letters] == 0
    letters = letters[~fixed | np.isin(np.arange(orbits), np.unique(letters, return_index=True)[1])]
    six = np.concatenate([random.uniform(4, 9, 3), random.uniform(1.6, 1.9, 3)])
    return SymmetricCrystal(
        number,
        complete_lattice(group.crystal_system, six),
        random.choice([8, 14, 22], len(letters)),
        letters,
        random.random((len(letters), 3)) * (np.arange(3) < group.dof[letters][:, None]),
    )


def assert_same_description(got: SymmetricCrystal, wanted: SymmetricCrystal, tolerance: float = 1e-5) -> None:
    """Equal, but for numbers that differ by less than the tolerance (free parameters on the torus)."""
    assert (got.space_group, got.numbers.tolist()) == (wanted.space_group, wanted.numbers.tolist())
    assert got.letters.tolist() == wanted.letters.tolist()
    between = got.free - wanted.free
    assert np.abs(between - np.round(between)).max() < tolerance
    np.testing.assert_allclose(got.lattice, wanted.lattice, rtol=tolerance)
