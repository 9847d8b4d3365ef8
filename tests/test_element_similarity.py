from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unigen.element_similarity import descriptors, element_distances
from unigen.elements import ATOMIC_NUMBER, SYMBOLS

ROOT = Path(__file__).resolve().parents[1]

elements = st.integers(1, len(SYMBOLS) - 1)


@given(elements, elements, elements)
def test_element_distance_is_a_metric(a, b, c):
    table = element_distances()
    assert table[a, a] == 0
    assert table[a, b] == table[b, a] >= 0
    assert table[a, c] <= table[a, b] + table[b, c] + 1e-12


def test_likeness_follows_the_periodic_table():
    table = element_distances()
    z = ATOMIC_NUMBER
    for alike, other, than in (("Sr", "Ba", "O"), ("Cl", "Br", "Na"), ("La", "Ce", "Fe"), ("Fe", "Co", "K")):
        assert table[z[alike], z[other]] < table[z[alike], z[than]]


def test_descriptors_are_scaled_and_every_element_has_them():
    table = descriptors()
    assert np.isnan(table[0]).all()
    assert np.isfinite(table[1:]).all()
    np.testing.assert_allclose(table[1:104].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(table[1:104].std(axis=0), 1, atol=1e-12)
    np.testing.assert_array_equal(table[ATOMIC_NUMBER["Rf"]], table[ATOMIC_NUMBER["Hf"]])
    np.testing.assert_array_equal(table[ATOMIC_NUMBER["Og"]], table[ATOMIC_NUMBER["Rn"]])


def test_the_table_in_the_package_is_what_its_script_gives():
    script = runpy.run_path(str(ROOT / "data" / "elements" / "make_table.py"))
    expected = [",".join(script["COLUMNS"])] + [",".join(map(str, row)) for row in script["rows"]()]
    assert (ROOT / "unigen" / "elements.csv").read_text().splitlines() == expected
