"""Found against asked, as a picture and in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.svg_parts import lines, said
from unigen.eval.requested_property import RequestedProperty
from unigen.report.figures.scatter import SIZE, asked_figure

numbers = st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=40)


def places(svg: str) -> np.ndarray:
    (path,) = lines(svg, "dots")
    assert (path[::2] == path[1::2]).all()  # lines of no length
    return path[::2]


@given(numbers)
def test_any_numbers_make_a_picture_that_fits_its_frame(pairs):
    asked, found = np.array(pairs).T
    figure = asked_figure(RequestedProperty("gap", "meV", asked, found))
    drawn = places(figure.svg)
    assert 1 <= len(drawn) <= len(pairs)
    assert ((drawn >= 0) & (drawn <= SIZE)).all()
    assert f"{len(pairs)} samples" in figure.text


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=20))
def test_what_is_as_asked_lies_on_the_diagonal(asked):
    values = np.array(asked)
    drawn = asked_figure(RequestedProperty("gap", "", values, values)).svg
    ((start, end),) = lines(drawn, "mark")
    shares = (places(drawn) - start) / (end - start)
    assert shares[:, 0] == pytest.approx(shares[:, 1], abs=0.01)  # a pixel


def test_the_words_and_what_has_no_value():
    found = RequestedProperty("density", "g/cm^3", np.array([2.0, 4.0, 6.0]), np.array([3.0, 4.5, np.nan]))
    figure = asked_figure(found)
    assert figure.title == "density found against asked (g/cm³)"
    assert "2 samples: mean absolute error 0.75 g/cm³; 1 more have no value" in figure.text
    assert "mean absolute error 0.75" in said(figure.svg)
    assert asked_figure(RequestedProperty("density", "", np.array([1.0]), np.array([np.nan]))) is None


def test_one_far_away_stands_at_the_edge_and_squeezes_nothing():
    asked = np.linspace(0, 10, 200)
    figure = asked_figure(RequestedProperty("density", "", asked, np.append(asked[:-1], 1e6)))
    assert "outside, at the edge: 1" in said(figure.svg)
    drawn = places(figure.svg)
    assert np.ptp(drawn[:, 1]) > SIZE / 2


def test_many_samples_in_one_place_are_drawn_once():
    same = np.full(10_000, 3.0)
    assert len(places(asked_figure(RequestedProperty("density", "", same, same)).svg)) == 1
