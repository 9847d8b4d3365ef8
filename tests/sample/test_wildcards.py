"""Anonymous formulas: all that they allow and nothing else, each with different elements."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.elements import ATOMIC_NUMBER, parse_formula, reduce_counts
from unigen.errors import UserError
from unigen.sample.requests import read_requests, requests_of
from unigen.sample.wildcards import GROUPS, formulas_of

symbols = st.lists(st.sampled_from(sorted(ATOMIC_NUMBER)), min_size=1, max_size=4, unique=True)


@given(symbols, symbols, st.integers(1, 9), st.integers(1, 9))
def test_every_choice_of_different_elements_comes_once(first, second, a, x):
    pairs = {(one, other) for one in first for other in second if one != other}
    text = f"A{a}X{x} with A in {','.join(first)}; X in {','.join(second)}"
    if not pairs:
        with pytest.raises(UserError, match="no formula of different elements"):
            formulas_of(text)
        return
    wanted = {tuple(sorted(parse_formula(f"{one}{a}{other}{x}").items())) for one, other in pairs}
    found = [tuple(sorted(parse_formula(formula).items())) for formula in formulas_of(text)]
    assert set(found) == wanted
    assert len(found) == len(wanted)


@given(st.sampled_from(["SrTiO3", "Ca(OH)2", "K4[Fe(CN)6]", "CaSO4·2H2O", "B2O3", "WYV"]))
def test_formulas_stand_for_themselves(formula):
    assert formulas_of(formula) == [formula]


def test_groups_are_elements_and_letters_may_be_elements():
    assert all(symbol in ATOMIC_NUMBER for group in GROUPS.values() for symbol in group)
    assert formulas_of("BN with B in Al") == ["AlN"]
    halides = formulas_of("NaX with X in halogens")
    assert halides == ["NaF", "NaCl", "NaBr", "NaI"]
    # exchanging the names of two letters changes nothing
    for x, y, z in permutations("XYZ"):
        (formula,) = formulas_of(f"{x}2{y}{z} with {x} in Cu; {y} in Mn; {z} in Al")
        assert parse_formula(formula) == parse_formula("Cu2MnAl")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ABX3", "A is no element"),
        ("ABX3 with A in Cs; B in Pb", "X is no element"),
        ("ABX3 with A in Qq; B in Pb; X in I", "A stands for no elements"),
        ("AB with A in Na; B in Cl; C in O", "C does not occur"),
        ("AB with Na and Cl", "cannot read"),
        ("AB with A in Na; A in K; B in Cl", "said twice"),
        ("ABXYZ with A in transition; B in lanthanides; X in halogens; Y in chalcogens; Z in alkali", "too many"),
    ],
)
def test_what_cannot_be_read_is_one_line(text, said):
    with pytest.raises(UserError, match=said) as error:
        formulas_of(text)
    assert "\n" not in str(error.value)


def test_requests_files_and_the_command_line_take_them(tmp_path, unigen):
    text = "AX with A in Na,K; X in Cl"
    assert [each.formula for each in requests_of({"formula": text})] == ["NaCl", "KCl"]
    (tmp_path / "wanted.csv").write_text(f'id,formula,z\nsalt,"{text}",1\nmgo,MgO,1\n')
    listed = read_requests(tmp_path / "wanted.csv")
    assert [(each.id, each.formula, each.z) for each in listed] == [
        ("salt NaCl", "NaCl", 1),
        ("salt KCl", "KCl", 1),
        ("mgo", "MgO", 1),
    ]
    options = ("--z", 1, "--no-page", "--no-picture", "--no-score", "--out", tmp_path / "run")
    code, _, said = unigen("generate", "crystal", "--formula", text, *options)
    assert code == 0, said
    assert len(list((tmp_path / "run" / "cif").glob("*.cif"))) == 2


def test_fractional_counts_are_told_as_whole_ones():
    with pytest.raises(UserError, match="such as LiCo2O4"):
        requests_of({"formula": "Li0.5CoO2"})


@given(st.lists(st.sampled_from(["Li", "Na", "O", "Co", "Mn"]), min_size=2, max_size=4, unique=True), st.data())
def test_the_whole_formula_has_the_same_ratios(elements, data):
    counts = [data.draw(st.sampled_from([1, 2, 3, 4, 5, 7])) for _ in elements]
    text = "".join(f"{symbol}{count / 4:g}" for symbol, count in zip(elements, counts, strict=True))
    whole = reduce_counts({ATOMIC_NUMBER[symbol]: count for symbol, count in zip(elements, counts, strict=True)})[0]
    if "." not in text:
        return
    with pytest.raises(UserError, match="such as ") as error:
        requests_of({"formula": text})
    proposed = str(error.value).split("such as ")[1].split(";")[0]
    assert reduce_counts(parse_formula(proposed))[0] == whole
