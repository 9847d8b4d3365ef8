"""Hulls as pictures: what they show, what they say in words, and when there is none."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.crystals.crystal import Crystal
from unigen.elements import parse_formula
from unigen.energies.hull.phases import Phase, StablePhases
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.crystals.scores import CrystalResult
from unigen.eval.report import Shown
from unigen.report.figures.hull import hull_figure

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
    return hull_figure(replace(EMPTY, rows=tuple(rows), shown=Shown(phases=phases, structures=structures)))


def marks(svg: str, kind: str) -> list[ET.Element]:
    root = ET.fromstring(svg)  # noqa: S314 - our own
    return [each for each in root.iter("{http://www.w3.org/2000/svg}circle") if each.get("class") == kind]


def test_two_elements():
    found = figure(TI_O, ("TiO2", -3.4, 0.1), ("TiO", -2.0, 0.6), ("TiO", 9.0, 11.0), ("Ti2O4", -3.6, -0.1))
    for name in ("Ti", "TiO₂", "O₂"):
        assert f">{name}</text>" in found.svg
    assert len(marks(found.svg, "phase")) == len(TI_O.phases) + 1  # and one in the legend
    assert len(marks(found.svg, "sample")) == 3 + 1
    assert "samples higher than this: 1" in found.svg
    lowest = max(marks(found.svg, "phase"), key=lambda circle: float(circle.get("cy")))
    ends = [float(number) for number in re.search(r'class="zero" d="M([\d.]+) [\d.]+L([\d.]+)', found.svg).groups()]
    assert float(lowest.get("cx")) == pytest.approx(np.interp(2 / 3, [0, 1], ends), abs=0.1)
    assert "TiO2 -3.500" in found.text
    assert "4 samples, 1 at most 0, 2 at most 0.1 eV/atom above the hull" in found.text
    assert "TiO2 -0.100, TiO 0.600" in found.text


def test_three_elements_one_mark_a_composition_by_its_lowest():
    found = figure(SR_TI_O, ("SrTiO3", -3.0, 0.5), ("SrTiO3", -3.5, 0.0), ("SrTiO3", -3.45, 0.05), ("SrO", -2.8, 0.2))
    kinds = [len(marks(found.svg, f"above{number}")) - 1 for number in range(4)]  # less the one in the legend
    assert kinds == [1, 0, 1, 0]
    assert ">×3</text>" in found.svg  # noqa: RUF001 - times
    for name in ("Sr", "Ti", "O₂", "SrTiO₃"):
        assert f">{name}</text>" in found.svg
    assert found.svg.count('class="tie"') == 6


@given(st.lists(st.tuples(st.sampled_from(["Ti", "O", "TiO", "TiO2"]), st.floats(-50, 50)), min_size=1, max_size=30))
def test_all_that_is_drawn_lies_in_the_frame(samples):
    found = figure(TI_O, *((formula, energy, energy) for formula, energy in samples))
    root = ET.fromstring(found.svg)  # noqa: S314
    width, height = float(root.get("width")), float(root.get("height"))
    places = re.findall(r'c?x="([\d.-]+)" c?y="([\d.-]+)"', found.svg)
    assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in places)


def test_no_picture_without_a_hull_or_an_energy():
    assert hull_figure(EMPTY) is None
    assert hull_figure(replace(EMPTY, shown=replace(EMPTY.shown, phases=TI_O))) is None


@pytest.mark.parametrize("count", [4000])
def test_thousands_of_samples_make_a_small_picture(count):
    energies = np.random.default_rng(0).uniform(-3, 0, count)
    found = figure(TI_O, *(("TiO", energy, energy + 3) for energy in energies.tolist()))
    assert len(found.svg) < 60_000
    assert f"{count} samples" in found.text
