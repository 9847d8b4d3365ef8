"""A measured powder pattern over those calculated of its answers, with the difference under each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.matching import prepare
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.profile import CalculatedProfile, calculated_profile
from unigen.report.figures import plot
from unigen.report.page import Figure
from unigen.shapes import Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

WIDTH = 680
PANEL, _GAP = 132, 26
"""Pixels: of one answer's panel, and between two."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 14, 14, 26, 40
MOST_PANELS = 4
"""Answers in one picture: as many as fit on a screen."""

_DIFFERENCE = -0.32
"""Where the line of differences has its zero, in units of the highest point: under the pattern, clear of it."""


@dataclass(frozen=True, eq=False)
class Answer:
    """A crystal that is to explain a pattern.

    Attributes:
        label: what it is called.
        crystal: with its cell as it was fitted.
    """

    label: str
    crystal: Crystal


def powder_figure(pattern: PowderPattern, answers: Sequence[Answer]) -> Figure | None:
    """A panel for each of the first `MOST_PANELS` answers; None without any.

    Net intensities: the background is taken off what was measured. Of a list of peaks both are bars, the calculated
    ones downwards, and there is no difference.

    Raises:
        UserError: an answer of which no pattern can be calculated.
    """
    shown = answers[:MOST_PANELS]
    if not shown:
        return None
    target = prepare(pattern)
    profiles = [calculated_profile(target, answer.crystal) for answer in shown]
    height = _TOP + len(shown) * PANEL + (len(shown) - 1) * _GAP + _BOTTOM

    def paint(figure: MatplotlibFigure) -> None:
        ends = float(pattern.two_theta[0]), float(pattern.two_theta[-1])
        room = 0.02 * (ends[1] - ends[0]) if ends[1] > ends[0] else 1.0
        for row, (answer, profile) in enumerate(zip(shown, profiles, strict=True)):
            top = _TOP + row * (PANEL + _GAP)
            axes = plot.axes_within(figure, _LEFT, top, _RIGHT, height - top - PANEL)
            axes.set(xlim=(ends[0] - room, ends[1] + room))
            axes.set_yticks([])
            axes.spines.left.set_visible(False)
            (_bars if pattern.peaks else _curves)(axes, profile)
            plot.round_numbers(axes.xaxis)
            last = row == len(shown) - 1
            if last:
                axes.set_xlabel(f"2\u03b8 in degrees at {pattern.wavelength:.5g} \u00c5")
            else:
                axes.set_xticklabels([])
            axes.set_title(_title(answer, profile), loc="left", fontsize=11, pad=4)
            if row == 0:
                axes.legend(loc="lower right", bbox_to_anchor=(1, 1.0), ncols=3)

    words = f"Powder pattern of {len(pattern)} {'peaks' if pattern.peaks else 'points'} against "
    words += "; ".join(_title(answer, profile) for answer, profile in zip(shown, profiles, strict=True))
    return Figure("powder pattern, measured and calculated", plot.draw(WIDTH, height, paint), words + ".", wide=True)


def _title(answer: Answer, profile: CalculatedProfile) -> str:
    return f"{answer.label}, Rwp {profile.r_wp:.3f}" if isfinite(profile.r_wp) else answer.label


def _curves(axes: Axes, profile: CalculatedProfile) -> None:
    bins = np.linspace(profile.two_theta[0], profile.two_theta[-1], WIDTH - _LEFT - _RIGHT)
    owner = np.digitize(profile.two_theta, bins)
    highest = _of_largest(owner, profile.measured)
    calculated = _of_largest(owner, profile.calculated)
    difference = profile.measured - profile.calculated
    apart = _of_largest(owner, np.abs(difference))
    at = profile.two_theta
    low = _DIFFERENCE - 0.25
    axes.set(ylim=(low, 1.08))
    axes.plot(
        at[highest],
        profile.measured[highest],
        color=plot.LIGHT["reference"],
        linewidth=1.2,
        label="measured",
        gid="measured",
    )
    axes.plot(
        at[calculated],
        profile.calculated[calculated],
        color=plot.LIGHT["sample"],
        linewidth=1,
        label="calculated",
        gid="calculated",
    )
    shown = np.clip(difference[apart], -0.25, 0.25) + _DIFFERENCE
    axes.plot(at[apart], shown, color=plot.LIGHT["ink"], linewidth=0.8, label="difference", gid="difference")
    axes.vlines(profile.peaks, -0.1, -0.03, colors=plot.LIGHT["sample"], linewidth=0.8, gid="reflections")


def _bars(axes: Axes, profile: CalculatedProfile) -> None:
    axes.set(ylim=(-1.08, 1.08))
    axes.vlines(
        profile.two_theta,
        0,
        profile.measured,
        colors=plot.LIGHT["reference"],
        linewidth=1.5,
        label="measured",
        gid="measured",
    )
    axes.vlines(
        profile.peaks,
        0,
        -profile.intensities,
        colors=plot.LIGHT["sample"],
        linewidth=1.5,
        label="calculated",
        gid="calculated",
    )


def _of_largest(owner: np.ndarray, values: Float[np.ndarray, "points"]) -> np.ndarray:
    """The point of the largest value of each pixel: what the eye sees of many points in one."""
    order = np.lexsort((-values, owner))
    first = np.unique(owner[order], return_index=True)[1]
    return np.sort(order[first])
