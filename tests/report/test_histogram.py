"""Distributions as pictures: what they say in words and in shape."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.report.figures.histogram import histogram

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@given(values, values | st.none())
def test_any_numbers_make_a_picture_that_fits_its_frame(samples, reference):
    figure = histogram("x", samples, reference, "Å")
    root = ET.fromstring(figure.svg)  # noqa: S314 - our own
    width, height = (float(root.get(name)) for name in ("width", "height"))
    outlines = [
        path.get("d") for path in root.iter("{http://www.w3.org/2000/svg}path") if path.get("class") == "sample"
    ]
    assert len(outlines) == 1
    heights = [float(number) for number in re.findall(r"V([\d.]+)", outlines[0])]
    assert all(0 <= number <= height for number in heights)
    assert all(0 <= float(number) <= width for number in re.findall(r"H([\d.]+)", outlines[0]))
    assert f"{len(samples)} samples" in figure.text


def test_the_words_are_the_quartiles():
    figure = histogram("density", [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 2.0], "g/cm³")
    assert figure.title == "density (g/cm³)"
    assert "5 samples, median 3, half of them from 2 to 4" in figure.text
    assert "2 of the reference, median 2" in figure.text


@pytest.mark.parametrize("numbers", [[2, 3, 3, 4], list(range(100)), [7, 7]])
def test_whole_numbers_stand_in_the_middle_of_their_bins(numbers):
    ticks = [float(text) for text in re.findall(r'text-anchor="middle">([^<]+)<', histogram("n", numbers).svg)]
    assert ticks
    assert all(tick == round(tick) for tick in ticks)


def test_what_is_not_finite_is_left_out():
    assert histogram("x", []) is None
    assert histogram("x", [np.nan, np.inf]) is None
    assert "1 samples" in histogram("x", [np.nan, 1.0], [np.nan]).text


@given(values, st.floats(-2, 2), st.floats(0.05, 1))
def test_bars_end_at_the_marks_and_the_words_count_up_to_them(samples, first, apart):
    marks = (first, first + apart)
    figure = histogram("above hull", samples, unit="eV/atom", marks=marks)
    outline = re.search(r'class="sample" d="([^"]+)"', figure.svg)[1]
    ends = [float(number) for number in re.findall(r"[MH]([\d.]+)", outline)]
    lines = [float(number) for number in re.findall(r'class="mark" d="M([\d.]+) [\d.]+L', figure.svg)][1:]
    assert len(lines) == 2
    assert min(abs(end - lines[0]) for end in ends) < 0.2
    assert len(ends) < 30
    for mark in marks:
        assert f"{sum(value <= mark for value in samples)} of them at most {mark:g}" in figure.text
