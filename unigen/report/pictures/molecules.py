"""A contact sheet of molecules as PNG, SVG or PDF: atoms and bonds in space, seen flat on, Jmol colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unigen.molecules.molecule import Molecule
from unigen.report.pictures.crystals import draw_sheet
from unigen.shapes import Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import CapStyleType

_RADIUS_SCALE, _HYDROGEN_SCALE = 0.55, 0.75
"""Drawn radius in covalent radii, and of hydrogen in those: small enough to see the bonds."""
_WIDTH = {1: 1.6, 2: 3.4, 3: 5.2}
"""Points of the line of a bond, by its order."""


def draw_molecules(molecules: Sequence[Molecule], path: str | Path, titles: Sequence[str] | None = None) -> Path:
    """Write one picture of all molecules, four in a row.

    Args:
        molecules: what to draw.
        path: file to write; its ending (.png, .svg, .pdf) is the format.
        titles: one a molecule; by default its formula.

    Returns:
        The path written.

    Raises:
        UserError: nothing to draw, as many titles as molecules are not there, or an ending that is no picture format.
    """
    return draw_sheet(molecules, path, titles, lambda molecule: molecule.formula, _draw)


def flat_on(positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
    """(x, y, depth) of every atom, turned so that the widest plane is the page; larger depth is nearer."""
    return (positions - positions.mean(axis=0)) @ look_flat_on(positions)


def look_flat_on(positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "3 3"]:
    """The rotation of `flat_on`, to be applied from the right."""
    axes = np.linalg.svd(positions - positions.mean(axis=0), full_matrices=True)[2]
    axes[2] *= np.linalg.det(axes)  # a rotation, no mirror image
    return axes.T


def _between(
    first: Float[np.ndarray, "3"], second: Float[np.ndarray, "3"], start: float, end: float
) -> Float[np.ndarray, "2 3"]:
    """The part of a bond that is not covered by its atoms."""
    along = second - first
    flat = max(float(np.hypot(*along[:2])), 1e-6)  # a bond seen end on has no length on the page
    start, end = min(start / flat, 0.5), min(end / flat, 0.5)
    return np.stack([first + start * along, second - end * along])


def _draw(axes: Axes, molecule: Molecule, title: str) -> None:
    from ase.data import covalent_radii
    from ase.data.colors import jmol_colors
    from matplotlib.lines import Line2D
    from matplotlib.patches import Circle

    # as an artist, not a line or a patch: these would move the limits of the axes, which are set below
    def draw_line(color: str, linewidth: float, zorder: float, capstyle: CapStyleType = "projecting") -> None:
        line = Line2D(*ends[:, :2].T, color=color, linewidth=linewidth, zorder=zorder, solid_capstyle=capstyle)
        axes.add_artist(line)

    points = flat_on(molecule.positions)
    radii = _RADIUS_SCALE * covalent_radii[molecule.numbers] * np.where(molecule.numbers == 1, _HYDROGEN_SCALE, 1.0)
    for first, second, order in molecule.bonds.tolist():
        ends = _between(points[first], points[second], radii[first], radii[second])
        depth = float(ends[:, 2].mean())
        draw_line("0.35", _WIDTH[order], depth, "round")
        # two lines by a pale one inside the dark one, three by a dark one inside that, all behind their atoms
        if order > 1:
            draw_line("0.9", _WIDTH[order] - 2.0, depth + 0.001)
        if order == max(_WIDTH):
            draw_line("0.35", 1.2, depth + 0.002)
    for (x, y, depth), radius, number in zip(points, radii, molecule.numbers, strict=True):
        colour = jmol_colors[min(int(number), len(jmol_colors) - 1)]
        axes.add_artist(Circle((x, y), radius, facecolor=colour, edgecolor="0.25", linewidth=0.6, zorder=depth + 0.01))
    margin = float(radii.max()) + 0.3
    axes.set_xlim(points[:, 0].min() - margin, points[:, 0].max() + margin)
    axes.set_ylim(points[:, 1].min() - margin, points[:, 1].max() + margin)
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=9)
