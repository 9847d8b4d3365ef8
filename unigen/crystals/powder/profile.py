"""The profile that a crystal would show at the points of a measured one, and how far the two are apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.matching import LARGEST, Target
from unigen.crystals.powder.radiation import two_theta_of
from unigen.crystals.powder.reflections import reflections
from unigen.shapes import Complex, Float

BREADTHS = tuple(0.04 * 1.4**n for n in range(12))
"""Full widths at half maximum in degrees of 2theta that are tried, 0.04 to 1.6: a synchrotron's and a nanopowder's.
Steps of a third change the residual by less than a wrong structure does."""

MOST_POINTS = 20_000
"""Of the even grid that profiles are calculated on: 0.004 degrees from 10 to 90, a tenth of the narrowest peak."""

LORENTZIAN = (0.0, 0.5, 1.0)
"""Shares of Lorentz's form in a peak that are tried, the rest is Gauss's."""


@dataclass(frozen=True, eq=False)
class CalculatedProfile:
    """What a crystal would show.

    Attributes:
        two_theta: degrees, of the points of the pattern (of a list of peaks: of the peaks).
        measured: net intensities there, the largest is 1.
        calculated: of the crystal, in the same units.
        peaks: degrees, where its reflections are.
        intensities: of its reflections, the largest is 1.
        r_wp: weighted profile residual of the net intensities; NaN for a list of peaks.
    """

    two_theta: Float[np.ndarray, "points"]
    measured: Float[np.ndarray, "points"]
    calculated: Float[np.ndarray, "points"]
    peaks: Float[np.ndarray, "lines"]
    intensities: Float[np.ndarray, "lines"]
    r_wp: float


def calculated_profile(target: Target, crystal: Crystal) -> CalculatedProfile:
    r"""The profile of a crystal as it is, with the height and the breadth that fit best.

    :math:`R_{wp} = \sqrt{\sum w (y_o - y_c)^2 / \sum w y_o^2}` over net intensities (Young, The Rietveld Method, 1993,
    chapter 1); peaks of one breadth in 2theta, of Gauss's or Lorentz's form or halfway.

    Raises:
        UserError: as `unigen.crystals.powder.reflections.reflections`.
    """
    pattern = target.pattern
    lines = reflections(crystal, min(LARGEST, float(pattern.inverse_d[-1]) * 1.01))
    strength = lines.intensities(pattern.wavelength)
    shown = (strength > 1e-6 * strength.max(initial=0.0)) & (lines.inverse_d >= 0.99 * pattern.inverse_d[0])
    at, strength = two_theta_of(lines.inverse_d[shown], pattern.wavelength), strength[shown]
    two_theta, measured = pattern.two_theta, target.net
    bars = strength / strength.max(initial=1e-300)
    if pattern.peaks:
        nothing = np.zeros(len(pattern))
        return CalculatedProfile(two_theta, measured / measured.max(), nothing, at, bars, float("nan"))
    step = max(float(np.median(np.diff(two_theta))), float(two_theta[-1] - two_theta[0]) / MOST_POINTS)
    even = np.arange(two_theta[0], two_theta[-1] + step, step)
    cells = (at - even[0]) / step
    within = (cells >= 0) & (cells < len(even) - 1)
    cells, heights = cells[within], strength[within]
    sticks = np.zeros(len(even))
    np.add.at(sticks, cells.astype(int), heights * (1 - cells % 1))
    np.add.at(sticks, cells.astype(int) + 1, heights * (cells % 1))
    inside = pattern.inverse_d <= LARGEST
    weights = target.weights * inside
    smooth = np.fft.irfft(np.fft.rfft(sticks, 2 * len(even)) * _forms(len(even), step))[:, : len(even)]
    calculated = np.stack([np.interp(two_theta, even, each) for each in smooth])
    norms = calculated**2 @ weights
    heights = (calculated @ (weights * measured)) / np.maximum(norms, 1e-300)
    residuals = np.square(measured - heights[:, None] * calculated) @ weights
    best = int(residuals.argmin())
    r_wp = float(np.sqrt(residuals[best] / (weights @ measured**2)))
    unit = float(measured[inside].max())
    return CalculatedProfile(two_theta, measured / unit, heights[best] * calculated[best] / unit, at, bars, r_wp)


@lru_cache(maxsize=4)
def _forms(points: int, step: float) -> Complex[np.ndarray, "forms frequencies"]:
    """Fourier transforms of peaks of every breadth and form that are tried; the same for all crystals of a pattern."""
    distance = step * np.minimum(np.arange(2 * points), 2 * points - np.arange(2 * points))
    forms = []
    for breadth in BREADTHS:
        if breadth < 2 * step < BREADTHS[-1]:  # narrower than the points can show
            continue
        square = np.square(2 * distance / breadth)
        # both of the same area, which is that of the bar: Lorentz's is larger at the same height
        lorentz, gauss = 1 / (1 + square) / np.sqrt(np.pi * np.log(2)), 0.5**square
        forms += [share * lorentz + (1 - share) * gauss for share in LORENTZIAN]
    return np.fft.rfft(np.array(forms))
