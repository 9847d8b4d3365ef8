"""A distribution of samples beside that of a reference, as a small SVG that reads in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unigen.report.page import Figure
from unigen.shapes import Float

WIDTH, HEIGHT = 320, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 12, 24, 22
_MOST_BINS = 24

_STYLE = """
text { font: 11px system-ui, sans-serif; fill: #5b636d; }
.sample { fill: #2f8583; fill-opacity: .55; }
.reference { fill: none; stroke: #9a5b13; stroke-width: 2; }
.axis { stroke: #8b929b; }
@media (prefers-color-scheme: dark) {
  text { fill: #a4abb3; } .sample { fill: #58aaa4; } .reference { stroke: #dba462; }
}
"""


def histogram(
    title: str, samples: Sequence[int | float], reference: Sequence[int | float] | None = None, unit: str = ""
) -> Figure | None:
    """Shares of samples (filled) and of the reference (a line) in the same bins; None where there are no samples.

    The bins span the middle 99 % of both, so that one stray number does not squeeze everything else into one bar; what
    lies outside is counted in the first and last bin. Whole numbers get a bin each where there are few.

    Args:
        title: the quantity.
        samples: its values.
        reference: values of the reference, where there is one.
        unit: of the values.
    """
    made = _finite(samples)
    known = _finite(reference or ())
    if not len(made):
        return None
    edges = _edges(np.concatenate([made, known]), bins=min(_MOST_BINS, max(8, int(np.sqrt(len(made))))))
    shares = [_shares(values, edges) for values in (made, known) if len(values)]
    label = f"{title} ({unit})" if unit else title
    return Figure(label, _svg(edges, shares), _words(label, made, known))


def _finite(values: Sequence[int | float]) -> Float[np.ndarray, "values"]:
    array = np.array(list(values), dtype=np.float64)
    return array[np.isfinite(array)]


def _edges(values: Float[np.ndarray, "values"], bins: int) -> Float[np.ndarray, "edges"]:
    low, high = np.quantile(values, [0.005, 0.995])
    if (values == np.round(values)).all():
        low, high = np.floor(low), np.ceil(high)
        width = (high - low) // _MOST_BINS + 1
        return np.arange(low, high + width + 1, width) - 0.5
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def _shares(values: Float[np.ndarray, "values"], edges: Float[np.ndarray, "edges"]) -> Float[np.ndarray, "bins"]:
    middles = (edges[:-1] + edges[1:]) / 2
    counts, _ = np.histogram(np.clip(values, middles[0], middles[-1]), edges)
    return counts / len(values)


def _svg(edges: Float[np.ndarray, "edges"], shares: Sequence[Float[np.ndarray, "bins"]]) -> str:
    most = max(float(share.max()) for share in shares)
    across = _LEFT + (edges - edges[0]) / (edges[-1] - edges[0]) * (WIDTH - _LEFT - _RIGHT)
    floor = HEIGHT - _BOTTOM
    drawn = [
        f'<path class="{kind}" d="{_outline(across, floor - share / most * (floor - _TOP), floor)}"/>'
        for kind, share in zip(("sample", "reference"), shares, strict=False)
    ]
    ticks = [
        f'<text x="{np.interp(value, edges, across):.1f}" y="{floor + 14}" text-anchor="middle">{value:.3g}</text>'
        for value in _ticks(edges)
    ]
    legend = [
        f'<rect class="sample" x="{_LEFT}" y="6" width="12" height="9"/><text x="{_LEFT + 17}" y="14">samples</text>'
    ]
    if len(shares) > 1:
        line = f'<path class="reference" d="M{_LEFT + 80} 11h14"/>'
        legend.append(f'{line}<text x="{_LEFT + 99}" y="14">reference</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"<style>{_STYLE}</style>{''.join(legend)}{''.join(drawn)}"
        f'<path class="axis" d="M{_LEFT} {floor}H{WIDTH - _RIGHT}"/>{"".join(ticks)}'
        f'<text x="{_LEFT - 4}" y="{_TOP + 4}" text-anchor="end">{100 * most:.0f} %</text>'
        f"</svg>"
    )


def _outline(across: Float[np.ndarray, "edges"], heights: Float[np.ndarray, "bins"], floor: int) -> str:
    steps = "".join(f"V{y:.1f}H{x:.1f}" for y, x in zip(heights, across[1:], strict=True))
    return f"M{across[0]:.1f} {floor}{steps}V{floor}"


def _ticks(edges: Float[np.ndarray, "edges"]) -> Float[np.ndarray, "ticks"]:
    """Three to six round numbers."""
    span = float(edges[-1] - edges[0])
    power = 10.0 ** np.floor(np.log10(span / 3))
    step = max(each * power for each in (1, 2, 2.5, 5) if each * power <= span / 3)
    step = max(step, 1.0) if (edges % 1 == 0.5).all() else step
    return np.arange(np.ceil(edges[0] / step), np.floor(edges[-1] / step) + 1) * step


def _words(label: str, made: Float[np.ndarray, "values"], known: Float[np.ndarray, "others"]) -> str:
    said = [f"{label}: {len(made)} samples, {_spread(made)}"]
    if len(known):
        said.append(f"{len(known)} of the reference, {_spread(known)}")
    return "; ".join(said)


def _spread(values: Float[np.ndarray, "values"]) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"median {middle:.4g}, half of them from {low:.4g} to {high:.4g}"
