"""The convex hull of three elements, seen from below: stable phases, which of them border, samples by their energy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import atan2, pi
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.energies.hull.phases import StablePhases
from unigen.report.figures import plot
from unigen.report.figures.hull_sample import HullSample
from unigen.report.figures.labels import AROUND, Label, LabelBoard, draw_labels, subscripted
from unigen.report.figures.plot import Point

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 520, 440
_CORNERS = ((50.0, 404.0), (470.0, 404.0), (260.0, 40.0))
"""Of the elements in their order: left, right, top; all sides are equally long."""

CLASSES = ((0.0, "at most 0"), (0.1, "to 0.1"), (0.3, "to 0.3"), (float("inf"), "higher"))
"""Upper ends, eV/atom above the hull, and what the legend calls them; the first two are `THRESHOLDS` of evaluations."""

_COLOURS = ("lowest", "low", "high", "highest")
"""Of these classes, in `plot.LIGHT`."""


def ternary_hull(phases: StablePhases, samples: Sequence[HullSample]) -> str:
    """The SVG; samples of one composition are one mark, coloured by the lowest of them.

    Args:
        phases: of three elements.
        samples: in their system.
    """
    # the lowest comes last and stays
    lowest = {sample.shares: sample.above_hull for sample in sorted(samples, key=lambda each: -each.above_hull)}
    counts = Counter(_point(sample.shares) for sample in samples)
    corners = [_point(phase.shares) for phase in phases.phases]
    labels, left_out = _names(phases, corners, counts)

    def paint(figure: Figure) -> None:
        from matplotlib.collections import LineCollection

        pixels = plot.pixel_axes(figure)
        ties = [(corners[one], corners[other]) for one, other in phases.tie_lines]
        pixels.add_collection(LineCollection(ties, color=plot.LIGHT["axis"], alpha=0.65, linewidths=1, gid="tie"))
        least = -float("inf")
        for n, (most, name) in enumerate(CLASSES):
            marks = [_point(shares) for shares, above in lowest.items() if least < above <= most]
            least = most
            x, y = np.array(marks).reshape(-1, 2).T
            colours: dict[str, Any] = {"color": plot.LIGHT[_COLOURS[n]], "edgecolor": plot.LIGHT["paper"]}
            pixels.scatter(x, y, s=12**2, linewidths=1, zorder=2, label=name, gid=f"above{n}", **colours)
        x, y = np.array(corners).T
        pixels.scatter(x, y, s=6**2, linewidths=0, zorder=3, color=plot.LIGHT["ink"], label="stable phase", gid="phase")
        draw_labels(pixels, labels)
        pixels.legend(
            loc="upper left",
            bbox_to_anchor=(0.015, 0.985),
            title="eV/atom above the hull",
            alignment="left",
            scatterpoints=1,
        )
        if left_out:
            pixels.text(WIDTH - 8, 14, f"names left out: {left_out}", ha="right")

    return plot.draw(WIDTH, HEIGHT, paint)


def _point(shares: Sequence[float]) -> Point:
    x, y = (sum(share * corner[axis] for share, corner in zip(shares, _CORNERS, strict=True)) for axis in (0, 1))
    return x, y


def _names(phases: StablePhases, corners: Sequence[Point], counts: Counter[Point]) -> tuple[list[Label | None], int]:
    """Of the phases: those at the rim, outside of it, then those that have samples; and how many find no room."""
    order = range(len(corners))
    # a name takes the room of those after it, so the order matters: of two, that which leaves fewer out
    tries = [
        _names_in_turn(
            sorted(turns, key=lambda n: (-_missing(phases.phases[n].shares), corners[n] not in counts)),
            phases,
            corners,
            counts,
        )
        for turns in (order, order[::-1])
    ]
    return min(tries, key=lambda each: each[1])


def _names_in_turn(
    turns: Sequence[int], phases: StablePhases, corners: Sequence[Point], counts: Counter[Point]
) -> tuple[list[Label | None], int]:
    board = LabelBoard(WIDTH, HEIGHT)
    board.keep_free([(0.0, 0.0, 165.0, 100.0)])  # the legend
    # half the width of the marks, and a pixel
    board.keep_points_free(corners, 4.0)
    board.keep_points_free(counts, 7.0)
    labels = [board.label(f"\N{MULTIPLICATION SIGN}{count}", point) for point, count in counts.items() if count > 1]
    for n in turns:
        shares = phases.phases[n].shares
        towards = _outwards(shares) if _missing(shares) else AROUND
        labels.append(board.label(subscripted(phases.phases[n].formula), corners[n], towards))
    return labels, board.left_out


def _missing(shares: Sequence[float]) -> int:
    return sum(share == 0 for share in shares)


def _outwards(shares: Sequence[float]) -> list[float]:
    """Directions out of the triangle, beginning with that away from what a phase at the rim lacks."""
    present = [corner for share, corner in zip(shares, _CORNERS, strict=True) if share > 0]
    absent = [corner for corner in _CORNERS if corner not in present]
    right, down = np.mean(present, axis=0) - np.mean(absent, axis=0)
    best = atan2(down, right) / (2 * pi)
    # less than a quarter turn to either side, where the triangle begins
    return sorted((best + step / 32 for step in range(-6, 7)), key=lambda turn: abs(turn - best))
