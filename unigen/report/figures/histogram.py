"""A distribution of samples beside that of a reference, as a small SVG that reads in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unigen.report.figures import svg
from unigen.report.figures.plot import Axis
from unigen.report.page import Figure
from unigen.shapes import Float

WIDTH, HEIGHT = 320, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 12, 24, 22
_MOST_BINS = 24


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
    made = _finite(samples)
    known = _finite(reference or ())
    if not len(made):
        return None
    edges = _edges(np.concatenate([made, known]), marks, bins=min(_MOST_BINS, max(8, int(np.sqrt(len(made))))))
    shares = [_shares(values, edges) for values in (made, known) if len(values)]
    label = f"{title} ({unit})" if unit else title
    return Figure(label, _svg(edges, shares, marks), _words(label, made, known, marks))


def _finite(values: Sequence[int | float]) -> Float[np.ndarray, "values"]:
    array = np.array(list(values), dtype=np.float64)
    return array[np.isfinite(array)]


def _edges(values: Float[np.ndarray, "values"], marks: Sequence[float], bins: int) -> Float[np.ndarray, "edges"]:
    low, high = np.quantile(values, [0.005, 0.995])
    if marks:
        return _edges_at(marks, min(low, *marks), max(high, *marks), bins)
    if (values == np.round(values)).all():
        low, high = np.floor(low), np.ceil(high)
        width = (high - low) // _MOST_BINS + 1
        return np.arange(low, high + width + 1, width) - 0.5
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def _edges_at(marks: Sequence[float], low: float, high: float, bins: int) -> Float[np.ndarray, "edges"]:
    """Bins that end at the first two marks, so that no bar stands on both sides of one; wider where the range is."""
    width = marks[1] - marks[0]
    needed = (high - low) / width
    width = width / (bins // needed) if needed <= bins else width * np.ceil(needed / _MOST_BINS)
    first, last = (low - marks[0]) / width, (high - marks[0]) / width
    return marks[0] + width * np.arange(np.floor(first + 1e-9), np.ceil(last - 1e-9) + 1)


def _shares(values: Float[np.ndarray, "values"], edges: Float[np.ndarray, "edges"]) -> Float[np.ndarray, "bins"]:
    middles = (edges[:-1] + edges[1:]) / 2
    counts, _ = np.histogram(np.clip(values, middles[0], middles[-1]), edges)
    return counts / len(values)


def _svg(edges: Float[np.ndarray, "edges"], shares: Sequence[Float[np.ndarray, "bins"]], marks: Sequence[float]) -> str:
    most = max(float(share.max()) for share in shares)
    axis, floor = Axis(float(edges[0]), float(edges[-1]), _LEFT, WIDTH - _RIGHT), HEIGHT - _BOTTOM
    across = axis.place(edges)
    drawn = [
        f'<path class="{kind}" d="{_outline(across, floor - share / most * (floor - _TOP), floor)}"/>'
        for kind, share in zip(("sample", "reference"), shares, strict=False)
    ]
    pieces = [
        *_legend(len(shares) > 1, marks),
        *drawn,
        *(svg.line("mark", (axis.at(mark), _TOP - 4), (axis.at(mark), floor)) for mark in marks),
        *axis.to_the_right(floor, whole=bool((edges % 1 == 0.5).all())),
        svg.text(f"{100 * most:.0f} %", (_LEFT - 4, _TOP + 4), "end"),
    ]
    return svg.document(WIDTH, HEIGHT, pieces)


def _legend(beside: bool, marks: Sequence[float]) -> list[str]:
    x = _LEFT
    pieces = [f'<rect class="sample" x="{x}" y="6" width="12" height="9"/>', svg.text("samples", (x + 17, 14))]
    if beside:
        x += 80
        pieces += [svg.line("reference", (x, 11), (x + 14, 11)), svg.text("reference", (x + 19, 14))]
    if marks:
        x += 80
        said = ", ".join(f"{mark:g}" for mark in marks)
        pieces += [svg.line("mark", (x + 4, 5), (x + 4, 16)), svg.text(said, (x + 12, 14))]
    return pieces


def _outline(across: Float[np.ndarray, "edges"], heights: Float[np.ndarray, "bins"], floor: int) -> str:
    steps = "".join(f"V{y:.1f}H{x:.1f}" for y, x in zip(heights, across[1:], strict=True))
    return f"M{across[0]:.1f} {floor}{steps}V{floor}"


def _words(
    label: str, made: Float[np.ndarray, "values"], known: Float[np.ndarray, "others"], marks: Sequence[float]
) -> str:
    said = [f"{label}: {len(made)} samples, {_spread(made)}"]
    said += [f"{int((made <= mark).sum())} of them at most {mark:g}" for mark in marks]
    if len(known):
        said.append(f"{len(known)} of the reference, {_spread(known)}")
    return "; ".join(said)


def _spread(values: Float[np.ndarray, "values"]) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"median {middle:.4g}, half of them from {low:.4g} to {high:.4g}"
