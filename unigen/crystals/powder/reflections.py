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
from unigen.shapes import Complex, Float, Integer

SYMPREC = 0.01
"""Angstrom; of the primitive cell, and of the symmetry that a cell keeps while it breathes."""

MOST_REFLECTIONS = 400_000
"""Beyond, a pattern is a continuum. The largest cell that we draw, 300 atoms of 20 A^3, has 35,000 up to 1/d = 1.4."""


@dataclass(frozen=True, eq=False)
class Reflections:
    """Families of lattice planes that are equivalent by symmetry.

    Attributes:
        cell: the primitive Niggli cell that the indices refer to, in the Cartesian frame of the crystal that was given.
        hkl: one of each family.
        multiplicity: how many planes the family has, both signs counted.
        strength: multiplicity times the squared structure factor, electrons squared a primitive cell.
        strains: orthonormal symmetric tensors that the point group leaves as they are, the isotropic one first: what is
            free of the cell. One for a cubic crystal, two for a tetragonal one, six for a triclinic one.
    """

    cell: Crystal
    hkl: Integer[np.ndarray, "families 3"]
    multiplicity: Integer[np.ndarray, "families"]
    strength: Float[np.ndarray, "families"]
    strains: Float[np.ndarray, "free 3 3"]

    @property
    def vectors(self) -> Float[np.ndarray, "families 3"]:
        """Reciprocal vectors in 1/Angstrom, whose lengths are 1/d."""
        return self.hkl @ np.linalg.inv(self.cell.lattice).T

    @property
    def inverse_d(self) -> Float[np.ndarray, "families"]:
        """1/d in 1/Angstrom."""
        return np.linalg.norm(self.vectors, axis=1)

    def factors(self, wavelength: float) -> Float[np.ndarray, "families"]:
        """Of Lorentz and polarisation; 0 for what this wavelength in Angstrom does not reach."""
        reached = self.inverse_d < 2 / wavelength
        values = np.zeros(len(self.hkl))
        values[reached] = lorentz_polarisation(self.inverse_d[reached], wavelength)
        return values

    def intensities(self, wavelength: float) -> Float[np.ndarray, "families"]:
        """As they show in a powder pattern at a wavelength in Angstrom."""
        return self.strength * self.factors(wavelength)


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
    inverse_d = np.linalg.norm(hkl @ reciprocal, axis=1)
    hkl, inverse_d = hkl[inverse_d <= largest], inverse_d[inverse_d <= largest]
    rotations = np.unique(symmetry_of(cell)[0], axis=0)
    squared = np.abs(atom_waves(cell, hkl, inverse_d).sum(axis=1)) ** 2
    family, first = _families(hkl, rotations)
    count = len(first)
    return Reflections(
        cell,
        hkl[first],
        2 * np.bincount(family, minlength=count),
        2 * np.bincount(family, weights=squared, minlength=count),
        _free_strains(cell, rotations),
    )


def symmetry_of(cell: Crystal) -> tuple[Integer[np.ndarray, "operations 3 3"], Float[np.ndarray, "operations 3"]]:
    """Rotations and translations of the crystal, acting on columns of fractional coordinates."""
    import spglib

    plain: Any = (cell.lattice, cell.frac_coords, cell.numbers)
    with quiet_spglib():
        symmetry = spglib.get_symmetry(plain, symprec=SYMPREC)
    if symmetry is None:
        return np.eye(3, dtype=np.int64)[None], np.zeros((1, 3))
    return symmetry["rotations"].astype(np.int64), symmetry["translations"]


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


def atom_waves(
    cell: Crystal, hkl: Integer[np.ndarray, "families 3"], inverse_d: Float[np.ndarray, "families"]
) -> Complex[np.ndarray, "families atoms"]:
    """What each atom scatters, with its phase: their sum is the structure factor."""
    waves = np.exp(2j * np.pi * (hkl @ cell.frac_coords.T))
    for number in cell.counts:
        waves[:, cell.numbers == number] *= scattering_factors(number, inverse_d)[:, None]
    return waves


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


def free_displacements(cell: Crystal) -> Float[np.ndarray, "modes atoms 3"]:
    """The ways in which atoms can move without breaking the symmetry, Angstrom, Cartesian; the largest step is one.

    One orbit moves in each, by up to three ways: those that the symmetry of its site leaves.
    """
    rotations, translations = symmetry_of(cell)
    images = np.einsum("rij,aj->rai", rotations, cell.frac_coords) + translations[:, None]
    difference = images[:, :, None] - cell.frac_coords
    distance = np.linalg.norm((difference - np.round(difference)) @ cell.lattice, axis=-1)
    distance[:, cell.numbers[:, None] != cell.numbers] = np.inf
    target = distance.argmin(axis=2)  # operation, atom -> atom
    turns = np.einsum("ji,rjk,lk->ril", cell.lattice, rotations, np.linalg.inv(cell.lattice))
    modes = []
    seen: set[int] = set()
    for atom in range(len(cell)):
        if atom in seen:
            continue
        seen |= set(target[:, atom].tolist())
        averaged = np.zeros((3, len(cell), 3))
        for turn, image in zip(turns, target[:, atom].tolist(), strict=True):
            averaged[:, image] += turn.T / len(turns)
        _, sizes, rows = np.linalg.svd(averaged.reshape(3, -1), full_matrices=False)
        # fixed directions have a singular value of zero, free ones one over the root of the orbit's atoms
        for row in rows[sizes > 0.5 / np.sqrt(len(cell))]:
            mode = row.reshape(-1, 3)
            modes.append(mode / np.linalg.norm(mode, axis=1).max())
    return np.array(modes).reshape(-1, len(cell), 3)
