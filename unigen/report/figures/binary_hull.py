"""The convex hull of two elements: formation energy over composition, with samples as marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.energies.hull.phases import StablePhases
from unigen.report.figures import plot
from unigen.report.figures.hull_sample import HullSample
from unigen.report.figures.labels import Label, LabelBoard, draw_labels, subscripted
from unigen.report.figures.plot import Point
from unigen.shapes import Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 520, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 22, 30, 40
_ROOM = 0.28
"""Below the hull, for names, as a share of the height of what is drawn."""

_DOWNWARDS = tuple(turn / 32 for turn in (8, 9, 7, 10, 6, 11, 5, 12, 4, 13, 3, 14, 2, 15, 1))
"""As `AROUND`: straight down first, then ever further to both sides, never upwards, where samples are."""


def binary_hull(phases: StablePhases, samples: Sequence[HullSample]) -> str:
    """The SVG.

    The frame reaches as far above zero as the hull lies below it, at least 0.5 eV/atom; samples higher than that stand
    as triangles at its upper edge.

    Args:
        phases: of two elements.
        samples: in their system.
    """
    corners = np.array([(phase.shares[1], phase.formation_energy) for phase in phases.phases])
    points = np.array([(sample.shares[1], sample.formation_energy) for sample in samples])
    low, high = _energies(corners[:, 1], points[:, 1])
    higher = points[:, 1] > high

    def paint(figure: Figure) -> None:
        from matplotlib.collections import LineCollection

        axes = plot.axes_within(figure, _LEFT, _TOP, _RIGHT, _BOTTOM)
        axes.set(xlim=(0, 1), ylim=(low, high), xlabel=f"share of {phases.elements[1]} among the atoms")
        for axis in (axes.xaxis, axes.yaxis):
            plot.round_numbers(axis)
        axes.axhline(0, color=plot.LIGHT["axis"], linewidth=1, linestyle=(0, (1, 3)), gid="zero")
        # one of those on the same pixel, so that thousands of samples make a small file
        inside = points[~higher]
        drawn = inside[np.unique(plot.pixels_of(axes, inside).round(), axis=0, return_index=True)[1]]
        mark: dict[str, Any] = {"color": plot.LIGHT["sample"], "linewidths": 0, "alpha": 0.8, "clip_on": False}
        # matplotlib wants the size of a mark as the square of its width
        axes.scatter(drawn[:, 0], drawn[:, 1], s=8**2, zorder=3, label="samples", gid="sample", **mark)
        hull: dict[str, Any] = {"color": plot.LIGHT["reference"], "clip_on": False}
        tie_lines = [(corners[one], corners[other]) for one, other in phases.tie_lines]
        axes.add_collection(LineCollection(tie_lines, linewidths=1.5, zorder=2, gid="hull", **hull))
        axes.scatter(corners[:, 0], corners[:, 1], s=6**2, linewidths=0, zorder=4, gid="phase", **hull)
        axes.plot([], [], marker="o", markersize=6, linewidth=1.5, label="stable phases", **hull)  # for the legend
        if higher.any():
            label = f"samples higher than this: {higher.sum()}"
            edge = np.array([(share, high) for share in np.unique(points[higher, 0])])
            axes.scatter(edge[:, 0], edge[:, 1], s=9**2, marker="^", zorder=3, label=label, gid="higher", **mark)
            drawn = np.concatenate([drawn, edge])
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.03), ncols=3)
        labels, left_out = _names(phases, *(plot.pixels_of(axes, each) for each in (corners, drawn)))
        pixels = plot.pixel_axes(figure)
        draw_labels(pixels, labels)
        if left_out:
            pixels.text(WIDTH - _RIGHT, 14, f"names left out: {left_out}", ha="right")

    return plot.draw(WIDTH, HEIGHT, paint)


def _energies(hull: Float[np.ndarray, "phases"], samples: Float[np.ndarray, "samples"]) -> tuple[float, float]:
    """From where to where the axis goes."""
    depth = float(-hull.min())
    top = max(0.5, depth)
    shown = [0.0, -depth, *samples[samples <= top].tolist()]
    room = _ROOM * max(0.5, max(shown) - min(shown))
    return min(shown) - room, max(shown) + 0.1 * room


def _names(
    phases: StablePhases, corners: Float[np.ndarray, "phases 2"], marks: Float[np.ndarray, "drawn 2"]
) -> tuple[list[Label | None], int]:
    """Of the phases, below the hull, the lowest first; and how many find no room."""
    points: list[Point] = list(map(tuple, corners.tolist()))
    board = LabelBoard(WIDTH, HEIGHT - _BOTTOM)
    board.keep_free([(0.0, 0.0, _LEFT - 2.0, float(HEIGHT))])
    # half the width of a sample's mark
    board.keep_points_free([*points, *map(tuple, marks.tolist())], 4.0)
    for one, other in phases.tie_lines:
        board.keep_line_free(points[one], points[other])
    order = sorted(range(len(points)), key=lambda n: phases.phases[n].formation_energy)
    labels = [board.label(subscripted(phases.phases[n].formula), points[n], _DOWNWARDS) for n in order]
    return labels, board.left_out
