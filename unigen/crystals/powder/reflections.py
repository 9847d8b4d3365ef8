"""The powder reflections of a crystal: where they are, how strong, and how they move when its cell breathes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from unigen.crystals.cell import quiet_spglib
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.radiation import lorentz_polarisation
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.shapes import Float, Integer

SYMPREC = 0.01
"""Angstrom; of the primitive cell, and of the symmetry that a cell keeps while it breathes."""

MOST_REFLECTIONS = 400_000
"""Beyond, a pattern is a continuum. The largest cell that we draw, 300 atoms of 20 A^3, has 35,000 up to 1/d = 1.4."""


@dataclass(frozen=True, eq=False)
class Reflections:
    """Families of lattice planes that are equivalent by symmetry, without those whose structure factor vanishes.

    Attributes:
        hkl: one of each family, in the primitive Niggli cell.
        vectors: its reciprocal vector in 1/Angstrom, whose length is 1/d.
        strength: multiplicity times the squared structure factor, electrons squared a primitive cell.
        strains: orthonormal symmetric tensors that the point group leaves as they are, the isotropic one first: what is
            free of the cell. One for a cubic crystal, two for a tetragonal one, six for a triclinic one.
    """

    hkl: Integer[np.ndarray, "families 3"]
    vectors: Float[np.ndarray, "families 3"]
    strength: Float[np.ndarray, "families"]
    strains: Float[np.ndarray, "free 3 3"]

    @property
    def inverse_d(self) -> Float[np.ndarray, "families"]:
        """1/d in 1/Angstrom."""
        return np.linalg.norm(self.vectors, axis=1)

    def intensities(self, wavelength: float) -> Float[np.ndarray, "families"]:
        """With the factor of Lorentz and polarisation; 0 for what this wavelength in Angstrom does not reach."""
        reached = self.inverse_d < 2 / wavelength
        values = np.zeros(len(self.hkl))
        values[reached] = self.strength[reached] * lorentz_polarisation(self.inverse_d[reached], wavelength)
        return values


def reflections(crystal: Crystal, largest: float) -> Reflections:
    r"""All reflections of a crystal with 1/d up to a value.

    :math:`F_{hkl} = \sum_j f_j(s) \exp(2 \pi i (h x_j + k y_j + l z_j))` with the scattering factors of neutral atoms
    (International Tables C, table 6.1.1.4, as gemmi has them), no thermal motion and no anomalous dispersion. The same
    for every cell, origin and order of atoms of one crystal.

    Args:
        crystal: any cell of it.
        largest: 1/d in 1/Angstrom.

    Raises:
        UserError: an element without scattering factors (beyond californium), more than `MOST_REFLECTIONS`.
    """
    cell = crystal.reduced(SYMPREC)
    expected = 4 / 3 * np.pi * largest**3 * cell.volume
    if expected > MOST_REFLECTIONS:
        raise UserError(
            "too large a cell for a powder pattern",
            got=f"about {expected:,.0f} reflections",
            wanted=f"at most {MOST_REFLECTIONS:,}",
        )
    reciprocal = np.linalg.inv(cell.lattice).T
    reach = np.floor(largest * np.linalg.norm(cell.lattice, axis=1)).astype(int)
    h, k, l = np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij")  # noqa: E741 - Miller's own letters
    hkl = np.stack([h.ravel(), k.ravel(), l.ravel()], axis=1)
    hkl = hkl[len(hkl) // 2 + 1 :]  # one of every pair by Friedel's law: the list is symmetric about (000)
    hkl = hkl[np.linalg.norm(hkl @ reciprocal, axis=1) <= largest]
    rotations = _point_group(cell)
    squared = np.abs(_structure_factors(cell, hkl, np.linalg.norm(hkl @ reciprocal, axis=1))) ** 2
    family, first = _families(hkl, rotations)
    strength = 2 * np.bincount(family, weights=squared, minlength=len(first))
    # systematic absences are zero but for rounding
    shown = strength > 1e-10 * strength.max(initial=0.0)
    first = first[shown]
    return Reflections(hkl[first], hkl[first] @ reciprocal, strength[shown], _free_strains(cell, rotations))


def _point_group(cell: Crystal) -> Integer[np.ndarray, "rotations 3 3"]:
    """The rotations of the crystal, acting on columns of fractional coordinates."""
    import spglib

    plain: Any = (cell.lattice, cell.frac_coords, cell.numbers)
    with quiet_spglib():
        symmetry = spglib.get_symmetry(plain, symprec=SYMPREC)
    return np.eye(3, dtype=np.int64)[None] if symmetry is None else np.unique(symmetry["rotations"], axis=0)


def _families(
    hkl: Integer[np.ndarray, "reflections 3"], rotations: Integer[np.ndarray, "rotations 3 3"]
) -> tuple[Integer[np.ndarray, "reflections"], Integer[np.ndarray, "families"]]:
    """The family of each reflection, and the first reflection of each family."""
    images = np.einsum("ni,rij->rnj", hkl, rotations)
    width = 2 * int(np.abs(images).max(initial=0)) + 1
    # one number a reflection, the same with the other sign for its Friedel pair
    keys = np.abs((images[..., 0] * width + images[..., 1]) * width + images[..., 2]).max(axis=0)
    _, first, family = np.unique(keys, return_index=True, return_inverse=True)
    return family, first


def _structure_factors(
    cell: Crystal, hkl: Integer[np.ndarray, "reflections 3"], inverse_d: Float[np.ndarray, "reflections"]
) -> np.ndarray:
    total = np.zeros(len(hkl), dtype=np.complex128)
    for number in cell.counts:
        atoms = cell.frac_coords[cell.numbers == number]
        phases = np.exp(2j * np.pi * (hkl @ atoms.T)).sum(axis=1)
        total += scattering_factors(number, inverse_d) * phases
    return total


def scattering_factors(number: int, inverse_d: Float[np.ndarray, "lines"]) -> Float[np.ndarray, "lines"]:
    r"""Of a neutral atom, in electrons: :math:`\sum_{i=1}^4 a_i \exp(-b_i \sin^2\theta/\lambda^2) + c`."""
    a, b, c = _coefficients(number)
    return np.exp(-0.25 * np.square(inverse_d)[:, None] * b) @ a + c


@cache
def _coefficients(number: int) -> tuple[np.ndarray, np.ndarray, float]:
    import gemmi

    table: Any = gemmi.Element(number).it92
    if table is None:
        raise UserError("no scattering factors", got=SYMBOLS[number], wanted="an element up to Cf")
    return np.array(table.a), np.array(table.b), float(table.c)


def _free_strains(cell: Crystal, rotations: Integer[np.ndarray, "rotations 3 3"]) -> Float[np.ndarray, "free 3 3"]:
    """An orthonormal basis of the symmetric tensors that no rotation changes: the isotropic one, then the others."""
    # rows of the lattice are vectors, so a rotation turns Cartesian columns by L^T W L^-T
    turns = np.einsum("ji,rjk,lk->ril", cell.lattice, rotations, np.linalg.inv(cell.lattice))
    symmetric = np.zeros((6, 3, 3))
    for index, (row, column) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        symmetric[index, row, column] = symmetric[index, column, row] = 1.0 if row == column else np.sqrt(0.5)
    averaged = np.einsum("rij,njk,rlk->nil", turns, symmetric, turns) / len(turns)
    averaged = (averaged + averaged.transpose(0, 2, 1)) / 2
    isotropic = np.eye(3) / np.sqrt(3)
    others = averaged - np.einsum("nij,ij->n", averaged, isotropic)[:, None, None] * isotropic
    _, sizes, rows = np.linalg.svd(others.reshape(6, 9))
    # a projection has singular values 0 and 1 alone, but for the symmetry being approximate
    return np.concatenate([isotropic[None], rows[: int((sizes > 0.5).sum())].reshape(-1, 3, 3)])
