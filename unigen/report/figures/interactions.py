"""What the layers of a model do, as pictures: curves by distance, and maps of who takes from whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unigen.report.figures import plot
from unigen.report.page import Figure
from unigen.shapes import Float

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure as MatplotlibFigure

WIDTH, HEIGHT = 520, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 120, 24, 38
_COLOURS = ("lowest", "high", "highest", "low", "ink", "reference", "sample")
_DASHES: tuple[object, ...] = ("solid", (0, (4, 2)), (0, (1, 1.5)))
"""Colours and dashes tell the layers apart: 21 of them, more than anybody can follow."""

PANELS, _PANEL, _MARGIN, _GAP = 3, 190, 52, 22
"""Maps a layer: the mean of all heads, and the heads that move most."""


def curves_figure(title: str, curves: Sequence[tuple[str, Sequence[float]]], what: str, words: str) -> Figure:
    """Curves by distance in tokens, on a logarithmic axis where they are positive.

    Args:
        title: of the figure.
        curves: name and values from distance 0 on; what is not positive is left out of the line.
        what: the values are.
        words: what is seen, for those who do not see it.
    """

    def paint(figure: MatplotlibFigure) -> None:
        axes = plot.axes_within(figure, _LEFT, _TOP, _RIGHT, _BOTTOM)
        for place, (name, values) in enumerate(curves):
            points = np.array(values, dtype=np.float64)
            axes.plot(
                np.where(points > 0, points, np.nan),
                color=plot.LIGHT[_COLOURS[place % len(_COLOURS)]],
                linestyle=_DASHES[place // len(_COLOURS) % len(_DASHES)],
                linewidth=1.5,
                label=name,
                gid=f"curve-{place}",
            )
        if any(value > 0 for _, values in curves for value in values):
            axes.set_yscale("log")
            _plain_powers(axes.yaxis)
        axes.set(xlabel="distance, tokens")
        plot.round_numbers(axes.xaxis, whole=True)
        if len(curves) > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), fontsize=9)
        plot.pixel_axes(figure).text(10, 16, what)

    return Figure(title, plot.draw(WIDTH, HEIGHT, paint), words, wide=True)


def _plain_powers(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 of each power of ten, written as they are."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def map_figure(
    title: str,
    weights: Float[np.ndarray, "heads tokens sources"],
    shares: Sequence[float],
    labels: Sequence[str],
) -> Figure:
    """Maps of one layer: rows take from columns, the darker the more; each map by its own largest value.

    Args:
        title: of the figure.
        weights: W; negative ones are orange.
        shares: of what is moved, head by head.
        labels: of the tokens.
    """
    most = np.argsort(-np.array(shares), kind="stable")[: PANELS - 1].tolist() if len(shares) > 1 else []
    size = np.abs(weights).sum((1, 2), keepdims=True)
    size[size == 0] = 1.0
    panels = [("head 1" if len(shares) == 1 else f"mean of {len(shares)} heads", (np.abs(weights) / size).mean(0))]
    panels += [(f"head {head + 1}, moves {100 * shares[head]:.0f} %", weights[head]) for head in most]
    width = _MARGIN + len(panels) * (_PANEL + _GAP)
    height = 24 + _PANEL + _MARGIN
    letters = min(9.0, 0.95 * _PANEL / len(labels))  # a line of text no higher than its row

    def paint(figure: MatplotlibFigure) -> None:
        for place, (name, values) in enumerate(panels):
            left = _MARGIN + place * (_PANEL + _GAP)
            axes = plot.axes_within(figure, left, 24, width - left - _PANEL, _MARGIN)
            axes.imshow(_coloured(values), interpolation="none", aspect="auto")
            axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=letters)
            if place == 0:
                axes.set_yticks(range(len(labels)), labels, fontsize=letters)
            else:  # the same rows; a tick costs as much as all cells
                axes.set_yticks([])
            axes.tick_params(pad=2)
            plot.pixel_axes(figure).text(left, 16, name)

    farthest = ", ".join(
        f"{labels[i]} from {labels[j]}"
        for i, j in zip(*np.unravel_index(np.argsort(-panels[0][1], axis=None)[:5], panels[0][1].shape), strict=True)
    )
    return Figure(title, plot.draw(width, height, paint), f"{title}; the largest weights: {farthest}.", wide=True)


def _coloured(values: Float[np.ndarray, "tokens sources"]) -> Float[np.ndarray, "tokens sources 4"]:
    """Opaque where they are large, so that the page shows through elsewhere, light or dark."""
    largest = np.abs(values).max() or 1.0
    positive, negative = (
        [int(plot.LIGHT[name][at : at + 2], 16) / 255 for at in (1, 3, 5)] for name in ("sample", "highest")
    )
    image = np.empty((*values.shape, 4))
    image[..., :3] = np.where(values[..., None] >= 0, positive, negative)
    image[..., 3] = np.abs(values) / largest
    return image
