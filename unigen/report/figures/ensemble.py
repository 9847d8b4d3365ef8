"""An ensemble of conformers: the weight of each over its energy, and where those stand that were left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unigen.report.figures import plot
from unigen.report.page import Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

WIDTH, HEIGHT = 420, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 30, 38

_FRAME = 0.9
"""Share of what was left out that lies within the frame at least: a few wild ones would press all others together."""


def ensemble_figure(
    name: str, kept: Sequence[tuple[float, float]], left_out: Sequence[float], method: str
) -> Figure | None:
    """The picture; None where there are fewer than two conformers, left out ones among them.

    Args:
        name: of the molecule.
        kept: energy above the lowest in kcal/mol, and Boltzmann weight, of each that is kept.
        left_out: energies of those that are not.
        method: whose energies.
    """
    if len(kept) + len(left_out) < 2:
        return None
    energy, weight = np.array(kept, dtype=np.float64).reshape(-1, 2).T
    other = np.array(left_out, dtype=np.float64)
    high = max(float(energy.max(initial=0.0)), float(np.quantile(other, _FRAME)) if len(other) else 0.0)
    margin = 0.04 * high or 0.5
    outside = int((other > high + margin).sum())

    def paint(figure: MatplotlibFigure) -> None:
        axes = plot.axes_within(figure, _LEFT, _TOP, _RIGHT, _BOTTOM)
        axes.set(xlim=(-margin, high + margin), ylim=(-4, 104), xlabel="above the lowest (kcal/mol)")
        axes.vlines(energy, 0, 100 * weight, color=plot.LIGHT["sample"], linewidth=2)
        for axis in (axes.xaxis, axes.yaxis):
            plot.round_numbers(axis)
        pixels = plot.pixel_axes(figure)
        for places, heights, colour in (
            (np.clip(other, 0, high + margin), np.zeros_like(other), plot.LIGHT["highest"]),
            (energy, 100 * weight, plot.LIGHT["sample"]),
        ):
            if len(places):
                where = plot.pixels_of(axes, np.stack([places, heights], axis=1))
                pixels.add_patch(plot.dots(where, colour))
        pixels.text(10, 16, "weight (%)")
        if len(other):
            edge = f", at the edge: {outside}" if outside else ""
            pixels.text(WIDTH - _RIGHT, 16, f"left out in orange{edge}", ha="right")

    text = (
        f"Conformers of {name} by {method}: {len(kept)} kept, up to {energy.max(initial=0.0):.3g} kcal/mol above the "
    )
    text += f"lowest, weights {', '.join(f'{100 * each:.1f}' for each in weight[:5])} %"
    text += f"{', ...' if len(kept) > 5 else ''}; {len(other)} left out."
    return Figure(f"Energies of {name}", plot.draw(WIDTH, HEIGHT, paint), text)
