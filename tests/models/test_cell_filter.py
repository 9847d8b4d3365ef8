"""What is admitted de novo is new and near; a formula that is given is admitted as ever."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.models.small_wyckoff import small_wyckoff
from tests.retrieval.known_templates import retriever
from unigen.element_similarity import element_distances
from unigen.elements import ATOMIC_NUMBER, format_formula, reduce_counts
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.models.wyckoff.source_choice import CellFilter
from unigen.request import CrystalRequest
from unigen.retrieval.compositions import reduced_formula
from unigen.sample.generate import generate

KNOWN = [retriever().compositions.counts(cell) for cell in range(len(retriever().compositions))]


@st.composite
def cells(draw) -> dict[int, int]:
    """A known cell, perhaps with one element exchanged, perhaps twice as large."""
    cell = dict(draw(st.sampled_from(KNOWN)))
    new = draw(st.integers(1, 89))
    if draw(st.booleans()) and new not in cell:
        cell[new] = cell.pop(draw(st.sampled_from(sorted(cell))))
    return {number: count * draw(st.sampled_from([1, 1, 2])) for number, count in sorted(cell.items())}


@given(cells(), st.floats(0, 2))
def test_unknown_formulas_near_to_a_known_cell_and_no_others(cell, within):
    found = CellFilter(retriever(), within).accepts(CrystalRequest(), cell)
    if reduce_counts(cell)[0] in [reduce_counts(other)[0] for other in KNOWN]:
        assert not found
    else:
        nearest = retriever().index.nearest_distance(cell)
        assert found == bool(nearest <= within)
    assert CellFilter(retriever(), None).accepts(CrystalRequest(), cell)
    formula = format_formula(reduce_counts(cell)[0])
    assert CellFilter(retriever(), 0.0).accepts(CrystalRequest(formula=formula), cell)


@given(cells())
def test_formulas_that_are_known_elsewhere_are_known(cell):
    nowhere = CellFilter(retriever(), None, frozenset())
    known_here = reduced_formula(cell) in retriever().compositions.formulas
    assert nowhere.accepts(CrystalRequest(), cell) == (not known_here)
    assert not CellFilter(retriever(), None, frozenset({reduced_formula(cell)})).accepts(CrystalRequest(), cell)
    formula = format_formula(reduce_counts(cell)[0])
    assert nowhere.accepts(CrystalRequest(formula=formula), cell)


def test_the_distance_of_one_exchange_is_at_most_that_of_the_elements():
    cell = next(counts for counts in KNOWN if len(counts) > 1)
    old, new = min(cell), next(number for number in range(1, 90) if number not in cell)
    swapped = {new if number == old else number: count for number, count in cell.items()}
    limit = element_distances()[old, new] * cell[old] / sum(cell.values())
    assert retriever().index.nearest_distance(swapped) <= limit + 1e-9
    assert np.isnan(retriever().index.nearest_distance({1: 61, 2: 67}))


def test_what_is_drawn_is_admitted():
    settings = WyckoffSettings(steps=3, within=2.0)
    generator = WyckoffGenerator(small_wyckoff(0), retriever(), "small", "1", settings, 0)
    samples = generate([CrystalRequest(n_atoms=4), CrystalRequest(formula="NaCl")], model=generator, n=6)
    made = [sample.structure for sample in samples if sample.structure and sample.request.formula is None]
    assert made
    for crystal in made:
        assert CellFilter(retriever(), 2.0).accepts(CrystalRequest(), crystal.counts)
    assert all("no composition that fits" in sample.reason for sample in samples if sample.structure is None)
    salts = [sample.structure for sample in samples if sample.request.formula]
    assert all(set(salt.counts) == {ATOMIC_NUMBER["Na"], ATOMIC_NUMBER["Cl"]} for salt in salts)
