"""A distribution of samples beside that of a reference, as a small SVG that reads in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.report.figures import plot
from unigen.report.page import Figure
from unigen.shapes import Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

WIDTH, HEIGHT = 320, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 24, 22
"""Pixels; on the left there is room for ``100 %``."""
_LEAST_BINS, _MOST_BINS = 8, 24
"""Fewer show no shape; more are bars of less than a dozen pixels."""


def histogram(
    title: str,
    samples: Sequence[int | float],
    reference: Sequence[int | float] | None = None,
    unit: str = "",
    marks: Sequence[float] = (),
) -> Figure | None:
    """Shares of samples (filled) and of the reference (a line) in the same bins; None where there are no samples.

    The bins span the middle 99 % of both, so that one stray number does not squeeze everything else into one bar; what
    lies outside is counted in the first and last bin. Whole numbers get a bin each where there are few.

    Args:
        title: the quantity.
        samples: its values.
        reference: values of the reference, where there is one.
        unit: of the values.
        marks: two values or none, with a thin line each, inside the picture whatever the samples are; the words count
            the samples up to each.
    """
    sampled = _finite(samples)
    expected = _finite(reference or ())
    if not len(sampled):
        return None
    bins = min(_MOST_BINS, max(_LEAST_BINS, int(np.sqrt(len(sampled)))))  # the square root rule
    edges = _edges(np.concatenate([sampled, expected]), marks, bins)
    shares = [_shares(values, edges) for values in (sampled, expected) if len(values)]
    label = f"{title} ({unit})" if unit else title
    return Figure(label, _svg(edges, shares, marks), _words(label, sampled, expected, marks))


def _finite(values: Sequence[int | float]) -> Float[np.ndarray, "values"]:
    array = np.array(list(values), dtype=np.float64)
    return array[np.isfinite(array)]


def _edges(values: Float[np.ndarray, "values"], marks: Sequence[float], bins: int) -> Float[np.ndarray, "edges"]:
    low, high = np.quantile(values, [0.005, 0.995])  # the middle 99 %
    if marks:
        return _edges_at(marks, min(low, *marks), max(high, *marks), bins)
    if (values == np.round(values)).all():
        low, high = np.floor(low), np.ceil(high)
        width = (high - low) // _MOST_BINS + 1
        # whole numbers stand in the middle of their bins
        return np.arange(low, high + width + 1, width) - 0.5
    if high - low < 1e-9 * max(1.0, abs(high)):  # the same but for rounding
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def _edges_at(marks: Sequence[float], low: float, high: float, bins: int) -> Float[np.ndarray, "edges"]:
    """Bins that end at the first two marks, so that no bar stands on both sides of one; wider where the range is."""
    width = marks[1] - marks[0]
    needed = (high - low) / width
    width = width / (bins // needed) if needed <= bins else width * np.ceil(needed / _MOST_BINS)
    first, last = (low - marks[0]) / width, (high - marks[0]) / width
    # a range that ends at an edge but for rounding needs no bin beyond it
    return marks[0] + width * np.arange(np.floor(first + 1e-9), np.ceil(last - 1e-9) + 1)


def _shares(values: Float[np.ndarray, "values"], edges: Float[np.ndarray, "edges"]) -> Float[np.ndarray, "bins"]:
    middles = (edges[:-1] + edges[1:]) / 2
    counts, _ = np.histogram(np.clip(values, middles[0], middles[-1]), edges)
    return counts / len(values)


def _svg(edges: Float[np.ndarray, "edges"], shares: Sequence[Float[np.ndarray, "bins"]], marks: Sequence[float]) -> str:
    most = max(float(share.max()) for share in shares)

    def paint(figure: MatplotlibFigure) -> None:
        axes = plot.axes_within(figure, _LEFT, _TOP, _RIGHT, _BOTTOM)
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, most))
        axes.stairs(shares[0], edges, fill=True, color=plot.LIGHT["sample"], alpha=0.55, label="samples", gid="sample")
        for share in shares[1:]:
            colour = plot.LIGHT["reference"]
            axes.stairs(share, edges, color=colour, linewidth=2, clip_on=False, label="reference", gid="reference")
        if marks:
            dashed: dict[str, Any] = {"colors": plot.LIGHT["ink"], "linewidth": 1, "linestyles": (0, (3, 2))}
            values = ", ".join(f"{mark:g}" for mark in marks)
            # a little above the highest bar, so that a mark on its edge can be seen
            axes.vlines(marks, 0, 1.03 * most, label=values, clip_on=False, gid="mark", **dashed)
        plot.round_numbers(axes.xaxis, whole=bool((edges % 1 == 0.5).all()))  # as `_edges` puts them for whole numbers
        axes.spines.left.set_visible(False)
        axes.set_yticks([most], labels=[f"{100 * most:.0f} %"])
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.04), ncols=3)

    return plot.draw(WIDTH, HEIGHT, paint)


def _words(
    label: str,
    sampled: Float[np.ndarray, "values"],
    expected: Float[np.ndarray, "others"],
    marks: Sequence[float],
) -> str:
    said = [f"{label}: {len(sampled)} samples, {_spread(sampled)}"]
    said += [f"{int((sampled <= mark).sum())} of them at most {mark:g}" for mark in marks]
    if len(expected):
        said.append(f"{len(expected)} of the reference, {_spread(expected)}")
    return "; ".join(said)


def _spread(values: Float[np.ndarray, "values"]) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"median {middle:.4g}, half of them from {low:.4g} to {high:.4g}"
