"""A quick look at many crystals beside one powder pattern: which of them are worth a fit.

The first lines of each are calculated on a coarse grid of ln(1/d), from its atoms alone, without a search for its
symmetry; all isotropic scales are tried, as `unigen.crystals.powder.matching` does, and the best cosine is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.matching import RANGE, STEP, WIDTHS, Target
from unigen.crystals.powder.radiation import lorentz_polarisation
from unigen.crystals.powder.reflections import scattering_factors
from unigen.errors import UserError
from unigen.shapes import Float

COARSE = 4
"""Steps of the fine grid in one of the coarse one: a third of the width at which the volume is looked for."""

INTENSITY = 0.7
"""Share of the pattern that is looked at, from its first line on: the number of reflections of a crystal grows with the
third power of where one ends."""

LEAST = 0.6
"""1/d in 1/Angstrom that is looked at in any case: 55 degrees of Cu K-alpha."""

MOST = 60_000
"""Reflections of a crystal that are calculated, at most; what has more is not judged here."""


@dataclass(frozen=True, eq=False)
class Screen:
    """A pattern, made ready for the look.

    Attributes:
        start: ln(1/d) of the first point of the coarse grid.
        root: square root of the smeared pattern there.
        wavelength: Angstrom.
    """

    start: float
    root: Float[np.ndarray, "grid"]
    wavelength: float

    @classmethod
    def of(cls, target: Target) -> Screen:
        """The first part of a pattern."""
        root = target.roots[0]
        share = np.cumsum(root**2) / (root @ root)
        end = max(int(np.searchsorted(share, INTENSITY)), round((np.log(LEAST) - target.start) / STEP))
        return cls(target.start, root[: end + 1 : COARSE], target.pattern.wavelength)

    @property
    def reach(self) -> int:
        """Points of the grid by which a pattern is shifted, at most."""
        return round(RANGE / STEP / COARSE)

    @cached_property
    def inverse_d(self) -> Float[np.ndarray, "wider"]:
        """Of the points of the grid and of those that may be shifted onto them, 1/Angstrom."""
        points = np.arange(-self.reach, len(self.root) + self.reach)
        return np.exp(self.start + COARSE * STEP * points)

    @cached_property
    def _optics(self) -> Float[np.ndarray, "wider"]:
        reached = self.inverse_d < 2 / self.wavelength
        factors = np.zeros(len(self.inverse_d))
        factors[reached] = lorentz_polarisation(self.inverse_d[reached], self.wavelength)
        return factors

    @cached_property
    def _scattering(self) -> dict[int, Float[np.ndarray, "wider"]]:
        return {}

    def similarities(self, crystals: Sequence[Crystal]) -> Float[np.ndarray, "crystals"]:
        """The best cosine of each, 0 to 1; NaN for what cannot be judged here.

        Args:
            crystals: in any cells.
        """
        from scipy.ndimage import gaussian_filter1d

        powder = np.stack([self._powder(crystal) for crystal in crystals])
        sigma = WIDTHS[0] / STEP / COARSE
        root = np.sqrt(np.maximum(gaussian_filter1d(powder, sigma, axis=1, mode="constant"), 0.0))
        size = len(self.root)
        squares = np.pad(np.cumsum(root**2, axis=1), ((0, 0), (1, 0)))
        norms = np.sqrt(np.maximum(squares[:, size:] - squares[:, :-size], 0.0))
        windows = np.lib.stride_tricks.sliding_window_view(root, size, axis=1)
        cosines = windows @ (self.root / np.linalg.norm(self.root)) / np.maximum(norms, 1e-300)
        best = cosines.max(axis=1)
        return np.where(np.isfinite(powder).all(axis=1) & (powder.sum(axis=1) > 0), np.minimum(best, 1.0), np.nan)

    def _powder(self, crystal: Crystal) -> Float[np.ndarray, "wider"]:
        """Intensities of the reflections on the grid; NaN where there are too many, or an element scatters unknown."""
        nothing = np.full(len(self.inverse_d), np.nan)
        low, high = self.inverse_d[0], self.inverse_d[-1]
        reach = np.floor(high * np.linalg.norm(crystal.lattice, axis=1)).astype(int)
        if np.prod(2.0 * reach + 1) > MOST:
            return nothing
        h, k, l = np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij")  # noqa: E741 - Miller's letters
        hkl = np.stack([h.ravel(), k.ravel(), l.ravel()], axis=1)
        hkl = hkl[len(hkl) // 2 + 1 :]  # one of every pair by Friedel's law
        inverse_d = np.linalg.norm(hkl @ np.linalg.inv(crystal.lattice).T, axis=1)
        inside = (inverse_d >= low) & (inverse_d < high)
        hkl, inverse_d = hkl[inside], inverse_d[inside]
        place = np.rint(np.log(inverse_d / low) / (COARSE * STEP)).astype(int)
        # a wave of each atom along each axis; their products are all that a reflection needs
        along = [
            np.exp(2j * np.pi * np.arange(-n, n + 1)[:, None] * crystal.frac_coords[:, axis])
            for axis, n in enumerate(reach.tolist())
        ]
        waves = along[0][hkl[:, 0] + reach[0]] * along[1][hkl[:, 1] + reach[1]] * along[2][hkl[:, 2] + reach[2]]
        total = np.zeros(len(hkl), dtype=complex)
        for number in crystal.counts:
            if number not in self._scattering:
                try:
                    self._scattering[number] = scattering_factors(number, self.inverse_d)
                except UserError:
                    return nothing
            total += waves[:, crystal.numbers == number].sum(axis=1) * self._scattering[number][place]
        return np.bincount(place, np.abs(total) ** 2 * self._optics[place], len(self.inverse_d))
