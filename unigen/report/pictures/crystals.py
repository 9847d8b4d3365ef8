"""A contact sheet of crystals as PNG, SVG or PDF: each in its cell, atoms on the boundary repeated, Jmol colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.errors import UserError
from unigen.report.pictures.periodic_images import close_cell
from unigen.shapes import Float, Int

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Structure = TypeVar("Structure")

COLUMNS = 4
PANEL_INCHES = 2.6
FORMATS = (".png", ".svg", ".pdf")

RADIUS_SCALE = 0.45
"""Drawn radius in covalent radii: small enough to see through the cell."""


@dataclass(frozen=True, eq=False)
class Projection:
    """A crystal projected on the page.

    Attributes:
        atoms: (x, y, depth) of every atom drawn, images included, Angstrom; larger depth is nearer.
        numbers: atomic numbers of these.
        edges: the twelve edges of the cell as pairs of such points.
    """

    atoms: Float[np.ndarray, "drawn 3"]
    numbers: Int[np.ndarray, "drawn"]
    edges: Float[np.ndarray, "12 2 3"]


def draw_crystals(crystals: Sequence[Crystal], path: str | Path, titles: Sequence[str] | None = None) -> Path:
    """Write one picture of all crystals, four in a row.

    Args:
        crystals: what to draw.
        path: file to write; its ending (.png, .svg, .pdf) is the format.
        titles: one a crystal; by default formula and space group.

    Returns:
        The path written.

    Raises:
        UserError: nothing to draw, as many titles as crystals are not there, or an ending that is no picture format.
    """
    return draw_sheet(crystals, path, titles, _title, lambda axes, crystal, title: _draw(axes, project(crystal), title))


def draw_sheet(
    structures: Sequence[Structure],
    path: str | Path,
    titles: Sequence[str] | None,
    title_of: Callable[[Structure], str],
    draw: Callable[[Axes, Structure, str], None],
) -> Path:
    """Write one picture, a panel a structure; the same structures give the same bytes. Raises as `draw_crystals`."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UserError("not a picture format", where=str(path), wanted=" or ".join(FORMATS))
    if not structures:
        raise UserError("nothing to draw", where=str(path))
    if titles is not None and len(titles) != len(structures):
        raise UserError("titles: not one a structure", got=len(titles), wanted=len(structures))
    figure = _sheet(len(structures))
    for axes, structure, title in zip(figure.axes, structures, titles or map(title_of, structures), strict=False):
        draw(axes, structure, title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    return path


def repeat_boundary(crystal: Crystal) -> tuple[Float[np.ndarray, "drawn 3"], Int[np.ndarray, "drawn"]]:
    """Fractional coordinates in [0, 1] of all atoms of the closed cell: one at a corner is there eight times."""
    closed = close_cell(crystal.frac_coords)
    return closed.wrapped[closed.atoms] + closed.shifts, crystal.numbers[closed.atoms]


def project(crystal: Crystal) -> Projection:
    """The crystal as `look_at_cell` sees it."""
    placed = crystal.lattice @ look_at_cell(crystal.lattice)
    frac_coords, numbers = repeat_boundary(crystal)
    corners = np.array(list(product((0.0, 1.0), repeat=3)))
    # two corners that differ along one axis alone are joined by an edge
    ends = [(i, j) for i in range(8) for j in range(i + 1, 8) if np.abs(corners[i] - corners[j]).sum() == 1]
    return Projection(frac_coords @ placed, numbers, corners[np.array(ends)] @ placed)


def look_at_cell(lattice: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """Rotation, to be applied from the right, to (right, up, towards the viewer).

    The cell is seen from the front, a little from the right and from above, c upwards and a in the plane of c and x.
    """
    z = lattice[2] / np.linalg.norm(lattice[2])
    x = lattice[0] - (lattice[0] @ z) * z
    x /= np.linalg.norm(x)
    return np.column_stack([x, np.cross(z, x), z]) @ _rotation()


def _rotation() -> Float[np.ndarray, "3 3"]:
    """From (x, y, z) to (right, up, towards the viewer)."""
    around, tilt = np.radians(25), np.radians(12)
    right = np.array([np.cos(around), np.sin(around), 0])
    towards = np.array([np.sin(around) * np.cos(tilt), -np.cos(around) * np.cos(tilt), np.sin(tilt)])
    return np.column_stack([right, np.cross(towards, right), towards])


def _sheet(panels: int) -> Figure:
    from matplotlib.figure import Figure

    columns = min(COLUMNS, panels)
    rows = ceil(panels / columns)
    figure = Figure(figsize=(PANEL_INCHES * columns, (PANEL_INCHES + 0.3) * rows), layout="constrained")
    for axes in np.ravel(figure.subplots(rows, columns)):
        axes.set_axis_off()
        axes.set(xticks=[], yticks=[])  # the layout would look for their places, though nothing draws them
    return figure


def _draw(axes: Axes, projection: Projection, title: str) -> None:
    from ase.data import covalent_radii
    from ase.data.colors import jmol_colors
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.patches import Circle

    order = np.argsort(projection.atoms[:, 2], kind="stable")  # the nearest last, on top
    points, numbers = projection.atoms[order], projection.numbers[order]
    rows = np.minimum(numbers, len(jmol_colors) - 1)  # the heaviest elements have no colour of their own
    radii = RADIUS_SCALE * covalent_radii[rows]
    circles = [Circle((x, y), radius) for (x, y, _), radius in zip(points, radii, strict=True)]
    axes.add_collection(LineCollection(projection.edges[:, :, :2].tolist(), colors="0.45", linewidths=0.8, zorder=0))
    axes.add_collection(
        PatchCollection(circles, facecolors=jmol_colors[rows], edgecolors="0.25", linewidths=0.6, zorder=1)
    )
    everything = np.concatenate([points[:, :2], projection.edges[:, :, :2].reshape(-1, 2)])
    margin = float(radii.max()) + 0.2
    axes.set_xlim(everything[:, 0].min() - margin, everything[:, 0].max() + margin)
    axes.set_ylim(everything[:, 1].min() - margin, everything[:, 1].max() + margin)
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=9)


def _title(crystal: Crystal) -> str:
    return f"{crystal.formula}  {crystal.space_group(0.1).symbol}"
