"""One axis of a small plot: from values to pixels, and its line with round numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.report.figures import svg
from unigen.shapes import Float


@dataclass(frozen=True)
class Axis:
    """Values along a line of pixels.

    Attributes:
        low: the value at its start.
        high: the value at its end; larger.
        start: pixels.
        end: pixels; less than the start where values grow upwards.
    """

    low: float
    high: float
    start: int
    end: int

    def place(self, values: Float[np.ndarray, "values"]) -> Float[np.ndarray, "values"]:
        """Pixels of values; those beyond an end are put there."""
        shares = (values - self.low) / (self.high - self.low)
        return self.start + np.clip(shares, 0.0, 1.0) * (self.end - self.start)

    def at(self, value: float) -> float:
        """Pixel of one value."""
        return float(self.place(np.array([value]))[0])

    def ticks(self, *, whole: bool = False) -> list[float]:
        """Three to six round numbers; whole ones if so wanted."""
        third = (self.high - self.low) / 3
        power = 10.0 ** np.floor(np.log10(third))
        steps = [each * power for each in (1, 2, 2.5, 5) if each * power <= third]
        step = max(steps) if not whole else max([1.0, *(each for each in steps if each % 1 == 0)])
        ticks = np.arange(np.ceil(self.low / step), np.floor(self.high / step) + 1) * step
        return (ticks + 0.0).tolist()  # no minus zero

    def to_the_right(self, y: int, *, whole: bool = False) -> list[str]:
        """As a line at this height, with numbers below."""
        numbers = [svg.text(f"{tick:.6g}", (self.at(tick), y + 14.0), "middle") for tick in self.ticks(whole=whole)]
        return [svg.line("axis", (self.start, y), (self.end, y)), *numbers]

    def upwards(self, x: int) -> list[str]:
        """As a line so far from the left, with numbers to the left of it."""
        numbers = [svg.text(f"{tick:.6g}", (x - 6.0, self.at(tick) + 4), "end") for tick in self.ticks()]
        return [svg.line("axis", (x, self.start), (x, self.end)), *numbers]
