"""Templates are written and read back, always in the grammar's order, and requests follow from them."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from unigen.crystals.template import Template, apply_template, parse_template
from unigen.elements import SYMBOLS, format_formula
from unigen.errors import UserError
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.request import CrystalRequest
from unigen.symmetry.space_groups import LETTERS, space_group, space_group_number

PEROVSKITE = "221 Sr:a Ti:b O:c"
FIXED = {number: space_group(number).dof == 0 for number in range(1, 231)}


@st.composite
def orbits(draw):
    """A space group and (atomic number, letter) pairs in any order, fixed positions at most once."""
    number = draw(st.integers(1, 230))
    fixed = FIXED[number]
    letters = draw(st.lists(st.integers(0, len(fixed) - 1), min_size=1, max_size=8))
    kept = [letter for at, letter in enumerate(letters) if not fixed[letter] or letter not in letters[:at]]
    return number, [(draw(st.integers(1, 118)), letter) for letter in kept]


def template_of(number, pairs):
    return Template(number, tuple(element for element, _ in pairs), tuple(letter for _, letter in pairs))


@given(orbits())
def test_a_template_is_written_and_read_back(drawn):
    template = template_of(*drawn)
    assert parse_template(str(template)) == template
    assert sorted(zip(template.numbers, template.letters, strict=True)) == sorted(drawn[1])


@given(orbits(), st.randoms(use_true_random=False))
def test_the_order_in_which_it_is_given_does_not_matter(drawn, random):
    number, pairs = drawn
    shuffled = random.sample(pairs, len(pairs))
    words = " ".join(f"{SYMBOLS[element]}:{LETTERS[letter]}" for element, letter in shuffled)
    assert parse_template(f"{number} {words}") == template_of(number, shuffled) == template_of(number, pairs)


@given(orbits())
def test_the_grammar_writes_it_as_it_is_ordered(drawn):
    template = template_of(*drawn)
    grammar = WyckoffGrammar(template.counts)
    assert grammar.legal_space_groups()[template.space_group]
    for at, (element, letter) in enumerate(zip(template.numbers, template.letters, strict=True)):
        before = template.letters[:at]
        assert grammar.legal_letters(template.space_group, before)[letter]
        assert grammar.current(template.space_group, before)[0] == element
    assert grammar.current(template.space_group, template.letters) is None


@given(orbits())
def test_a_request_follows_from_its_template_and_keeps_it(drawn):
    template = template_of(*drawn)
    filled = apply_template(CrystalRequest(template=str(template)))
    assert filled.counts == template.counts
    assert filled.space_groups == {template.space_group}
    assert apply_template(filled) == filled


@given(orbits(), st.integers(1, 118))
def test_another_formula_than_the_templates_is_refused(drawn, element):
    template = template_of(*drawn)
    assume(element not in template.counts)
    formula = format_formula(template.counts | {element: 1})
    with pytest.raises(UserError, match="formula and template"):
        apply_template(CrystalRequest(template=str(template), formula=formula))


def test_known_structures():
    assert parse_template(PEROVSKITE).counts == {38: 1, 22: 1, 8: 3}
    assert parse_template("Fd-3m Mg:a Al:d O:e").counts == {12: 2, 13: 4, 8: 8}
    assert parse_template("P63/mmc Mg:c").counts == {12: 2}
    assert parse_template("R-3m Bi:c Te:ac") == parse_template("166 Te:a Te:c Bi:c")
    assert parse_template("47 H:A").counts == {1: 8}
    assert str(parse_template("Pm-3m O:c Ti:b Sr:a")) == PEROVSKITE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "unknown space group ''"),
        ("231 Sr:a", "no such space group; got 231; wanted 1 to 230"),
        ("Pm3m Sr:a", "unknown space group 'Pm3m'.*did you mean Pm-3m"),
        ("221", "no orbits"),
        ("221 Sr", "cannot read 'Sr'"),
        ("221 Sr:", "cannot read 'Sr:'"),
        ("221 Xx:a", "unknown element 'Xx'"),
        ("221 X:a", "unknown element 'X'"),
        ("221 Sr:z", "Pm-3m has no position 'z'; got Sr:z; wanted letters a to n"),
        ("221 O:c,d", "no position ','.*written together, such as O:cd"),
        ("221 Sr:a Ti:a", "1a is a fixed position, it holds one orbit; got 2 orbits"),
        ("225 O:cc", "8c is a fixed position"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_name(text, said):
    with pytest.raises(UserError, match=f"^template '{text}': .*{said}"):
        parse_template(text)


@pytest.mark.parametrize(
    ("numbers", "letters", "said"), [((0,), (0,), "no such element"), ((1,), (14,), "no such letter; got 14")]
)
def test_templates_that_are_none_cannot_be_made(numbers, letters, said):
    with pytest.raises(UserError, match=said):
        Template(221, numbers, letters)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"formula": "SrTiO3"},
        {"formula": "O6Ti2Sr2", "z": 1, "n_atoms": 5},
        {"z": 1},
        {"space_group": 221, "crystal_system": "cubic", "elements": ("Sr", "Ti", "O")},
    ],
)
def test_fields_that_agree_with_the_template_are_kept(fields):
    request = apply_template(CrystalRequest(template=PEROVSKITE, id="mine", **fields))
    assert request.counts == {38: 1, 22: 1, 8: 3}
    assert request.to_dict().items() >= {**fields, "id": "mine", "template": PEROVSKITE}.items()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"formula": "CaTiO3"}, f"formula and template '{PEROVSKITE}' contradict each other; got formula CaTiO3"),
        ({"formula": "SrTiO3", "z": 2}, "got z 2; wanted 1; leave z out"),
        ({"z": 2}, "z and template"),
        ({"n_atoms": 10}, "got n_atoms 10; wanted 5"),
        ({"space_group": 225}, "got space_group 225; wanted 221"),
        ({"crystal_system": "trigonal"}, "got crystal_system trigonal; wanted cubic"),
        ({"elements": ("Sr", "O")}, "elements exclude the formula SrTiO3"),
    ],
)
def test_fields_that_contradict_the_template_are_refused(fields, said):
    with pytest.raises(UserError, match=said):
        apply_template(CrystalRequest(template=PEROVSKITE, **fields))


def test_requests_without_a_template_stay_as_they_are():
    request = CrystalRequest(formula="SrTiO3", space_group=221)
    assert apply_template(request) is request


@pytest.mark.parametrize("number", range(1, 231))
def test_space_groups_go_by_number_and_by_symbol(number):
    symbol = space_group(number).symbol
    for name in (str(number), symbol, symbol.replace("_", ""), " ".join(symbol)):
        assert space_group_number(name) == number


def test_symbols_from_before_the_double_glide_planes_are_known():
    assert [space_group_number(name) for name in ("Abm2", "Aba2", "Cmca", "Cmma", "Ccca")] == [39, 41, 64, 67, 68]


@pytest.mark.parametrize("name", ["0", "231", "-1", "2.5", "P21/n", "fm-3m", "cubic", "²", ""])
def test_names_of_no_standard_setting_are_refused(name):
    with pytest.raises(UserError, match="space group"):
        space_group_number(name, standard=True)
