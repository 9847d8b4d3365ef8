"""What lies under the peaks of a powder profile, and how much its points scatter."""

from __future__ import annotations

import numpy as np

from unigen.shapes import Float

WIDEST = 3.0
"""Degrees of 2theta; the half width of the window under which a hump is background and no peak: a peak of a nanometre's
crystallites is some 8 degrees wide, a usual one 0.1 to 0.5."""


def background(
    two_theta: Float[np.ndarray, "points"], intensity: Float[np.ndarray, "points"]
) -> Float[np.ndarray, "points"]:
    """The background by clipping peaks in a window that shrinks (SNIP).

    Every value is lowered to the mean of its two neighbours at a distance, if that is lower; the distance goes from
    `WIDEST` to one step. On the double logarithm of a square root, so that large and small peaks are cut alike. Ryan et
    al., Nucl. Instrum. Methods B 34, 396 (1988); the order from wide to narrow after Morhac, ibid. A 401, 113 (1997).

    Args:
        two_theta: degrees, ascending.
        intensity: any unit; negative values count as none.
    """
    step = float(np.median(np.diff(two_theta)))
    even = np.arange(two_theta[0], two_theta[-1] + step / 2, step)
    values = np.interp(even, two_theta, intensity)
    # counting noise would draw the line through its lowest points, so it is smoothed over a fifth of the window
    width = max(1, round(0.2 * WIDEST / step))
    padded = np.pad(values, width, mode="edge")
    smooth = np.convolve(padded, np.ones(2 * width + 1) / (2 * width + 1), mode="valid")
    low = np.minimum(values, smooth)
    offset = min(0.0, float(low.min()))
    clipped = np.log(np.log(np.sqrt(low - offset + 1) + 1) + 1)
    for reach in range(min(max(1, round(WIDEST / step)), (len(clipped) - 1) // 2), 0, -1):
        mean = (clipped[: -2 * reach] + clipped[2 * reach :]) / 2
        clipped[reach:-reach] = np.minimum(clipped[reach:-reach], mean)
    below = np.square(np.exp(np.exp(clipped) - 1) - 1) - 1 + offset
    # what the minimum took away from noise is given back: the median of what is left where there is no peak
    left = values - below
    quiet = left <= np.quantile(left, 0.5)
    return np.interp(two_theta, even, below + float(np.median(left[quiet])))


def scatter(intensity: Float[np.ndarray, "points"]) -> Float[np.ndarray, "points"]:
    """The standard deviation of each point of a profile, as its neighbours tell.

    From second differences, which slopes do not enter, by the median of their sizes, which peaks do not enter; it grows
    as the square root of the intensity above the median, as counts do.
    """
    second = intensity[:-2] - 2 * intensity[1:-1] + intensity[2:]
    # 0.6745: the median size of a normal deviate; 6 = 1 + 4 + 1 variances
    usual = float(np.median(np.abs(second))) / 0.6745 / np.sqrt(6)
    typical = max(float(np.median(intensity)), float(np.abs(intensity).max()) * 1e-6)
    return usual * np.sqrt(np.maximum(intensity / typical, 1.0))
