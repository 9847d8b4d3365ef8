"""The convex hull of three elements, seen from below: stable phases, which of them border, samples by their energy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import atan2, pi

import numpy as np

from unigen.energies.hull.phases import StablePhases
from unigen.report.figures import svg
from unigen.report.figures.hull_sample import HULL_STYLE, HullSample
from unigen.report.figures.labels import AROUND, LabelBoard, subscripted
from unigen.report.figures.svg import Point

WIDTH, HEIGHT = 520, 440
_CORNERS = ((50.0, 404.0), (470.0, 404.0), (260.0, 40.0))
"""Of the elements in their order: left, right, top; all sides are equally long."""

CLASSES = ((0.0, "at most 0"), (0.1, "to 0.1"), (0.3, "to 0.3"), (float("inf"), "higher"))
"""Upper ends, eV/atom above the hull, and what the legend calls them."""

_STYLE = (
    HULL_STYLE
    + """
.above0 { fill: #0b6261; } .above1 { fill: #4fa89c; } .above2 { fill: #dba462; } .above3 { fill: #b4552d; }
.above0, .above1, .above2, .above3 { stroke: #fbfaf7; }
.tie { stroke: #8b929b; stroke-opacity: .65; }
.phase { fill: #20242a; }
@media (prefers-color-scheme: dark) {
  .above0 { fill: #8fe3d9; } .above1 { fill: #3f9c92; } .above2 { fill: #dba462; } .above3 { fill: #c8623a; }
  .above0, .above1, .above2, .above3 { stroke: #15181c; }
  .phase { fill: #e6e6e2; }
}
"""
)


def ternary_hull(phases: StablePhases, samples: Sequence[HullSample]) -> str:
    """The SVG; samples of one composition are one mark, coloured by the lowest of them.

    Args:
        phases: of three elements.
        samples: in their system.
    """
    lowest = {sample.shares: sample.above_hull for sample in sorted(samples, key=lambda each: -each.above_hull)}
    counts = Counter(_place(sample.shares) for sample in samples)
    corners = [_place(phase.shares) for phase in phases.phases]
    names, left_out = _names(phases, corners, counts)
    pieces = [
        *(svg.line("tie", corners[one], corners[other]) for one, other in phases.tie_lines),
        *(svg.dot(_class(above), _place(shares), 6) for shares, above in lowest.items()),
        *(svg.dot("phase", corner, 3) for corner in corners),
        *names,
        *_legend(left_out),
    ]
    return svg.document(WIDTH, HEIGHT, pieces, _STYLE)


def _place(shares: Sequence[float]) -> Point:
    x, y = (sum(share * corner[axis] for share, corner in zip(shares, _CORNERS, strict=True)) for axis in (0, 1))
    return x, y


def _class(above_hull: float) -> str:
    return next(f"above{number}" for number, (most, _) in enumerate(CLASSES) if above_hull <= most)


def _names(phases: StablePhases, corners: Sequence[Point], counts: Counter[Point]) -> tuple[list[str], int]:
    """Of the phases: those at the rim, outside of it, then those that have samples; and how many find no room."""
    places = range(len(corners))
    tries = [
        _names_in_turn(
            sorted(turns, key=lambda n: (-_missing(phases.phases[n].shares), corners[n] not in counts)),
            phases,
            corners,
            counts,
        )
        for turns in (places, places[::-1])
    ]
    return min(tries, key=lambda each: each[1])


def _names_in_turn(
    turns: Sequence[int], phases: StablePhases, corners: Sequence[Point], counts: Counter[Point]
) -> tuple[list[str], int]:
    board = LabelBoard(WIDTH, HEIGHT)
    board.keep_free([(0.0, 0.0, 165.0, 100.0)])
    board.keep_points_free(corners, 4.0)
    board.keep_points_free(counts, 7.0)
    said = [board.name(f"\N{MULTIPLICATION SIGN}{count}", place) for place, count in counts.items() if count > 1]
    for n in turns:
        shares = phases.phases[n].shares
        towards = _outwards(shares) if _missing(shares) else AROUND
        said.append(board.name(subscripted(phases.phases[n].formula), corners[n], towards))
    return said, board.left_out


def _missing(shares: Sequence[float]) -> int:
    return sum(share == 0 for share in shares)


def _outwards(shares: Sequence[float]) -> list[float]:
    """Directions out of the triangle, beginning with that away from what a phase at the rim lacks."""
    present = [corner for share, corner in zip(shares, _CORNERS, strict=True) if share > 0]
    absent = [corner for corner in _CORNERS if corner not in present]
    right, down = np.mean(present, axis=0) - np.mean(absent, axis=0)
    best = atan2(down, right) / (2 * pi)
    return sorted((best + step / 32 for step in range(-6, 7)), key=lambda turn: abs(turn - best))


def _legend(left_out: int) -> list[str]:
    pieces = [svg.text("eV/atom above the hull", (8, 14))]
    for number, (_, said) in enumerate(CLASSES):
        y = 28.0 + 16 * number
        pieces += [svg.dot(f"above{number}", (16, y), 6), svg.text(said, (28, y + 4))]
    pieces += [svg.dot("phase", (16, 92), 3), svg.text("stable phase", (28, 96))]
    if left_out:
        pieces.append(svg.text(f"names left out: {left_out}", (WIDTH - 8, 14), "end"))
    return pieces
