"""What ranked the candidates of a request, against their place in the ranking; the answers stand out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unigen.report.figures import plot
from unigen.report.page import Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

WIDTH, HEIGHT = 420, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 30, 38


@dataclass(frozen=True)
class RankedValue:
    """A candidate.

    Attributes:
        value: of the quantity that ranks.
        answer: whether it is one of the answers.
    """

    value: float
    answer: bool


def ranking_figure(ranked: Sequence[RankedValue], quantity: str, unit: str) -> Figure | None:
    """The picture; None where fewer than two candidates have a value.

    Args:
        ranked: the candidates that have a value, the best first.
        quantity: what the value is.
        unit: of it; empty where it has none.
    """
    if len(ranked) < 2:
        return None
    values = np.array([each.value for each in ranked])
    answers = np.array([each.answer for each in ranked])
    places = np.arange(1, len(ranked) + 1)
    # a few wild candidates would press all others onto the axis: the frame holds nine in ten, the rest at its edge
    low, high = float(values.min()), float(np.quantile(values, 0.9))
    high = max(high, float(values[answers].max(initial=low)))
    margin = 0.06 * (high - low) or 0.5
    low, high = low - margin, high + margin
    outside = int((values > high).sum())
    label = f"{quantity}{f' ({unit})' if unit else ''}"

    def paint(figure: MatplotlibFigure) -> None:
        axes = plot.axes_within(figure, _LEFT, _TOP, _RIGHT, _BOTTOM)
        axes.set(xlim=(0.5, len(ranked) + 0.5), ylim=(low, high), xlabel="place in the ranking")
        plot.round_numbers(axes.xaxis, whole=True)
        plot.round_numbers(axes.yaxis)
        pixels = plot.pixel_axes(figure)
        where = plot.pixels_of(axes, np.stack([places, np.clip(values, low, high)], axis=1))
        for chosen, colour in ((~answers, plot.LIGHT["sample"]), (answers, plot.LIGHT["highest"])):
            if chosen.any():
                pixels.add_patch(plot.dots(where[chosen], colour))
        pixels.text(10, 16, label)
        pixels.text(WIDTH - _RIGHT, 16, "answers in orange", ha="right")
        if outside:
            pixels.text(WIDTH - _RIGHT, _TOP + 12, f"higher, at the edge: {outside}", ha="right")

    among = values[answers]
    told = f"{len(among)} answers between {among.min():.4g} and {among.max():.4g}" if len(among) else "no answer"
    text = f"{label} of {len(ranked)} candidates in the order of their ranking: {told}, "
    text += f"all between {values.min():.4g} and {values.max():.4g}."
    return Figure(f"{label}, by rank", plot.draw(WIDTH, HEIGHT, paint), text, wide=True)
