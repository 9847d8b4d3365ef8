"""The convex hull of two elements: formation energy over composition, with samples as marks."""

from __future__ import annotations

from collections.abc import Sequence

from unigen.energies.hull.phases import StablePhases
from unigen.report.figures import svg
from unigen.report.figures.hull_sample import HULL_STYLE, HullSample
from unigen.report.figures.labels import LabelBoard, subscripted
from unigen.report.figures.plot import Axis
from unigen.report.figures.svg import Point

WIDTH, HEIGHT = 520, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 22, 28, 40
_FLOOR, _WALL = HEIGHT - _BOTTOM, WIDTH - _RIGHT
_ROOM = 0.28
"""Below the hull, for names, as a share of the height of what is drawn."""

_DOWNWARDS = tuple(turn / 32 for turn in (8, 9, 7, 10, 6, 11, 5, 12, 4, 13, 3, 14, 2, 15, 1))


def binary_hull(phases: StablePhases, samples: Sequence[HullSample]) -> str:
    """The SVG.

    The frame reaches as far above zero as the hull lies below it, at least 0.5 eV/atom; samples higher than that stand
    as triangles at its upper edge.

    Args:
        phases: of two elements.
        samples: in their system.
    """
    across, upwards = Axis(0.0, 1.0, _LEFT, _WALL), _energies(phases, samples)
    corners, places = (
        [(across.at(each.shares[1]), upwards.at(each.formation_energy)) for each in some]
        for some in (phases.phases, samples)
    )
    higher = [sample.formation_energy > upwards.high for sample in samples]
    marks = dict.fromkeys(((round(x), round(y)), up) for (x, y), up in zip(places, higher, strict=True))
    names, left_out = _names(phases, corners, [place for place, _ in marks])
    zero = upwards.at(0.0)
    pieces = [
        svg.line("zero", (_LEFT, zero), (_WALL, zero)),
        *(svg.line("hull", corners[one], corners[other]) for one, other in phases.tie_lines),
        *(_mark(place, up) for place, up in marks),
        *(svg.dot("phase", corner, 3) for corner in corners),
        *names,
        *across.to_the_right(_FLOOR),
        *upwards.upwards(_LEFT),
        svg.text(f"share of {phases.elements[1]} among the atoms", ((_LEFT + _WALL) / 2, HEIGHT - 6), "middle"),
        *_legend(sum(higher), left_out),
    ]
    return svg.document(WIDTH, HEIGHT, pieces, HULL_STYLE)


def _energies(phases: StablePhases, samples: Sequence[HullSample]) -> Axis:
    depth = -min(phase.formation_energy for phase in phases.phases)
    top = max(0.5, depth)
    shown = [0.0, -depth, *(sample.formation_energy for sample in samples if sample.formation_energy <= top)]
    room = _ROOM * max(0.5, max(shown) - min(shown))
    return Axis(min(shown) - room, max(shown) + 0.1 * room, _FLOOR, _TOP)


def _names(phases: StablePhases, corners: Sequence[Point], places: Sequence[Point]) -> tuple[list[str], int]:
    """Of the phases, below the hull, the lowest first; and how many find no room."""
    board = LabelBoard(WIDTH, _FLOOR)
    board.keep_free([(0.0, 0.0, _LEFT - 2.0, float(HEIGHT))])
    board.keep_points_free([*corners, *places], 4.0)
    for one, other in phases.tie_lines:
        board.keep_line_free(corners[one], corners[other])
    order = sorted(range(len(corners)), key=lambda n: phases.phases[n].formation_energy)
    names = [board.name(subscripted(phases.phases[n].formula), corners[n], _DOWNWARDS) for n in order]
    return names, board.left_out


def _mark(place: Point, higher: bool) -> str:
    x, y = place
    return f'<path class="sample" d="M{x - 5:.1f} {y + 9:.1f}h10l-5 -9z"/>' if higher else svg.dot("sample", place, 4)


def _legend(higher: int, left_out: int) -> list[str]:
    pieces = [_mark((_LEFT + 4.0, 10.0), False), svg.text("samples", (_LEFT + 13, 14))]
    x = _LEFT + 76.0
    pieces += [svg.line("hull", (x, 10), (x + 22, 10)), svg.dot("phase", (x + 11, 10), 3)]
    pieces.append(svg.text("stable phases", (x + 27, 14)))
    if higher:
        pieces += [_mark((x + 124, 5), True), svg.text(f"samples higher than this: {higher}", (x + 134, 14))]
    if left_out:
        pieces.append(svg.text(f"names left out: {left_out}", (_WALL, 14), "end"))
    return pieces
