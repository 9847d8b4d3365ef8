"""Formula types without lists: new compositions of that type, each by one exchange in a known one of its own."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unigen import CrystalRequest, generate
from unigen.config import read_yaml
from unigen.crystals.plausibility.charge_balance import check_composition
from unigen.elements import ATOMIC_NUMBER, format_formula, parse_formula, reduce_counts
from unigen.errors import UserError
from unigen.retrieval.compositions import Formula
from unigen.sample.exchanges import exchange_elements
from unigen.sample.expansion import expand
from unigen.sample.requests import read_requests, requests_of
from unigen.sample.scan import known_compositions, known_table
from unigen.sample.wildcards import GROUPS, FormulaType, read_formula_type

MODEL = "unigen-crystal-small"
KNOWN = known_compositions(MODEL).formulas
TYPES = st.sampled_from(["ABX3", "ABO3", "A2BX6", "X2YZ", "MX2", "NaMX2", "RMO3", "A2BB'O6", "ABN3", "M2AC"])
GENERATE = ("generate", "crystal", "--no-page", "--no-picture", "--no-score", "--steps", "2")


def formula_of(text: str) -> Formula:
    return tuple(sorted(reduce_counts(parse_formula(text))[0].items()))


def read(text: str) -> FormulaType:
    kind = read_formula_type(text)
    assert kind is not None
    return kind


@settings(max_examples=15)
@given(TYPES, st.integers(0, 5), st.integers(1, 12))
def test_every_composition_is_of_the_type_and_new_and_one_exchange_from_a_parent_of_its_own(text, seed, limit):
    kind = read(text)
    scan = exchange_elements(kind, KNOWN, limit, seed)
    assert len(scan.compositions) == len(scan.elements) <= limit
    assert len({formula_of(each.formula) for each in scan.compositions}) == len(scan.compositions)
    assert len({each.relative for each in scan.compositions}) == len(scan.compositions)
    for each, letters in zip(scan.compositions, scan.elements, strict=True):
        counts = parse_formula(each.formula)
        # every letter one element, different letters different elements, and the ratio of the type
        assert set(letters) == set(kind.symbols)
        assert len(set(letters.values())) == len(letters)
        assert {letters[name]: count for name, count in kind.counts.items()} == {
            symbol: counts[ATOMIC_NUMBER[symbol]] for symbol in letters.values()
        }
        assert all(letters[name] == name for name in kind.fixed)
        assert all(letters[name] in letter.elements for name, letter in kind.letters.items())
        assert formula_of(each.formula) not in KNOWN
        assert not each.known
        assert check_composition(each.formula).valid
        assert formula_of(each.relative) in KNOWN
        (old,), (new,) = (
            [number for number in one if number not in other]
            for one, other in (
                (parse_formula(each.relative), counts),
                (counts, parse_formula(each.relative)),
            )
        )
        assert parse_formula(each.relative)[old] == counts[new]


@settings(max_examples=6)
@given(TYPES, st.integers(0, 5))
def test_more_only_adds(text, seed):
    few, many = (exchange_elements(read(text), KNOWN, limit, seed).compositions for limit in (3, 9))
    assert many[: len(few)] == few


def test_seeds_choose_others():
    assert len({exchange_elements(read("ABX3"), KNOWN, 5, seed).compositions for seed in range(4)}) == 4


@settings(max_examples=10)
@given(
    st.sets(st.sampled_from(["Cs", "Rb", "K", "Na"]), min_size=1),
    st.sampled_from([None, "halogens", "F,Cl,O", "any"]),
    st.integers(0, 3),
)
def test_lists_are_kept_to(first, anions, seed):
    text = f"ABX3 with A in {','.join(sorted(first))}" + (f"; X in {anions}" if anions else "")
    allowed = {*(GROUPS["halogens"] if anions == "halogens" else (anions or "").split(","))}
    for letters in exchange_elements(read(text), KNOWN, 8, seed).elements:
        assert letters["A"] in first
        assert anions in (None, "any") or letters["X"] in allowed


MIXED = ["Cs", "Rb", "K", "Pb", "Sn", "Ge", "Ca", "Sr", "Ti", "Zr", "O", "S", "F", "Cl", "Br", "I"]


@settings(max_examples=8)
@given(st.sets(st.sampled_from(MIXED), min_size=5), st.integers(0, 3))
def test_only_elements_that_may_occur_and_all_that_must(elements, seed):
    must = min(elements)
    try:
        scan = exchange_elements(read("ABX3"), KNOWN, 6, seed, elements=sorted(elements), must_contain=[must])
    except UserError:  # perhaps none is left
        return
    assert all(must in letters.values() and {*letters.values()} <= elements for letters in scan.elements)


def test_what_else_is_known_is_not_asked_for():
    before = exchange_elements(read("X2YZ"), KNOWN, 4, 0).compositions
    also = frozenset(formula_of(each.formula) for each in before)
    after = exchange_elements(read("X2YZ"), KNOWN, 4, 0, known=also).compositions
    assert not {each.formula for each in before} & {each.formula for each in after}


def test_charges_stay_and_what_is_seldom_wanted_does_not_come():
    for text in ("ABX3", "A2BX6", "X2YZ"):
        for letters in exchange_elements(read(text), KNOWN, 100, 0).elements:
            assert not {"Pm", "Tc", "Pu", "Ac", "Xe"} & {*letters.values()}
    ordinary = exchange_elements(read("PuX3"), KNOWN, 2, 0)
    assert all(letters["Pu"] == "Pu" for letters in ordinary.elements)


def test_a_shortage_is_told_and_nothing_at_all_is_an_error():
    scan = exchange_elements(read("ABX3"), KNOWN, 50, 0, elements=["Cs", "Rb", "Pb", "Sn", "Cl", "Br", "I"])
    assert 0 < len(scan.compositions) < 50
    assert scan.shortage is not None
    assert f"{len(scan.compositions)} compositions of 50 wanted" in scan.summary
    with pytest.raises(UserError, match="no plausible composition") as error:
        exchange_elements(read("ABX3"), KNOWN, 5, 0, elements=["He", "Ne", "Ar"])
    assert "\n" not in str(error.value)


def test_parents_with_the_symmetry_asked_for_come_first():
    table = known_table(MODEL)
    cubic = table.select(np.flatnonzero((table.space_group == 221) & (table.num_atoms == 5))).compositions.formulas
    asked = requests_of({"formula": "ABO3", "space_group": "Pm-3m", "z": 1})
    requests, n, (scan,) = expand(asked, 12, MODEL)
    assert n == 1
    assert len(requests) == 12
    assert all(each.space_group == 221 and each.z == 1 for each in requests)
    assert all(formula_of(each.relative) in cubic for each in scan.compositions)
    assert 0 < scan.facts["parents_of_that_symmetry_and_size"] < scan.facts["parents"]


def test_letters_stand_in_templates_too():
    asked = requests_of({"formula": "ABX3", "template": "221 A:a B:b X:c", "id": "mine"})
    requests, _, (scan,) = expand(asked, 3, MODEL)
    for request, letters in zip(requests, scan.elements, strict=True):
        assert request.template == f"221 {letters['A']}:a {letters['B']}:b {letters['X']}:c"
        assert request.space_group == 221
        assert request.id == f"mine {request.formula}"
    (listed,) = requests_of({"formula": "ABX3 with A=Cs; B=Pb; X=I", "template": "221 A:a B:b X:c"})
    assert listed.template == "221 Cs:a Pb:b I:c"


def test_samples_of_each_or_one_of_each(tmp_path):
    (tmp_path / "wanted.csv").write_text("id,formula,elements\nmine,X2YZ,\nsalt,NaCl,\n")
    asked = read_requests(tmp_path / "wanted.csv")
    with pytest.raises(UserError, match="of X2YZ so many compositions"):
        expand(asked, 3, MODEL)
    requests, n, _ = expand(asked, 3, MODEL, limit=2)
    assert (len(requests), n) == (3, 3)
    assert requests[2] == CrystalRequest(id="salt", formula="NaCl")
    assert [each.id for each in requests[:2]] == [f"mine {each.formula}" for each in requests[:2]]
    assert expand(asked[:1], 3, MODEL)[1] == 1
    with pytest.raises(UserError, match="a scan is of elements"):
        expand(asked[:1], 1, MODEL, scan=True)
    (tmp_path / "wrong.csv").write_text("formula,space_group\nABX3,Pm-3q\n")
    with pytest.raises(UserError, match=r"wrong.csv:2: "):
        read_requests(tmp_path / "wrong.csv")


def test_the_command_line_says_how_it_read_and_a_run_goes_on(unigen, tmp_path):
    options = (*GENERATE, "--formula", "ABX3", "--elements", "Cs,Rb,K,Ca,Sr,Ti,Zr,O,S,F", "--n", 3)
    code, said, error = unigen(*options, "--out", "run")
    assert code == 0, error
    assert said.startswith(
        "ABX3: A, B for any metal or metalloid, X for any anion; boron would be: with B=B\nABX3: 3 new"
    )
    rows = [json.loads(line) for line in (tmp_path / "run/samples.jsonl").read_text().splitlines()]
    with (tmp_path / "run/compositions.csv").open() as file:
        table = list(csv.DictReader(file))
    assert {row["request"]["formula"] for row in rows} == {row["formula"] for row in table}
    assert len(rows) == len(table) == 3
    run = read_yaml(tmp_path / "run/run.yaml")
    assert run["n"] == 1
    assert run["scans"][0]["compositions"] == 3
    before = (tmp_path / "run/samples.jsonl").read_bytes()
    (tmp_path / "run/samples.jsonl").write_bytes(b"".join(before.splitlines(keepends=True)[:1]))
    assert unigen(*options, "--out", "run")[0] == 0
    assert (tmp_path / "run/samples.jsonl").read_bytes() == before


def test_python_takes_them_as_the_command_line_does(tmp_path):
    samples = generate("X2YZ", n=3, seed=1, score=False, steps=2)
    requests, _, _ = expand(requests_of({"formula": "X2YZ"}), 3, MODEL, seed=1)
    assert [sample.request for sample in samples] == requests
    assert [formula_of(each.structure.reduced_formula) for each in samples] == [
        formula_of(request.formula) for request in requests
    ]
    with pytest.warns(UserWarning, match="compositions of 5 wanted"):
        few = generate("ABX3", n=5, elements="Cs,Rb,Pb,Cl,Br", score=False, steps=2)
    assert 0 < len(few) < 5
    assert all(format_formula(parse_formula(each.request.formula)) == each.request.formula for each in few)
