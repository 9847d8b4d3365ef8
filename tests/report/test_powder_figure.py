"""A measured pattern over the calculated ones, as a picture and in words."""

from __future__ import annotations

import numpy as np
import pytest

from tests.crystals.powder.powder_crystals import ANATASE, RUTILE
from tests.crystals.powder.powder_files import WAVELENGTH, profile
from tests.report.svg_parts import lines, part, said, size
from unigen.crystals.powder.pattern import PowderPattern
from unigen.report.figures.powder import MOST_PANELS, WIDTH, Answer, powder_figure


def test_what_fits_has_a_flat_difference_and_the_words_say_how_well():
    pattern = profile(RUTILE, ground=30.0, seed=1)
    figure = powder_figure(pattern, [Answer("rutile", RUTILE), Answer("anatase", ANATASE)])
    right, wrong = lines(figure.svg, "difference")
    assert np.ptp(right[:, 1]) < np.ptp(wrong[:, 1])
    (measured, again), (calculated, _) = lines(figure.svg, "measured"), lines(figure.svg, "calculated")
    assert np.ptp(measured[:, 1]) == pytest.approx(np.ptp(again[:, 1]), abs=1)
    # the highest points stand in one place
    assert measured[measured[:, 1].argmin(), 0] == pytest.approx(calculated[calculated[:, 1].argmin(), 0], abs=2)
    assert size(figure.svg)[0] == WIDTH
    assert "rutile, Rwp 0." in figure.text
    assert any(text.startswith("anatase, Rwp 0.") for text in said(figure.svg))
    assert figure.wide


def test_a_list_of_peaks_is_bars_without_a_residual():
    peaks = PowderPattern(1 / np.array([3.247, 2.487, 1.687]), np.array([100.0, 50.0, 60.0]), WAVELENGTH, peaks=True)
    figure = powder_figure(peaks, [Answer("rutile", RUTILE)])
    assert len(lines(figure.svg, "measured")) == 3
    assert not part(figure.svg, "difference")
    assert "Rwp" not in figure.text
    assert "3 peaks against rutile" in figure.text


def test_no_answer_is_no_picture_and_many_are_a_few():
    pattern = profile(RUTILE, step=0.2)
    assert powder_figure(pattern, []) is None
    figure = powder_figure(pattern, [Answer(f"answer {n}", RUTILE) for n in range(MOST_PANELS + 2)])
    assert len(lines(figure.svg, "difference")) == MOST_PANELS
