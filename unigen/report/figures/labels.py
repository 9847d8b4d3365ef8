"""Names beside the points of a plot, placed one after the other so that none covers another or a point."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import cos, hypot, pi, sin
from typing import TYPE_CHECKING

from unigen.report.figures.plot import LIGHT, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Box = tuple[int | float, int | float, int | float, int | float]
"""Left, top, right, bottom, in pixels."""

_LETTER, _SUBSCRIPT, _HEIGHT = 7.0, 4.6, 12.0
"""Of the page's font at 11 pixels, rather too much than too little."""

_NEAR = 9.0
"""Pixels from a point to its name, where no line is needed to say that they belong together."""

_APART = (18.0, 26.0, 36.0, 48.0, 62.0, 78.0, 96.0)
"""Pixels from a point to its name, where a line joins them: the nearest with room, in steps that grow."""

_MARK = 6
"""Pixels; no mark of a point is larger."""

_CROWD = 16
"""Pixels; a point with another one so near has its name apart."""

AROUND = tuple(n / 16 for n in range(16))
"""All directions, in turns clockwise from the right."""

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def subscripted(formula: str) -> str:
    """``TiO2`` with its 2 below the line."""
    return formula.translate(_SUBSCRIPTS)


@dataclass(frozen=True)
class Label:
    """Text with its position.

    Attributes:
        text: what it says.
        middle: of its line of writing.
        leader: the ends of a thin line to its point, where it stands apart.
    """

    text: str
    middle: Point
    leader: tuple[Point, Point] | None = None


def draw_labels(pixels: Axes, labels: Iterable[Label | None]) -> None:
    """Write labels where they belong.

    Args:
        pixels: as `unigen.report.figures.plot.pixel_axes` makes them.
        labels: as `LabelBoard.label` gives them.
    """
    for n, label in enumerate(each for each in labels if each):
        if label.leader:
            across, down = zip(*label.leader, strict=True)
            pixels.plot(across, down, color=LIGHT["ink"], linewidth=0.8, gid=f"leader-{n}")
        pixels.text(*label.middle, label.text, ha="center", color=LIGHT["ink"], gid=f"name-{n}")


class LabelBoard:
    """Where there is room for text.

    Args:
        width: of the plot, pixels.
        height: of the plot, pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._frame = (2.0, 2.0, width - 2.0, height - 2.0)
        self._taken: list[Box] = []
        self._points: list[Point] = []
        self.left_out = 0

    def keep_free(self, boxes: Iterable[Box]) -> None:
        """No label will touch these."""
        self._taken += boxes

    def keep_points_free(self, points: Collection[Point], radius: float = 3.0) -> None:
        """No label will touch marks of this radius."""
        self._points += points
        self.keep_free((x - radius, y - radius, x + radius, y + radius) for x, y in points)

    def keep_line_free(self, start: Point, end: Point) -> None:
        """No label will touch this line."""
        self.keep_free((x - 1.5, y - 1.5, x + 1.5, y + 1.5) for x, y in _along(start, end))

    def label(self, text: str, point: Point, towards: Sequence[float] = AROUND) -> Label | None:
        """A label beside its point, or apart with a thin line to it; none, and counted, where there is no room.

        Args:
            text: the label.
            point: what it names.
            towards: directions in which to look for room, the best first, as `AROUND`.
        """
        half = sum(_SUBSCRIPT if letter in "₀₁₂₃₄₅₆₇₈₉" else _LETTER for letter in text) / 2
        around = self._within(point, _APART[-1] + 2 * half + _HEIGHT)
        for distance in _APART if self._crowded(point) else (_NEAR, *_APART):
            for turn in towards:
                box = _beside(point, distance, 2 * pi * turn, half)
                near = (min(max(point[0], box[0]), box[2]), min(max(point[1], box[1]), box[3]))
                if self._inside(box) and _clear(box, around) and _way_clear(point, near, around):
                    self._taken.append(box)
                    apart = distance > _NEAR
                    if apart:
                        self.keep_line_free(point, near)
                    return Label(text, (box[0] + half, box[3] - 2), (point, near) if apart else None)
        self.left_out += 1
        return None

    def _crowded(self, point: Point) -> bool:
        return any(1 < hypot(x - point[0], y - point[1]) < _CROWD for x, y in self._points)

    def _within(self, point: Point, reach: float) -> list[Box]:
        """What is taken that near to a point."""
        x, y = point
        return [box for box in self._taken if _overlap(box, (x - reach, y - reach, x + reach, y + reach))]

    def _inside(self, box: Box) -> bool:
        left, top, right, bottom = self._frame
        return box[0] >= left and box[1] >= top and box[2] <= right and box[3] <= bottom


def _beside(point: Point, distance: float, angle: float, half: float) -> Box:
    """The box of a text, given half its width, whose edge is so far from a point."""
    x, y = point[0] + cos(angle) * (distance + half), point[1] + sin(angle) * (distance + _HEIGHT / 2)
    return x - half, y - _HEIGHT / 2, x + half, y + _HEIGHT / 2


def _clear(box: Box, taken: Sequence[Box]) -> bool:
    return not any(_overlap(box, other) for other in taken)


def _way_clear(point: Point, near: Point, taken: Sequence[Box]) -> bool:
    """Whether nothing lies between a point's own mark and its name."""
    way = [(x, y) for x, y in _along(point, near) if hypot(x - point[0], y - point[1]) > _MARK]
    return all(_clear((x, y, x, y), taken) for x, y in way)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _along(start: Point, end: Point) -> list[Point]:
    """Points of a line, three pixels apart."""
    steps = max(1, int(hypot(end[0] - start[0], end[1] - start[1]) / 3))
    return [
        (start[0] + (end[0] - start[0]) * n / steps, start[1] + (end[1] - start[1]) * n / steps)
        for n in range(steps + 1)
    ]
