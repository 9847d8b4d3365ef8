"""Distributions as pictures: what they say in words and in shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.svg_parts import lines, size, texts
from unigen.report.figures.histogram import histogram

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@given(values, values | st.none())
def test_any_numbers_make_a_picture_that_fits_its_frame(samples, reference):
    figure = histogram("x", samples, reference, "Å")
    (outline,) = lines(figure.svg, "sample")
    assert len(outline) > 2
    assert (outline >= 0).all()
    assert (outline <= size(figure.svg)).all()
    assert f"{len(samples)} samples" in figure.text


def test_the_words_are_the_quartiles():
    figure = histogram("density", [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 2.0], "g/cm³")
    assert figure.title == "density (g/cm³)"
    assert "5 samples, median 3, half of them from 2 to 4" in figure.text
    assert "2 of the reference, median 2" in figure.text


@pytest.mark.parametrize("numbers", [[2, 3, 3, 4], list(range(100)), [7, 7]])
def test_whole_numbers_stand_in_the_middle_of_their_bins(numbers):
    written = texts(histogram("n", numbers).svg)
    ticks = [float(text.text) for text in written if "text-anchor: middle" in text.get("style")]
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
    ends = np.unique(lines(figure.svg, "sample")[0][:, 0])
    drawn = [line[0, 0] for line in lines(figure.svg, "mark")]
    assert len(drawn) == 2
    assert np.abs(ends - drawn[0]).min() < 0.2
    assert len(ends) < 30
    for mark in marks:
        assert f"{sum(value <= mark for value in samples)} of them at most {mark:g}" in figure.text
