"""Calculated peaks as a measurement might show them: what a model that is asked for peaks is to see while it learns."""

from __future__ import annotations

from typing import Any

import numpy as np

from unigen.crystals.powder.peaks import HIGHEST, LOWEST, PeakList
from unigen.crystals.powder.radiation import DEFAULT, WAVELENGTHS

SCALE = 0.004
"""Standard deviation of the edges' relative error: half of what PBE is wrong by (1 %), which most structures that are
learned from come from, is of this size in a known direction."""

ZERO = 0.03
"""Degrees of 2theta; standard deviation of a diffractometer's zero error and the sample's displacement together."""

PLACE = 3e-4
"""1/Angstrom; standard deviation of the place of a single peak: a tenth of its breadth."""

LARGEST_SPREAD = 0.6
"""Standard deviations of ln intensities go up to this, evenly: preferred orientation, few grains, overlap."""

LARGEST_MOTION = 2.5
"""Angstrom squared; overall thermal parameters B go up to this, evenly: intensities are multiplied by
:math:`exp(-B / 2 d^2)`."""

CUTS = (0.003, 0.08)
"""Of the strongest peak, below which none is seen; even in its logarithm between these two."""

MISSED = 0.05
"""Share of peaks that are missed whatever their intensity."""

FOREIGN = 1.0
"""Peaks of nothing that the crystal has, in the mean of a Poisson distribution."""

FOREIGN_INTENSITY = (0.005, 0.3)
"""Of the strongest peak of the crystal, even in its logarithm."""

WHOLE = 0.3
"""Share of lists whose range is not cut."""

BEGINS, ENDS = (0.05, 0.2), (0.5, 1.0)
"""1/Angstrom between which a range begins, and ends: 4 to 18 and 45 to 101 degrees of Cu K-alpha."""


def as_measured(peaks: PeakList, most: int, rng: np.random.Generator) -> PeakList | None:
    """A list of at most so many peaks as a measurement might show it: moved, spread, cut, missed and foreign ones.

    Args:
        peaks: calculated ones, up to `HIGHEST`, some more than are wanted.
        most: peaks of the list.
        rng: draws all of it.

    Returns:
        None where no peak is left.
    """
    low, high = (LOWEST, HIGHEST) if rng.random() < WHOLE else (rng.uniform(*BEGINS), rng.uniform(*ENDS))
    spread, motion = rng.uniform(0, LARGEST_SPREAD), rng.uniform(0, LARGEST_MOTION)
    cut = _between(CUTS, rng.random())
    count = len(peaks)
    # angles are off by the same everywhere: 1/d by the cosine of theta
    slope = np.radians(0.5 * ZERO) * 2 / WAVELENGTHS[DEFAULT]
    cosine = np.sqrt(1 - np.square(0.5 * WAVELENGTHS[DEFAULT] * peaks.inverse_d))
    inverse_d = peaks.inverse_d * (1 + SCALE * rng.standard_normal())
    inverse_d = inverse_d + slope * cosine * rng.standard_normal() + PLACE * rng.standard_normal(count)
    intensity = peaks.intensity * np.exp(spread * rng.standard_normal(count) - 0.5 * motion * peaks.inverse_d**2)
    seen = (inverse_d >= low) & (inverse_d <= high) & (rng.random(count) >= MISSED)
    if seen.any():
        seen &= intensity >= cut * intensity[seen].max()
    foreign = int(rng.poisson(FOREIGN))
    more_at = rng.uniform(low, high, foreign)
    more = _between(FOREIGN_INTENSITY, rng.random(foreign)) * intensity[seen].max(initial=0.0)
    if not seen.any():
        return None
    inverse_d = np.concatenate([inverse_d[seen], more_at])
    intensity = np.concatenate([intensity[seen], more])
    order = np.argsort(inverse_d)
    return PeakList(inverse_d[order], intensity[order], low, high).strongest(most)


def _between(ends: tuple[float, float], share: Any) -> Any:
    """Even in the logarithm."""
    return ends[0] * (ends[1] / ends[0]) ** share
