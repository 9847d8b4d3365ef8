"""Every plot: the same bytes whatever matplotlib is set to, in two themes, loaded only where one is drawn."""

from __future__ import annotations

import re
import sys

import matplotlib as mpl

from tests.processes import finished
from tests.report.svg_parts import parsed
from unigen.report.figures import plot
from unigen.report.figures.histogram import histogram

VALUES = [1.0, 2.0, 2.5, 4.0]


def test_settings_neither_show_nor_change():
    svg = histogram("x", VALUES, VALUES).svg
    with mpl.rc_context({"axes.grid": True, "font.size": 30, "text.usetex": True}):
        before = dict(mpl.rcParams)
        assert histogram("x", VALUES, VALUES).svg == svg
        assert dict(mpl.rcParams) == before


def test_every_colour_changes_with_the_theme():
    assert len(set(plot.LIGHT.values())) == len(plot.LIGHT)
    drawing = parsed(histogram("x", VALUES, VALUES).svg)
    styles = [each.get("style") for each in drawing.iter() if each.get("style")]
    assert len(styles) > 5
    assert not any(re.search(r"#[0-9a-f]{6}", style) for style in styles)
    (sheet,) = (each.text for each in drawing.iter("{http://www.w3.org/2000/svg}style"))
    for name in {name for style in styles for name in re.findall(r"var\(--(\w+)\)", style)}:
        assert sheet.count(f"--{name}:#") == 2


def test_pages_load_matplotlib_only_to_draw():
    pages = "generation_page, unigen.report.evaluation_page, unigen.report.relaxation_page"
    code = f"import sys, unigen.report.{pages}; print('matplotlib' in sys.modules)"
    assert finished([sys.executable, "-c", code]).stdout.strip() == "False"
