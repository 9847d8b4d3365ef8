"""What samples were found to have against what they were asked to have, with the line where both are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unigen.eval.requested_property import RequestedProperty
from unigen.report.figures import plot
from unigen.report.page import Figure
from unigen.shapes import Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

SIZE = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 24, 38
_MARGIN = 0.06
"""Around what is shown, as a share of it: room for half a dot."""


def asked_figure(asked: RequestedProperty) -> Figure | None:
    """The picture of one property; None where no sample has a value.

    The frame spans what was asked for and the middle 98 % of what was found; what lies outside stands at its edge.

    Args:
        asked: as a report holds it.
    """
    if not asked.has_value.any():
        return None
    wanted, found = asked.requested[asked.has_value], asked.actual[asked.has_value]
    name = asked.name.replace("_", " ")
    unit = asked.unit.replace("^2", "²").replace("^3", "³")
    label = f"{name} found against asked" + (f" ({unit})" if unit else "")
    return Figure(label, _svg(wanted, found), _words(name, unit, asked))


def _svg(wanted: Float[np.ndarray, "samples"], found: Float[np.ndarray, "samples"]) -> str:
    ends = np.concatenate([wanted, np.quantile(found, [0.01, 0.99])])
    low, high = float(ends.min()), float(ends.max())
    size = max(1.0, abs(high))
    # values that are the same but for rounding get a frame of their own size around them
    margin = _MARGIN * (high - low) if high - low > 1e-9 * size else 0.5 * size
    low, high = low - margin, high + margin
    outside = int(((found < low) | (found > high)).sum())

    def paint(figure: MatplotlibFigure) -> None:
        axes = plot.axes_within(figure, _LEFT, _TOP, _RIGHT, _BOTTOM)
        axes.set(xlim=(low, high), ylim=(low, high), xlabel="asked")
        axes.plot((low, high), (low, high), color=plot.LIGHT["ink"], linewidth=1, linestyle=(0, (3, 2)), gid="mark")
        for axis in (axes.xaxis, axes.yaxis):
            plot.round_numbers(axis)
        pixels = plot.pixel_axes(figure)
        pixels.add_patch(plot.dots(plot.pixels_of(axes, np.clip(np.stack([wanted, found], axis=1), low, high))))
        wall = SIZE - _RIGHT
        pixels.text(_LEFT - 6, 14, "found")
        pixels.text(wall, 14, f"mean absolute error {np.abs(found - wanted).mean():.3g}", ha="right")
        if outside:
            pixels.text(wall, SIZE - _BOTTOM - 6, f"outside, at the edge: {outside}", ha="right")

    return plot.draw(SIZE, SIZE, paint)


def _words(name: str, unit: str, asked: RequestedProperty) -> str:
    missing = len(asked.requested) - int(asked.has_value.sum())
    said = (
        f"{name} found against asked, {len(asked.errors)} samples: mean absolute error {asked.errors.mean():.4g} {unit}"
    )
    return said.rstrip() + (f"; {missing} more have no value" if missing else "")
