"""Hulls as pictures: what they show, what they say in words, and when there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.svg_parts import lines, marks, parsed, said, size
from unigen.crystals.crystal import Crystal
from unigen.elements import parse_formula
from unigen.energies.hull.phases import Phase, StablePhases
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.crystals.scores import CrystalResult
from unigen.eval.report import Shown
from unigen.report.figures.hull import hull_figure
from unigen.report.figures.hull_sample import hull_samples

TI_O = StablePhases(
    ("Ti", "O"),
    (Phase("Ti", (1.0, 0.0), 0.0), Phase("TiO2", (1 / 3, 2 / 3), -3.5), Phase("O2", (0.0, 1.0), 0.0)),
    ((0, 1), (1, 2)),
)
SR_TI_O = StablePhases(
    ("Sr", "Ti", "O"),
    (
        Phase("Sr", (1.0, 0.0, 0.0), 0.0),
        Phase("Ti", (0.0, 1.0, 0.0), 0.0),
        Phase("O2", (0.0, 0.0, 1.0), 0.0),
        Phase("SrTiO3", (0.2, 0.2, 0.6), -3.5),
    ),
    ((0, 1, 3), (0, 2, 3), (1, 2, 3)),
)


def crystal(formula: str) -> Crystal:
    numbers = np.array([number for number, count in parse_formula(formula).items() for _ in range(count)])
    coords = np.arange(3 * len(numbers)).reshape(-1, 3) / (3.0 * len(numbers))
    return Crystal(numbers, coords, 8 * np.eye(3))


EMPTY = evaluate_crystals([CrystalEntry("a", crystal("TiO2"))], protocol="denovo", workers=1)


def figure(phases, *samples: tuple[str, float, float]):
    """Of samples: formula, formation energy, energy above the hull."""
    rows = [
        CrystalResult(id=str(n), formation_energy=energy, above_hull=above)
        for n, (_, energy, above) in enumerate(samples)
    ]
    structures = tuple(crystal(formula) for formula, *_ in samples)
    return figure_of(replace(EMPTY, rows=tuple(rows), shown=Shown(phases=phases, structures=structures)))


def figure_of(report):
    return hull_figure(report.shown.phases, hull_samples(report))


def test_two_elements():
    found = figure(TI_O, ("TiO2", -3.4, 0.1), ("TiO", -2.0, 0.6), ("TiO", 9.0, 11.0), ("Ti2O4", -3.6, -0.1))
    assert {"Ti", "TiO₂", "O₂"} <= set(said(found.svg))
    assert len(marks(found.svg, "phase")) == len(TI_O.phases)
    assert len(marks(found.svg, "sample")) == 3
    assert len(marks(found.svg, "higher")) == 1
    assert "samples higher than this: 1" in said(found.svg)
    phases = marks(found.svg, "phase")
    (zero,) = lines(found.svg, "zero")
    assert phases[phases[:, 1].argmax(), 0] == pytest.approx(np.interp(2 / 3, [0, 1], zero[:, 0]), abs=0.1)
    assert len(lines(found.svg, "hull")) == len(TI_O.tie_lines)
    assert "TiO2 -3.500" in found.text
    assert "4 samples, 1 at most 0, 2 at most 0.1 eV/atom above the hull" in found.text
    assert "TiO2 -0.100, TiO 0.600" in found.text


def test_three_elements_one_mark_a_composition_by_its_lowest():
    found = figure(SR_TI_O, ("SrTiO3", -3.0, 0.5), ("SrTiO3", -3.5, 0.0), ("SrTiO3", -3.45, 0.05), ("SrO", -2.8, 0.2))
    kinds = [len(marks(found.svg, f"above{number}")) for number in range(4)]
    assert kinds == [1, 0, 1, 0]
    assert {"\N{MULTIPLICATION SIGN}3", "Sr", "Ti", "O₂", "SrTiO₃"} <= set(said(found.svg))
    assert len(lines(found.svg, "tie")) == 6


@given(st.lists(st.tuples(st.sampled_from(["Ti", "O", "TiO", "TiO2"]), st.floats(-50, 50)), min_size=1, max_size=30))
def test_all_that_is_drawn_lies_in_the_frame(samples):
    found = figure(TI_O, *((formula, energy, energy) for formula, energy in samples))
    placed = [(float(each.get("x")), float(each.get("y"))) for each in parsed(found.svg).iter() if each.get("x")]
    ends = [
        end for name in ("sample", "higher", "phase", "hull", "zero") for line in lines(found.svg, name) for end in line
    ]
    drawn = np.array([*placed, *ends])
    assert len(drawn) > 10
    assert (drawn >= 0).all()
    assert (drawn <= size(found.svg)).all()


def test_no_picture_without_a_hull_or_an_energy():
    assert figure_of(EMPTY) is None
    assert figure_of(replace(EMPTY, shown=replace(EMPTY.shown, phases=TI_O))) is None


@pytest.mark.parametrize("count", [4000])
def test_thousands_of_samples_make_a_small_picture(count):
    energies = np.random.default_rng(0).uniform(-3, 0, count)
    found = figure(TI_O, *(("TiO", energy, energy + 3) for energy in energies.tolist()))
    assert len(found.svg) < 60_000
    assert f"{count} samples" in found.text
