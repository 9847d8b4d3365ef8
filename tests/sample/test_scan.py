"""A chemical system over its compositions: plausible ones, as many as are asked for, and all others counted."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.retrieval.known_crystals import prototypes
from unigen.crystals.plausibility.charge_balance import check_composition
from unigen.elements import ATOMIC_NUMBER, parse_formula, reduce_counts
from unigen.errors import UserError
from unigen.request import CrystalRequest
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.neighbours import NeighbourIndex
from unigen.sample.requests import read_requests
from unigen.sample.scan import (
    OFTEN,
    Composition,
    Scan,
    scan_each,
    scan_requests,
    scan_system,
    write_scan,
    write_scan_requests,
)

KNOWN = Compositions.of_dataset(prototypes())
ELEMENTS = st.lists(st.sampled_from(["Na", "K", "Mg", "Ti", "O", "S", "Cl"]), min_size=1, max_size=3, unique=True)


SALT = Scan(("Na", "Cl"), (Composition("NaCl", "Na-Cl", 0.0, True, True, "NaCl"),), 0, 0)


def everything(elements: list[str]) -> set[tuple[tuple[int, int], ...]]:
    """Every known ratio given to every subset in every way, and what is known: by trying all."""
    formulas = [reduce_counts(KNOWN.counts(cell))[0] for cell in range(len(KNOWN))]
    different = {tuple(sorted(formula.items())) for formula in formulas}
    ratios = [tuple(sorted(count for _, count in formula)) for formula in different]
    numbers = [ATOMIC_NUMBER[symbol] for symbol in elements]
    found = {formula for formula in different if {number for number, _ in formula} <= set(numbers)}
    for ratio in {ratio for ratio in ratios if ratios.count(ratio) >= OFTEN and sum(ratio) <= 40}:
        for system in combinations(numbers, len(ratio)):
            found |= {tuple(sorted(zip(system, counts, strict=True))) for counts in permutations(ratio)}
    return found


def formula_of(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(parse_formula(text).items()))


@settings(max_examples=8)
@given(ELEMENTS, st.data())
def test_a_hull_marks_what_it_holds_and_decides_nothing(elements, data):
    plain = scan_system(elements, KNOWN, 3)
    formulas = [each.formula for each in plain.compositions]
    held = data.draw(st.sets(st.sampled_from(formulas)))
    marked = scan_system(elements, KNOWN, 3, on_hull={formula_of(each) for each in held}, known_to=("a", "b"))
    assert marked.compositions == tuple(
        replace(each, known=each.known or each.formula in held) for each in plain.compositions
    )
    assert f"{sum(each.known for each in marked.compositions)} of them known to a or b; " in marked.summary


@settings(max_examples=12)
@given(ELEMENTS, st.integers(1, 5))
def test_what_is_asked_for_is_plausible_and_nothing_is_left_out_in_silence(elements, limit):
    scan = scan_system(elements, KNOWN, limit)
    chosen = [formula_of(each.formula) for each in scan.compositions]
    possible = everything(elements)
    assert len({*chosen}) == len(chosen) == len(possible) - scan.unbalanced - scan.beyond
    assert {*chosen} <= possible
    index = NeighbourIndex.fit(KNOWN)
    for each, formula in zip(scan.compositions, chosen, strict=True):
        assert each.charge_balanced == check_composition(each.formula).valid
        assert each.known or each.charge_balanced
        assert each.known == KNOWN.knows_formula(dict(formula))
        nearest = 0.0 if each.known else next(index.of_formula(dict(formula))).distance
        assert each.distance == pytest.approx(nearest, abs=1e-8)
        assert {ATOMIC_NUMBER[symbol] for symbol in each.system.split("-")} == {number for number, _ in formula}
    for system in {each.system for each in scan.compositions}:
        of_it = [each for each in scan.compositions if each.system == system]
        assert len(of_it) <= limit
        assert [(not each.known, each.distance) for each in of_it] == sorted(
            (not each.known, each.distance) for each in of_it
        )


@settings(max_examples=8)
@given(ELEMENTS, st.data())
def test_what_must_occur_does_and_what_the_user_has_is_left_out(elements, data):
    required = data.draw(st.lists(st.sampled_from(elements), unique=True, max_size=len(elements)))
    whole = scan_system(elements, KNOWN, 4)
    held = {formula_of(each.formula) for each in data.draw(st.lists(st.sampled_from(whole.compositions), max_size=5))}
    scan = scan_system(elements, KNOWN, 4, must_contain=required, held=held)
    chosen = [formula_of(each.formula) for each in scan.compositions]
    assert not held & {*chosen}
    needed = {ATOMIC_NUMBER[symbol] for symbol in required}
    left = {formula for formula in everything(elements) if needed <= {number for number, _ in formula}}
    assert {*chosen} <= left
    assert scan.held == len(held & left)
    assert len(chosen) == len(left) - scan.unbalanced - scan.beyond - scan.held
    (request,) = scan_requests([CrystalRequest(elements=("Na", "Cl"), must_contain=("Na", "Cl"))], [SALT])
    assert (request.formula, request.must_contain) == ("NaCl", None)


@settings(max_examples=6)
@given(ELEMENTS.flatmap(lambda elements: st.tuples(st.just(elements), st.permutations(elements))))
def test_the_order_of_the_elements_makes_no_difference(orders):
    one, other = (scan_system(elements, KNOWN, 4) for elements in orders)
    assert one == other


@settings(max_examples=6)
@given(ELEMENTS)
def test_a_larger_limit_only_adds(elements):
    few, many = ({each.formula for each in scan_system(elements, KNOWN, limit).compositions} for limit in (2, 6))
    assert few <= many


def test_all_else_that_a_request_wants_is_wanted_of_every_composition(tmp_path):
    scan = scan_system(["Na", "Cl"], KNOWN, 3)
    asked = CrystalRequest(elements=("Na", "Cl"), crystal_system="cubic", min_distance=1.5, id="salts")
    requests = scan_requests([asked], [scan])
    assert [request.formula for request in requests] == [each.formula for each in scan.compositions]
    assert {request.crystal_system for request in requests} == {"cubic"}
    assert all(request.pair_distances == {"all": 1.5} for request in requests)
    assert requests[0].id == f"salts {requests[0].formula}"
    write_scan(tmp_path / "compositions.csv", scan.compositions * 2)
    rows = list(csv.DictReader((tmp_path / "compositions.csv").read_text().splitlines()))
    assert [row["formula"] for row in rows] == [request.formula for request in requests]
    write_scan_requests(tmp_path / "requests.csv", scan)
    assert [request.formula for request in read_requests(tmp_path / "requests.csv")] == [row["formula"] for row in rows]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (CrystalRequest(formula="NaCl"), "a scan is of elements; got {'formula': 'NaCl'}"),
        (CrystalRequest(), "a scan is of elements"),
        (CrystalRequest(elements=("Na", "Cl"), n_atoms=4), "a scan is of elements"),
        (CrystalRequest(elements=("H", "He", "Li", "Be", "B", "C", "N")), "too many elements to scan; got 7"),
        (CrystalRequest(elements=("Na", "Cl")), "no known formulas to choose from; give --retrieve-from"),
    ],
)
def test_what_is_no_chemical_system_is_refused(request_, said):
    with pytest.raises(UserError) as error:
        scan_each([request_], "nearest", None)
    assert said in str(error.value)
