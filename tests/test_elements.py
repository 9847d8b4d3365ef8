"""One reader of formulas: what it understands, what it refuses and why; amounts in whole ratios."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from unigen.elements import SYMBOLS, format_formula, hill_formula, parse_formula, reduce_counts, whole_counts
from unigen.errors import UserError
from unigen.sample.requests import request_of, split_elements

symbols = st.sampled_from(SYMBOLS[1:])
counts = st.integers(1, 12).map(lambda count: "" if count == 1 else str(count))
atoms = st.tuples(symbols, counts).map("".join)
groups = st.recursive(
    st.lists(atoms, min_size=1, max_size=3).map("".join),
    lambda inner: st.tuples(inner, st.sampled_from(["()", "[]", "{}"]), inner, counts).map(
        lambda parts: f"{parts[0]}{parts[1][0]}{parts[2]}{parts[1][1]}{parts[3]}"
    ),
    max_leaves=4,
)
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def by_pymatgen(formula: str) -> dict[int, int]:
    return {element.Z: int(amount) for element, amount in Composition(formula).items()}


@given(groups)
def test_nested_brackets_are_read_as_pymatgen_reads_them(formula):
    assert parse_formula(formula) == by_pymatgen(formula)


@given(groups)
def test_subscripts_are_figures(formula):
    assert parse_formula(formula.translate(SUBSCRIPTS)) == parse_formula(formula)


@given(groups, st.integers(1, 12), groups, st.sampled_from(["·", "•", "∙", "⋅", "*", " . ", " · "]))
def test_an_adduct_is_the_sum_of_its_parts(salt, times, guest, dot):
    total = Composition(salt) + Composition(guest) * times
    written = f"{salt}{dot}{times if times > 1 else ''}{guest}"
    assert parse_formula(written) == {element.Z: int(amount) for element, amount in total.items()}


@given(st.dictionaries(st.integers(1, 118), st.integers(1, 300), min_size=1, max_size=6))
def test_what_is_written_is_read_again(counted):
    assert parse_formula(format_formula(counted)) == parse_formula(hill_formula(counted)) == counted


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("CaSO4·2H2O", "CaSO6H4"),
        ("CuSO4.5H2O", "CuSO9H10"),
        ("CuSO4.H2O", "CuSO5H2"),
        ("2CaSO4·H2O", "Ca2S2O9H2"),
        ("MgCl2.6(H2O)", "MgCl2H12O6"),
        ("CuCl2.2NH3.H2O", "CuCl2N2H8O"),
        ("K4[Fe(CN)6]", "K4FeC6N6"),
        ("K3[Al(C2O4)3].3H2O", "K3AlC6O15H6"),
        ("{Ca(OH)2}3", "Ca3O6H6"),
        ("D2O", "H2O"),
    ],
)
def test_chemists_ways_of_writing(written, plain):
    assert parse_formula(written) == parse_formula(plain)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("Na+", "a charge"),
        ("SO4^2-", "a charge"),
        ("Fe³⁺", "a charge"),
        ("LiNi0.5Mn1.5O4", "a fractional count"),
        ("CaSO4·0.5H2O", "a fractional count"),
        ("CaSO4.0.5H2O", "a fractional count"),
        ("Ca.5O", "cannot read"),
        ("13CH4", "cannot read"),
        ("()", "empty brackets"),
        ("Ca(OH]2", "without its bracket"),
        ("(" * 100_000, "without its"),
        ("CaSO4·", "an empty part"),
        ("·", "an empty part"),
        ("H" + "9" * 5000, "a count of 5000 digits"),
        ("(H1000)1000" * 2, "more than 1,000,000 atoms"),
    ],
)
def test_formulas_that_are_none_are_refused_for_the_true_reason(written, why):
    with pytest.raises(UserError, match=why) as refused:
        parse_formula(written)
    assert len(str(refused.value)) < 300


@given(st.text(alphabet="CaSOH24()[]{}·.* 0₂+", max_size=14))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(UserError):
        assert all(count > 0 for count in parse_formula(text).values())


@given(st.dictionaries(st.integers(1, 118), st.integers(1, 12), min_size=1, max_size=4), st.floats(0.01, 100))
def test_amounts_in_any_unit_are_whole_counts(counted, unit):
    assert whole_counts({number: count * unit for number, count in counted.items()}) == reduce_counts(counted)[0]
    total = sum(counted.values())
    if total <= 20:  # as files write shares, with four digits
        assert whole_counts({n: round(count / total, 4) for n, count in counted.items()}) == reduce_counts(counted)[0]


@pytest.mark.parametrize(
    "amounts", [{}, {1: 0.0}, {1: -1.0}, {1: float("nan")}, {1: 1e300, 2: 1.0}, {1: 0.12345, 2: 1.0}]
)
def test_amounts_that_are_none(amounts):
    with pytest.raises(UserError):
        whole_counts(amounts)


@pytest.mark.parametrize("written", ["Li,Fe,P,O", "Li Fe P O", "Li-Fe-P-O", "Li; Fe; P; O", ["Li", "Fe", "P", "O"]])
def test_elements_are_separated_in_any_way(written):
    assert split_elements(written) == ("Li", "Fe", "P", "O")


@pytest.mark.parametrize("formula", ["CaSO4·2H2O", "K4[Fe(CN)6]", "H₂O"])
def test_requests_read_formulas_by_the_same_function(formula):
    counted = parse_formula(formula)
    assert request_of({"formula": formula, "z": 2}).counts == {n: 2 * c for n, c in reduce_counts(counted)[0].items()}


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"density": -5.0}, "density: nothing has such a value; got -5 g/cm\\^3; wanted more than 0"),
        ({"density": 0.0}, "density: nothing has such a value"),
        ({"band_gap": -1.0}, "band_gap: nothing has such a value; got -1 eV; wanted 0 eV or more"),
        ({"density": float("nan")}, "not a number"),
    ],
)
def test_values_that_nothing_in_nature_has_are_refused(properties, said):
    with pytest.raises(UserError, match=said):
        request_of({"properties": properties})
