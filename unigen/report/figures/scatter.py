"""What samples were found to have against what they were asked to have, with the line where both are the same."""

from __future__ import annotations

import numpy as np

from unigen.eval.requested_property import RequestedProperty
from unigen.report.figures import svg
from unigen.report.figures.plot import Axis
from unigen.report.page import Figure
from unigen.shapes import Float

SIZE = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 24, 38
_MARGIN = 0.06
_STYLE = ".dots { fill: none; stroke: #2f8583; stroke-width: 6; stroke-linecap: round; stroke-opacity: .6; }"
_STYLE += "@media (prefers-color-scheme: dark) { .dots { stroke: #58aaa4; } }"


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
    margin = _MARGIN * (high - low) or 0.5 * max(1.0, abs(high))
    low, high = low - margin, high + margin
    floor, wall = SIZE - _BOTTOM, SIZE - _RIGHT
    across, upwards = Axis(low, high, _LEFT, wall), Axis(low, high, floor, _TOP)
    outside = int(((found < low) | (found > high)).sum())
    pieces = [
        svg.line("mark", (_LEFT, floor), (wall, _TOP)),
        f'<path class="dots" d="{_dots(across.place(wanted), upwards.place(found))}"/>',
        *across.to_the_right(floor),
        *upwards.upwards(_LEFT),
        svg.text("found", (_LEFT - 6, 14)),
        svg.text("asked", ((_LEFT + wall) / 2, SIZE - 6), "middle"),
        svg.text(f"mean absolute error {np.abs(found - wanted).mean():.3g}", (wall, 14), "end"),
    ]
    if outside:
        pieces.append(svg.text(f"outside, at the edge: {outside}", (wall, floor - 6), "end"))
    return svg.document(SIZE, SIZE, pieces, _STYLE)


def _dots(x: Float[np.ndarray, "samples"], y: Float[np.ndarray, "samples"]) -> str:
    """Lines of no length with round ends; those in one place are drawn once, so that ten thousand make a small file."""
    places = np.unique(np.stack([x, y], axis=1).round(), axis=0)
    return "".join(f"M{across:g} {upwards:g}h0" for across, upwards in places)


def _words(name: str, unit: str, asked: RequestedProperty) -> str:
    missing = len(asked.requested) - int(asked.has_value.sum())
    said = (
        f"{name} found against asked, {len(asked.errors)} samples: mean absolute error {asked.errors.mean():.4g} {unit}"
    )
    return said.rstrip() + (f"; {missing} more have no value" if missing else "")
