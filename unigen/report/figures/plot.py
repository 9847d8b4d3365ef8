"""Plots by matplotlib as SVG text, in the colours and the font of the page, for light and for dark.

Sizes are in pixels throughout: a figure has 72 dots an inch, so that a point, which matplotlib counts in, is a pixel.
matplotlib is imported where a plot is drawn: most of what UniGen does draws none, and the import takes a third of a
second.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.shapes import Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch

Point = tuple[int | float, int | float]
"""Pixels from the left and from the top."""

LIGHT = {
    "paper": "#fbfaf7",
    "ink": "#20242a",
    "text": "#5b636d",
    "axis": "#8b929b",
    "sample": "#2f8583",
    "reference": "#9a5b13",
    "lowest": "#0b6261",
    "low": "#4fa89c",
    "high": "#dba462",
    "highest": "#b4552d",
}
"""What plots are drawn in, by what it is used for; no colour twice, since `draw` finds them again in the SVG."""

_DARK = {
    "paper": "#15181c",
    "ink": "#e6e6e2",
    "text": "#a4abb3",
    "axis": "#8b929b",
    "sample": "#58aaa4",
    "reference": "#dba462",
    "lowest": "#8fe3d9",
    "low": "#3f9c92",
    "high": "#dba462",
    "highest": "#c8623a",
}
"""The same, where the reader prefers a dark page; these are not looked for, so two may be one."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: smaller than outlines, and in the reader's font
    "path.simplify": False,  # it drops lines of no length, which are dots where their ends are round
    "svg.hashsalt": "unigen",  # the same plot, the same names of its parts
    "text.parse_math": False,  # a dollar is a dollar
    "font.size": 11,
    "text.color": LIGHT["text"],
    "axes.edgecolor": LIGHT["axis"],
    "axes.linewidth": 1,
    "axes.labelcolor": LIGHT["text"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": LIGHT["axis"],
    "xtick.labelcolor": LIGHT["text"],
    "ytick.color": LIGHT["axis"],
    "ytick.labelcolor": LIGHT["text"],
    "legend.frameon": False,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0,
    "legend.handlelength": 1.4,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.5,
}

_NOTHING_OF_THE_RUN = {"Date": None, "Creator": None, "Format": None, "Type": None}
"""No metadata: the same plot gives the same bytes whenever it is drawn."""


def draw(width: int, height: int, paint: Callable[[Figure], None]) -> str:
    """The SVG of a plot; whatever the settings of matplotlib are here, they neither show in it nor change by it.

    Args:
        width: pixels.
        height: pixels.
        paint: draws on an empty figure, in colours out of `LIGHT`. What it names with a ``gid`` is a group of this id.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    text = io.StringIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        paint(figure)
        figure.savefig(text, format="svg", transparent=True, metadata=_NOTHING_OF_THE_RUN)
    return _for_the_page(text.getvalue(), width, height)


def _for_the_page(svg: str, width: int, height: int) -> str:
    """Colours by name, the reader's font, and nothing that an SVG in a page can do without."""
    svg = svg[svg.index("<svg") :].replace(
        f'width="{width}pt" height="{height}pt"', f'width="{width}" height="{height}"'
    )
    for name, colour in LIGHT.items():
        svg = svg.replace(colour, f"var(--{name})")
    light, dark = (";".join(f"--{name}:{colour}" for name, colour in each.items()) for each in (LIGHT, _DARK))
    style = (
        f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}text{{font-family:system-ui,sans-serif}}"
        # a rim in the colour of the page, so that a line behind a name does not cross it out
        'g[id^="name"] text{paint-order:stroke;stroke:var(--paper);stroke-width:3;stroke-linejoin:round}'
    )
    svg = svg.replace("</style>", f"{style}</style>", 1)
    # matplotlib writes its own font with every text, and a rotation where nothing is turned
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)
    svg = re.sub(r' transform="rotate\(-0 [^"]*"', "", svg)
    # line ends, and blanks around the letters of a path, mean nothing
    svg = re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><")
    return re.sub(r' d="[^"]*"', lambda path: re.sub(r" ?([MLz]) ", r"\1", path[0]), svg)


def axes_within(figure: Figure, left: int, top: int, right: int, bottom: int) -> Axes:
    """Axes between these margins, pixels each, with no line above and to the right."""
    width, height = figure.bbox.size
    axes = figure.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height))
    axes.tick_params(length=0, pad=5)
    return axes


def pixel_axes(figure: Figure) -> Axes:
    """Invisible axes over the whole figure whose values are pixels from the left and from the top, as `Point` has."""
    width, height = figure.bbox.size
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return axes


def round_numbers(axis: Axis, *, whole: bool = False) -> None:
    """Few round numbers along an axis, whole ones if so wanted, written without powers of ten beside the axis."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], integer=whole, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value + 0.0:.6g}"))  # no minus zero


def pixels_of(axes: Axes, values: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 2"]:
    """Where values along both axes lie, in pixels from the left and from the top."""
    across, upwards = axes.transData.transform(values).T
    return np.stack([across, axes.figure.bbox.height - upwards], axis=1)


def dots(places: Float[np.ndarray, "points 2"], colour: str = LIGHT["sample"]) -> PathPatch:
    """Lines of no length with round ends; those on one pixel are drawn once, so that ten thousand make a small file.

    Args:
        places: pixels from the left and from the top.
        colour: one of `LIGHT`.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    ends = np.unique(places.round(), axis=0).repeat(2, axis=0)
    path = Path(ends, [Path.MOVETO, Path.LINETO] * (len(ends) // 2))
    line: dict[str, Any] = {"edgecolor": colour, "linewidth": 6, "capstyle": "round", "alpha": 0.6}
    return PathPatch(path, fill=False, clip_on=False, snap=False, gid="dots", **line)
