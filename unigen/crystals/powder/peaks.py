"""The strongest peaks of a powder pattern, of a crystal or picked from a measurement, in a form that both share.

A peak is its 1/d and its intensity relative to the strongest one, as Cu K-alpha would show it: intensities of any
wavelength are brought to that one by their factors of Lorentz and polarisation, so that a list says nothing of how it
was measured but for the range of 1/d that was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.background import background, scatter
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.radiation import DEFAULT, WAVELENGTHS, inverse_d_of, lorentz_polarisation
from unigen.crystals.powder.reflections import scattering_factors
from unigen.errors import UserError
from unigen.shapes import Float

LOWEST, HIGHEST = 0.04, 1.0
"""1/d in 1/Angstrom between which peaks are listed: 3.5 and 101 degrees of Cu K-alpha."""

RESOLUTION = 0.003
"""1/Angstrom, to both sides of a peak, within which others are one with it: 0.27 degrees of Cu K-alpha at small angles,
the breadth of a laboratory's peak. Wider than its two lines are apart, 0.0025 of 1/d."""

WEAKEST = 0.002
"""Of the strongest peak; what is weaker is no peak in most measurements."""

CERTAIN = 6.0
"""Standard deviations of the difference between two points of the smoothed noise by which a peak is higher than its
surroundings: none of a million points is so by chance."""

SMOOTHING = 0.06
"""Degrees of 2theta; standard deviation of what a profile is smoothed with before its peaks are looked for: a narrow
laboratory peak is that wide."""

MOST_INDICES = 2_000_000
"""Triples of indices of a cell, beyond which no peaks are calculated: cells of some 15,000 cubic Angstrom."""

_SAME = 1e-6
"""1/Angstrom within which two reflections have one 1/d: cells are stored in single precision."""


@dataclass(frozen=True, eq=False)
class PeakList:
    """Peaks by 1/d.

    Attributes:
        inverse_d: 1/d in 1/Angstrom, ascending.
        intensity: integrated, as Cu K-alpha would show it; the strongest has 1.
        low: 1/d in 1/Angstrom from which on peaks were looked for.
        high: 1/d up to which they were.
    """

    inverse_d: Float[np.ndarray, "peaks"]
    intensity: Float[np.ndarray, "peaks"]
    low: float = LOWEST
    high: float = HIGHEST

    def __len__(self) -> int:
        return len(self.inverse_d)

    @cached_property
    def key(self) -> bytes:
        """Equal for equal lists."""
        return np.concatenate([self.inverse_d, self.intensity, [self.low, self.high]]).tobytes()

    def strongest(self, most: int) -> PeakList:
        """The list of at most so many, relative to the strongest of them."""
        kept = np.sort(np.argsort(-self.intensity, kind="stable")[:most])
        return replace(self, inverse_d=self.inverse_d[kept], intensity=_relative(self.intensity[kept]))


def key_of(peaks: PeakList | None) -> bytes:
    """Of what is remembered of peaks; empty for none."""
    return b"" if peaks is None else peaks.key


def crystal_peaks(crystal: Crystal, most: int, resolution: float = RESOLUTION) -> PeakList:
    r"""The strongest peaks of a crystal; the same for every cell, origin and order of atoms of it.

    Intensities are :math:`m |F|^2 L`, the multiplicity times the squared structure factor (as in
    `unigen.crystals.powder.reflections`, without its search for symmetry: what has the same 1/d is one peak anyway)
    times the factors of Lorentz and polarisation. The strongest reflection takes those within the resolution, at their
    mean place; then the strongest of what is left.

    Args:
        crystal: any cell of it; a primitive one takes least time, some 0.3 ms for ten atoms.
        most: peaks.
        resolution: 1/Angstrom.

    Raises:
        UserError: an element without scattering factors (beyond californium), too large a cell.

    Example:
        >>> from unigen.crystals.files import read_crystals
        >>> crystal_peaks(salt, 3).inverse_d  # doctest: +SKIP
        array([0.3546, 0.5015, 0.6142])
    """
    reach = np.floor(HIGHEST * np.linalg.norm(crystal.lattice, axis=1)).astype(int)
    if np.prod(2.0 * reach + 1) > MOST_INDICES:
        wanted = f"at most {MOST_INDICES:,}"
        raise UserError("too large a cell for peaks", got=f"{np.prod(2.0 * reach + 1):,.0f} reflections", wanted=wanted)
    h, k, l = np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij")  # noqa: E741 - Miller's own letters
    hkl = np.stack([h.ravel(), k.ravel(), l.ravel()], axis=1)
    hkl = hkl[len(hkl) // 2 + 1 :]  # one of every pair by Friedel's law: the list is symmetric about (000)
    inverse_d = np.linalg.norm(hkl @ np.linalg.inv(crystal.lattice).T, axis=1)
    inside = (inverse_d >= LOWEST) & (inverse_d <= HIGHEST)
    hkl, inverse_d = hkl[inside], inverse_d[inside]
    # a wave of each atom along each axis; their products are all that a reflection needs
    x, y, z = (
        np.exp(2j * np.pi * np.arange(-n, n + 1)[:, None] * crystal.frac_coords[:, axis])[hkl[:, axis] + n]
        for axis, n in enumerate(reach.tolist())
    )
    waves, total = x * y * z, np.zeros(len(hkl), dtype=complex)
    for number in crystal.counts:
        total += waves[:, crystal.numbers == number].sum(axis=1) * scattering_factors(number, inverse_d)
    strength = np.abs(total) ** 2 * _factors(inverse_d)
    order = np.argsort(inverse_d, kind="stable")
    inverse_d, strength = inverse_d[order], strength[order]
    starts = np.flatnonzero(np.diff(inverse_d, prepend=-1.0) > _SAME)
    if not len(starts):
        return PeakList(inverse_d, strength)
    return _merged(inverse_d[starts], np.add.reduceat(strength, starts), most, resolution)


def pattern_peaks(pattern: PowderPattern, most: int) -> PeakList:
    """The strongest peaks of a pattern: those of its list, or picked from its profile above its background.

    A peak of a profile is a maximum of the smoothed profile that rises above its surroundings by more than `CERTAIN`
    standard deviations of the noise; its intensity is the area between the lowest points towards its neighbours.

    Args:
        pattern: at any wavelength.
        most: peaks.

    Raises:
        UserError: no peak between `LOWEST` and `HIGHEST`, or none that stands out of the noise.
    """
    at, areas = (pattern.inverse_d, pattern.intensity) if pattern.peaks else _picked(pattern)
    low, high = float(pattern.inverse_d[0]), float(pattern.inverse_d[-1])
    if pattern.peaks:
        # lists begin where the first line is; there is none below, down to 5 degrees, where most scans have begun
        low, high = min(low, float(inverse_d_of(np.array([5.0]), pattern.wavelength)[0])), 1.01 * high
    low, high = max(low, LOWEST), min(high, HIGHEST)
    inside = (at >= low) & (at <= high) & (areas > 0)
    if not inside.any():
        got = f"1/d from {pattern.inverse_d[0]:.3g} to {pattern.inverse_d[-1]:.3g} 1/A"
        wanted = f"one from {LOWEST} to {HIGHEST} 1/A that stands out of the noise"
        raise UserError("no peak to ask for", where=pattern.name, got=got, wanted=wanted)
    at, areas = at[inside], areas[inside]
    found = _merged(at, areas * _factors(at) / lorentz_polarisation(at, pattern.wavelength), most, RESOLUTION)
    return replace(found, low=low, high=high)


def _picked(pattern: PowderPattern) -> tuple[Float[np.ndarray, "peaks"], Float[np.ndarray, "peaks"]]:
    """1/d of the peaks of a profile, and their areas over 2theta."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    two_theta = pattern.two_theta
    step = float(np.median(np.diff(two_theta)))
    even = np.arange(two_theta[0], two_theta[-1] + step / 2, step)
    net = np.interp(even, two_theta, pattern.intensity - background(two_theta, pattern.intensity))
    sigma = scatter(pattern.intensity) if pattern.uncertainty is None else pattern.uncertainty
    width = max(SMOOTHING / step, 0.5)
    smooth = gaussian_filter1d(net, width, mode="nearest")
    # what smoothing leaves of the noise of independent points; a peak and the foot beside it both have it
    noise = np.sqrt(2) * np.interp(even, two_theta, sigma) / max(np.sqrt(2 * np.sqrt(np.pi) * width), 1.0)
    tops, found = find_peaks(smooth, prominence=np.maximum(CERTAIN * noise, WEAKEST * smooth.max()))
    if not len(tops):
        return np.zeros(0), np.zeros(0)
    areas = np.array(
        [
            np.maximum(net[left : right + 1], 0.0).sum()
            for left, right in zip(*_valleys(smooth, tops, found), strict=True)
        ]
    )
    # the vertex of the parabola through the three highest points
    left, top, right = smooth[tops - 1], smooth[tops], smooth[tops + 1]
    shift = 0.5 * (left - right) / np.minimum(left - 2 * top + right, -1e-300)
    return inverse_d_of(even[tops] + step * np.clip(shift, -0.5, 0.5), pattern.wavelength), areas


def _valleys(
    smooth: Float[np.ndarray, "points"], tops: np.ndarray, found: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The first and last point of each peak: where it comes down to a twentieth of itself, or to a neighbour's foot."""
    from scipy.signal import peak_widths

    heights = found["prominences"], found["left_bases"], found["right_bases"]
    _, _, first, last = peak_widths(smooth, tops, rel_height=0.95, prominence_data=heights)
    between = np.array([start + int(smooth[start:end].argmin()) for start, end in pairwise(tops.tolist())], dtype=int)
    left = np.maximum(np.floor(first).astype(int), np.concatenate([[0], between]))
    right = np.minimum(np.ceil(last).astype(int), np.concatenate([between, [len(smooth) - 1]]))
    return left, right


def _merged(
    inverse_d: Float[np.ndarray, "lines"], strength: Float[np.ndarray, "lines"], most: int, resolution: float
) -> PeakList:
    """At most so many peaks, none two of which are within the resolution."""
    at: list[float] = []
    sums: list[float] = []
    left = strength.copy()
    while len(left) and len(at) < most:
        strongest = int(left.argmax())
        if left[strongest] <= 0 or (sums and left[strongest] < WEAKEST * max(sums)):
            break
        first, last = np.searchsorted(inverse_d, inverse_d[strongest] + np.array([-resolution, resolution]))
        weights = left[first:last]
        sums.append(float(weights.sum()))
        at.append(float(weights @ inverse_d[first:last]) / sums[-1])
        left[first:last] = 0.0
    order = np.argsort(at)
    return PeakList(np.array(at)[order], _relative(np.array(sums)[order]))


def _factors(inverse_d: Float[np.ndarray, "lines"]) -> Float[np.ndarray, "lines"]:
    return lorentz_polarisation(inverse_d, WAVELENGTHS[DEFAULT])


def _relative(intensity: Float[np.ndarray, "peaks"]) -> Float[np.ndarray, "peaks"]:
    return intensity / intensity.max(initial=1e-300)
