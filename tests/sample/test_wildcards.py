"""Anonymous formulas: all that they allow and nothing else, each with different elements."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.elements import ATOMIC_NUMBER, parse_formula, reduce_counts
from unigen.errors import UserError
from unigen.sample.requests import read_requests, requests_of
from unigen.sample.wildcards import GROUPS, read_formula_type


def formulas_of(text: str) -> list[str]:
    """What a formula stands for: itself, or all of a type whose letters are listed."""
    kind = read_formula_type(text)
    return [text] if kind is None else list(kind.formulas())


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


@given(st.sampled_from(["SrTiO3", "Ca(OH)2", "K4[Fe(CN)6]", "CaSO4·2H2O", "B2O3", "WYV", "D2O", "YBCO", "LiD"]))
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
        ("RBO3", "R of RBO3 may stand for an element, or begin the symbol of one"),
        ("TIO2", "T of TIO2 may stand"),
        ("AQqX3", "Qq is no element"),
        ("A0.5BX3", "'A0.5BX3': cannot be read"),
        ("ABX0", "'ABX0': cannot be read"),
        ("ABX3 with A in Qq; B in Pb; X in I", "A stands for no elements"),
        ("AB with A in Na; B in Cl; C in O", "C does not occur"),
        ("AB with Na and Cl", "cannot read"),
        ("AB with A in Na; A in K; B in Cl", "said twice"),
        ("ABXYZ with A in transition; B in lanthanides; X in halogens; Y in chalcogens; Z in alkali", "too many"),
    ],
)
def test_what_cannot_be_read_is_one_line(text, said):
    with pytest.raises(UserError, match=said) as error:
        requests_of({"formula": text})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("ABX3", "A B X"),
        ("ABO3", "A B"),
        ("A2BX6", "A B X"),
        ("A2BB'X6", "A B B' X"),
        ("ABCO4", "A B C"),
        ("X2YZ", "X Y Z"),
        ("XYZ", "X Y Z"),
        ("MX2", "M X"),
        ("M2AX", "M A X"),
        ("M2AC", "M A"),  # a carbide
        ("M2AB2", "M A"),  # a boride, as MAB phases are
        ("RT2X2", "R T X"),
        ("R2T14B", "R T"),
        ("YX3", "X"),  # yttrium halides
        ("SrBX3", "X"),  # no A: boron
        ("AMO2", "A M"),  # no americium
        ("A(BX2)2", "A B X"),
        ("ABX\N{SUBSCRIPT THREE}", "A B X"),
        ("ABX3 with B=B", "A B X"),
        ("SrBO3 with B in any", "B"),
        ("RBO3 with R in any", "R"),
    ],
)
def test_letters_are_read_as_the_field_writes_them(text, letters):
    kind = read_formula_type(text)
    assert kind is not None
    assert " ".join(kind.letters) == letters
    assert kind.is_open
    assert all(name in kind.reading for name in kind.letters)
    assert "\n" not in kind.reading
    open_ones = [name for name, letter in kind.letters.items() if letter.said == "habit"]
    anions = [name for name in open_ones if "O" in kind.letters[name].elements]
    assert anions in ([], [kind.symbols[-1]])  # at the end and nowhere else


def test_what_is_said_comes_before_habit():
    kind = read_formula_type("ABX3 with A in Cs,Rb; B=B; X in any")
    assert kind is not None
    assert kind.letters["B"].elements == ("B",)
    assert {"Cs", "Fe", "O"} <= {*kind.letters["X"].elements}
    assert kind.reading == "ABX3: A for Cs,Rb, B for B, X for any element"
    assert read_formula_type("ABX3").reading == (  # type: ignore[union-attr]
        "ABX3: A, B for any metal or metalloid, X for any anion; boron would be: with B=B"
    )


def test_lists_are_of_the_elements_that_may_and_must_occur():
    fields = {"formula": "ABX3 with A in alkali; B in Pb,Sn; X in halogens", "elements": "Cs,Rb,Pb,Br,I"}
    assert [each.formula for each in requests_of(fields)] == ["RbPbBr3", "RbPbI3", "CsPbBr3", "CsPbI3"]
    assert [each.formula for each in requests_of(fields | {"must_contain": "Cs,I"})] == ["CsPbI3"]
    with pytest.raises(UserError, match="elements exclude the formula"):
        requests_of(fields | {"elements": "Cs,Pb,O"})


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
