"""The profile that a crystal would show at the points of a measured one, and how far the two are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.matching import LARGEST, Target
from unigen.crystals.powder.radiation import two_theta_of
from unigen.crystals.powder.reflections import reflections
from unigen.shapes import Float

BREADTHS = tuple(0.04 * 1.35**n for n in range(14))
"""Full widths at half maximum in degrees of 2theta that are tried, 0.04 to 2: a synchrotron's and a nanopowder's. Steps
of a third change the residual by less than a wrong structure does."""

LORENTZIAN = 0.5
"""Share of Lorentz's form in a peak, the rest is Gauss's: halfway, where laboratories' peaks mostly are."""


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
    chapter 1); peaks of one breadth in 2theta, half Lorentz's and half Gauss's form.

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
    step = float(np.median(np.diff(two_theta)))
    even = np.arange(two_theta[0], two_theta[-1] + step, step)
    cells = np.clip((at - even[0]) / step, 0, len(even) - 1.001)
    sticks = np.zeros(len(even))
    np.add.at(sticks, cells.astype(int), strength * (1 - cells % 1))
    np.add.at(sticks, cells.astype(int) + 1, strength * (cells % 1))
    best, residual = np.zeros(len(two_theta)), np.inf
    inside = pattern.inverse_d <= LARGEST
    weights = target.weights * inside
    total = float(weights @ measured**2)
    transformed = np.fft.rfft(sticks, 2 * len(even))
    distance = step * np.minimum(np.arange(2 * len(even)), 2 * len(even) - np.arange(2 * len(even)))
    for breadth in BREADTHS:
        if breadth < 2 * step:  # narrower than the points can show
            continue
        form = LORENTZIAN / (1 + (2 * distance / breadth) ** 2) + (1 - LORENTZIAN) * 0.5 ** (
            (2 * distance / breadth) ** 2
        )
        smooth = np.fft.irfft(transformed * np.fft.rfft(form))[: len(even)]
        calculated = np.interp(two_theta, even, smooth)
        norm = float(weights @ calculated**2)
        height = float(weights @ (calculated * measured)) / norm if norm else 0.0
        found = float(weights @ (measured - height * calculated) ** 2)
        if found < residual:
            best, residual = height * calculated, found
    unit = float(measured[inside].max())
    return CalculatedProfile(two_theta, measured / unit, best / unit, at, bars, float(np.sqrt(residual / total)))
